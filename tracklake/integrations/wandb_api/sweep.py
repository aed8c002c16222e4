"""A launched sweep by W&B's public API."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

from tracklake.analysis import objectives
from tracklake.integrations.wandb_api.page import Page
from tracklake.integrations.wandb_api.run import ENTITY, ApiRun

if TYPE_CHECKING:
    from tracklake.lake.lake import Lake
    from tracklake.sweeping.records import SweepRecords


class ApiSweep:
    """A sweep by W&B's names: config, state, runs (the oldest first), best_run(); and pause, resume and cancel.

    >>> sweep_id = tl.sweep({"method": "grid", "metric": {"name": "loss"}, "parameters": {"lr": {"values": [2, 1]}}})
    >>> tl.agent(sweep_id, lambda: tl.init().log({"loss": tl.config.lr}))
    >>> sweep = tl.Api().sweep(sweep_id)
    >>> sweep.state, [run.config["lr"] for run in sweep.runs], sweep.best_run().config["lr"]
    ('FINISHED', [2, 1], 1)
    """

    entity = username = ENTITY

    def __init__(self, lake: Lake, path: str) -> None:
        self._lake = lake
        self._opened = lake._sweep_records(path)  # noqa: SLF001 - the Api is another face of the lake

    @property
    def _records(self) -> SweepRecords:
        """The records as they are now."""
        return self._opened.refresh()

    @property
    def id(self) -> str:
        """Its id.

        >>> sweep_id = tl.sweep({"parameters": {"lr": {"value": 1}}})
        >>> tl.Api().sweep(sweep_id).id == sweep_id
        True
        """
        return self._records.id

    @property
    def config(self) -> dict[str, Any]:
        """Its config, with the method that was chosen.

        >>> sweep_id = tl.sweep({"parameters": {"lr": {"value": 1}}})
        >>> tl.Api().sweep(sweep_id).config["method"]
        'grid'
        """
        return self._records.config.to_json()

    @property
    def name(self) -> str:
        """Its name; the id if it has none.

        >>> sweep_id = tl.sweep({"name": "lr", "parameters": {"lr": {"value": 1}}})
        >>> tl.Api().sweep(sweep_id).name
        'lr'
        """
        return str(self.config.get("name") or self.id)

    @property
    def project(self) -> str:
        """The project of its runs.

        >>> sweep_id = tl.sweep({"parameters": {"lr": {"value": 1}}}, project="walk")
        >>> tl.Api().sweep(sweep_id).project
        'walk'
        """
        return self._records.config.project

    @property
    def path(self) -> list[str]:
        """[entity, project, id].

        >>> sweep_id = tl.sweep({"parameters": {"lr": {"value": 1}}}, project="walk")
        >>> tl.Api().sweep(sweep_id).path[:2]
        ['local', 'walk']
        """
        return [self.entity, self.project, self.id]

    @property
    def url(self) -> str:
        """Where it lies.

        >>> sweep_id = tl.sweep({"parameters": {"lr": {"value": 1}}})
        >>> tl.Api().sweep(sweep_id).url.split("#")[1] == sweep_id
        True
        """
        return f"{self._records.storage.uri()}#{self.id}"

    def load(self, force: bool = False) -> dict[str, Any]:  # noqa: ARG002 - W&B's signature
        """Return what it is; each of its attributes asks the lake anew all the same.

        >>> sweep_id = tl.sweep({"parameters": {"lr": {"value": 1}}})
        >>> tl.Api().sweep(sweep_id).load()["state"]
        'RUNNING'
        """
        return {"id": self.id, "name": self.name, "state": self.state, "config": self.config}

    def to_html(self, *_: object, **__: object) -> str:
        """Return a link to where it lies, as HTML.

        >>> sweep_id = tl.sweep({"name": "<lr>", "parameters": {"lr": {"value": 1}}})
        >>> tl.Api().sweep(sweep_id).to_html()[-19:]
        '>&lt;lr&gt;</a></p>'
        """
        return f'<p>sweep <a href="{html.escape(self.url)}">{html.escape(self.name)}</a></p>'

    @property
    def state(self) -> str:
        """RUNNING, PAUSED, CANCELED or FINISHED.

        >>> sweep_id = tl.sweep({"parameters": {"lr": {"value": 1}}})
        >>> tl.Api().sweep(sweep_id).state
        'RUNNING'
        """
        return self._records.state

    def pause(self) -> None:
        """Let agents wait after their trials, as `tracklake sweep pause`.

        >>> sweep_id = tl.sweep({"parameters": {"lr": {"value": 1}}})
        >>> sweep = tl.Api().sweep(sweep_id)
        >>> sweep.pause()
        >>> sweep.state
        'PAUSED'
        """
        self._records.change("PAUSED")

    def resume(self, *, run_cap: int | None = None) -> None:
        """Let trials begin again, also where it was finished, with another cap if need be. Raises SweepError.

        >>> sweep_id = tl.sweep({"method": "random", "parameters": {"lr": {"min": 0.0, "max": 1.0}}})
        >>> sweep = tl.Api().sweep(sweep_id)
        >>> sweep.pause()
        >>> sweep.resume(run_cap=1)
        >>> tl.agent(sweep.id, lambda: tl.init().finish())
        >>> sweep.state, len(sweep.runs)
        ('FINISHED', 1)
        """
        self._records.change("RUNNING", **({} if run_cap is None else {"run_cap": run_cap}))

    def cancel(self) -> None:
        """Let agents end after their trials, as `tracklake sweep cancel`.

        >>> sweep_id = tl.sweep({"parameters": {"lr": {"value": 1}}})
        >>> sweep = tl.Api().sweep(sweep_id)
        >>> sweep.cancel()
        >>> tl.agent(sweep.id, lambda: tl.init().finish())
        >>> sweep.state, sweep.runs
        ('CANCELED', [])
        """
        self._records.change("CANCELED")

    @property
    def expected_run_count(self) -> int | None:
        """How many runs there will be: run_cap, or the points of a grid; None if there is no end.

        >>> sweep_id = tl.sweep({"parameters": {"lr": {"values": [1, 2]}}})
        >>> tl.Api().sweep(sweep_id).expected_run_count
        2
        """
        config = self._records.config
        size = config.size if config.method == "grid" else None
        return min((n for n in (config.run_cap, size) if n is not None), default=None)

    @property
    def order(self) -> str | None:
        """The order in which the first run is the best; None without a metric.

        >>> config = {"metric": {"name": "acc", "goal": "maximize"}, "parameters": {"lr": {"value": 1}}}
        >>> sweep_id = tl.sweep(config)
        >>> tl.Api().sweep(sweep_id).order
        '-summary_metrics.acc'
        """
        metric = self._records.config.metric
        return None if metric is None else f"{'-' if metric.goal == 'maximize' else '+'}summary_metrics.{metric.name}"

    @property
    def runs(self) -> list[ApiRun]:
        """Its runs, the oldest first.

        >>> sweep_id = tl.sweep({"parameters": {"lr": {"value": 1}}})
        >>> tl.Api().sweep(sweep_id).runs
        []
        """
        ids = self._there()
        page = Page(self._lake, ids)
        return [ApiRun(run_id, page) for run_id in ids]

    def best_run(self, order: str | None = None) -> ApiRun | None:
        """Return the best run by its metric, as `lake.sweep` judges, or by an order; None if no run has a number.

        >>> sweep_id = tl.sweep({"parameters": {"lr": {"value": 1}}})
        >>> tl.Api().sweep(sweep_id).best_run()
        """
        metric = self._records.config.metric
        ids = self._there()
        if not ids or (metric is None and order is None):
            return None
        if order is not None or metric is None:
            name = (order or "").lstrip("+-").removeprefix("summary_metrics.")
            goal = "max" if (order or "").startswith("-") else "min"
        else:
            name, goal = metric.name, metric.goal
        table = self._lake._view.runs  # noqa: SLF001 - as above
        objective = objectives.resolve(table, name, goal=goal)
        rows = table.select(runs=ids, wanted=["run_id", *objective.needs])
        numbers = objective.of(table, rows) * objective.sign
        best = numbers.arg_max()
        return None if best is None else ApiRun(rows["run_id"][best], Page(self._lake, [rows["run_id"][best]]))

    def __repr__(self) -> str:
        return f"<ApiSweep {'/'.join(self.path)} ({self.state})>"

    def _there(self) -> list[str]:
        """Return the ids of its runs that have begun."""
        begun = set(self._lake.runs(columns=["run_id"])["run_id"])
        return [run_id for run_id in self._records.run_ids() if run_id in begun]
