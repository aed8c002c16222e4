"""Time to a threshold: survival analysis of how long runs take to reach it, with those that never do."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from tracklake.analysis import group_keys, grouped_runs, learning_curves, pooling
from tracklake.analysis.stats import significance, survival
from tracklake.common import arguments
from tracklake.common.lazy_numpy import np
from tracklake.common.text import number_of
from tracklake.display import numbers
from tracklake.display.tables import Column, Sheet, Tabulated
from tracklake.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracklake.analysis.stats.survival import Survival
    from tracklake.query.history import SeriesTable
    from tracklake.query.run_table import RunTable
    from tracklake.schema.definition_statement import Goal

_ESTIMATES = ("median", "low", "high", "p", "p_holm")
_CURVE = {"group_no": pl.Int64} | dict.fromkeys(("x", "at_risk", "reached", "share", "low", "high"), pl.Float64)


@dataclass(frozen=True, repr=False)
class TimeToThreshold(Tabulated):
    """Groups of runs by how soon they reach a threshold; those that never do are censored where they were seen last.

    `.table` has a row a group, the soonest first: the columns that group, n (seeds, or runs without one), n_reached,
    n_without (those without the metric, not counted in n), median (the first x by which half have reached it, by
    Kaplan-Meier; null if fewer than half did), low, high (its interval), p (log-rank test against the baseline) and
    p_holm (over all pairs of groups where the baseline was not named).
    `.curve` has a row a (group, x): at_risk, reached, share (still below), low, high.
    `.runs` has a row a run: reached, and x (where it did, else where it was seen last). `.p` is that of the
    log-rank test over all groups, `.baseline` has the keys of the group compared with: the soonest of those that
    reached it, None where none did.

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
    pooled: tuple[str, ...] = ()
    """The sentence that says of which projects the runs are, if of several."""
    n_again: int = 0
    """Runs that do a seed again."""

    def _sheet(self) -> Sheet:
        return _sheet(self)

    def __len__(self) -> int:
        """Return how many groups there are."""
        return self.table.height


class _Observed(NamedTuple):
    """What survival analysis takes of each run that has the metric: x, whether it reached the threshold, its group."""

    x: np.ndarray[Any, np.dtype[np.float64]]
    reached: np.ndarray[Any, np.dtype[np.bool_]]
    group: np.ndarray[Any, np.dtype[np.int64]]

    def among(self, *groups: int) -> _Observed:
        of = np.isin(self.group, groups)
        return _Observed(self.x[of], self.reached[of], self.group[of])


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
) -> TimeToThreshold:
    """Return when runs reach the threshold; `by` has run_id and the columns that group. See `Lake.time_to`.

    Raises DefinitionError for a threshold or a confidence that cannot be, UnknownNameError for a baseline.

    >>> lake = example()
    >>> found = lake.time_to("acc", 0.65, goal="max", by="lr")
    >>> found.table.select("config.lr", "n", "n_reached", "median").rows()
    [(0.1, 1, 1, 0.0), (0.01, 1, 0, None)]
    """
    threshold = arguments.number("threshold", threshold)
    if math.isnan(threshold):
        raise DefinitionError("threshold=nan; name a number that the metric reaches")
    confidence = arguments.share("confidence", confidence, such_as=0.95)
    keys = [c for c in by.columns if c != "run_id"]
    curves = learning_curves.trajectories(series, metric, x=x, runs=by, where=None)
    runs = by.with_columns(grouped_runs.numbers(by, keys).alias("group_no"))
    runs = runs.join(_events(curves, threshold, goal), on="run_id", how="left", maintain_order="left")
    groups = runs.unique("group_no", keep="first").sort("group_no").select("group_no", *keys)
    units = _repeats(series.table, runs)
    observed = _observed(units)
    survivals = {g: _survival(observed.among(g)) for g in groups["group_no"].to_list()}
    counted = _counts(units).join(_estimates(survivals, confidence), on="group_no")
    base = _baseline(counted, groups.select(keys), baseline)
    tests = _tests_against(observed, base, counted["group_no"], named=baseline is not None)
    _, p = survival.log_rank(*observed)
    return TimeToThreshold(
        what=f"{metric} {'>=' if goal == 'max' else '<='} {threshold:g}",
        x=x or "step",
        by=keys,
        table=_arranged(groups.join(counted, on="group_no").join(tests, on="group_no"), keys),
        curve=_curves(survivals, groups, confidence).select(*keys, *(c for c in _CURVE if c != "group_no")),
        runs=runs.drop("group_no"),
        p=None if math.isnan(p) else p,
        baseline=None if base is None else {key: groups[key][base] for key in keys},
        pooled=pooling.pooled(series.table, by["run_id"]),
        n_again=runs.height - units.height,
    )


def _events(curves: pl.DataFrame, threshold: float, goal: Goal) -> pl.DataFrame:
    """Return where each run first reached the threshold, or was seen last: run_id, reached, x."""
    value = pl.col("value").fill_nan(None)
    is_past = (value >= threshold if goal == "max" else value <= threshold).fill_null(value=False)
    reached = pl.col("is_past").any()
    at = pl.when(reached).then(pl.col("x").filter("is_past").first()).otherwise(pl.col("x").max())
    return curves.with_columns(is_past.alias("is_past")).group_by("run_id").agg(reached.alias("reached"), at.alias("x"))


