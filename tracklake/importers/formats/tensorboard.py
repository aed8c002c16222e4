"""TensorBoard's event files: scalars, tensors, histograms, texts and hparams; a folder with them is a run."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Any

import polars as pl

from tracklake.common.lazy_numpy import np
from tracklake.importers.readers import event_records, hparams, places, records
from tracklake.importers.readers.records import ImportOptions, Points, Remark, RunRecord, Source
from tracklake.importers.readers.tfrecord import RecordFile

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from tracklake.importers.readers.event_records import Event, Scalars
    from tracklake.importers.readers.records import RunState, Yielded
    from tracklake.importers.readers.tfrecord import Block

PRIORITY = 20
_MARK = "tfevents"
_PARTS = {"train", "validation", "val", "test", "eval"}
"""Folders that hold a part of the run of the folder above."""
_PEEK = 1 << 16
"""Bytes of a file that tell its tags."""
_TIMESTAMP = re.compile(r"\d{9,}\.\d+")
_STATES: dict[int, RunState] = {1: "finished", 2: "failed", 3: "crashed"}


def recognise(folder: Path, names: Collection[str]) -> Iterator[Source]:
    """Yield a folder that has event files; several are one run, as where a training was taken up again.

    >>> from pathlib import Path
    >>> [source.path.name for source in recognise(Path("run"), ["events.out.tfevents.1.host"])]
    ['run']
    """
    files = tuple(folder / name for name in sorted(names) if _MARK in name)
    if files:
        yield Source("tensorboard", folder, files)


def read(source: Source, options: ImportOptions) -> Iterator[Yielded]:
    """Yield the run of a folder, file after file in the order of their times.

    >>> from pathlib import Path
    >>> from tracklake.importers.readers.records import ImportOptions
    >>> _ = Path("events.out.tfevents.1.a").write_bytes(b"torn")
    >>> (source,) = recognise(Path(), ["events.out.tfevents.1.a"])
    >>> next(read(source, ImportOptions())).text
    'torn: the last 4 bytes are no whole record'
    """
    reading = _Reading(source.files[0], options)
    for path in source.files:
        file = RecordFile(path)
        for block in file.blocks():
            yield from reading.take(block)
        if file.damaged_at is not None:
            lost = path.stat().st_size - file.damaged_at
            text = f"damaged at {file.damaged_at:,}: the last {lost:,} bytes were not read"
            yield Remark(path, text, is_loss=True)
        if file.torn:
            yield Remark(path, f"torn: the last {file.torn:,} bytes are no whole record", is_loss=True)
    if not reading.has_begun:
        yield from reading.begin()
    yield from reading.remarks()


class _Reading:
    """The state of one pass over the files of a run."""

    def __init__(self, file: Path, options: ImportOptions) -> None:
        self._folder = file.parent
        self._run, self._part = _run_of(file)
        self._options = options
        self._n_restarts = 0
        self._plugins: dict[str, str] = {}
        self._n_left_out = 0
        self._n_faults = 0
        self.has_begun = False
        self._record = self._new_record()

    def _new_record(self) -> RunRecord:
        record = places.record_at(self._run, self._options, kind="tensorboard")
        suffix = f"#{self._n_restarts}" if self._n_restarts else ""
        record.session = f"{self._folder.resolve()}{suffix}"
        return record

    def begin(self) -> Iterator[Yielded]:
        """Yield the record of the run, or of the session that begins."""
        self.has_begun = True
        yield self._record

    def take(self, block: Block) -> Iterator[Yielded]:
        """Yield the points of a block, session after session."""
        scalars, others = event_records.scalars(block)
        events = list(self._events(block, others))
        bounds = [event.at for event in events if event.is_start and (self.has_begun or event.at)]
        limits = [0, *bounds, len(block.starts)]
        for start, stop in itertools.pairwise(limits):
            session_events = [event for event in events if start <= event.at < stop]
            first = session_events[0] if session_events else None
            restart = first if first is not None and first.at == start and start in bounds else None
            if restart is not None and restart.step > 0:
                self._restart(restart)
                self.has_begun = False
            self._describe(session_events)
            if not self.has_begun:
                yield from self.begin()
            frame = self._frame([_within(one, start, stop) for one in scalars], session_events)
            if frame.height:
                yield Points(self._record, frame)

    def _events(self, block: Block, others: Any) -> Iterator[Event]:
        for at in others.tolist():
            start = int(block.starts[at])
            try:
                yield event_records.event(block.data[start : start + int(block.lengths[at])], at)
            except (ValueError, KeyError, RecursionError, OverflowError):
                self._n_faults += 1

    def _restart(self, event: Event) -> None:
        """Go on as a new session, which takes back the steps that the one before has logged from here on."""
        self._n_restarts += 1
        before = self._record
        self._record = self._new_record()
        self._record.config, self._record.group = before.config, before.group
        self._record.facts = {"from_step": event.step}
        self._record.start = int(event.wall_time * 1e6)

    def _describe(self, events: list[Event]) -> None:
        """Take in what hparams say of the session."""
        for value in (value for event in events for value in event.values):
            if value.plugin:
                self._plugins[value.tag] = value.plugin
            if value.plugin != "hparams" or not value.content:
                continue
            try:
                session = hparams.parse(value.content)
            except ValueError:
                self._n_faults += 1
                continue
            record = self._record
            record.config = {**record.config, **session.config}
            record.group = session.group or record.group
            record.state = _STATES.get(session.status or 0, record.state)
            if session.start is not None and session.start > 0:
                record.start = int(session.start * 1e6)
            if session.end is not None and session.end > 0:
                record.end = int(session.end * 1e6)

    def _frame(self, scalars: list[Scalars], events: list[Event]) -> pl.DataFrame:
        """Return points in the order of the file within each tag."""
        frames = [_numbers(self._metric(one.tag), one.step, one.wall_time, one.value) for one in scalars if len(one.at)]
        series: dict[str, list[tuple[int, float, Any]]] = {}
        for event in events:
            for value in event.values:
                if value.plugin == "hparams" or value.tag.startswith("_hparams_"):
                    continue
                if value.value is None:
                    self._n_left_out += 1
                else:
                    series.setdefault(self._metric(value.tag), []).append((event.step, event.wall_time, value.value))
        frames += [_others(metric, rows) for metric, rows in series.items()]
        if not frames:
            return pl.DataFrame(schema=records.SAMPLES)
        return pl.concat(frames).sort("metric", "ts", maintain_order=True)

    def _metric(self, tag: str) -> str:
        """Return the metric of a tag: that of a part is named after the part."""
        plain = tag.removesuffix("/text_summary")
        if not self._part:
            return plain
        for start in _starts(plain):
            if self._part.startswith(start):
                return f"{plain}/{self._part.removeprefix(start)}"
        return f"{self._part}/{plain}"

    def remarks(self) -> Iterator[Remark]:
        """Yield what was left out."""
        if self._n_left_out:
            text = f"{self._n_left_out:,} values were left out: pictures, sounds, graphs or large tensors"
            yield Remark(self._folder, text)
        if self._n_faults:
            yield Remark(self._folder, f"{self._n_faults:,} events could not be decoded", is_loss=True)


def _run_of(file: Path) -> tuple[Path, str]:
    """Return the folder of the run to which a file belongs, and which part of it its folder is; "" if it is the run.

    A folder is a part of one with event files above it if it is named after its tags, as add_scalars does, or after a
    time, as add_hparams does; and of the folder above it if it is called train, validation or the like.
    """
    folder = file.parent
    for above in (folder.parent.parent, folder.parent):
        if next(above.glob(f"*{_MARK}*"), None) is not None:
            part = folder.relative_to(above).as_posix()
            if _TIMESTAMP.fullmatch(part):
                return above, ""
            if _is_named_after_tags(file, part):
                return above, part
    return (folder.parent, folder.name) if folder.name in _PARTS else (folder, "")


def _is_named_after_tags(file: Path, part: str) -> bool:
    block = next(RecordFile(file).blocks(_PEEK), None)
    tags = [] if block is None else [one.tag for one in event_records.scalars(block)[0]]
    return bool(tags) and all(part.startswith(tuple(_starts(tag))) for tag in tags)


def _starts(tag: str) -> list[str]:
    """Return how folders of a tag begin: as torch names them, and as tensorboardX does."""
    return [f"{tag.replace('/', '_')}_", f"{tag}/"]


def _within(scalars: Scalars, start: int, stop: int) -> Scalars:
    if not len(scalars.at) or (scalars.at[0] >= start and scalars.at[-1] < stop):
        return scalars
    inside = (scalars.at >= start) & (scalars.at < stop)
    return scalars._replace(**{name: getattr(scalars, name)[inside] for name in ("at", "step", "wall_time", "value")})


def _numbers(metric: str, step: Any, wall_time: Any, value: Any) -> pl.DataFrame:
    names = pl.Series([metric]).new_from_index(0, len(step))
    times = pl.Series(np.nan_to_num(wall_time * 1e6, nan=0.0, posinf=0.0, neginf=0.0).astype(np.int64))
    return records.numbers(names, step=pl.Series(step), value=pl.Series(value), ts=times)


def _others(metric: str, rows: list[tuple[int, float, Any]]) -> pl.DataFrame:
    steps, times, values = zip(*rows, strict=True)
    if all(isinstance(value, float) for value in values):
        return _numbers(metric, np.array(steps), np.array(times), np.array(values))
    stamps = pl.Series([int(time * 1e6) if abs(time) < 1e11 else 0 for time in times])  # noqa: PLR2004 - the year 5138
    series = records.series(metric, list(values))
    return records.columns({metric: series}, step=pl.Series(steps), ts=stamps)
