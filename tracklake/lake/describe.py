"""What is in a lake, in one screen: its runs, projects, metrics with their coverage, definitions, files."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from tracklake.common.text import byte_size, number_of
from tracklake.compute.points import PSEUDO
from tracklake.display.labels import printable_lines
from tracklake.sql import views
from tracklake.storage.layout import JOURNAL_FOLDER, JOURNAL_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracklake.query.run_table import RunTable
    from tracklake.storage.backend import Storage

_NAMED, _WIDTH = 12, 80
"""Projects, metrics and derived metrics that the text names, and its characters a line."""
FILES = {"history": ".parquet", "states": ".parquet", "runs": ".parquet", JOURNAL_FOLDER: JOURNAL_SUFFIX}
"""The folders of a lake that hold what was logged, and how their files end."""


class Description(NamedTuple):
    """What is in a lake.

    Frames: projects (project, runs, last), metrics (metric, runs, points, first_step, last_step, defined), derived
    (project, name, kind, expression, description, unit, runs).

    >>> found = example().describe()
    >>> found.runs, found.states, found.projects["project"].to_list()
    (2, {'finished': 2}, ['example'])
    """

    runs: int
    states: dict[str, int]
    points: int
    projects: pl.DataFrame
    metrics: pl.DataFrame
    derived: pl.DataFrame
    version: int
    partitions: int
    pending_journals: int
    pending_points: int
    bytes: int

    def __repr__(self) -> str:
        """Return it in sentences, with the projects and the metrics.

        >>> print(example().describe())
        2 runs (2 finished), 12 points
        nothing sealed yet, ...; 12 points of 2 sessions are in journals
        projects: example (2 runs)
        metrics: acc (2 runs, 6 points), loss (2 runs, 6 points)
        """
        projects = [f"{name} ({number_of(n, 'run')})" for name, n in self.projects.select("project", "runs").rows()]
        metrics = [
            f"{name} ({number_of(n, 'run')}, {number_of(points, 'point')})"
            for name, n, points in self.metrics.select("metric", "runs", "points").rows()
        ]
        derived = self.derived["name"].unique(maintain_order=True).to_list()
        parts = {"projects": projects, "metrics": metrics, "derived": derived}
        lists = [_listed(name, items) for name, items in parts.items() if items]
        wrapped = (textwrap.wrap(text, _WIDTH, subsequent_indent="  ") for text in (*self.heading, *lists))
        return printable_lines("\n".join(line for lines in wrapped for line in lines))

    @property
    def heading(self) -> tuple[str, str]:
        """How many runs and points there are, and how much of it is sealed, as two sentences.

        >>> example().describe().heading[0]
        '2 runs (2 finished), 12 points'
        """
        states = ", ".join(f"{n:,} {state}" for state, n in self.states.items())
        counts = f"{number_of(self.runs, 'run')}{f' ({states})' if states else ''}, {number_of(self.points, 'point')}"
        version = f"version {self.version}, " if self.version >= 0 else ""  # of several lakes each has its own
        sealed = f"{version}{number_of(self.partitions, 'partition')}" if self.partitions else "nothing sealed yet"
        pending = f"{number_of(self.pending_points, 'point')} of {number_of(self.pending_journals, 'session')}"
        return counts, f"{sealed}, {byte_size(self.bytes)}; {pending} are in journals"

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON can say it.

        >>> example().describe().as_dict()["projects"][0]["project"]
        'example'
        """
        frames = {"projects": self.projects.with_columns(pl.col("last").dt.to_string("iso:strict"))}
        frames |= {"metrics": self.metrics, "derived": self.derived}
        return self._asdict() | {name: frame.to_dicts() for name, frame in frames.items()}


def _listed(name: str, items: list[str]) -> str:
    more = f", and {len(items) - _NAMED:,} more" if len(items) > _NAMED else ""
    return f"{name}: {', '.join(items[:_NAMED])}{more}"


def describe(table: RunTable, storages: Sequence[Storage]) -> Description:
    """Describe the lake of one snapshot, or the lakes that are read as one.

    >>> lake = example()
    >>> found = describe(lake._view.runs, [lake._storage])
    >>> found.runs, found.points, found.pending_points
    (2, 12, 12)
    """
    snapshot = table.snapshot
    runs = table.select(wanted=["project", "state"])
    states = runs.group_by("state").len().sort("len", "state", descending=[True, False])
    last = snapshot.sessions.group_by("run_id").agg(pl.col("last").max())
    projects = (
        runs.join(last, on="run_id")
        .group_by("project")
        .agg(pl.len().cast(pl.Int64).alias("runs"), pl.col("last").max())
    )
    series = snapshot.states(columns=["n_points"]).filter(~pl.col("metric").is_in(PSEUDO))
    metrics = series.group_by("metric").agg(
        pl.len().cast(pl.Int64).alias("runs"), pl.col("n_points").sum().alias("points"),
        pl.col("lo").min().alias("first_step"), pl.col("hi").max().alias("last_step"),
    ).sort("metric")  # fmt: skip
    defined = pl.Series("defined", [_defined(table, metric) for metric in metrics["metric"]], dtype=pl.String)
    return Description(
        runs=runs.height,
        states=dict(states.iter_rows()),
        points=int(metrics["points"].sum()),
        projects=projects.sort("last", descending=True),
        metrics=metrics.with_columns(defined),
        derived=views.derivations(table),
        version=snapshot.version.number,
        partitions=len(snapshot.version.partitions),
        pending_journals=snapshot.live_points["session"].n_unique(),
        pending_points=snapshot.live_points.height,
        bytes=sum(map(_size, storages)),
    )


def _size(storage: Storage) -> int:
    return sum(entry.size for folder, suffix in FILES.items() for entry in storage.list(folder, suffix=suffix))


def _defined(table: RunTable, metric: str) -> str | None:
    """Return in a few words what the definitions of some runs make of a metric."""
    definitions = [d for d in table.summaries.definition(metric).values() if d is not None]
    words = dict.fromkeys(
        word
        for d in definitions
        for word in (*(["none"] if d.none else d.kinds), *([f"goal {d.goal}"] if d.goal else []),
                     *([f"over {d.step_metric}"] if d.step_metric else []), *(["hidden"] if d.hidden else []))
    )  # fmt: skip
    return ", ".join(words) or None
