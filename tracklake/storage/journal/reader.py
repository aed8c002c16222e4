"""The reading side of a journal file: the records beyond an offset, and what in it is damaged."""

from __future__ import annotations

import errno
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from tracklake.common.lazy_numpy import np
from tracklake.errors import LakeError
from tracklake.schema.statement_kind import StatementKind
from tracklake.schema.tables import LAKE_RUN
from tracklake.storage.journal import frame_format
from tracklake.storage.journal.file_names import FileName

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from tracklake.schema.values import Stored


_TAIL = 32
"""Bytes before the offset that are held against the file at the next call: the checksum of the last frame, at least."""


class Fault(NamedTuple):
    """Damage in a journal file: where it begins and what is wrong there."""

    file: str
    offset: int
    reason: str

    def __str__(self) -> str:
        """Name file, offset and damage."""
        return f"{self.file}: damaged at byte {self.offset}: {self.reason}"


class RewrittenError(LakeError):
    """A journal does not hold any more what was read of it: it was cut, replaced or written over."""


class RowBlock(NamedTuple):
    """Rows of one key set: stamps[i], steps[i] and the eight raw bytes of each value, values[i, j]."""

    names: tuple[str, ...]
    kinds: str
    stamps: NDArray[np.int64]
    steps: NDArray[np.int64]
    values: NDArray[np.int64]


class UnpackedPoint(NamedTuple):
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
class JournalRecords:
    """What a journal file holds between two offsets."""

    blocks: list[RowBlock] = field(default_factory=list)
    unpacked: list[UnpackedPoint] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    last: int = 0
    """The largest stamp seen."""

    @property
    def n_points(self) -> int:
        """How many points its rows hold.

        >>> from tracklake.schema.values import store
        >>> JournalRecords(unpacked=[UnpackedPoint(7, 0, "note", store("a", name="note"))]).n_points
        1
        """
        return sum(b.values.size for b in self.blocks) + len(self.unpacked)

    def __bool__(self) -> bool:
        """Tell whether there is any record."""
        return bool(self.last)


