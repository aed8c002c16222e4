"""Text: counts with their nouns."""

from __future__ import annotations


def number_of(count: object, what: str) -> str:
    """Write a count with its noun.

    >>> number_of(1, "run"), number_of(1200, "run")
    ('1 run', '1,200 runs')
    """
    return f"{count:,} {what}{'' if count == 1 else 's'}"
