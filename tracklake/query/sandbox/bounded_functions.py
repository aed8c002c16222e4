"""Functions of two texts whose cost grows with the product of their lengths, bounded: duckdb cannot end them early."""

from __future__ import annotations

MOST = {
    "damerau_levenshtein": 25_000_000,  # 8 bytes each
    **dict.fromkeys(("levenshtein", "editdist3", "jaro_similarity", "jaro_winkler_similarity"), 1_000_000_000),
}
"""Pairs of letters that each may compare: some seconds."""


def definitions() -> list[str]:
    """Return the macros that stand before these functions.

    >>> import duckdb
    >>> connection = duckdb.connect()
    >>> for macro in definitions():
    ...     _ = connection.execute(f"CREATE MACRO {macro}")
    >>> connection.execute("SELECT levenshtein('loss', 'lost')").fetchall()
    [(1,)]
    """
    return [_definition(name, most) for name, most in MOST.items()]


def _definition(name: str, most: int) -> str:
    told = f"{name}() of texts as long as these does not end: it compares up to {most:,} pairs of letters"
    # in the argument: a condition around the call is not asked where both texts are constants
    argument = f"CASE WHEN length(a)::DOUBLE * length(b) > {most} THEN error('{told}') ELSE a END"
    return f"{name}(a, b) AS system.main.{name}({argument}, b)"
