"""Columns of the runs as pictures take them: values ready to be drawn, titles, and groups that keep their colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from tracklake.analysis import grouping, parameters, pooling
from tracklake.common import arguments
from tracklake.display.labels import ABSENT, OTHER
from tracklake.plots import binning, scatter
from tracklake.plots.encodings import OKABE_ITO, Legend
from tracklake.plots.figure import in_sentences
from tracklake.plots.titles import statistic
from tracklake.schema.definition_statement import goal_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracklake.plots.figure import Plot
    from tracklake.query.history import SeriesTable
    from tracklake.query.run_filter import Runs, Where
    from tracklake.schema.definition_statement import Goal

_COLUMN = "the name of a column or a metric"


class RunColumns:
    """The columns of the runs of one project, or of all.

    >>> RunColumns(example()._view.series).column("lr")
    'config.lr'
    """

    def __init__(self, series: SeriesTable, *, lake: SeriesTable | None = None) -> None:
        self.series = series
        self.table = series.table
        self._lake = (lake or series).table

    def frame(self, names: dict[str, str], *, runs: Runs, where: Where) -> tuple[pl.DataFrame, dict[str, str]]:
        """Return the columns of the runs under the names of what they are drawn as, and their titles.

        >>> frame, titles = RunColumns(example()._view.series).frame({"x": "lr"}, runs=None, where=None)
        >>> frame.rows(), titles
        ([(0.01,), (0.1,)], {'x': 'lr'})
        """
        full = {channel: self.column(arguments.text(channel, name, takes=_COLUMN)) for channel, name in names.items()}
        rows = self.table.select(runs=runs, where=where, wanted=["run_id", *full.values()])
        words = grouping.words(self.table, rows["run_id"], list(full.values()))
        columns: dict[str, pl.Series] = {}
        titles: dict[str, str] = {}
        for channel, name in full.items():
            values, levels = _exact(rows[name], words.get(name))
            titles[channel], columns[channel] = scatter.ready(name, values)
            titles[channel] += statistic(self.series, name)
            if levels is not None:
                columns[f"{channel}_level"] = levels
        return pl.DataFrame(columns), titles

    def noted(self, plot: Plot, run_ids: pl.Series) -> Plot:
        """Return the plot with a note where the runs are of several projects.

        >>> lake = example()
        >>> RunColumns(lake._view.series).noted(lake.plot.curves("loss"), pl.Series(["slow", "fast"])).notes
        ()
        """
        plot.notes += tuple(in_sentences(pooling.pooled(self.table, run_ids)))
        return plot

    def keys(self, columns: Sequence[str]) -> pl.DataFrame:
        """Return run_id and the columns of all runs of the lake, with what tells their exact values, oldest first.

        >>> RunColumns(example()._view.series).keys(["config.lr"]).columns
        ['run_id', 'config.lr']
        """
        wanted = ["run_id", *(column for column in columns if column != "run_id")]
        rows = self._lake.select(wanted=wanted, order_by="created_at")
        return grouping.with_exact(self._lake, rows, columns)

    def coloured(self, frame: pl.DataFrame, column: str, title: str) -> tuple[pl.DataFrame, Legend]:
        """Name the colour of each run by its exact value; values beyond the colours are others.

        >>> frame = pl.DataFrame({"run_id": ["slow", "fast"], "color": [None, None]})
        >>> RunColumns(example()._view.series).coloured(frame, "config.lr", "lr")[1].names
        ['0.01', '0.1']
        """
        every = self.keys([column])
        rows = every.filter(pl.col("run_id").is_in(frame["run_id"].implode()))
        values = rows.select(pl.exclude("run_id")).n_unique()
        limit = len(OKABE_ITO) if values <= len(OKABE_ITO) else len(OKABE_ITO) - 1
        groups = binning.grouped(rows, [column], limit=limit, among=every)
        labels = groups.frame.select("run_id", pl.col("group").str.replace(r" \([\d,]+ runs?\)$", "").alias("color"))
        joined = frame.drop("color").join(labels, on="run_id", how="left", maintain_order="left")
        joined = joined.with_columns(pl.col("color").fill_null(OTHER))
        names = labels["color"].unique(maintain_order=True).to_list()
        others = [OTHER] if OTHER in joined["color"] else []
        return joined, Legend(title, [*names, *others], places=[*groups.places, *([0] if others else [])])

    def measure(self, metric: str, goal: Goal | None) -> tuple[str, Goal | None]:
        """Return the column of a number to judge runs by, and which way is better if that is known.

        >>> RunColumns(example()._view.series).measure("loss", "min")
        ('summary.loss.min', 'min')
        """
        goal = goal and goal_of(goal)
        name = arguments.text("metric", metric, takes=_COLUMN).removeprefix("summary.")
        if name not in self.series.snapshot.metrics:
            stat = name.rpartition(".")[2]
            return self.column(metric), goal or (stat if stat in ("min", "max") else None)  # type: ignore[return-value] # just these two
        direction = goal or self.table.summaries.goal(name)
        return (f"summary.{name}.{direction}" if direction else f"summary.{name}"), direction

    def columns(self, names: str | Sequence[str] | None, *, argument: str = "by") -> list[str]:
        """Return the full names of columns of the runs.

        >>> RunColumns(example()._view.series).columns(["lr"])
        ['config.lr']
        """
        return [] if names is None else [self.column(name) for name in arguments.texts(argument, names)]

    def column(self, name: str) -> str:
        """Return the full name of a column of the runs.

        >>> RunColumns(example()._view.series).column("loss.max")
        'summary.loss.max'
        """
        return self.table.names.resolve(name).name


def _exact(values: pl.Series, words: pl.Series | None) -> tuple[pl.Series, pl.Series | None]:
    """Return the numbers or names of a column, and what stands where a column of several kinds has no number."""
    if words is None:
        return values, None
    labels = parameters.word_labels(words, values)
    names = words.replace_strict(labels, default=None, return_dtype=pl.String)
    return (values, names) if values.dtype.is_numeric() else (names.fill_null(ABSENT), None)
