"""Parts of a text replaced by others, by the places that the parser gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class Edit(NamedTuple):
    """Which bytes of a text are replaced, and by what."""

    at: int
    length: int
    replacement: str


def applied(text: str, edits: Iterable[Edit]) -> str:
    """Return the text with these parts replaced, of which no two overlap.

    >>> applied("a < 1", [Edit(0, 1, '"b"')])
    '"b" < 1'
    """
    stored = text.encode()
    for edit in sorted(set(edits), reverse=True):
        stored = stored[: edit.at] + edit.replacement.encode() + stored[edit.at + edit.length :]
    return stored.decode()


def quoted(*parts: str) -> str:
    """Return the name of a column as SQL writes it, with the table before it if there is one.

    >>> quoted("r", "config.lr")
    '"r"."config.lr"'
    """
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


def split_at_commas(text: str) -> list[str]:
    """Return the parts of a list in SQL: commas in brackets, in texts and in names in quotes part nothing.

    >>> split_at_commas('lr DESC, greatest(loss, 1), "a,b"')
    ['lr DESC', 'greatest(loss, 1)', '"a,b"']
    """
    parts, depth, quote = [""], 0, ""
    for char in text:
        quote = ("" if char == quote else quote) if quote else char if char in "\"'" else ""
        depth += 0 if quote else (char in "([{") - (char in ")]}")
        if char == "," and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += char
    return [part.strip() for part in parts]
