"""Text: counts with their nouns, sizes of files."""

from __future__ import annotations


def number_of(count: object, what: str) -> str:
    """Write a count with its noun.

    >>> number_of(1, "run"), number_of(1200, "run")
    ('1 run', '1,200 runs')
    """
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def byte_size(n_bytes: float) -> str:
    """Return a number of bytes for people.

    >>> byte_size(512), byte_size(1_234_000)
    ('512 B', '1.2 MB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:  # noqa: PLR2004 - the step between units
            return f"{n_bytes:.0f} {unit}" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} TB"
