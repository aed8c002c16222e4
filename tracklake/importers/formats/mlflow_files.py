"""MLflow's file store: `mlruns/<experiment>/<run>/` with metrics, params and tags as files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from tracklake.common import interrupts
from tracklake.errors import SourceError
from tracklake.importers.readers import config_files, mlflow_runs
from tracklake.importers.readers.mlflow_runs import MlflowRun
from tracklake.importers.readers.records import Remark, Source

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from tracklake.importers.readers.records import ImportOptions, Yielded

PRIORITY = 20
_PARTS = ("metrics", "params", "tags", "inputs", "outputs", "artifacts")
_LONGEST_TEXT = 1 << 20


def recognise(folder: Path, names: Collection[str]) -> Iterator[Source]:
    """Yield a folder that has meta.yaml and the folders of a run.

    >>> from pathlib import Path
    >>> Path("0/3f2a/metrics").mkdir(parents=True)
    >>> _ = Path("0/3f2a/meta.yaml").write_text("run_id: 3f2a")
    >>> [source.path.name for source in recognise(Path("0/3f2a"), ["meta.yaml"])]
    ['3f2a']
    """
    if "meta.yaml" in names and any((folder / part).is_dir() for part in ("metrics", "params")):
        inner = (path for part in _PARTS if (folder / part).is_dir() for path in (folder / part).rglob("*"))
        yield Source("mlflow_files", folder, (folder / "meta.yaml", *(path for path in inner if path.is_file())))
    elif "meta.yaml" in names and _is_experiment(folder):
        yield Source("mlflow_files", folder, (folder / "meta.yaml",))


def _is_experiment(folder: Path) -> bool:
    try:
        return "experiment_id" in config_files.read_config(folder / "meta.yaml")
    except (SourceError, OSError) as error:
        interrupts.let_through(error)
        return False


def read(source: Source, options: ImportOptions) -> Iterator[Yielded]:
    r"""Yield the run of a folder; of an experiment's own folder nothing, as its runs are sources of their own.

    >>> from pathlib import Path
    >>> from tracklake.importers.readers.records import ImportOptions
    >>> Path("7/0a1b/metrics").mkdir(parents=True)
    >>> _ = Path("7/0a1b/meta.yaml").write_text("run_id: 0a1b\nstatus: 3\n")
    >>> _ = Path("7/0a1b/metrics/loss").write_text("1700000000000 0.5 1\n")
    >>> record, points = read(Source("mlflow_files", Path("7/0a1b")), ImportOptions())
    >>> record.project, points.frame["value"][0]
    ('7', 0.5)
    """
    if _is_experiment(source.path) and not (source.path / "metrics").is_dir():
        return
    meta = config_files.read_config(source.path / "meta.yaml")
    if meta.get("lifecycle_stage") == "deleted":
        yield Remark(source.path, "it is deleted there, and was left out")
        return
    run = _run(source.path, meta)
    parent = run.tags.get("mlflow.parentRunId", "")
    folder = source.path.parent / parent
    parents = {}
    if parent and parent.isalnum() and (folder / "meta.yaml").is_file():
        parents[parent] = _run(folder, config_files.read_config(folder / "meta.yaml"))
    record = mlflow_runs.record_of(run, parents, options)
    yield record
    for path in sorted((source.path / "metrics").rglob("*")):
        if path.is_file():
            name = path.relative_to(source.path / "metrics").as_posix()
            frame, n_lost = metric_of(path, name)
            yield from mlflow_runs.points(record, frame)
            if n_lost:
                yield Remark(path, f"{n_lost:,} lines are no points", is_loss=True)


def _run(folder: Path, meta: dict[str, Any]) -> MlflowRun:
    uuid = str(meta.get("run_id") or meta.get("run_uuid") or folder.name)
    status = meta.get("status")
    return MlflowRun(
        uuid,
        _experiment(folder),
        name=meta.get("run_name") or meta.get("name") or None,
        status=status if isinstance(status, int | str) else None,
        start=_ms(meta.get("start_time")),
        end=_ms(meta.get("end_time")),
        user=meta.get("user_id") or None,
        params=_texts(folder / "params"),
        tags=_texts(folder / "tags"),
    )


def _ms(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def _experiment(folder: Path) -> str:
    try:
        name = config_files.read_config(folder.parent / "meta.yaml").get("name")
    except (SourceError, OSError) as error:
        interrupts.let_through(error)
        name = None
    return str(name or folder.parent.name)


def _texts(folder: Path) -> dict[str, str]:
    """Return the files of a folder, by their paths in it, as texts."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.stat().st_size < _LONGEST_TEXT)
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8", errors="replace") for path in files}


def metric_of(path: Path, name: str) -> tuple[pl.DataFrame, int]:
    r"""Return the points of a metric's file, `timestamp value [step] ...` a line, and how many lines are none.

    >>> from pathlib import Path
    >>> _ = Path("loss").write_text("1000 0.5 1\n2000 nan 2 data 3f\n30")
    >>> frame, n_lost = metric_of(Path("loss"), "loss")
    >>> frame.select("ms", "value", "step").rows(), n_lost
    ([(1000, 0.5, 1), (2000, nan, 2)], 1)
    """
    times, values, steps, n_lost = [], [], [], 0
    with path.open("rb") as file:
        for line in file:
            parts = line[:4096].split()
            try:
                time, value, step = int(parts[0]), float(parts[1]), int(parts[2]) if len(parts) > 2 else 0  # noqa: PLR2004
            except (ValueError, IndexError):
                n_lost += bool(parts)
                continue
            times.append(time)
            values.append(value)
            steps.append(step)
    frame = {"value": values, "ms": times, "step": steps}
    types = {"value": pl.Float64, "ms": pl.Int64, "step": pl.Int64}
    return pl.DataFrame(frame, schema=types, strict=False).select(pl.lit(name).alias("metric"), *types), n_lost
