"""Weights & Biases: offline `.wandb` files of every age, and whole `./wandb` folders; without the wandb package."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tracklake.common import interrupts
from tracklake.importers.readers import protobuf
from tracklake.importers.readers import wandb_records as wb
from tracklake.importers.readers.record_log import RecordLog
from tracklake.importers.readers.records import UNCATEGORIZED, Points, Remark, RunRecord, Source
from tracklake.importers.readers.wandb_history import BATCH, History, plain_items
from tracklake.tracking.run_metadata import without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from tracklake.importers.readers.records import ImportOptions, Yielded

PRIORITY = 10
_MOST_SAMPLES = 1_000_000
_OWN = ("_step", "_runtime", "_timestamp", "_wandb")
_METADATA = {"host": "host", "os": "os", "python": "python", "program": "program", "cpu_count": "cpu_count",
             "gpu": "gpu", "gpu_count": "gpu_count", "executable": "executable"}  # fmt: skip


def recognise(folder: Path, names: Collection[str]) -> Iterator[Source]:
    """Yield the files that end in .wandb, each with what lies beside it.

    >>> from pathlib import Path
    >>> [source.path.name for source in recognise(Path(), ["run-a.wandb"])]
    ['run-a.wandb']
    """
    for name in names:
        if name.endswith(".wandb"):
            metadata = folder / "files" / "wandb-metadata.json"
            yield Source("wandb", folder / name, (folder / name, *([metadata] if metadata.is_file() else [])))


def read(source: Source, options: ImportOptions) -> Iterator[Yielded]:
    r"""Yield the run of a file; of a killed, torn or damaged one what can be had, and how much was lost.

    >>> from pathlib import Path
    >>> from tracklake.importers.readers.records import ImportOptions
    >>> _ = Path("run-a.wandb").write_bytes(b":W&B\xe1\xbe\x00")
    >>> [remark.text for remark in read(Source("wandb", Path("run-a.wandb")), ImportOptions())]
    ['it does not say which run it is of']
    """
    log = RecordLog(source.path)
    reading = _Reading(source, options)
    for data in log.records():
        if reading.add(data):
            continue
        try:
            yield from reading.take(data)
        except (ValueError, RecursionError) as error:
            reading.faults.append(str(error))
    yield from reading.end()
    if log.skipped:
        places = ", ".join(f"{at:,}" for at in log.damages[:3])
        yield Remark(source.path, f"damaged: {log.skipped:,} bytes at {places} could not be read", is_loss=True)
    if log.torn:
        yield Remark(source.path, f"torn: the last {log.torn:,} bytes are no whole record", is_loss=True)
    if reading.faults:
        text = f"{len(reading.faults):,} records could not be decoded, the first: {reading.faults[0]}"
        yield Remark(source.path, text, is_loss=True)


class _Reading:
    """The state of one pass over a file."""

    def __init__(self, source: Source, options: ImportOptions) -> None:
        self.faults: list[str] = []
        self._source = source
        self._options = options
        self._record: RunRecord | None = None
        self._config: dict[str, Any] = {}
        self._summary: dict[str, Any] = {}
        self._names: list[str] = []
        self._statements: list[Any] = []
        self._rows = History(self.faults)
        self._summaries: list[bytes] = []
        """Records of the summary that were not looked at yet: of what is said again and again only the last counts."""
        self._n_bytes = 0
        self._handlers = {
            wb.HISTORY: self._history,
            wb.SUMMARY: self._summarize,
            wb.CONFIG: lambda data: wb.update(self._config, *wb.updates(data)),
            wb.STATS: self._stats,
            wb.METRIC: self._metric,
            wb.EXIT: self._exit,
            wb.ENVIRONMENT: self._environment,
        }

    def add(self, data: bytes) -> bool:
        """Take in a record that is one row, or one of the summary, as nearly all are; False for another."""
        only = wb.only_field(data)
        if only is None or self._record is None or self._rows.is_full:
            return False
        if only[0] == wb.HISTORY:
            self._rows.add(only[1])
            return True
        if only[0] == wb.SUMMARY:
            self._summarize(only[1])
            return True
        return False

    def take(self, data: bytes) -> Iterator[Yielded]:
        """Take in one record; yield the run when it is known, and points when there are many."""
        for number, raw in protobuf.fields(data):
            if number == wb.RUN:
                yield from self._run(protobuf.message(raw))
            elif number in self._handlers and not isinstance(raw, int):
                self._handlers[number](raw)
        if self._rows.is_full:
            yield from self._points()

    def _run(self, data: bytes) -> Iterator[Yielded]:
        parts = wb.strings(data)

        def word(number: int) -> str | None:
            return protobuf.text(parts[number][-1]) or None if number in parts else None

        if 4 in parts:  # noqa: PLR2004 - the config
            wb.update(self._config, *wb.updates(protobuf.message(parts[4][-1])))
        if self._record is not None:  # said again, as when its name changes
            self._describe(self._record, word, parts)
            return
        run_id = word(1) or self._source.path.stem.removeprefix("run-")
        start = protobuf.microseconds(parts[17][-1]) if 17 in parts else None  # noqa: PLR2004 - start_time
        entity, project = word(2) or "", word(3) or UNCATEGORIZED
        record = RunRecord(
            f"wandb:{entity}/{project}/{run_id}",
            run_id=run_id,
            project=self._options.project or project,
            session=str(start),
            start=start,
            state="crashed",
        )
        self._describe(record, word, parts)
        self._record = record
        yield record

    def _describe(self, record: RunRecord, word: Any, parts: dict[int, list[int | bytes]]) -> None:
        record.group, record.job_type, record.name, record.notes = word(6), word(7), word(8), word(9)
        record.tags = [protobuf.text(tag) for tag in parts.get(10, [])]
        metadata = {"host": word(13), "sweep_id": word(12)}
        git = wb.strings(protobuf.message(parts[21][-1])) if 21 in parts else {}  # noqa: PLR2004 - git
        metadata |= {name: protobuf.text(git[n][-1]) for n, name in ((1, "git.remote"), (2, "git.commit")) if n in git}
        record.metadata = {**record.metadata, **{key: value for key, value in metadata.items() if value}}

    def _known(self) -> RunRecord:
        if self._record is None:
            raise ValueError("it comes before the run is known")
        return self._record

    def _history(self, data: bytes) -> None:
        self._known()
        self._rows.add(data)

    def _points(self) -> Iterator[Yielded]:
        if self._record is not None:
            yield Points(self._record, self._rows.take(start=self._record.start))

    def _said_last(self) -> None:
        """Apply the records of the summary that were not looked at yet."""
        several, self._summaries, self._n_bytes = self._summaries, [], 0
        items = plain_items(b"".join(several))
        if items is None:
            for data in several:
                self._try(lambda data=data: wb.update(self._summary, *wb.updates(data)))  # type: ignore[misc]
            return
        values: dict[str, Any] = {}
        pairs = zip(items.keys, items.below, strict=True)
        for (key, below), value in dict(zip(pairs, items.values, strict=True)).items():
            name, undecoded = key.decode(), wb.Undecoded(value)
            values[name] = {**values.get(name, {}), below.decode(): undecoded} if below else undecoded
        wb.update(self._summary, values, [])

    def _summarize(self, data: bytes) -> None:
        self._summaries.append(data)
        self._n_bytes += len(data)
        if self._n_bytes >= BATCH:
            self._said_last()

    def _try(self, act: Callable[[], object]) -> None:
        """Do something; what cannot be decoded is told at the end."""
        try:
            act()
        except (ValueError, RecursionError) as error:
            self.faults.append(str(error))

    def _stats(self, data: bytes) -> None:
        record = self._known()
        moment, numbers = wb.samples(data)
        if numbers and len(record.system) < _MOST_SAMPLES:
            record.system.append((moment, numbers))

    def _metric(self, data: bytes) -> None:
        statement = wb.definition(data, self._names)
        if statement is not None:
            self._statements.append(statement)

    def _exit(self, data: bytes) -> None:
        record = self._known()
        code = next((protobuf.whole(value) for number, value in protobuf.fields(data) if number == 1), 0)
        record.exit_code = code
        record.state = "finished" if code == 0 else "failed"

    def _environment(self, data: bytes) -> None:
        parts = wb.strings(data)
        names = {1: "os", 2: "python", 6: "program", 12: "host", 14: "executable", 18: "gpu"}
        metadata = {name: protobuf.text(parts[n][-1]) for n, name in names.items() if n in parts}
        if 5 in parts:  # noqa: PLR2004 - the arguments
            metadata["argv"] = without_secrets([protobuf.text(arg) for arg in parts[5]])  # type: ignore[assignment]
        record = self._known()
        record.metadata = {**record.metadata, **{key: value for key, value in metadata.items() if value}}

    def end(self) -> Iterator[Yielded]:
        """Yield what is left, and complete the run."""
        yield from self._points()
        self._said_last()
        record = self._record
        if record is None:
            yield Remark(self._source.path, "it does not say which run it is of", is_loss=True)
            return
        record.config = {key: value for key, value in self._decoded(self._config).items() if key != "_wandb"}
        record.definitions = self._statements
        record.metadata = {**_beside(self._source), **record.metadata}
        entries = {key: value for key, value in self._decoded(self._summary).items() if key not in _OWN}
        record.summary = {key: value for key, value in entries.items() if self._is_edit(key, value)}
        record.expected = entries

    def _decoded(self, entries: dict[str, Any]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, value in entries.items():
            try:
                values |= wb.decoded({key: value})
            except ValueError as error:
                self.faults.append(str(error))
        return values

    def _is_edit(self, key: str, value: Any) -> bool:
        """Tell whether an entry of the summary was set by hand: history does not say it."""
        last = self._rows.last
        if key in last:
            is_view = isinstance(value, dict) or any(s.name == key or "*" in s.name for s in self._statements)
            return not is_view and value is not None and not _same(last[key], value)
        return not any(name.startswith(f"{key}.") for name in last)


def _same(one: Any, other: Any) -> bool:
    """Compare values as JSON has them: NaN is NaN, a list its text."""
    return one == other or json.dumps(one) == json.dumps(other)


def _beside(source: Source) -> dict[str, Any]:
    """Return what wandb-metadata.json says; nothing where it is not there, or no JSON."""
    for path in source.files[1:]:
        try:
            stated = json.loads(path.read_bytes()) if path.stat().st_size < 1 << 20 else {}
        except (ValueError, OSError, RecursionError) as error:
            interrupts.let_through(error)
            continue
        if isinstance(stated, dict):
            metadata = {ours: stated[name] for name, ours in _METADATA.items() if stated.get(name)}
            if isinstance(stated.get("args"), list):
                metadata["argv"] = without_secrets([str(arg) for arg in stated["args"]])
            return metadata
    return {}
