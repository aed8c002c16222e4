"""What a lake answers in SQL, by named queries and as files; a part of `Lake`.

What writes files loads when the first export is asked for.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, cast

from tracklake import lake, sql
from tracklake.common import arguments, interrupts
from tracklake.common.interrupts import raised_again_by_methods
from tracklake.lake.base import LakeBase
from tracklake.query import run_filter

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from pathlib import Path

    import polars as pl
    from duckdb import DuckDBPyConnection

    from tracklake.lake.describe import Description
    from tracklake.lake.export import Form
    from tracklake.lake.foreign_export import ForeignForm
    from tracklake.lake.recorded_run import RecordedRun
    from tracklake.query.run_filter import Where


@raised_again_by_methods
class SqlMethods(LakeBase):
    """SQL, named queries, description and export; a part of `Lake`."""

    @property
    def metrics(self) -> list[str]:
        """The names of all metrics that have a value; `_step`, `_timestamp` and `_runtime`, which all runs have, apart.

        >>> example().metrics
        ['acc', 'loss']
        """
        return self._view.series.known(None)

    def sql(self, text: str, /, **params: Any) -> pl.DataFrame:
        """Ask in SQL (duckdb's) over the views runs, summaries, history, config, definitions, sessions and points.

        runs has a column for each config value and summary: "config.lr", "summary.val/acc.max" (any statistic may be
        named; * gives the default ones). summaries: run_id, project, metric, stat, value, text. history: run_id,
        project, metric, step, time, value, text. `$name` in the text is bound to the param of that name. Frames of
        polars, pandas and arrow join by the name of the caller's variable, or as a param. The text can only read.
        Raises QueryError, which points at the text, and UnknownNameError, which names the nearest column.

        >>> example().sql('SELECT run_id, "summary.loss.min" AS best FROM runs WHERE "config.lr" < $lr', lr=0.05).rows()
        [('slow', 0.5)]
        """
        arguments.text("text", text, takes="a text in SQL")
        frame = inspect.currentframe()
        return self._engine.ask(
            self._view.runs, text, params, find=sql.caller_frames.Caller(interrupts.caller_of(frame))
        )

    def query(self, name: str, /, **params: Any) -> pl.DataFrame:
        """Ask a named query: one of those that come with tracklake, or a .sql file of your own; `queries` lists them.

        Raises UnknownNameError for a query, metric, project or run that is not there, QueryError for other parameters.

        >>> example().query("leaderboard", metric="acc", goal="max").select("rank", "run_id", "value", "step").rows()
        [(1, 'fast', 0.9, 1), (2, 'slow', 0.6, 2)]
        """
        arguments.text("name", name, takes="the name of a query")
        query = sql.named_queries.get(name, self._queries)
        table = self._view.runs
        return self._engine.ask(table, query.text, query.bind(params, table=table), find=lambda _: None)

    def queries(self) -> pl.DataFrame:
        """Which named queries are there? One row a query: name, answers, parameters, returns, runs_on, path.

        >>> dict(example().queries().select("name", "answers").iter_rows())["recent"]
        'Which runs were started last?'
        """
        return sql.named_queries.listing(sql.named_queries.find(self._queries))

    def connect(self, *, unsafe: bool = False) -> DuckDBPyConnection:
        """Return a plain duckdb connection with the views of the newest snapshot; close it when done.

        runs has its default columns; other statistics that states hold are in summaries. It can open no file and load
        no extension, and its settings are locked. With `unsafe` it may do anything.

        >>> with example().connect() as connection:
        ...     connection.sql("SELECT count(*) FROM history").fetchall()
        [(12,)]
        """
        return sql.engine.connect(self._view.runs, unsafe=unsafe)

    def export(
        self,
        folder: os.PathLike[str] | str,
        *,
        format: Form | ForeignForm = "parquet",  # noqa: A002 - the word for it
        run: str | None = None,
        where: Where = None,
        project: str | None = None,
        escape_formulas: bool = True,
    ) -> list[Path]:
        """Write a new folder with the files runs, summaries and history ("parquet", "csv" or "jsonl"); return them.

        "mlflow" writes a file store, "tensorboard" event files (scalars as doubles), "wandb" JSON as W&B keeps it, a
        folder a run; these hold config and numbers, and their own tools read them.

        With `run` it holds that run's rows, and all else that is known of it as run.json. JSON has null for a number
        that is not finite, and what it is in <column>.text. The folder appears whole or not at all; LakeError if it is
        there and not empty. In CSV a text, or the name of a column, that a spreadsheet would run as a formula (it
        begins with = + - @, a tab or a carriage return) gets an apostrophe, unless `escape_formulas` is False.

        >>> [path.name for path in example().export("out", format="csv")]
        ['history.csv', 'runs.csv', 'summaries.csv']
        """
        arguments.check_word("format", format, lake.export.Form | lake.foreign_export.ForeignForm)
        path = arguments.path("folder", folder)
        if format in arguments.words(lake.foreign_export.ForeignForm):
            ids = None if run is None else [run_filter.id_of(run, argument="run")]
            return self._export_foreign(path, ids, where, project, cast("ForeignForm", format))
        form = cast("Form", format)
        if run is not None:
            return lake.export.write_run(
                path, run=self.run(run_filter.id_of(run, argument="run")), form=form, escape_formulas=escape_formulas
            )
        view = self._view_of(project)
        ids = view.runs.ids(where=where)
        text = "FROM summaries" + ("" if ids is None else " WHERE run_id IN $runs") + " ORDER BY run_id, metric, stat"
        params = {} if ids is None else {"runs": ids}
        return lake.export.write_tables(
            path,
            runs=view.runs.select(runs=ids),
            summaries=self._engine.ask(view.runs, text, params, find=lambda _: None),
            points=view.series.scan(None, runs=ids),
            form=form,
            escape_formulas=escape_formulas,
        )

    def _export_foreign(
        self, path: Path, ids: list[str] | None, where: Where, project: str | None, form: ForeignForm
    ) -> list[Path]:
        table = self._view_of(project).runs.select(runs=ids, where=where, wanted=["run_id"])
        columns = ["metric", "step", "time", "value", "text"]

        def each() -> Iterator[tuple[RecordedRun, pl.DataFrame]]:
            for run_id in table["run_id"]:
                points = self._view.series.scan(None, runs=[run_id]).select(columns).collect()
                yield self.run(run_id), points.sort("metric", "step")

        return lake.export.publish(path, lambda into: lake.foreign_export.write_runs(into, each(), form))

    def describe(self, *, project: str | None = None) -> Description:
        """What is in this lake? Numbers of runs by state, projects, metrics with their coverage, what is not sealed.

        >>> described = example().describe()
        >>> described.states, described.metrics.select("metric", "runs", "points").rows()
        ({'finished': 2}, [('acc', 2, 6), ('loss', 2, 6)])
        """
        return lake.describe.describe(self._view_of(project).runs, self._storages)
