"""Notes of a comparison: in sentences, what a reader of the table has to know."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from tracklake.analysis import group_keys, objectives
from tracklake.common.text import number_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracklake.analysis.grouped_runs import GroupedRuns

_NAMED = 3
"""Groups that notes name one by one."""


class Context(NamedTuple):
    """What the notes are about."""

    grouped: GroupedRuns
    table: pl.DataFrame
    base: int | None
    n_able: int | None
    """How many groups the baseline was chosen from, None where it was named."""
    few: pl.DataFrame
    """The groups of too few runs for a sound interval."""


def notes(of: Context) -> Iterator[str]:
    """Yield what is to be said of a comparison, what matters most first.

    >>> list(example().compare("acc", by="lr", goal="max", baseline=0.1).notes)[-1]
    "2 groups of too few runs for a sound interval (the table's column warning)"
    """
    if of.base is None:
        yield f"no run has a value of {of.grouped.objective.name}"
        return
    yield from of.grouped.pooled
    yield from _of_baseline(of)
    yield from _of_diverged(of.grouped)
    yield from _of_runs(of)
    yield from _of_tests(of.table)
    yield from _of_limits(of.table)
    yield from _of_pairs(of)
    yield from _of_tasks(of)


def _of_baseline(of: Context) -> Iterator[str]:
    if of.n_able is None or len(of.table) == 1:
        return
    among = f"{len(of.table)} groups"
    if of.n_able < len(of.table):
        several = "with repeats" if of.grouped.runs["task_no"].n_unique() == 1 else "with repeats and nearly all tasks"
        among = f"the {number_of(of.n_able, 'group')} {several}, of {len(of.table)}"
    yield (
        f"the baseline is the best of {among}, and being chosen flatters it: p is corrected over all pairs; name the"
        " baseline that you mean (baseline=)"
    )


def _of_diverged(grouped: GroupedRuns) -> Iterator[str]:
    """Say which groups have runs that diverged, and what becomes of those."""
    parts = [part for part in grouped.runs.partition_by("group_no") if part["diverged"].any()]
    sentences = []
    for part in parts:
        keys = group_keys.label(part.select(grouped.by).row(0, named=True)) if grouped.by else ""
        of = f" of {keys}" if keys else ""
        sentences += objectives.divergence(part, grouped.objective, grouped.counting, of=of)
    if len(sentences) <= _NAMED:
        yield from sentences
    else:
        (total,) = objectives.divergence(grouped.runs, grouped.objective, grouped.counting)
        yield f"{total}, in {len(sentences)} groups (the table's column n_diverged)"


def _of_runs(of: Context) -> Iterator[str]:
    grouped, runs = of.grouped, of.grouped.runs
    failed = int(of.table["n_failed"].sum())
    if failed:
        yield (
            f"left out: {failed:,} of {runs.height:,} runs, which failed or have no finite {grouped.objective.name};"
            " that flatters groups that fail"
        )
    running = runs.filter(pl.col("used") & (pl.col("state") == "running")).height
    if running:
        yield f"{number_of(running, 'run')} counted here still running"
    again = int((of.table["n_runs"] - of.table["n"]).sum())
    if again:
        repeats = " and ".join(column.removeprefix("config.") for column in grouped.repeats)
        used = int(of.table["n_runs"].sum())
        yield (
            f"{number_of(again, 'run')} of {used:,} {'does' if again == 1 else 'do'} a {repeats} again, with the same"
            f" config: averaged within the {repeats}, which n counts"
        )


def _of_tests(table: pl.DataFrame) -> Iterator[str]:
    for test, n in table["test"].drop_nulls().value_counts(sort=True).iter_rows():
        reasons = table.filter(pl.col("test") == test)["why"].unique(maintain_order=True)
        what = f"{number_of(n, 'group')} without a test" if test == "none" else f"{test} for {number_of(n, 'group')}"
        yield f"{what}: {reasons[0]}" + (", ..." if len(reasons) > 1 else "")


def _of_limits(table: pl.DataFrame) -> Iterator[str]:
    """Say why no test could have found anything."""
    unable = table.filter((pl.col("verdict") == "too few runs") & (pl.col("test") != "none") & (pl.col("n") > 1))
    for limit, n in unable["warning"].drop_nulls().value_counts(sort=True).iter_rows():
        yield f"{number_of(n, 'group')} without a verdict: {limit}"


def _of_pairs(of: Context) -> Iterator[str]:
    """Say what matching left out, of both groups."""
    base = of.table.filter(pl.col("verdict") == "baseline")["n"]
    paired = of.table.filter(pl.col("n_pairs") > 0) if of.grouped.unit == "run" and len(base) else of.table.clear()
    partial = paired.filter((pl.col("n_pairs") < pl.col("n")) | (pl.col("n_pairs") < base.max()))
    if partial.height:
        yield (
            f"pairs leave out runs in {number_of(partial.height, 'group')}: the difference is that of compared and"
            " with, the centers over the pairs alone"
        )


def _of_tasks(of: Context) -> Iterator[str]:
    table, grouped = of.table, of.grouped
    lacking = table.filter((pl.col("n_tasks") < pl.col("n_tasks").max()) & (pl.col("n") > 0)).height
    if lacking:
        yield f"{number_of(lacking, 'group')} without some tasks: differences are over the tasks in common"
    if grouped.tasks and grouped.unit == "run":
        yield "the tasks are taken as given: for a claim about tasks like these say unit='task'"
    if of.few.height:
        each = " on each task" if grouped.tasks and grouped.unit == "run" else ""
        yield (
            f"{number_of(of.few.height, 'group')} of too few runs{each} for a sound interval"
            " (the table's column warning)"
        )