class JournalReader:
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
        self._tail = b""
        """The last bytes before the offset."""
        self.is_empty = True
        """Whether not even the header is there yet, nor any damage in its place."""

    def read(self, *, through: int | None = None) -> JournalRecords:
        """Return what was appended since the last call (through: up to this byte offset).

        A file that is gone raises FileNotFoundError: list again. One that does not hold any more what the last call has
        read raises RewrittenError: read it anew.

        >>> from pathlib import Path
        >>> path = next((Path(example().dir) / "journal").glob("fast*"))
        >>> reader = JournalReader(path)
        >>> reader.read().n_points, reader.read().n_points, reader.closed
        (6, 0, 'finish')
        """
        decoder = _Decoder(self._bytes(through), self)
        decoder.decode()
        self.offset += decoder.stop
        if decoder.stop:
            self._tail = (self._tail + decoder.data[max(0, decoder.stop - _TAIL) : decoder.stop])[-_TAIL:]
        self.is_empty &= not (self.header or decoder.records.faults)
        return decoder.records

    @property
    def is_of_lake(self) -> bool:
        """Whether its statements are those of the lake as a whole, which logs no rows.

        >>> from pathlib import Path
        >>> JournalReader(Path("a.tlj")).is_of_lake
        False
        """
        return bool(self.header.get("run") == LAKE_RUN)

    def cut(self) -> Fault | None:
        """Return the damage of a file that is over, as its missing write bit tells, and yet lacks its last frame.

        >>> from pathlib import Path
        >>> path = next((Path(example().dir) / "journal").glob("fast*"))
        >>> path.chmod(0o600), path.write_bytes(path.read_bytes()[:-9]), path.chmod(0o400)
        (None, ..., None)
        >>> reader = JournalReader(path)
        >>> reader.read().n_points, reader.cut().reason
        (6, 'the file is over, but its last frame is missing: it was cut')
        """
        if self.closed is not None:
            return None
        return Fault(self.path.name, self.offset, "the file is over, but its last frame is missing: it was cut")

    def _bytes(self, through: int | None) -> bytes:
        try:
            with self.path.open("rb", buffering=0) as file:
                file.seek(self.offset - len(self._tail))
                if self._tail and file.read(len(self._tail)) != self._tail:
                    raise RewrittenError(
                        f"{self.path} does not hold any more what was read of it up to byte {self.offset:,}: "
                        "it was cut, replaced or written over"
                    )
                return (file.readall() if through is None else file.read(max(0, through - self.offset))) or b""
        except OSError as error:
            if error.errno == errno.ESTALE:  # a network file system's word for a file that another host has deleted
                raise FileNotFoundError(error.errno, error.strerror, str(self.path)) from error
            raise

    def take_header(self, content: dict[str, Any]) -> None:
        """Take over the header that opens the file; ValueError if it is not the one of a file of this name.

        >>> from pathlib import Path
        >>> JournalReader(Path("a.tlj")).take_header({"run": "a"})
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


class _Decoder:
    """Decodes the frames of one read: statements one by one, rows of equal size together with numpy."""

    def __init__(self, data: bytes, reader: JournalReader) -> None:
        self.data = data
        self.reader = reader
        self.records = JournalRecords()
        self.stop = 0
        """Everything before this position was read or told as damaged."""
        self._rows: dict[int, list[range]] = {}
        """Offsets of row frames by their size."""
        self._last_body = b""
        """The body of the frame read last that is no row: a frame that is duplicated counts once."""

    def decode(self) -> None:
        """Decode up to the last whole frame."""
        for frame in frame_format.iter_frames(self.data):
            self.stop = frame.stop
            if isinstance(frame, frame_format.Damage):
                self._fault(frame.start, frame.reason)
            elif frame.kind == frame_format.ROW:
                self._rows.setdefault(frame.size, []).append(frame.offsets)
            else:
                self._decode_one(frame)
        for size, offsets in self._rows.items():
            self._decode_rows(size, offsets)

    def _decode_one(self, frame: frame_format.FrameRun) -> None:
        body = frame_format.body_of(self.data, frame.start, frame.size)
        if body == self._last_body:
            return
        self._last_body = body
        try:
            if frame.kind == frame_format.KEYSET:
                key_set = frame_format.KeySet.parse(body)
                self.reader.key_sets[key_set.id] = key_set
            elif frame.kind == frame_format.STATEMENT:
                self._apply(frame_format.parse_statement(body))
            else:
                raise ValueError(f"frame kind {frame.kind}")  # noqa: TRY301 - one way out
        except (ValueError, RecursionError) as error:
            self._fault(frame.start, f"{frame_format.UNREADABLE}: {error}")

    def _fault(self, position: int, reason: str) -> None:
        self.records.faults.append(Fault(self.reader.path.name, self.reader.offset + position, reason))

    def _apply(self, statement: frame_format.Statement) -> None:
        stamp, op, items, content = statement
        if op == StatementKind.HEADER:
            self.reader.take_header(content)
        elif op == StatementKind.ROW:
            if self.reader.is_of_lake:
                raise ValueError("a row in the lake's own journal")
            step: Any = content.get("step")
            if not frame_format.is_int64(step):
                raise ValueError(f"a row at step {step!r}")
            self.records.unpacked += [UnpackedPoint(stamp, step, key, stored) for key, stored in items]
        else:
            self.records.items += [Item(stamp, op, key, stored) for key, stored in items]
        if op in (StatementKind.FINISH, StatementKind.ROTATE):
            self.reader.closed = op
        self.records.last = max(self.records.last, stamp)

    def _decode_rows(self, size: int, offsets: list[range]) -> None:
        """Decode the rows of one size, split by key set."""
        if self.reader.is_of_lake:
            self._fault(offsets[0].start, f"{frame_format.UNREADABLE}: rows in the lake's own journal")
            return
        rows = _row_array(self.data, offsets, size)
        stamps, steps, ids = (np.ascontiguousarray(rows[name]) for name in ("stamp", "step", "id"))
        values = rows["values"]  # as they lie in the file: who needs them copies them in the order that is needed
        self.records.last = max(self.records.last, int(stamps.max()))
        for number, of_set in _by_key_set(ids):
            key_set = self.reader.key_sets.get(number)
            if key_set is None or len(key_set.names) != values.shape[1]:
                self._undeclared(number, np.arange(len(ids))[of_set], offsets)
                continue
            block = RowBlock(key_set.names, key_set.kinds, stamps[of_set], steps[of_set], values[of_set])
            self.records.blocks.append(block)

    def _undeclared(self, number: int, rows: NDArray[np.int64], offsets: list[range]) -> None:
        first = next(itertools.islice(itertools.chain.from_iterable(offsets), int(rows[0]), None))
        self._fault(
            first,
            f"from here on {len(rows)} rows cannot be read: "
            f"the declaration of their names (key set {number}) is damaged",
        )


def _by_key_set(ids: NDArray[np.uint32]) -> Iterator[tuple[int, slice | NDArray[np.int64]]]:
    """Yield each key set with its rows, in their order; in time that does not follow the number of key sets."""
    if (ids == ids[0]).all():
        yield int(ids[0]), slice(None)
        return
    order = np.argsort(ids, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(ids[order])) + 1):
        yield int(ids[rows[0]]), rows


def _row_array(data: bytes, offsets: list[range], size: int) -> NDArray[Any]:
    """Return the row frames of one size as a structured array; without a copy where they follow each other."""
    dtype = frame_format.row_dtype(size)
    if len(offsets) == 1:
        return np.frombuffer(data, dtype=dtype, count=len(offsets[0]), offset=offsets[0].start)
    every = np.concatenate([np.arange(run.start, run.stop, run.step) for run in offsets])
    raw = np.lib.stride_tricks.sliding_window_view(np.frombuffer(data, dtype=np.uint8), size)
    rows: NDArray[Any] = raw[every].view(dtype).ravel()
    return rows
