"""The reading side of a journal file: what it says beyond a given offset, and what in it is damaged."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

from tracklake.common.lazy_numpy import np
from tracklake.schema.statement_kind import StatementKind
from tracklake.storage.journal import frame_format
from tracklake.storage.journal.file_names import FileName

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tracklake.schema.values import Stored


class Fault(NamedTuple):
    """Damage in a journal file: where it begins and what is wrong there."""

    file: str
    offset: int
    reason: str

    def __str__(self) -> str:
        """Name file, offset and damage."""
        return f"{self.file}: damaged at byte {self.offset}: {self.reason}"


class RowBlock(NamedTuple):
    """Rows of one key set: stamps[i], steps[i] and the eight raw bytes of each value, values[i, j]."""

    names: tuple[str, ...]
    kinds: str
    stamps: NDArray[np.int64]
    steps: NDArray[np.int64]
    values: NDArray[np.int64]


class OddPoint(NamedTuple):
    """A point whose value is no plain number or bool."""

    stamp: int
    step: int
    metric: str
    stored: Stored


class Item(NamedTuple):
    """One statement other than a row."""

    stamp: int
    op: str
    key: str
    stored: Stored


@dataclass(slots=True)
class Tail:
    """What a journal file says between two offsets."""

    blocks: list[RowBlock] = field(default_factory=list)
    odd: list[OddPoint] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    last: int = 0
    """The largest stamp seen."""

    @property
    def n_points(self) -> int:
        """How many points its rows hold.

        >>> from tracklake.schema.values import store
        >>> Tail(odd=[OddPoint(7, 0, "note", store("a", name="note"))]).n_points
        1
        """
        return sum(b.values.size for b in self.blocks) + len(self.odd)

    def __bool__(self) -> bool:
        """Tell whether anything was said."""
        return bool(self.last)


class TailReader:
    """Reads one journal file forward, remembering what later frames need: the header and the key sets.

    `read` returns what was appended since the last call, up to the last whole sound frame. An incomplete frame at the
    end is a torn tail, no fault: its writer has not finished it, or died in it before `log` returned. Whatever the
    bytes are, reading raises nothing: what cannot be read is told as a fault, and the rest is read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.header: dict[str, Any] = {}
        self.offset = 0
        self.closed: str | None = None
        """"finish" or "rotate" once the file has said that nothing follows."""
        self.key_sets: dict[int, frame_format.KeySet] = {}
        self.is_empty = True
        """Whether not even the header is there yet, nor any damage in its place."""

    def read(self, *, through: int | None = None) -> Tail:
        """Return what was appended since the last call (through: up to this byte offset).

        A file that is gone raises FileNotFoundError: list again.

        >>> from pathlib import Path
        >>> path = next((Path(example().dir) / "journal").glob("fast*"))
        >>> reader = TailReader(path)
        >>> reader.read().n_points, reader.read().n_points, reader.closed
        (6, 0, 'finish')
        """
        frames = _Frames(self._bytes(through), self)
        frames.walk()
        self.offset += frames.sound
        self.is_empty &= not (self.header or frames.tail.faults)
        return frames.tail

    def _bytes(self, through: int | None) -> bytes:
        try:
            with self.path.open("rb", buffering=0) as file:
                file.seek(self.offset)
                return (file.readall() if through is None else file.read(max(0, through - self.offset))) or b""
        except OSError as error:
            if error.errno == errno.ESTALE:  # a network file system's word for a file that another host has deleted
                raise FileNotFoundError(error.errno, error.strerror, str(self.path)) from error
            raise

    def take_header(self, content: dict[str, Any]) -> None:
        """Take over the header that opens the file; ValueError if it is not the one of a file of this name.

        >>> from pathlib import Path
        >>> TailReader(Path("a.tlj")).take_header({"run": "a"})
        Traceback (most recent call last):
        ValueError: the header lacks run, project, session, n or start
        """
        texts = all(isinstance(content.get(name), str) for name in ("run", "project"))
        if not texts or not all(frame_format.is_int64(content.get(name)) for name in ("session", "n", "start")):
            raise ValueError("the header lacks run, project, session, n or start")
        name = FileName.parse(self.path.name)
        if name is not None and (name.session, name.n) != (content["session"], content["n"]):
            raise ValueError("the header is that of another file: this one was renamed or copied")
        self.header = content


