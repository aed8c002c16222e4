"""What a lake answers beyond tables: comparisons, budgets, sweeps. The statistics themselves stand in modules below."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any, Protocol

from tracklake import comparison, outcomes, targets
from tracklake.differences import Settings
from tracklake.errors import TracklakeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from tracklake.comparison import Comparison
    from tracklake.outcomes import Failed, Unit
    from tracklake.resampling import Center
    from tracklake.run_table import Runs, RunTable, Where
    from tracklake.series import SeriesTable
    from tracklake.significance import Kind

    Metric = str | tuple[str, str] | pl.Expr


class View(Protocol):
    """What is read: tables over one snapshot."""

    @property
    def runs(self) -> RunTable:
        """The table of runs."""
        ...

    @property
    def series(self) -> SeriesTable:
        """The histories."""
        ...


class Analysis:
    """The questions that need statistics; a part of `Lake`."""

    @property
    def _view(self) -> View:
        raise NotImplementedError

    def compare(
        self,
        metric: Metric,
        *,
        by: str | Sequence[str],
        over: str | Sequence[str] | None = None,
        task: str | Sequence[str] | None = None,
        goal: str | None = None,
        runs: Runs = None,
        where: Where = None,
        stat: str | None = None,
        baseline: Any = None,
        center: Center = "mean",
        unit: Unit = "run",
        test: Kind = "auto",
        failed: Failed = "exclude",
        confidence: float = 0.95,
        draws: int = 10_000,
        seed: int = 0,
    ) -> Comparison:
        """Which settings are better, and is it more than the luck of seeds? One row a group, the best first.

        `by` names the columns that make the groups ("lr", "config.lr", "group"), or "config - seed" for all of config
        but the seed. `over` names what varies inside a group, such as the seed, and by which runs of two groups match;
        by default what `by` took out, else config.seed. Those of it that do not count repeats (seed, fold, split...)
        are tasks, such as data sets; `task` says so outright. Null is a group; keys are exact.

        The number of a run is `stat` of the metric: "best" (by default; also the metric's own "val/acc.max"), "last",
        "mean", "p95"...; the metric may also be a column of the runs, or a polars expression over them. A run that
        failed (`failed="include"` keeps it) or has no finite number counts as n_failed.

        `center` ("mean", "median" or "iqm") is what groups are sorted by, and what intervals and differences are of.
        With tasks each counts the same, and runs are drawn within tasks; `unit="task"` averages a group's runs on a
        task and draws and pairs tasks instead, for a claim about tasks like these. `test` is "auto" (paired where runs
        match; ranks from 10 runs on), "t" or "rank". `baseline` has the keys of a group ({"lr": 0.1}, or 0.1); by
        default it is the best. The same seed gives the same numbers. Needs the extra `analysis`.

        >>> print(example().compare("acc", by="lr", goal="max"))
        acc (higher is better): 2 runs in 2 groups; baseline lr=0.1
          lr  n    mean    best  difference  P(better)  verdict
         0.1  1  0.9000  0.9000                         baseline
        0.01  1  0.6000  0.6000     -0.3000       0.00  too few runs
        - the baseline is the best of 2 groups, and being chosen flatters it; name the
          one you mean with baseline=
        - 1 group without a test: nothing to match runs by (over=), and a group of one
          run has no spread
        - 2 groups of fewer than 5 runs: too few for an interval (.table['warning'])
        """
        _need("scipy")
        table = self._view.runs
        target = targets.target(table, metric, stat=stat, goal=goal)
        found = outcomes.outcomes(
            table, target, by=by, over=over, task=task, runs=runs, where=where, failed=failed, unit=unit
        )
        settings = Settings(center=center, test=test, confidence=confidence, draws=draws, seed=seed)
        return comparison.compared(found, settings, baseline=baseline)


def _need(module: str) -> None:
    """Refuse with the way out where the optional extra is not installed."""
    if importlib.util.find_spec(module) is None:
        raise TracklakeError(f"this needs {module}, which is not installed: pip install 'tracklake[analysis]'")
