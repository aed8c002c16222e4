"""Aim: a repository `.aim`, read through the package aim, where that is installed."""

from __future__ import annotations

import copy
import importlib.util
from typing import TYPE_CHECKING, Any

import polars as pl

from tracklake.errors import SourceError
from tracklake.importers.readers import records
from tracklake.importers.readers.records import UNCATEGORIZED, Points, RunRecord, Source

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from tracklake.importers.readers.records import ImportOptions, Yielded

PRIORITY = 20
_INNER = ("__system_params", "__log_level")


def recognise(folder: Path, names: Collection[str]) -> Iterator[Source]:  # noqa: ARG001 - it lies in a hidden folder
    """Yield the repository that lies in a folder.

    >>> from pathlib import Path
    >>> list(recognise(Path(), []))
    []
    """
    repository = folder / ".aim"
    if (repository / "run_metadata.sqlite").is_file():
        yield Source("aim", repository, tuple(sorted(path for path in repository.rglob("*") if path.is_file())))


def read(source: Source, options: ImportOptions) -> Iterator[Yielded]:
    """Yield the runs that are not archived; a context of a metric is part of its name. SourceError without aim.

    >>> from pathlib import Path
    >>> from tracklake.importers.readers.records import ImportOptions
    >>> list(read(Source("aim", Path("nowhere")), ImportOptions()))
    Traceback (most recent call last):
    tracklake.errors.SourceError: nowhere ...
    """
    if importlib.util.find_spec("aim") is None:
        raise SourceError(f"{source.path} is read through the package aim: pip install aim")
    import aim

    repository = aim.Repo(str(source.path.parent))
    for run_hash in repository.list_all_runs():  # iter_runs knows only those that were indexed
        run = aim.Run(run_hash, repo=_of_run(repository, run_hash), read_only=True)
        if not run.archived:
            yield from _run(run, options)


def _of_run(repository: Any, run_hash: str) -> Any:
    """Return the repository as one run sees it: aim itself looks into its index, which only `aim up` fills."""
    own = copy.copy(repository)
    own.request_tree = lambda name, sub=None, **_: repository.request_tree(name, sub or run_hash, read_only=True)
    return own


def _run(run: Any, options: ImportOptions) -> Iterator[Yielded]:
    try:
        attributes = {key: value for key, value in dict(run[...]).items() if key not in _INNER}
    except KeyError:  # it has none
        attributes = {}
    params = attributes.pop("hparams", {})
    end = run.end_time
    record = RunRecord(
        f"aim:{run.hash}",
        run_id=run.hash,
        project=options.project or run.experiment or UNCATEGORIZED,
        name=run.name,
        notes=run.description or None,
        tags=list(run.tags),
        config={**attributes, **(params if isinstance(params, dict) else {"hparams": params})},
        start=round(run.creation_time * 1e6),
        end=None if end is None else round(end * 1e6),
        state="crashed" if run.active else "finished",
    )
    yield record
    for metric in run.metrics():
        frame = _points(metric)
        if frame.height:
            yield Points(record, frame)


def _points(metric: Any) -> pl.DataFrame:
    context = ",".join(f"{key}={value}" for key, value in sorted(metric.context.to_dict().items()))
    name = f"{metric.name}[{context}]" if context else metric.name
    steps, (values, _, times) = metric.data.numpy()
    step = pl.Series(steps).cast(pl.Int64)
    names = pl.Series([name]).new_from_index(0, len(step))
    stamps = pl.Series(times).cast(pl.Float64) * 1e6
    return records.numbers(names, step=step, value=pl.Series(values).cast(pl.Float64), ts=stamps.cast(pl.Int64))
