"""The trials of a sweep as the lake has them, and the claim of the next one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal, NamedTuple

from tracklake.analysis import objectives
from tracklake.common.warnings import warn_once
from tracklake.errors import DefinitionError, UnknownNameError
from tracklake.storage.journal import host
from tracklake.sweeping import bayes, search
from tracklake.sweeping.bayes import Observation
from tracklake.sweeping.records import Claim

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tracklake.lake.lake import Lake
    from tracklake.sweeping.config import Metric, SweepConfig
    from tracklake.sweeping.records import Outcome, SweepRecords
    from tracklake.sweeping.space import Point

MOST_ATTEMPTS = 5
"""How often a trial is begun that is killed again and again."""
FIRST_RUNS = 3
"""After so many finished trials without the metric, that is told."""

Standing = Literal["running", "finished", "failed", "stopped", "interrupted"]


class StandingTrial(NamedTuple):
    """The newest claim of a trial, and where it stands; interrupted means that it is to be tried again."""

    claim: Claim
    standing: Standing
    keeps_history: bool
    """Whether its next attempt goes on where it was, since it was preempted rather than killed."""


class Trials:
    """What one agent knows of a sweep; each look asks the lake, and values of ended trials are read once."""

    def __init__(self, lake: Lake, records: SweepRecords) -> None:
        self.lake = lake
        self.records = records
        self._values: dict[str, float | None] = {}
        """The numbers of runs whose trials have ended, less being better."""
        self._warm: list[Observation] | None = None

    def look(self) -> list[StandingTrial]:
        """Return the trials by number.

        >>> from tracklake.sweeping.launching.create import open_sweep, sweep
        >>> lake = example()
        >>> records = open_sweep(sweep({"parameters": {"lr": {"value": 1}}}, dir=lake.dir), lake.dir)
        >>> Trials(lake, records).look()
        []
        """
        claims, outcomes = self.records.claims(), self.records.outcomes()
        unended = [claim for claim in claims if (claim.number, claim.attempt) not in outcomes]
        agents = self.records.agents() if unended else {}
        orphans = [claim for claim in unended if not self.records.lives(claim, agents)]
        states = self._states([claim.run_id for claim in orphans])
        trials = []
        for claim in claims:
            outcome = outcomes.get((claim.number, claim.attempt))
            is_orphan = outcome is None and claim in orphans
            standing = _of_state(states.get(claim.run_id)) if is_orphan else _of_outcome(outcome)
            trials.append(StandingTrial(claim, standing, outcome == "preempted"))
        return trials

    def claim_next(self, agent: str, config: SweepConfig) -> tuple[Claim, bool] | None:
        """Take the next trial for an agent and tell whether it keeps its history; None if there is none to take.

        One that was interrupted comes first. Raises SweepError as `bayes.next_point`.

        >>> from tracklake.sweeping.launching.create import open_sweep, sweep
        >>> lake = example()
        >>> records = open_sweep(sweep({"parameters": {"lr": {"value": 1}}}, dir=lake.dir), lake.dir)
        >>> claim, keeps_history = Trials(lake, records).claim_next("agent", records.config)
        >>> claim.point, Trials(lake, records).claim_next("other", records.config) is None
        ({'lr': 1}, False)
        """
        while True:
            trials = self.look()
            again = next((t for t in trials if _is_due(t)), None)
            if again is not None:
                claim = again.claim._replace(attempt=again.claim.attempt + 1)
                keeps_history = again.keeps_history
            else:
                point = self._propose(trials, config)
                if point is None:
                    return None
                claim = Claim(len(trials), 0, point, self.records.run_id(len(trials)), agent, host.NODE, 0.0)
                keeps_history = False
            claim = claim._replace(agent=agent, node=host.NODE, time=time.time())
            if self.records.claim(claim):
                return claim, keeps_history

    def is_over(self, trials: list[StandingTrial], config: SweepConfig) -> bool:
        """Tell whether every trial of a sweep that takes no more has ended, or one has reached the target.

        >>> from tracklake.sweeping.launching.create import open_sweep, sweep
        >>> lake = example()
        >>> records = open_sweep(sweep({"parameters": {"lr": {"value": 1}}}, dir=lake.dir), lake.dir)
        >>> trials = Trials(lake, records)
        >>> trials.is_over(trials.look(), records.config)
        False
        """
        if self._reached_target(trials, config.metric):
            return True
        open_trials = [t for t in trials if t.standing == "running" or _is_due(t)]
        return not open_trials and self._propose(trials, config) is None

    def _propose(self, trials: list[StandingTrial], config: SweepConfig) -> Point | None:
        """Return the point to try next; None if none is left, or the cap is reached."""
        if config.run_cap is not None and len(trials) >= config.run_cap:
            return None
        tried = {search.key_of(trial.claim.point) for trial in trials}
        seed = f"{self.records.id}:{len(trials)}"
        if config.method == "grid":
            tried |= {search.key_of(o.point) for o in self._warm_start(config) if o.value is not None}
            return search.next_grid_point(config.parameters, tried, size=config.size or 0)
        if config.method == "random":
            return search.next_draw(config.parameters, tried, seed=seed, size=config.size)
        observations = self._observations(trials, config)
        point = bayes.next_point(config.parameters, observations, seed=seed)
        if search.key_of(point) not in tried:
            return point
        return search.next_draw(config.parameters, tried, seed=seed, size=config.size)

    def _observations(self, trials: list[StandingTrial], config: SweepConfig) -> list[Observation]:
        """Return what a sampler is to know: trials with a number, those that run, and warm-start runs."""
        values = self._numbers(trials, config.metric)
        known = [
            Observation(t.claim.point, values.get(t.claim.run_id))
            for t in trials
            if t.standing == "running" or values.get(t.claim.run_id) is not None
        ]
        return [*(o for o in self._warm_start(config) if o.value is not None), *known]

    def _numbers(self, trials: list[StandingTrial], metric: Metric | None) -> Mapping[str, float | None]:
        """Return the number of each trial that has ended, less being better."""
        if metric is None:
            return {}
        ended = [t.claim.run_id for t in trials if t.standing in ("finished", "stopped")]
        fresh = [run_id for run_id in ended if run_id not in self._values]
        if fresh:
            self._values |= dict.fromkeys(fresh) | self._read(fresh, metric)
            self._tell_missing(ended, metric)
        return self._values

    def _read(self, run_ids: list[str], metric: Metric) -> dict[str, float | None]:
        """Return the numbers of runs as `lake.sweep` judges them, less being better; of those that have one."""
        table = self.lake._view.runs  # noqa: SLF001 - one face of the lake to another
        there = set(table.summaries.runs["run_id"])
        goal = "max" if metric.goal == "maximize" else "min"
        try:
            objective = objectives.resolve(table, metric.name, goal=goal)
            rows = table.select(runs=[r for r in run_ids if r in there], wanted=["run_id", *objective.needs])
            numbers = objective.of(table, rows)
        except (UnknownNameError, DefinitionError):
            return {}
        return {r: None if v is None else -objective.sign * v for r, v in zip(rows["run_id"], numbers, strict=True)}

    def _reached_target(self, trials: list[StandingTrial], metric: Metric | None) -> bool:
        if metric is None or metric.target is None:
            return False
        target = metric.target if metric.goal == "minimize" else -metric.target
        return any(v is not None and v <= target for v in self._numbers(trials, metric).values())

    def _tell_missing(self, ended: list[str], metric: Metric) -> None:
        """Warn after the first trials if none of them has the metric."""
        if len(ended) < FIRST_RUNS or any(self._values.get(run_id) is not None for run_id in ended):
            return
        nearest = UnknownNameError.nearest("metric", metric.name, self.lake.metrics)
        warn_once(
            f"sweep {self.records.id}",
            f"tracklake: none of the first {len(ended)} trials of sweep {self.records.id} has a number of "
            f"{metric.name!r}, so they tell nothing apart: {nearest}",
        )

    def _warm_start(self, config: SweepConfig) -> list[Observation]:
        if self._warm is None:
            ids = self.records.warm_start
            numbers = self._read(ids, config.metric) if ids and config.metric else {}
            configs = self.lake._view.runs.config.nested(ids) if ids else {}  # noqa: SLF001 - as above
            names = [parameter.name for parameter in config.parameters]
            self._warm = [Observation(_point(configs[r], names), numbers.get(r)) for r in ids]
        return self._warm

    def _states(self, run_ids: Iterable[str]) -> dict[str, str]:
        wanted = set(run_ids)
        if not wanted:
            return {}
        states = self.lake.runs(columns=["run_id", "state"])
        return {run_id: state for run_id, state in states.rows() if run_id in wanted}


def _of_state(state: str | None) -> Standing:
    """Return where a trial stands whose agent died, by the state of its run."""
    if state in ("finished", "failed", "running"):  # its process may have outlived the agent
        return state  # type: ignore[return-value] # one of the three
    return "interrupted"


def _of_outcome(outcome: Outcome | None) -> Standing:
    """Return where a trial stands by how it ended; None for one whose agent lives."""
    if outcome is None:
        return "running"
    if outcome == "killed" or outcome == "preempted":  # noqa: PLR1714 - so the type checker can tell the others
        return "interrupted"
    return outcome


def _is_due(trial: StandingTrial) -> bool:
    return trial.standing == "interrupted" and trial.claim.attempt + 1 < MOST_ATTEMPTS


def _point(config: Mapping[str, object], names: Iterable[str]) -> Point:
    """Return the values of parameters that a config has."""
    point: Point = {}
    for name in names:
        value: object = config
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        point[name] = value
    return point
