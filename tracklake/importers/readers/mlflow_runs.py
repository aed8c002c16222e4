"""What MLflow knows of a run, from its database and its file store alike, as a record and points."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tracklake.importers.readers import records
from tracklake.importers.readers.records import UNCATEGORIZED, Points, RunRecord

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import polars as pl

    from tracklake.importers.readers.records import ImportOptions, RunState

_STATES: dict[str, RunState] = {"FINISHED": "finished", "FAILED": "failed", "KILLED": "killed"}
_STATUS_NUMBERS = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
"""How the file store writes a status."""
_ABOUT = {
    "mlflow.source.name": "program",
    "mlflow.source.git.commit": "git.commit",
    "mlflow.source.git.branch": "git.branch",
    "mlflow.source.git.repoURL": "git.remote",
    "mlflow.user": "user",
    "mlflow.parentRunId": "mlflow.parent",
}
_SYSTEM = "system/"


@dataclass(slots=True)
class MlflowRun:
    """One run as MLflow stores it; times in milliseconds since the epoch."""

    uuid: str
    project: str
    name: str | None = None
    status: str | int | None = None
    start: int | None = None
    end: int | None = None
    user: str | None = None
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    datasets: list[tuple[str, str]] = field(default_factory=list)


def record_of(run: MlflowRun, runs: Mapping[str, MlflowRun], options: ImportOptions) -> RunRecord:
    """Return the record of a run: parameters are config, its parent's name the group, tags of the user config too.

    >>> from tracklake.importers.readers.records import ImportOptions
    >>> run = MlflowRun("3f2a", "digits", status=3, params={"lr": "0.1"}, tags={"mlflow.note.content": "ok", "a": "b"})
    >>> record = record_of(run, {}, ImportOptions())
    >>> record.state, record.config, record.notes
    ('finished', {'lr': 0.1, 'tags': {'a': 'b'}}, 'ok')
    """
    status = _STATUS_NUMBERS.get(run.status, "") if isinstance(run.status, int) else str(run.status)
    own_tags = {key: value for key, value in run.tags.items() if not key.startswith("mlflow.")}
    about = {ours: run.tags[name] for name, ours in _ABOUT.items() if name in run.tags}
    if run.datasets:
        about["datasets"] = [{"name": name, "digest": digest} for name, digest in run.datasets]  # type: ignore[assignment]
    parent = runs.get(run.tags.get("mlflow.parentRunId", ""))
    config: dict[str, Any] = {key: typed(value) for key, value in run.params.items()}
    return RunRecord(
        f"mlflow:{run.uuid}",
        run_id=run.uuid,
        project=options.project or run.project or UNCATEGORIZED,
        name=run.name or run.tags.get("mlflow.runName"),
        group=(parent.name or parent.tags.get("mlflow.runName") or parent.uuid) if parent is not None else None,
        notes=run.tags.get("mlflow.note.content"),
        config={**config, **({"tags": own_tags} if own_tags else {})},
        metadata={**({"user": run.user} if run.user else {}), **about},
        start=None if run.start is None else int(run.start) * 1000,
        end=None if not run.end else int(run.end) * 1000,
        state=_STATES.get(status, "crashed"),
    )


def typed(text: Any) -> Any:
    """Return a parameter as what was logged: numbers, truths, lists and dicts; any other text as it is.

    >>> typed("0.1"), typed("True"), typed("[1, 2]"), typed("adam"), typed("None"), typed("007")
    (0.1, True, [1, 2], 'adam', None, '007')
    """
    words = {"True": True, "False": False, "None": None}
    if not isinstance(text, str) or text in words:
        return words.get(text, text)
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def points(record: RunRecord, frame: pl.DataFrame) -> Iterator[Points]:
    """Yield the points of metrics (columns metric, value, ms, step); those of the system become its samples.

    Of values at one step the one with the latest time, and of equal ones the largest, stands last, as MLflow has it.

    >>> import polars as pl
    >>> frame = pl.DataFrame({"metric": ["loss"], "value": [0.5], "ms": [1_000], "step": [3]})
    >>> [batch.frame.select("metric", "step", "value").row(0) for batch in points(RunRecord("x", run_id="x"), frame)]
    [('loss', 3, 0.5)]
    """
    is_system = frame["metric"].str.starts_with(_SYSTEM)
    if is_system.any():
        samples = frame.filter(is_system).group_by("ms", maintain_order=True).agg("metric", "value")
        for ms, names, values in samples.iter_rows():
            numbers = {name.removeprefix(_SYSTEM): value for name, value in zip(names, values, strict=True)}
            record.system.append((ms * 1000, numbers))
        frame = frame.filter(~is_system)
    rows = frame.sort("metric", "step", "ms", "value", maintain_order=True)
    if rows.height:
        samples = records.numbers(rows["metric"], step=rows["step"], value=rows["value"], ts=rows["ms"] * 1000)
        yield Points(record, samples)
