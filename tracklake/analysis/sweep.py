"""Sweeps: what a set of runs with different settings says of the settings, launched as a sweep or not."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl

from tracklake.analysis import (
    early_stopping_replay,
    group_keys,
    grouped_runs,
    grouping,
    importance,
    marginals,
    objectives,
    parameters,
    pooling,
    winners_curse,
)
from tracklake.analysis.early_stopping_replay import RuleName
from tracklake.analysis.stats import early_stopping, pareto
from tracklake.common import arguments
from tracklake.common.lazy_numpy import np
from tracklake.display import numbers
from tracklake.display.tables import Sheet, Tabulated
from tracklake.errors import DefinitionError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tracklake.analysis.early_stopping_replay import Replay
    from tracklake.analysis.importance import Booleans, Fit, Floats, Method
    from tracklake.analysis.marginals import Parallel
    from tracklake.analysis.objectives import Counting, Objective
    from tracklake.analysis.parameters import Parameter
    from tracklake.analysis.winners_curse import WinnersCurse
    from tracklake.query.history import SeriesTable
    from tracklake.query.run_filter import Runs, Where

Rule = RuleName | early_stopping.Rule
_JUDGED = ("value", "failed", "diverged", "ended_in", "used")
"""The columns that say how a run did."""


@dataclass(frozen=True, repr=False)
class Sweep(Tabulated):
    """A set of runs, the number that each is judged by, and the parameters that vary over them.

    `.runs` has a row a run: run_id, state, the varied columns of config, value (null if it failed or has no finite
    number, or is left out for having diverged), failed, diverged (its metric ended in NaN or infinity), ended_in and
    used. `.parameters` has a row a varied parameter: name, kind (float, int, categorical, label: text that
    differs in nearly every run), scale (linear or log), low, high, n_distinct, n_runs, conditional, when, choices.
    Seeds are no parameters: runs that differ in their seed alone are repeats of one setting.
    """

    series: SeriesTable = field(repr=False)
    objective: Objective
    runs: pl.DataFrame
    varied: list[Parameter] = field(repr=False)
    seeds: list[str]
    counting: Counting
    _fits: dict[int, Fit | None] = field(default_factory=dict, init=False, repr=False)

    @property
    def parameters(self) -> pl.DataFrame:
        """One row a varied parameter.

        >>> example().sweep(metric="acc", goal="max").parameters.select("name", "kind", "low", "high").rows()
        [('config.lr', 'float', 0.01, 0.1)]
        """
        return parameters.table(self.varied)

    def parameter(self, name: str) -> Parameter:
        """Return a varied parameter by its name, with or without "config.". Raises UnknownNameError.

        >>> example().sweep(metric="acc", goal="max").parameter("lr").log
        True
        """
        arguments.text("parameter", name, takes="the name of a parameter")
        for p in self.varied:
            if name in (p.name, p.name.removeprefix("config.")):
                return p
        names = [p.name.removeprefix("config.") for p in self.varied]
        raise UnknownNameError.nearest("varied parameter", name, names)

    @cached_property
    def losses(self) -> Floats:
        """The value of each run turned so that lower is better; NaN where there is none.

        >>> example().sweep(metric="acc", goal="max").losses.tolist()
        [-0.6, -0.9]
        """
        losses: Floats = -self.objective.sign * self.runs["value"].fill_null(np.nan).to_numpy()
        return losses

    @property
    def settings(self) -> list[Parameter]:
        """The varied parameters but for labels: text that differs in nearly every run.

        >>> [p.name for p in example().sweep(metric="acc", goal="max").settings]
        ['config.lr']
        """
        return [p for p in self.varied if p.kind != "label"]

    @property
    def _failed(self) -> Booleans:
        return self.runs["failed"].to_numpy()

    def best(self, n: int = 1) -> pl.DataFrame:
        """Which runs did best? The n best, of equal ones those that began first: run_id, parameters, value.

        Not to be used as what the setting is worth: the best of many is best partly by luck; `luck` says how much.
        Raises DefinitionError for n below 1.

        >>> example().sweep(metric="acc", goal="max").best().select("run_id", "config.lr", "value").rows()
        [('fast', 0.1, 0.9)]
        """
        worth = self.runs.filter(pl.col("value").is_not_null()).drop(set(_JUDGED) - {"value"})
        ordered = worth.sort("value", descending=self.objective.goal == "max", maintain_order=True)
        return ordered.head(arguments.whole("n", n, least=1))

    def importance(
        self,
        *,
        method: Method = "ped-anova",
        quantile: float | None = None,
        draws: int | None = None,
        confidence: float = 0.95,
        seed: int = 0,
    ) -> pl.DataFrame:
        """Which parameters mattered? One row a parameter, the most important first.

        Columns: name, importance, low, high (bootstrap bounds over `draws` of the runs, by default 100, of forests 10;
        centered on the importance, because draws of runs overrate it, and 0 for what cannot be told from noise), share
        (they add up to 1), failure (the share in telling failed runs from the others, null if fewer than 5
        failed).

        "ped-anova": which tell the best `quantile` of the runs from all (by default a tenth, but ten runs at least, up
        to half of them; with fewer than some 30 runs it sees little but noise); the fastest, and at home with
        conditional parameters; says nothing of how bad the rest is. "fanova": how much of the variance over the whole
        space each explains by itself; needs runs all over the space. "permutation": how much worse a forest predicts
        runs it has not seen when a parameter is shuffled, in R²; blind to a parameter that another one stands in for.
        All need the extra `analysis`. Not to be read as cause and effect where the settings were not chosen
        independently of each other. Sources: Watanabe et al. 2023; Hutter et al. 2014; Breiman 2001.

        >>> example().sweep(metric="acc", goal="max").importance(draws=0).select("name", "share").rows()
        [('config.lr', 1.0)]
        """
        times = draws if draws is not None else 100 if method == "ped-anova" else 10
        return importance.importance(
            self.settings, self.losses, failed=self._failed, method=method, quantile=quantile, draws=times,
            confidence=confidence, seed=seed,
        )  # fmt: skip

    def marginal(self, parameter: str, *, points: int = 20, confidence: float = 0.95, seed: int = 0) -> pl.DataFrame:
        """How does the value change with this parameter? One row a value (or a stretch of values) of it.

        Columns: value, low_edge, high_edge (or choice), n, n_failed, mean, low, high (the bootstrap interval of the
        mean), best, and adjusted: the mean with the other parameters evened out. `mean` is over the runs as they are:
        where a sampler went where it was good, it mixes this parameter with the others, and `adjusted` takes out what
        they add, each by itself (`marginals.evened_out`). A number with more than `points` values is cut into
        stretches of as many runs. Not to be used to choose a value by `best`, which is higher the more runs there are;
        intervals of fewer than 10 runs are too narrow. Sources: the bootstrap, Efron 1979; adjusted means, Searle,
        Speed and Milliken 1980.

        >>> example().sweep(metric="acc", goal="max").marginal("lr").select("value", "n", "best").rows()
        [(0.01, 1, 0.6), (0.1, 1, 0.9)]
        """
        along = self.parameter(parameter)
        others = [p for p in self.settings if p.name != along.name]
        return marginals.marginal(
            along, self.runs, self.objective, others=others, points=points, confidence=confidence, seed=seed
        )

    def interactions(self, *, among: int = 8, seed: int = 0) -> pl.DataFrame:
        """Which parameters matter only together? One row a pair: first, second, share; the largest first.

        The share of the variance over the whole space that two parameters explain beyond what each does alone (fANOVA),
        for the pairs of the `among` most important. Not to be used with few runs: a forest of 50 runs sees
        interactions everywhere. Needs the extra `analysis`. Source: Hutter et al. 2014.

        >>> example().sweep(metric="acc", goal="max").interactions().height
        0
        """
        return marginals.interactions(self._fit(arguments.whole("seed", seed, least=0)), among=among)

    def pareto(
        self, metrics: Mapping[str, str] | Sequence[str], *, fronts: int | None = 1, others: bool = False
    ) -> pl.DataFrame:
        """Which trade-offs between several metrics are left? The runs that no other run beats in all of them.

        `metrics` maps each to its goal ({"val/acc": "max", "params": "min"}), or lists those whose goal is defined;
        each may be anything that `lake.sweep` takes. Columns: run_id, parameters, the metrics, front (1 is the best;
        `fronts` how many, None: all; with `others` the runs behind follow, their front null). Ties are kept; runs that
        failed or lack one of the numbers are left out. Not to be used to call a run better where seeds make the
        difference: of many equal runs the lucky ones are in front.

        >>> example().sweep(metric="acc", goal="max").pareto({"acc": "max", "loss": "min"})["run_id"].to_list()
        ['fast']
        """
        goals = objectives.goals_of(metrics)
        own_goal = {self.objective.name: self.objective.goal}
        table = self.series.table
        wanted = [objectives.resolve(table, name, goal=goal or own_goal.get(name)) for name, goal in goals.items()]
        rows = objectives.read(table, wanted, columns=[], runs=self.runs, where=None)
        values = [rows[f"objective_{i}"].alias(name) for i, name in enumerate(goals)]
        costs = [-t.sign * v.fill_null(np.nan).to_numpy() for t, v in zip(wanted, values, strict=True)]
        complete = np.where(self._failed[:, None], np.nan, np.stack(costs, axis=1))
        most = None if fronts is None else arguments.whole("fronts", fronts, least=1)
        ranks = pl.Series("front", pareto.ranks(complete, fronts=most))
        ranked = self.runs.select("run_id", *self._columns).with_columns(values)
        ranked = ranked.with_columns(ranks.set(ranks == 0, None)).filter(pl.Series(~np.isnan(complete).any(axis=1)))
        selected = ranked if others else ranked.drop_nulls("front")
        return selected.sort("front", nulls_last=True, maintain_order=True)

    def parallel(self) -> Parallel:
        """Return the data of a parallel-coordinates plot: each run's place on each axis from 0 to 1, and the axes.

        Not to be used to weigh parameters: what lies side by side seems to belong together; see `importance`. Source:
        Inselberg 1985, "The plane with parallel coordinates".

        >>> example().sweep(metric="acc", goal="max").parallel().lines.select("config.lr", "value").rows()
        [(0.0, 0.0), (1.0, 1.0)]
        """
        return marginals.parallel(self.settings, self.runs, self.objective)

    def rank_stability(
        self, *, top: int = 5, noise: float | None = None, draws: int = 2000, confidence: float = 0.95, seed: int = 0
    ) -> pl.DataFrame:
        """Would the same settings win with other seeds? One row a setting, the best first.

        Columns: the parameters, n (runs), mean, rank, rank_low, rank_high (its ranks over `draws` of the runs within
        each setting), p_best and p_top (how often it was first, and among the `top` first). A setting of one run gets
        the noise of those that were repeated, or `noise`, the standard deviation between seeds. Not to be used with two
        or three seeds a setting as more than a hint: two that happen to agree look surer than they are. Needs the extra
        `analysis`. Source: the bootstrap of rankings, Hall and Miller 2009.

        >>> example().sweep(metric="acc", goal="max").rank_stability(noise=0.01)["p_best"].to_list()
        [1.0, 0.0]
        """
        keys, groups = self._repeats()
        ranks = winners_curse.rank_stability(
            groups, top=top, noise=noise, draws=draws, confidence=confidence, seed=seed
        )
        means = [-self.objective.sign * float(g.mean()) for g in groups]
        places = {"rank": ranks.rank, "rank_low": ranks.low, "rank_high": ranks.high}
        shares = {"p_best": ranks.p_best, "p_top": ranks.p_top}
        measured = pl.DataFrame({"n": [len(g) for g in groups], "mean": means, **places, **shares})
        return measured.hstack(keys).select(*keys.columns, *measured.columns).sort("rank", maintain_order=True)

    def luck(self, *, noise: float | None = None) -> WinnersCurse:
        """How much of the best is luck? What the best of many would do with new seeds (the winner's curse).

        Each setting's mean is drawn towards the mean of all, the more the less it stands out from the noise between
        seeds (empirical Bayes). The noise is told from settings that were repeated, or given as `noise`. Not to be used
        where settings are of very different kinds. Needs the extra `analysis`. Source: Efron and Morris 1975.

        >>> print(example().sweep(metric="acc", goal="max").luck(noise=0.1))
        The best of 2 settings by acc is lr=0.1: 0.9000, the mean of 1 run.
        Of that 0.0333 is luck: with new seeds expect 0.8667.
        If all settings were equally good, the best would still look 0.0564 better than
          the mean.
        """
        keys, groups = self._repeats()
        return winners_curse.of_the_best(keys, groups, self.objective, noise)

    def replay(
        self, early_stopping: Rule | Sequence[Rule], *, metric: str | None = None, x: str | None = None
    ) -> Replay:
        """What would early stopping have saved, and cost? One row a rule, on the curves that were logged.

        The runs are taken one after the other, in the order in which they started, and each rule decides at each
        report as the same rule of optuna does; "asha", "hyperband" and "median" have its defaults, and
        `SuccessiveHalving(min_resource=5)` and the others of `tracklake.analysis.stats.early_stopping` say more.
        `metric` is what was reported, by default that of the sweep. Saved is the share of the steps (of `x`) that
        would not have been run; regret is how much worse the best of the runs that were left is. Not to be used on
        runs that were themselves stopped early: what was not logged cannot be replayed. Sources: Golovin et al. 2017
        (median), Li et al. 2020 (ASHA), Li et al. 2018 (hyperband).

        >>> found = example().sweep(metric="acc", goal="max").replay("median")
        >>> found.table.select("rule", "saved", "regret").rows()
        [('median', 0.0, 0.0)]
        """
        rules: Sequence[Any] = early_stopping if isinstance(early_stopping, list | tuple) else [early_stopping]
        return early_stopping_replay.replay(self.series, self.objective, self.runs, rules, metric=metric, x=x)

    def _fit(self, seed: int) -> Fit | None:
        """Return the forest of all runs, fitted once."""
        if seed not in self._fits:
            self._fits[seed] = importance.fit(self.settings, self.losses, seed=seed)
        return self._fits[seed]

    def _repeats(self) -> tuple[pl.DataFrame, list[Floats]]:
        """Return the settings, and the losses of the runs of each; a seed that was run again is one, averaged."""
        judged = self.runs.with_columns(pl.Series("loss", self.losses)).filter(pl.col("value").is_not_null())
        if judged.is_empty():
            raise DefinitionError(f"no run of the sweep has a value of {self.objective.name}")
        numbered = judged.with_columns(grouped_runs.numbers(judged, self._columns).alias("setting_no"))
        units = grouped_runs.units_of(numbered, self.series.table, by="setting_no", repeats=self.seeds)
        numbered = numbered.with_columns(pl.col("loss").mean().over(units)).filter(units.is_first_distinct())
        parts = numbered.sort("setting_no", maintain_order=True).partition_by("setting_no", maintain_order=True)
        keys = pl.concat([part.head(1) for part in parts]).select(self._columns)
        return keys, [part["loss"].to_numpy() for part in parts]

    @property
    def _columns(self) -> list[str]:
        """The columns of the parameters, with those that tell their exact values."""
        names = {part for p in self.settings for part in group_keys.parts_of(p.name)}
        return [c for c in self.runs.columns if c in names]

    def __len__(self) -> int:
        """Return how many runs there are."""
        return self.runs.height

    def _sheet(self) -> Sheet:
        return _sheet(self)


def sweep(
    series: SeriesTable,
    objective: Objective,
    *,
    params: str | Sequence[str] | None,
    runs: Runs,
    where: Where,
    counting: Counting,
) -> Sweep:
    """Read the runs and find what varies over them; see `Lake.sweep`.

    >>> series = example()._view.series
    >>> acc = objectives.resolve(series.table, "acc", goal="max")
    >>> len(sweep(series, acc, params=None, runs="fast", where=None, counting=objectives.Counting()))
    1
    """
    table = series.table
    ids = table.select(runs=runs, where=where, wanted=["run_id"])["run_id"]
    columns = (
        grouping.resolve(table, "config", ids).columns
        if params is None
        else grouping.columns_of(table, params, argument="params")
    )
    rows = objectives.judged(table, objective, columns=columns, run_ids=ids, counting=counting)
    rows = rows.with_columns(pl.when("used").then("value").alias("value"))
    rows = grouping.with_exact(table, rows, columns)
    varied = parameters.varied(rows, columns, grouping.words(table, rows["run_id"], columns))
    seeds = [p.name for p in varied if params is None and parameters.is_seed(p.name)]
    names = [c for p in varied for c in group_keys.parts_of(p.name) if c in rows.columns]
    selected = rows.select(list(dict.fromkeys(("run_id", "state", *names, *_JUDGED))))
    return Sweep(series, objective, selected, [p for p in varied if p.name not in seeds], seeds, counting)


def _sheet(of: Sweep) -> Sheet:
    rows: list[dict[str, Any]] = of.parameters.to_dicts()
    better = "higher" if of.objective.goal == "max" else "lower"
    varies = f"{len(rows)} parameter varies" if len(rows) == 1 else f"{len(rows)} parameters vary"
    columns = parameters.shown(rows)
    best = [f"the best is {numbers.number(value, 4)}" for value in of.best()["value"].head(1)]
    pooled = pooling.pooled(of.series.table, of.runs["run_id"])
    notes = (*best, *pooled, *objectives.divergence(of.runs, of.objective, of.counting))
    diverged = f", {of.runs['diverged'].sum():,} diverged" if of.runs["diverged"].any() else ""
    counts = f"{len(of):,} runs, {of.runs['failed'].sum():,} failed{diverged}"
    title = f"{of.objective.name} ({better} is better): {counts}, {varies}"
    return Sheet(title, [c for c in columns if any(c.cells)] or columns[:1], notes=notes, whole=".parameters")
