"""Lines of text tables before they are parsed: their encoding, comments between rows, and cells apart by blanks."""

from __future__ import annotations

import re
from typing import NamedTuple

from tracklake.importers.readers import cells

_COMMENT = re.compile(rb"^[ \t]*#[^\n]*(?:\n|\Z)", re.MULTILINE)
_BLANKS = re.compile(rb"[ \t]+")
_AROUND = re.compile(rb"^ | (?=\r?$)", re.MULTILINE)
_FEW = 100
"""Lines that show whether blanks set cells apart."""


class Decoded(NamedTuple):
    """Bytes of a table as UTF-8, and whether they were that."""

    data: bytes
    was_utf8: bool


def as_utf8(data: bytes) -> Decoded:
    """Return text as UTF-8: what is none is Windows-1252, which holds Latin-1; one with other UTF-8 in it is damaged.

    >>> as_utf8("größe".encode("latin-1")).data.decode()
    'größe'
    """
    if data.isascii():
        return Decoded(data, was_utf8=True)
    try:
        data.decode()
    except UnicodeDecodeError:
        lossy = data.decode(errors="replace")
        is_damaged = any(char > "\x7f" and char != "\ufffd" for char in set(lossy))
        return Decoded(data if is_damaged else data.decode("cp1252", "replace").encode(), was_utf8=is_damaged)
    return Decoded(data, was_utf8=True)


def without_comments(rows: bytes, *, separator: bytes, n_columns: int, is_usual: bool) -> tuple[bytes, int]:
    r"""Return rows without the lines that begin with `#`, and how many these are.

    A line with as many cells as a row has stays a row, unless comments are usual in the table.

    >>> without_comments(b"1,2\n# resumed\n#3,4\n", separator=b",", n_columns=2, is_usual=False)
    (b'1,2\n#3,4\n', 1)
    """
    if b"#" not in rows:
        return rows, 0
    has_quotes = b'"' in rows
    pieces, at, n_comments = [], 0, 0
    for comment in _COMMENT.finditer(rows):
        is_row = not is_usual and comment[0].count(separator) == n_columns - 1
        if is_row or (has_quotes and rows.count(b'"', 0, comment.start()) % 2):  # within a quoted cell
            continue
        pieces.append(rows[at : comment.start()])
        at, n_comments = comment.end(), n_comments + 1
    return b"".join([*pieces, rows[at:]]), n_comments


def without_blanks_before_quotes(rows: bytes, separator: bytes) -> bytes:
    """Return rows whose quoted cells begin with their quotes, as readers of tables want it.

    >>> without_blanks_before_quotes(b'1, "a, b"', b",")
    b'1,"a, b"'
    """
    return re.sub(re.escape(separator) + rb' +"', separator + b'"', rows) if b'"' in rows else rows


def single_blanks(rows: bytes) -> bytes:
    r"""Return rows whose cells stand apart by any blanks with one blank between them, and none around them.

    >>> single_blanks(b"  1   0.5 \n 10   0.25\n")
    b'1 0.5\n10 0.25\n'
    """
    return _AROUND.sub(b"", _BLANKS.sub(b" ", rows))


def blank_names(header: str, rows: bytes) -> list[str] | None:
    r"""Return the columns of a table whose cells stand apart by blanks; None where the lines below show it is none.

    Each of these has as many cells, all of them numbers or nothing; no name is a number.

    >>> blank_names("step   loss", b"    1    0.5\n   10   0.25\n")
    ['step', 'loss']
    >>> blank_names("step 1 loss 0.5", b"step 2 loss 0.25\n")
    """
    names = header.split()
    lines = [line.decode(errors="replace") for line in rows.split(b"\n")[: _FEW + 1]]
    below = [line.split() for line in lines[:-1] if line.strip() and not line.lstrip().startswith("#")]
    below = below or [line.split() for line in lines if line.strip()]
    is_table = below and all(len(line) == len(names) and all(map(cells.is_number, line)) for line in below)
    return names if len(names) > 1 and is_table and not any(map(cells.is_number, names)) else None
