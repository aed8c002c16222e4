"""Bytes of a file that may be compressed, a bounded piece at a time."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

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
    with contextlib.suppress(OSError, SourceError), _opened(path) as stream:
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
    except OSError:
        return f"it cannot be decompressed as {compression}"
    return None


def chunks(path: Path, size: int = CHUNK) -> Iterator[bytes]:
    r"""Yield the bytes of a file, each time whole lines of about `size`; the last may lack its end of line.

    A line break within quotes does not end a chunk. Raises SourceError for a file that cannot be read or decompressed,
    and for one that gets far larger than any text does.

    >>> from pathlib import Path
    >>> _ = Path("a.txt").write_text("a\nb\nc")
    >>> list(chunks(Path("a.txt"), 3))
    [b'a\n', b'b\nc']
    """
    limit = largest(path.stat().st_size)
    remainder, total = b"", 0
    with _opened(path) as stream:
        block = _read(stream, size, path)
        while block:
            total += len(block)
            if total > limit:
                raise SourceError(f"{path} gets over {MAX_RATIO} times larger when decompressed; it is not read on")
            remainder += block
            block = _read(stream, size, path)
            cut = _end_of_lines(remainder) if block else len(remainder)
            if cut:
                yield remainder[:cut]
                remainder = remainder[cut:]
            elif len(remainder) > max(LONGEST_LINE, 2 * size):
                raise SourceError(f"{path} has a line of more than {LONGEST_LINE >> 20} MB; it is no text table")


def _end_of_lines(text: bytes) -> int:
    """Return where the last whole line ends that no open quote spans; 0 where there is none."""
    cut = text.rfind(b"\n") + 1
    while cut and text.count(b'"', 0, cut) % 2:
        cut = text.rfind(b"\n", 0, cut - 1) + 1
        if len(text) - cut > LONGEST_LINE:  # quotes that do not pair: a text, not a table
            return text.rfind(b"\n") + 1
    return cut


def _read(stream: Any, size: int, path: Path) -> bytes:
    try:
        return bytes(stream.read(size))
    except OSError as error:
        raise SourceError(f"{path} cannot be read on: {error}") from error


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    compression = _COMPRESSIONS.get(path.suffix.lower())
    if compression is None:
        with counted_reads.opened(path) as file:
            yield file
        return
    import pyarrow as pa

    with counted_reads.opened(path) as file, pa.CompressedInputStream(file, compression) as stream:
        yield stream
