"""Arrivals: how long runs take to reach a threshold, with those that never do."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from tracklake.analysis import grouped_runs, learning_curves
from tracklake.analysis.stats import significance, survival
from tracklake.common import arguments
from tracklake.common.text import number_of
from tracklake.display import tables
from tracklake.display.tables import Column, Sheet, Tabulated
from tracklake.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracklake.query.history import SeriesTable
    from tracklake.schema.definitions import Goal


@dataclass(frozen=True, repr=False)
class Arrivals(Tabulated):
    """Groups of runs by how soon they reach a threshold; those that never do count as long as they were seen.

    `.table` has a row a group, the soonest first: the columns that group, n, n_arrived, n_without (runs without the
    metric, not counted in n), median (the first x by which half have arrived, by Kaplan-Meier; null if fewer than half
    did), low, high (its interval), p (log-rank test against the baseline) and p_holm
    (over all pairs of groups where the baseline was not named).
    `.curve` has a row a (group, x): at_risk, arrived, share (not arrived yet), low, high.
    `.runs` has a row a run: arrived, and x (where it arrived, else where it was seen last). `.p` is that of the
    log-rank test over all groups, `.baseline` has the keys of the group compared with.

    >>> found = example().time_to("acc", 0.6, goal="max", by="lr")
    >>> len(found), found.baseline, found.runs["x"].to_list()
    (2, {'config.lr': 0.1}, [2.0, 0.0])
    """

    what: str
    x: str
    by: list[str]
    table: pl.DataFrame
    curve: pl.DataFrame = field(repr=False)
    runs: pl.DataFrame = field(repr=False)
    p: float | None
    baseline: dict[str, Any] | None

    def _sheet(self) -> Sheet:
        return _sheet(self)

    def __len__(self) -> int:
        """Return how many groups there are."""
        return self.table.height


def time_to(
    series: SeriesTable,
    metric: str,
    threshold: float,
    *,
    goal: Goal,
    x: str | None,
    by: pl.DataFrame,
    baseline: Any,
    confidence: float,
) -> Arrivals:
    """Return when runs arrive; `by` has run_id and the columns that group. See `Lake.time_to`.

    Raises DefinitionError for a threshold or a confidence that cannot be, UnknownNameError for a baseline.

    >>> lake = example()
    >>> found = lake.time_to("acc", 0.65, goal="max", by="lr")
    >>> found.table.select("config.lr", "n", "n_arrived", "median").rows()
    [(0.1, 1, 1, 0.0), (0.01, 1, 0, None)]
    """
    threshold = arguments.number("threshold", threshold)
    if math.isnan(threshold):
        raise DefinitionError("threshold=nan; name a number that the metric reaches")
    confidence = arguments.share("confidence", confidence, such_as=0.95)
    columns = [c for c in by.columns if c != "run_id"]
    runs = by.with_columns(grouped_runs.numbers(by, columns).alias("group_no"))
    seen = _seen(learning_curves.trajectories(series, metric, x=x, runs=by, where=None), threshold, goal)
    runs = runs.join(seen, on="run_id", how="left", maintain_order="left")
    groups = runs.unique("group_no", keep="first").sort("group_no").select(columns)
    table, curve = _groups(runs, groups, baseline, confidence)
    _, p = survival.log_rank(*_arrays(runs))
    first = table.row(by_predicate=pl.col("is_baseline"), named=True) if table["is_baseline"].any() else None
    keys = None if first is None else {c: first[c] for c in columns}
    what = f"{metric} {'>=' if goal == 'max' else '<='} {threshold:g}"
    p_all = None if np.isnan(p) else p
    return Arrivals(what, x or "step", columns, table.drop("is_baseline"), curve, runs.drop("group_no"), p_all, keys)


def _seen(curves: pl.DataFrame, threshold: float, goal: Goal) -> pl.DataFrame:
    """Return where each run arrived, or was seen last."""
    value = pl.col("value").fill_nan(None)
    there = (value >= threshold if goal == "max" else value <= threshold).fill_null(value=False)
    arrived = pl.col("there").any()
    at = pl.when(arrived).then(pl.col("x").filter("there").first()).otherwise(pl.col("x").max())
    return curves.with_columns(there.alias("there")).group_by("run_id").agg(arrived.alias("arrived"), at.alias("x"))


def _arrays(runs: pl.DataFrame) -> tuple[pl.Series, pl.Series, pl.Series]:
    seen = runs.drop_nulls("x")
    return seen["x"], seen["arrived"], seen["group_no"]


def _groups(
    runs: pl.DataFrame, groups: pl.DataFrame, baseline: Any, confidence: float
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the table and the curves of all groups."""
    x, arrived, label = (part.to_numpy() for part in _arrays(runs))
    found = [survival.kaplan_meier(x[label == g], arrived[label == g]) for g in range(runs["group_no"].n_unique())]
    table = pl.DataFrame(
        [(g, s.median, *s.median_interval(confidence)) for g, s in enumerate(found)],
        schema={"group_no": pl.Int64, "median": pl.Float64, "low": pl.Float64, "high": pl.Float64},
        orient="row",
    ).with_columns(pl.col(pl.Float64).fill_nan(None))
    counted = runs.group_by("group_no").agg(
        pl.col("x").count().cast(pl.Int64).alias("n"),
        pl.col("arrived").sum().cast(pl.Int64).alias("n_arrived"),
        pl.col("x").null_count().cast(pl.Int64).alias("n_without"),
    )
    keys = table.select("group_no").hstack(groups)
    whole = keys.join(counted, on="group_no").join(table, on="group_no").sort("median", "group_no", nulls_last=True)
    if whole.height:
        base = int(whole["group_no"][0]) if baseline is None else grouped_runs.find(groups, baseline)
        pairs = [(label == g) | (label == base) for g in whole["group_no"]]
        p = [survival.log_rank(x[of], arrived[of], label[of])[1] for of in pairs]
    else:
        base, p = -1, []
    among = significance.pairs_of(p) if baseline is None else None
    whole = whole.with_columns(
        pl.Series("p", p, dtype=pl.Float64).fill_nan(None),
        pl.Series("p_holm", significance.holm(p, comparisons=among), dtype=pl.Float64).fill_nan(None),
        (pl.col("group_no") == base).alias("is_baseline"),
    )
    curves = [_curve(g, s, confidence) for g, s in enumerate(found)]
    curve = pl.concat([pl.DataFrame(schema=_CURVE), *curves]).join(keys, on="group_no", maintain_order="left")
    order = [*groups.columns, "n", "n_arrived", "n_without", *_NUMBERS, "is_baseline"]
    return whole.select(order), curve.select(*groups.columns, *(c for c in _CURVE if c != "group_no"))


