"""Pictures of comparisons and sweeps: leaderboard, importance, marginal, front, parallel coordinates."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from tracklake.analysis import group_keys, marginals, objectives, pooling
from tracklake.analysis.importance import top_share
from tracklake.common.lazy_numpy import np
from tracklake.common.text import number_of
from tracklake.display.labels import named, short_name
from tracklake.errors import DefinitionError
from tracklake.plots import binning, parallel_axes, scatter, sweep_marks
from tracklake.plots.binning import MARKS, wants_log
from tracklake.plots.encodings import Axis, Legend
from tracklake.plots.figure import Plot, empty, in_sentences
from tracklake.plots.sweep_marks import VERDICTS, RowLabels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tracklake.analysis.comparison import Comparison
    from tracklake.analysis.importance import Method
    from tracklake.analysis.objectives import Objective
    from tracklake.analysis.parameters import Parameter
    from tracklake.analysis.sweep import Sweep
    from tracklake.display.tables import Column

_METHODS: dict[Method, str] = {
    "ped-anova": "PED-ANOVA: what tells the best {:.0%} of the runs from all.",
    "fanova": "fANOVA: the share of the variance over the whole space that each explains by itself.",
    "permutation": "Permutation: by how much R² a forest predicts worse when a parameter is shuffled.",
}
_CHOICES = 20
"""Values of a text that a marginal shows."""
_RUNS = 8
"""Runs in each stretch of a parameter, in the mean, that a marginal asks for."""
_FEW = 8
"""Values of a parameter up to which each stands at the axis."""
_AXES = 10
"""Parameters of a sweep in parallel coordinates."""
_BASELINE = 34
"""Letters of a baseline that stand above a legend; it is a row of its own anyway."""
_BLAMED = 0.5
"""Share in telling failed runs from which on a parameter is named: more than all others together."""


def leaderboard(comparison: Comparison, *, limit: int) -> Plot:
    """Draw the groups of a comparison, the best on top.

    >>> leaderboard(example().compare("acc", by="lr", goal="max", draws=10), limit=1).data["group"].to_list()
    ['0.1 (1 run)']
    """
    of, center = comparison.grouped, comparison.settings.center
    by = ", ".join(short_name(column.heading) for column in group_keys.key_columns(comparison.table, of.by))
    title = f"{short_name(of.objective.name)} by {by or 'nothing'}"
    able = comparison.table.drop_nulls(center)
    if able.is_empty():
        return empty(title, because=_nothing(of.runs), notes=_left_out(comparison))
    best = able.head(limit).with_columns(pl.int_range(pl.len()).alias("row"))
    keys = group_keys.key_columns(best, of.by)
    cells = zip(*(column.cells for column in keys), strict=True) if keys else [()] * best.height
    labels = [_group(keys, values, n) for values, n in zip(cells, best["n"], strict=True)]
    value = pl.col(center).alias("value")
    data = best.select(pl.Series("group", labels), "row", "n", value, "low", "high", "verdict")
    runs = _single(comparison, best)
    x, beyond = _seen(f"{center} {of.objective.name}", of.objective, data.select("value", "low", "high"), runs)
    confidence = 100 * comparison.settings.confidence
    notes = [f"Bars: {confidence:g}% bootstrap interval. {'Grey: single runs.' * bool(len(runs))}"]
    notes += [f"Shown: the best {limit} of {number_of(able.height, 'group')}."] if able.height > limit else []
    baseline = group_keys.label(comparison.baseline or {})
    against = baseline if len(baseline) <= _BASELINE else "the baseline"
    legend = Legend(f"against {against}", [v for v in VERDICTS if v in set(data["verdict"])])
    draw = partial(sweep_marks.leaderboard, runs=runs, rows=RowLabels(labels, by), x=x, legend=legend)
    return Plot(title, data=data, draw=draw, notes=[*notes, *beyond, *_left_out(comparison)])


def _group(keys: Sequence[Column], values: Sequence[str], n: int) -> str:
    name = (values[0] if len(keys) == 1 else named([key.heading for key in keys], values)) or "all"
    return f"{name} ({number_of(n, 'run')})"


def _single(comparison: Comparison, groups: pl.DataFrame) -> pl.DataFrame:
    """Return row and value of the single runs: none where they are of different tasks, or too many."""
    of = comparison.grouped
    used = of.runs.filter("used")
    if of.tasks or used.height > MARKS:
        used = used.clear()
    if not of.by:
        return used.select(pl.lit(0).cast(pl.Int64).alias("row"), "value")
    return used.join(groups.select(*of.by, "row"), on=of.by, nulls_equal=True).select("row", "value")


def _left_out(comparison: Comparison) -> list[str]:
    """Say how many runs have no number, and where centers are over different tasks."""
    of = comparison.grouped
    failed, runs = int(comparison.table["n_failed"].sum()), of.runs.height
    name = short_name(comparison.grouped.objective.name)
    notes = [f"Not drawn: {number_of(failed, 'run')} of {runs:,}, failed or without a finite {name}."] if failed else []
    notes += [f"{note}." for note in objectives.divergence(of.runs, of.objective, of.counting)]
    notes += in_sentences(of.pooled)
    tasks = comparison.table.filter(pl.col("n") > 0)["n_tasks"]
    if tasks.n_unique() > 1:
        notes.append("Groups lack some tasks: dots are over their own, colours over those in common with the baseline.")
    return notes


def importance(sweep: Sweep, *, method: Method, quantile: float | None) -> Plot:
    """Draw how much each parameter of a sweep mattered.

    >>> importance(example().sweep(metric="acc", goal="max"), method="ped-anova", quantile=None)
    Plot('What mattered for acc', 1 rows)
    """
    title = f"What mattered for {short_name(sweep.objective.name)}"
    used = int(sweep.runs["value"].count())
    best = top_share(used) if quantile is None else quantile
    table = sweep.importance(method=method, quantile=best)
    if table.is_empty() or not used:
        return empty(title, because=_nothing(sweep.runs) if not used else "no parameter varies")
    row = pl.int_range(pl.len()).alias("row")
    data = table.select("name", row, "importance", "low", "high", "share", "failure")
    rows = RowLabels([short_name(name) for name in data["name"]], "")
    notes = [
        _METHODS[method].format(best),
        f"From {number_of(used, 'run')}. Lines: 95% bootstrap interval; behind them each one's share of the total.",
        *(f"Which runs failed is told by {short_name(name)}." for name in table.filter(_blamed())["name"]),
        *_about(sweep),
    ]
    return Plot(title, data=data, draw=partial(sweep_marks.bars, rows=rows, x=Axis("importance")), notes=notes)


def _blamed() -> pl.Expr:
    return pl.col("failure") > _BLAMED


def marginal(sweep: Sweep, name: str) -> Plot:
    """Draw the value along one parameter.

    >>> marginal(example().sweep(metric="acc", goal="max"), "lr").data.select("x", "mean").rows()
    [(0.01, 0.6), (0.1, 0.9)]
    """
    parameter = sweep.parameter(name)
    title = f"{short_name(sweep.objective.name)} along {short_name(parameter.name)}"
    having = int(sweep.runs.filter(pl.Series(parameter.active))["value"].count())
    points = min(max(having // _RUNS, 4), 20)
    table = sweep.marginal(name, points=points)
    names = _names(parameter, table)
    is_named = bool(parameter.choices or parameter.levels)
    per_value = table.with_columns(names.alias("x")).filter(pl.col("n") + pl.col("n_failed") > 0)
    if not per_value["n"].sum():
        return empty(title, because=_nothing(sweep.runs))
    most_run = per_value.filter(pl.col("n").rank("ordinal", descending=True) <= _CHOICES) if is_named else per_value
    data = most_run.select("x", "n", "n_failed", "n_diverged", "mean", "low", "high", "adjusted")
    placed = _placed(sweep.runs, _values(parameter, names, points)).filter(_is_shown(most_run, is_named))
    runs = _thinned(placed.drop_nulls("value"), "x", "value")
    y, beyond = _seen(
        sweep.objective.name, sweep.objective, most_run.select("mean", "low", "high", "adjusted", "best"), runs
    )
    notes = [f"Grey: {_count(runs, placed['value'].count())}. Bands: 95% bootstrap interval of the mean."]
    if most_run.height < per_value.height:
        notes.append(f"Shown: the {_CHOICES} of {number_of(per_value.height, 'value')} with most runs.")
    failed = placed.filter("failed").unique("x", maintain_order=True)
    x = _along(parameter, placed["x"])
    alone = all(other.name == parameter.name for other in sweep.settings)
    draw = partial(sweep_marks.marginal, runs=runs, failed=failed, x=x, y=y, alone=alone)
    return Plot(title, data=data, draw=draw, notes=[*notes, *beyond, *_about(sweep)])


def _names(parameter: Parameter, table: pl.DataFrame) -> pl.Series:
    """Return where each row of a marginal stands: a number, or a name where the parameter has values that are none."""
    if parameter.choices:
        return table["choice"]
    if not parameter.levels:
        return table["value"]
    rows = table.select("choice", "low_edge", "high_edge").iter_rows()
    return pl.Series([choice or _stretch(low, high) for choice, low, high in rows], dtype=pl.String)


def _stretch(low: float, high: float) -> str:
    return f"{low:g}" if low == high else f"{low:g} .. {high:g}"


def _values(parameter: Parameter, names: pl.Series | None = None, points: int = 0) -> pl.Series:
    """Return the number or the name of each run, null where it has none; `names` are those of the bins."""
    codes = pl.Series("x", parameter.codes, nan_to_null=True)
    if parameter.levels and names is not None:
        bins = pl.Series("x", marginals.bins_of(parameter, points))
        place = pl.Series("x", bins.rank("dense").cast(pl.Int64) - 1 - int((bins < 0).any()))
        return pl.select(pl.when(bins >= 0).then(names.gather(place.clip(0)))).to_series().alias("x")
    if not parameter.choices:
        return codes
    return codes.replace_strict(range(len(parameter.choices)), parameter.choices, return_dtype=pl.String)


def _along(parameter: Parameter, values: pl.Series) -> Axis:
    """Return the axis of a parameter; few numbers stand all at it."""
    if not values.dtype.is_numeric():
        return Axis(parameter.name)
    distinct = values.unique().sort().to_list()
    bounds = binning.around(values, log=parameter.log)
    return Axis(parameter.name, parameter.log, domain=bounds, ticks=tuple(distinct) if len(distinct) <= _FEW else ())


def _placed(runs: pl.DataFrame, x: pl.Series) -> pl.DataFrame:
    """Return x, value, failed, and beside: where among the dots of one name each lies."""
    beside = (pl.int_range(pl.len()) * binning.GOLDEN % 1).alias("beside")
    return runs.select(x, "value", "failed").drop_nulls("x").with_columns(beside)


def _is_shown(drawn: pl.DataFrame, is_named: bool) -> pl.Expr:  # noqa: FBT001 - numbers are all shown
    return pl.col("x").is_in(drawn["x"].implode()) if is_named else pl.lit(value=True)


def _about(sweep: Sweep) -> list[str]:
    """Say how many runs diverged, and how they count, and of which projects the runs are."""
    diverged = [f"{note}." for note in objectives.divergence(sweep.runs, sweep.objective, sweep.counting)]
    return [*diverged, *in_sentences(pooling.pooled(sweep.series.table, sweep.runs["run_id"]))]


def pareto(sweep: Sweep, metrics: Mapping[str, str] | Sequence[str]) -> Plot:
    """Draw the front of two metrics, and the runs behind it. DefinitionError unless they are two.

    >>> pareto(example().sweep(metric="acc", goal="max"), {"acc": "max", "loss": "min"}).data["run"].to_list()
    ['slow', 'fast']
    """
    goals = objectives.goals_of(metrics)
    if len(goals) != 2:  # noqa: PLR2004 - x and y
        raise DefinitionError(f"a picture of a front needs two metrics, not {metrics!r}; sweep.pareto answers for more")
    title = " against ".join(short_name(name) for name in goals)
    sides = dict(zip("xy", [objectives.resolve(sweep.series.table, m, goal=g) for m, g in goals.items()], strict=True))
    at = [pl.col(name).alias(side) for name, side in zip(goals, "xy", strict=True)]
    fronts = sweep.pareto(metrics, others=True).select(pl.col("run_id").alias("run"), *at, "front")
    if fronts.is_empty():
        return empty(title, because="no run has both" if len(sweep) else "no run matches")
    is_best = pl.col("front").is_not_null()
    best, others = fronts.filter(is_best), fronts.filter(~is_best)
    axes = {side: _axis(fronts[side], of) for side, of in sides.items()}
    lost = len(sweep) - fronts.height
    notes = [f"Blue: {number_of(best.height, 'run')} of {fronts.height:,} that no other beats in both."]
    notes += [f"Not drawn: {number_of(lost, 'run')} of {len(sweep):,}, failed or without both."] if lost else []
    draw = partial(sweep_marks.front, x=axes["x"], y=axes["y"], rising=sides["x"].goal == "max")
    return Plot(title, data=pl.concat([_thinned(others, "x", "y"), best]), draw=draw, notes=[*notes, *_about(sweep)])


def parallel(sweep: Sweep) -> Plot:
    """Draw a line a run across the parameters of a sweep.

    >>> parallel(example().sweep(metric="acc", goal="max"))
    Plot('acc by lr', 4 rows)
    """
    chosen = sweep.settings
    if len(chosen) > _AXES:
        ranked = sweep.importance(draws=0)["name"].to_list()
        chosen = sorted(chosen, key=lambda p: ranked.index(p.name))[:_AXES]
    if not chosen:
        return empty(f"{short_name(sweep.objective.name)} by its parameters", because="no parameter varies")
    ready = [scatter.ready(p.name, _values(p)) for p in chosen]
    axes = {f"axis_{i}": values for i, (_, values) in enumerate(ready)}
    levels = {f"axis_{i}_level": _levels(p) for i, p in enumerate(chosen) if p.levels}
    frame = pl.DataFrame({"run": sweep.runs["run_id"], **axes, **levels, "value": sweep.runs["value"]})
    names = {f"axis_{i}": name for i, (name, _) in enumerate(ready)}
    titles = names | {"value": short_name(sweep.objective.name)}
    plot = parallel_axes.plot(frame, titles, axes=list(axes), goal=sweep.objective.goal)
    plot.notes += tuple(_about(sweep))
    return plot


def _levels(parameter: Parameter) -> pl.Series:
    """Return what each run has in place of a number, null where it has one."""
    level = pl.Series(parameter.level, dtype=pl.Int64)
    labels = dict(enumerate(parameter.levels))
    return level.replace_strict(labels, default=None, return_dtype=pl.String)


def _thinned(points: pl.DataFrame, x: str, y: str) -> pl.DataFrame:
    """Keep one point of each place of a grid where there are more than can be drawn."""
    if points.height <= MARKS:
        return points
    cut = [
        binning.binned(points[name], size=size, few=size).at.alias(f"{name}_at") for name, size in ((x, 60), (y, 30))
    ]
    thinned = points.with_columns(cut).unique([series.name for series in cut], keep="first", maintain_order=True)
    return thinned.select(points.columns)


def _count(drawn: pl.DataFrame, n: int) -> str:
    return f"{number_of(n, 'run')}" if drawn.height == n else f"places where any of {number_of(n, 'run')} lie"


def _seen(name: str, of: Objective, lines: pl.DataFrame, dots: pl.DataFrame) -> tuple[Axis, list[str]]:
    """Return the axis of values, wide enough for the lines, and how many dots lie beyond it.

    Were all dots to be seen, one diverged run would make all others look alike.
    """
    summarized = binning.finite(pl.concat([lines[c].cast(pl.Float64) for c in lines.columns]))
    values = pl.concat([summarized, dots["value"]]) if len(dots) else summarized
    axis = Axis(f"{name} ({'higher' if of.goal == 'max' else 'lower'} is better)", wants_log(values))
    ends = summarized.sort().to_numpy()[[0, -1]]
    low, high = (np.log(ends) if axis.log else ends).tolist()
    wide = (high - low) or (1.0 if axis.log else abs(high) / 10 or 1.0)
    bounds = (low - wide, high + wide)
    low, high = (float(np.exp(b)) for b in bounds) if axis.log else bounds
    inside = values.filter(values.is_between(low, high))
    beyond = len(values) - len(inside)
    seen = axis._replace(domain=binning.around(inside, log=axis.log))
    return seen, [f"Beyond the axis: {number_of(beyond, 'run')}."] if beyond else []


def _axis(values: pl.Series, of: Objective) -> Axis:
    title = f"{short_name(of.name, width=28)} ({'higher' if of.goal == 'max' else 'lower'} is better)"
    log = wants_log(values)
    return Axis(title, log, domain=binning.around(values, log=log))


def _nothing(runs: pl.DataFrame) -> str:
    return "no run has a finite number of it" if runs.height else "no run matches"