class _Frames:
    """One pass over the bytes of a file: frame boundaries first, then rows of equal length together with numpy."""

    def __init__(self, data: bytes, reader: TailReader) -> None:
        self.data = data
        self.view = memoryview(data)
        self.reader = reader
        self.tail = Tail()
        self.sound = 0
        """Everything before this position was read or told as damaged."""
        self.rows: dict[int, list[int]] = {}
        """Positions of row frames by their whole length."""
        self.before = b""
        """The body of the frame read last that is no row."""

    def walk(self) -> None:
        """Go from frame to frame to the end of the last whole one."""
        position = 0
        known: dict[bytes, int] = {}  # prefixes of rows seen, to their frame's length
        while len(self.data) - position >= frame_format.PREFIX_SIZE:
            head = self.data[position : position + frame_format.PREFIX_SIZE]
            following = self._rows_from(position, head, known[head]) if head in known else position
            if following == position:
                found = self._frame(position, head, known)
                if found is None:
                    break
                following = found
            position = following
        self.sound = position
        for size, positions in self.rows.items():
            self._take_rows(size, positions)

    def _rows_from(self, position: int, head: bytes, size: int) -> int:
        """Take the rows of one kind that follow each other from here, while they are sound; return where they end."""
        at, last = position, len(self.data) - size
        while (
            at <= last and self.data.startswith(head, at) and crc32(self.view[at : at + size]) == frame_format.RESIDUE
        ):
            at += size
        self.rows[size].extend(range(position, at, size))
        return at

    def _frame(self, position: int, head: bytes, known: dict[bytes, int]) -> int | None:
        """Read the frame that begins here and return where the next begins, or None at a torn tail."""
        parsed = frame_format.parse_prefix(head)
        if parsed is None:
            return self._resume(position)
        kind, length = parsed
        size = frame_format.PREFIX_SIZE + length + frame_format.CRC_SIZE
        if position + size > len(self.data):
            return None
        if crc32(self.view[position : position + size]) != frame_format.RESIDUE:
            self._fault(position, "the frame's checksum does not match")
            return position + size
        body = self.data[position + frame_format.PREFIX_SIZE : position + size - frame_format.CRC_SIZE]
        if kind == frame_format.ROW and length >= frame_format.ROW_HEAD and (length - frame_format.ROW_HEAD) % 8 == 0:
            known[head] = size
            self.rows.setdefault(size, []).append(position)
            return position + size
        if body == self.before:  # written twice, as wire.twice does
            return position + size
        self.before = body
        try:
            self._take(kind, body)
        except (ValueError, RecursionError) as error:
            self._fault(position, f"a sound frame of a form that this version of tracklake cannot read: {error}")
        return position + size

    def _take(self, kind: int, body: bytes) -> None:
        """Take over what a sound frame other than a row says."""
        if kind == frame_format.KEYSET:
            declared = frame_format.KeySet.parse(body)
            self.reader.key_sets[declared.id] = declared
        elif kind == frame_format.STATEMENT:
            self._take_statement(frame_format.parse_statement(body))
        else:
            raise ValueError(f"frame kind {kind}")

    def _resume(self, position: int) -> int | None:
        """Tell the damage and return the next place where a frame's prefix checks, or None if there is none yet."""
        self._fault(position, "no frame begins here")
        found = self.data.find(frame_format.MAGIC, position + 1)
        while found >= 0:
            if frame_format.parse_prefix(self.data[found : found + frame_format.PREFIX_SIZE]):
                return found
            found = self.data.find(frame_format.MAGIC, found + 1)
        return None

    def _fault(self, position: int, reason: str) -> None:
        self.tail.faults.append(Fault(self.reader.path.name, self.reader.offset + position, reason))

    def _take_statement(self, statement: frame_format.Statement) -> None:
        stamp, op, items, content = statement
        if op == StatementKind.HEADER:
            self.reader.take_header(content)
        elif op == StatementKind.ROW:
            step: Any = content.get("step")
            if not frame_format.is_int64(step):
                raise ValueError(f"a row at step {step!r}")
            self.tail.odd += [OddPoint(stamp, step, key, stored) for key, stored in items]
        else:
            self.tail.items += [Item(stamp + i, op, key, stored) for i, (key, stored) in enumerate(items)]
        if op in (StatementKind.FINISH, StatementKind.ROTATE):
            self.reader.closed = op
        self.tail.last = max(self.tail.last, stamp + max(0, len(items) - 1))

    def _take_rows(self, size: int, positions: list[int]) -> None:
        """Gather the rows of one length, split them by key set."""
        found = _gather(self.data, positions, size)
        stamps, steps, ids, values = (np.ascontiguousarray(found[name]) for name in ("stamp", "step", "id", "values"))
        self.tail.last = max(self.tail.last, int(stamps.max()))
        present = ids[:1].tolist() if (ids == ids[0]).all() else np.unique(ids).tolist()
        for number in present:
            key_set = self.reader.key_sets.get(number)
            of_set = slice(None) if len(present) == 1 else ids == number
            if key_set is None or len(key_set.names) != values.shape[1]:
                self._fault(
                    positions[int(np.argmax(ids == number))],
                    f"from here on {np.count_nonzero(ids == number)} rows cannot be read: "
                    f"the declaration of their names (key set {number}) is damaged",
                )
                continue
            block = RowBlock(key_set.names, key_set.kinds, stamps[of_set], steps[of_set], values[of_set])
            self.tail.blocks.append(block)


@lru_cache
def _layout(size: int) -> np.dtype[Any]:
    """Return how a row frame of this whole length lies in the file."""
    width = (size - frame_format.PREFIX_SIZE - frame_format.ROW_HEAD - frame_format.CRC_SIZE) // 8
    return np.dtype(
        {
            "names": ["stamp", "step", "id", "values"],
            "formats": ["<i8", "<i8", "<u4", ("<i8", (width,))],
            "offsets": [frame_format.PREFIX_SIZE + at for at in (0, 8, 16, frame_format.ROW_HEAD)],
            "itemsize": size,
        }
    )


def _gather(data: bytes, positions: list[int], size: int) -> NDArray[Any]:
    """Return the row frames of one length; without a copy where they follow each other."""
    first, last = positions[0], positions[-1]
    if last - first == size * (len(positions) - 1):
        return np.frombuffer(data, dtype=_layout(size), count=len(positions), offset=first)
    raw = np.lib.stride_tricks.sliding_window_view(np.frombuffer(data, dtype=np.uint8), size)
    return raw[positions].view(_layout(size)).ravel()
