"""What can be asked for: the columns, metrics, goals, statistics and projects of a lake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from tracklake.schema.statistics import STATISTICS, SUMMARY_KINDS

if TYPE_CHECKING:
    from tracklake.ui.sources import Source

SAMPLE = 100
"""First and last runs in which is looked for numbers."""


def schema(source: Source) -> dict[str, Any]:
    """Return what can be asked for: columns, metrics with their goals, statistics, projects; and what is left out.

    >>> from tracklake.ui.sources import Source
    >>> answer = schema(Source(example(), name="lake"))
    >>> answer["metrics"], answer["projects"]
    (['acc', 'loss'], ['example'])
    """

    def read() -> dict[str, Any]:
        with source.reading() as lake:
            names = list(dict.fromkeys(lake._view.runs.names.available))  # noqa: SLF001 - the names that errors suggest
            metrics = lake.metrics
            projects = lake.runs(columns=["project"])["project"]
            left_out = lake._view.logged.left_out  # noqa: SLF001 - likewise
            goals = {m: lake._view.runs.summaries.goal(m) for m in metrics[:5_000]}  # noqa: SLF001 - of all runs at once
        return {
            "columns": names,
            "metrics": metrics,
            "curves": with_numbers(source, metrics),
            "goals": {metric: goal for metric, goal in goals.items() if goal},
            "statistics": list(STATISTICS),
            "kinds": [*SUMMARY_KINDS, "none"],
            "projects": sorted(projects.unique()),
            "runs": len(projects),
            "lost": [*left_out],
        }

    return source.cached("schema", read)  # type: ignore[no-any-return]


def with_numbers(source: Source, metrics: list[str]) -> list[str]:
    """Return the metrics that can be drawn: those without a number in any of the first and last runs are left out.

    >>> from tracklake.ui.sources import Source
    >>> with_numbers(Source(example(), name="lake"), ["acc", "loss"])
    ['acc', 'loss']
    """

    def look() -> set[str]:
        with source.reading() as lake:
            ids = lake.runs(columns=["run_id"])["run_id"]
            sample = pl.concat([ids.head(SAMPLE), ids.tail(SAMPLE)]).unique().to_list()
            counts = ("n", "n_nan", "n_pos_inf", "n_neg_inf")
            states = lake._view.runs.snapshot.states(runs=sample, columns=counts)  # noqa: SLF001 - the page is another face
        n = states.group_by("metric").agg(pl.sum_horizontal(pl.col(*counts).sum()).alias("n"))
        return set(n.filter(pl.col("n") == 0)["metric"])

    without = source.cached(("without numbers", tuple(metrics)), look, anew=False)
    return [metric for metric in metrics if metric not in without]
