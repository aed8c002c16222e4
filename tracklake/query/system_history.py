"""System metrics, read: the samples of a stream beside the history of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from tracklake.common import interrupts
from tracklake.common.warnings import warn
from tracklake.compute.scans import LOOK
from tracklake.errors import UnknownNameError
from tracklake.query.thinning import between
from tracklake.schema import naming
from tracklake.storage.journal import row_decoding
from tracklake.storage.journal.file_names import FileName
from tracklake.storage.journal.reader import JournalReader
from tracklake.storage.layout import JOURNAL_SUFFIX, SYSTEM_FOLDER
from tracklake.storage.table.live_journals import warn_of_damage

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from tracklake.query.history import Shape
    from tracklake.query.thinning import Steps
    from tracklake.storage.backend import Storage


def history(
    storage: Storage, metrics: Sequence[str] | None, *, runs: Collection[str] | None, steps: Steps, shape: Shape
) -> pl.DataFrame:
    """Return the samples of these runs (None: of all): run_id, metric, step, time, value; or wide, a row a sample.

    By run, metric and time. `step` is where the run stood at that moment. Raises UnknownNameError.

    >>> from pathlib import Path
    >>> from tracklake.storage.local import LocalStorage
    >>> with tl.init(id="r1", system_metrics=True):
    ...     pass
    >>> found = history(LocalStorage(Path("lake")), ["proc.threads"], runs=None, steps=None, shape="long")
    >>> found.select("run_id", "metric", "step").row(0)
    ('r1', 'proc.threads', 0)
    """
    return shaped(samples(storage, runs), metrics, steps=steps, shape=shape)


def shaped(every: pl.DataFrame, metrics: Sequence[str] | None, *, steps: Steps, shape: Shape) -> pl.DataFrame:
    """Return those of some samples that are asked for, long or wide; see `history`.

    >>> every = samples(example()._storage, None)
    >>> shaped(every, None, steps=None, shape="long").columns
    ['run_id', 'metric', 'step', 'time', 'value']
    """
    rows = between(every.lazy(), steps).collect()
    streams = rows["metric"].unique().to_list()
    for name in metrics or ():
        if name not in streams:
            raise UnknownNameError.nearest("system metric", name, streams)
    rows = rows if metrics is None else rows.filter(pl.col("metric").is_in(list(metrics)))
    if shape == "long":
        return rows
    return rows.pivot(on="metric", index=["run_id", "step", "time"], values="value").sort("run_id", "time")


def samples(storage: Storage, runs: Collection[str] | None) -> pl.DataFrame:
    """Return all samples of these runs (None: of all), by run, metric and time.

    >>> samples(example()._storage, None).height
    0
    """
    wanted = None if runs is None else {naming.safe_name(run_id) for run_id in runs}
    sources = []
    for entry in storage.list(SYSTEM_FOLDER, suffix=JOURNAL_SUFFIX):
        name = FileName.parse(entry.name)
        if name is None or (wanted is not None and name.run not in wanted):
            continue
        reader = JournalReader(storage.follow(f"{SYSTEM_FOLDER}/{entry.name}"))
        try:
            tail = reader.read()
        except OSError as error:
            interrupts.let_through(error)
            place = storage.describe(f"{SYSTEM_FOLDER}/{entry.name}")
            warn(f"tracklake: {place} cannot be read: {error.strerror}. {LOOK}")
            continue
        about = reader.header
        for fault in tail.faults:
            warn_of_damage(storage, f"{SYSTEM_FOLDER}/{entry.name}", fault, run_id=about.get("run", name.run))
        if about:
            sources.append(row_decoding.Source(tail, about["project"], about["run"], about["session"]))
    every = row_decoding.points_of(sources).sort("run_id", "metric", "ts")
    return every.select("run_id", "metric", "step", pl.col("ts").alias("time"), "value")