def _repeats(table: RunTable, runs: pl.DataFrame) -> pl.DataFrame:
    """Return one row a seed: where it was run again it took the mean of its runs, and arrived where all of them did."""
    if "config.seed" not in table.names.available:
        return runs
    rows = table.select(runs=runs, wanted=["run_id", "config.seed"])
    seeds = rows.select("run_id", pl.col("config.seed").alias("seed"))
    units = grouped_runs.units_of(runs.join(seeds, on="run_id", how="left"), table, by="group_no", repeats=["seed"])
    of_unit = runs.with_columns(units.alias("unit_no"), pl.col("x").is_null().alias("is_without"))
    per_unit = of_unit.group_by("group_no", "unit_no", "is_without", maintain_order=True)
    return per_unit.agg(pl.col("reached").all(ignore_nulls=False), pl.col("x").mean()).drop("unit_no", "is_without")


def _observed(runs: pl.DataFrame) -> _Observed:
    seen = runs.drop_nulls("x")
    return _Observed(seen["x"].to_numpy(), seen["reached"].to_numpy(), seen["group_no"].to_numpy())


def _survival(observed: _Observed) -> Survival:
    return survival.kaplan_meier(observed.x, observed.reached)


def _counts(runs: pl.DataFrame) -> pl.DataFrame:
    """Return how many runs of each group there are, reached the threshold, and lack the metric."""
    return runs.group_by("group_no").agg(
        pl.col("x").count().cast(pl.Int64).alias("n"),
        pl.col("reached").sum().cast(pl.Int64).alias("n_reached"),
        pl.col("x").null_count().cast(pl.Int64).alias("n_without"),
    )


def _estimates(survivals: dict[int, Survival], confidence: float) -> pl.DataFrame:
    """Return the median of each group with its interval; null where it was not seen."""
    rows = [(g, s.median, *s.median_interval(confidence)) for g, s in survivals.items()]
    schema = {"group_no": pl.Int64} | dict.fromkeys(("median", "low", "high"), pl.Float64)
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(pl.col(pl.Float64).fill_nan(None))


def _baseline(counted: pl.DataFrame, groups: pl.DataFrame, baseline: Any) -> int | None:
    """Return the group to compare with: the one named, else the soonest of those that reached the threshold."""
    if baseline is not None:
        return group_keys.find(groups, baseline)
    share = -pl.col("n_reached") / pl.col("n")
    reached = counted.filter(pl.col("n_reached") > 0).sort("median", share, "group_no", nulls_last=True)
    return int(reached["group_no"][0]) if reached.height else None


def _tests_against(observed: _Observed, base: int | None, groups: pl.Series, *, named: bool) -> pl.DataFrame:
    """Return the log-rank test of each group against the baseline, and its p corrected for their number."""
    p = [math.nan if base is None else survival.log_rank(*observed.among(g, base))[1] for g in groups]
    among = None if named else significance.pairs_of(p)
    return pl.DataFrame(
        {"group_no": groups, "p": p, "p_holm": significance.holm(p, comparisons=among)},
        schema={"group_no": pl.Int64, "p": pl.Float64, "p_holm": pl.Float64},
    ).with_columns(pl.col(pl.Float64).fill_nan(None))


def _arranged(table: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    """Return the soonest groups first, in the order of the columns that users see."""
    ordered = table.sort("median", "group_no", nulls_last=True)
    return ordered.select(*keys, "n", "n_reached", "n_without", *_ESTIMATES)


def _curves(survivals: dict[int, Survival], groups: pl.DataFrame, confidence: float) -> pl.DataFrame:
    curves = [_curve(g, s, confidence) for g, s in survivals.items()]
    return pl.concat([pl.DataFrame(schema=_CURVE), *curves]).join(groups, on="group_no", maintain_order="left")


def _curve(number: int, estimate: Survival, confidence: float) -> pl.DataFrame:
    low, high = estimate.interval(confidence)
    parts = [estimate.x, estimate.at_risk, estimate.reached, estimate.share, low, high]
    curve = pl.DataFrame(dict(zip(list(_CURVE)[1:], parts, strict=True)))
    return curve.select(pl.lit(number, pl.Int64).alias("group_no"), pl.all().fill_nan(None))


def _sheet(of: TimeToThreshold) -> Sheet:
    table = of.table
    all_integers = table["median"].drop_nulls().map_elements(float.is_integer, return_dtype=pl.Boolean).all()
    places = 0 if all_integers else numbers.decimals((table["high"] - table["low"]).to_list())
    medians, lows, highs = ([numbers.number(v, places) for v in table[name]] for name in ("median", "low", "high"))
    columns = [
        *group_keys.key_columns(table, of.by),
        Column("n", [str(n) for n in table["n"]], rank=1),
        Column("reached", [str(n) for n in table["n_reached"]]),
        Column(f"median {of.x}", [median or "not seen" for median in medians]),
        Column("interval", [f"{a} .. {b or '?'}" if a else "" for a, b in zip(lows, highs, strict=True)], rank=2),
        Column("p (Holm)", [numbers.chance(p) for p in table["p_holm"]], rank=3),
    ]
    base = f"; baseline {group_keys.label(of.baseline)}" if of.baseline and len(of) > 1 else ""
    return Sheet(f"{of.x} until {of.what}{base}", [c for c in columns if any(c.cells)], notes=tuple(_notes(of)))


def _notes(of: TimeToThreshold) -> Iterator[str]:
    yield from of.pooled
    if of.n_again:
        again = f"{number_of(of.n_again, 'run')} of {len(of.runs):,}"
        yield f"{again} do a seed again, with the same config: averaged within the seed, which n counts"
    n, reached = int(of.table["n"].sum()), int(of.table["n_reached"].sum())
    if n and not reached:
        yield f"none of {number_of(n, 'run')} reached it: no group is sooner than another"
    elif n > reached:
        yield f"{n - reached:,} of {number_of(n, 'run')} never reached it: they count for as long as they were seen"
    without = int(of.table["n_without"].sum())
    if without:
        yield f"left out: {number_of(without, 'run')} without a value"
    if of.p is not None:
        yield f"log-rank test over all groups: {numbers.p_equals(of.p)}"
