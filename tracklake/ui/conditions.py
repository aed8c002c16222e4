"""Conditions: what the page filters by, as the text of `where=`, which is also the WHERE of SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ARCHIVED = "archived"
"""The tag of runs that tables leave out unless they are wanted."""
NOT_ARCHIVED = f"(tags IS NULL OR NOT array_contains(tags, '{ARCHIVED}'))"


def name_of(column: str) -> str:
    """Quote the name of a column.

    >>> name_of("config.lr"), name_of('a"b')
    ('"config.lr"', '"a""b"')
    """
    return '"' + column.replace('"', '""') + '"'


def literal(value: Any) -> str:
    """Write a value as SQL has it.

    >>> literal(0.1), literal("it's"), literal(True)
    ('0.1', "'it''s'", 'true')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, int | float) else "'" + str(value).replace("'", "''") + "'"


def equals(column: str, value: Any) -> str:
    """Say that a column has a value, which may be null.

    >>> equals("config.lr", 0.1), equals("group", None)
    ('"config.lr" = 0.1', '"group" IS NULL')
    """
    return f"{name_of(column)} IS NULL" if value is None else f"{name_of(column)} = {literal(value)}"


def search(text: str) -> str:
    """Say that the name, the id, the group or the notes hold a text, whatever its case.

    >>> search("adam")[:61]
    "(lower(run_id) LIKE '%adam%' OR lower(name) LIKE '%adam%' OR "
    """
    pattern = literal(f"%{text.lower()}%")
    return "(" + " OR ".join(f"lower({c}) LIKE {pattern}" for c in ("run_id", "name", '"group"', "notes")) + ")"


def one_of(run_ids: Sequence[str]) -> str:
    """Say that a run is one of these.

    >>> one_of(["a", "b"])
    "run_id IN ('a', 'b')"
    """
    return f"run_id IN ({', '.join(map(literal, run_ids))})"


def all_of(conditions: Iterable[str | None]) -> str | None:
    """Join conditions that must all hold; None if there are none.

    >>> all_of(["a > 1", None, "b = 2 OR c = 3"]), all_of([None])
    ('(a > 1) AND (b = 2 OR c = 3)', None)
    """
    texts = [text for text in conditions if text]
    return texts[0] if len(texts) == 1 else " AND ".join(f"({text})" for text in texts) or None