_NUMBERS = ("median", "low", "high", "p", "p_holm")
_CURVE = {"group_no": pl.Int64} | dict.fromkeys(("x", "at_risk", "arrived", "share", "low", "high"), pl.Float64)


def _curve(number: int, found: survival.Survival, confidence: float) -> pl.DataFrame:
    low, high = found.interval(confidence)
    parts = [found.x, found.at_risk, found.arrived, found.share, low, high]
    whole = pl.DataFrame(dict(zip(list(_CURVE)[1:], parts, strict=True)))
    return whole.select(pl.lit(number, pl.Int64).alias("group_no"), pl.all().fill_nan(None))


def _sheet(of: Arrivals) -> Sheet:
    table = of.table
    whole = table["median"].drop_nulls().map_elements(float.is_integer, return_dtype=pl.Boolean).all()
    places = 0 if whole else tables.decimals((table["high"] - table["low"]).to_list())
    number = [[tables.number(v, places) for v in table[name]] for name in ("median", "low", "high")]
    columns = [
        *grouped_runs.key_columns(table, of.by),
        Column("n", [str(n) for n in table["n"]], rank=1),
        Column("arrived", [str(n) for n in table["n_arrived"]]),
        Column(f"median {of.x}", [m or "not seen" for m in number[0]]),
        Column("interval", [f"{a} .. {b or '?'}" if a else "" for a, b in zip(*number[1:], strict=True)], rank=2),
        Column("p (Holm)", [tables.chance(p) for p in table["p_holm"]], rank=3),
    ]
    base = f"; baseline {grouped_runs.label(of.baseline)}" if of.baseline and len(of) > 1 else ""
    return Sheet(f"{of.x} until {of.what}{base}", [c for c in columns if any(c.cells)], notes=tuple(_notes(of)))


def _notes(of: Arrivals) -> Iterator[str]:
    never = int((of.table["n"] - of.table["n_arrived"]).sum())
    if never:
        runs = number_of(of.table["n"].sum(), "run")
        yield f"{never:,} of {runs} never arrived: they count for as long as they were seen"
    without = int(of.table["n_without"].sum())
    if without:
        yield f"left out: {number_of(without, 'run')} without a value"
    if of.p is not None:
        yield f"log-rank test over all groups: p = {tables.chance(of.p)}"
