"""Bytes of a file that may be compressed, a bounded piece at a time."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING

from tracklake.common import interrupts
from tracklake.errors import SourceError
from tracklake.importers.readers import counted_reads

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHUNK = 48 << 20
"""Bytes of text that are parsed at once: some four million numbers, as many as a partition takes."""
LONGEST_LINE = 16 << 20
"""Bytes of one line, beyond which a file is no text table."""
MAX_RATIO = 300
"""How many times larger a compressed file may get, beyond its first hundred megabytes: more is a bomb."""
_FREE = 100 << 20
_COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}


def suffix_of(path: Path) -> str:
    """Return the ending of a file's name that tells its form, without that of a compression, in lower case.

    >>> from pathlib import Path
    >>> suffix_of(Path("metrics.csv.gz")), suffix_of(Path("a.JSONL"))
    ('.csv', '.jsonl')
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return suffixes[-2] if len(suffixes) > 1 and suffixes[-1] in _COMPRESSIONS else suffixes[-1] if suffixes else ""


def largest(size: int) -> int:
    """Return how many bytes a file of some bytes may become.

    >>> largest(1 << 20)
    419430400
    """
    return _FREE + MAX_RATIO * size


def head(path: Path, size: int = 1 << 16) -> bytes:
    """Return the first bytes of a file, decompressed; fewer where the file is shorter or broken.

    >>> from pathlib import Path
    >>> _ = Path("a.csv").write_text("step,loss")
    >>> head(Path("a.csv"), 4)
    b'step'
    """
    with interrupts.suppressed(OSError, SourceError), _opened(path) as stream:
        return bytes(stream.read(size))
    return b""


def damage(path: Path) -> str | None:
    """Return why a compressed file cannot be decompressed; None for one that can, and for one that is not compressed.

    >>> from pathlib import Path
    >>> _ = Path("a.csv.gz").write_bytes(b"no gzip")
    >>> damage(Path("a.csv.gz")), damage(Path("a.csv"))
    ('it cannot be decompressed as gzip', None)
    """
    compression = _COMPRESSIONS.get(path.suffix.lower())
    if compression is None:
        return None
    try:
        with _opened(path) as stream:
            stream.read(1)
    except OSError as error:
        interrupts.let_through(error)
        return f"it cannot be decompressed as {compression}"
    return None


def chunks(path: Path, size: int = CHUNK) -> Iterator[bytes]:
    r"""Yield the bytes of a file, each time whole lines of little more than `size`; the last may lack its end of line.

    A line break within quotes does not end a chunk. Raises SourceError for a file that cannot be read or decompressed,
    and for one that gets far larger than any text does.

    >>> from pathlib import Path
    >>> _ = Path("a.txt").write_text("a\nb\nc")
    >>> list(chunks(Path("a.txt"), 3))
    [b'a\nb\n', b'c']
    """
    limit, total = largest(path.stat().st_size), 0
    with _opened(path) as stream:
        while block := _read(stream, size, path):
            chunk = b"".join([block, *_to_end_of_line(stream, block, path)])
            total += len(chunk)
            if total > limit:
                raise SourceError(f"{path} gets over {MAX_RATIO} times larger when decompressed; it is not read on")
            yield chunk


def _to_end_of_line(stream: io.BufferedReader, block: bytes, path: Path) -> Iterator[bytes]:
    """Yield what follows a block up to the end of the first line that no open quote spans."""
    is_whole, is_open = block.endswith(b"\n"), b'"' in block and block.count(b'"') % 2 == 1
    n_more = 0
    while (is_open and n_more <= LONGEST_LINE) or not is_whole:  # quotes that never pair: a text, not a table
        line = _read(stream, LONGEST_LINE + 1, path, is_line=True)
        yield line
        n_more += len(line)
        is_whole, is_open = line.endswith(b"\n"), is_open != (line.count(b'"') % 2 == 1)
        if not line or (len(line) <= LONGEST_LINE and not is_whole):  # the end of the file
            return
        if not is_whole:
            raise SourceError(f"{path} has a line of more than {LONGEST_LINE >> 20} MB; it is no text table")


def _read(stream: io.BufferedReader, size: int, path: Path, *, is_line: bool = False) -> bytes:
    try:
        return stream.readline(size) if is_line else stream.read(size)
    except OSError as error:
        interrupts.let_through(error)
        raise SourceError(f"{path} cannot be read on: {error}") from error


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[io.BufferedReader]:
    compression = _COMPRESSIONS.get(path.suffix.lower())
    if compression is None:
        with counted_reads.opened(path) as file:
            yield file
        return
    import pyarrow as pa

    with counted_reads.opened(path) as file, pa.CompressedInputStream(file, compression) as stream:
        yield io.BufferedReader(stream, counted_reads.AT_ONCE)
