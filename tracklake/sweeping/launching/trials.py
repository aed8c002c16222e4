"""The trials of a sweep as the lake has them, and the claim of the next one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal, NamedTuple

from tracklake.errors import RunNotFoundError
from tracklake.storage.journal import host
from tracklake.sweeping import bayes, search
from tracklake.sweeping.launching.observations import Observations
from tracklake.sweeping.records import Claim
from tracklake.tracking.run_conveniences import PREEMPTING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracklake.lake.lake import Lake
    from tracklake.sweeping.bayes import Observation
    from tracklake.sweeping.config import Metric, SweepConfig
    from tracklake.sweeping.records import Outcome, SweepRecords
    from tracklake.sweeping.space import Point

MOST_ATTEMPTS = 5
"""How often a trial is begun that is killed again and again."""

Standing = Literal["running", "finished", "failed", "stopped", "interrupted"]


class StandingTrial(NamedTuple):
    """The newest claim of a trial, and where it stands; interrupted means that it is to be tried again."""

    claim: Claim
    standing: Standing
    keeps_history: bool
    """Whether its next attempt goes on where it was, since it was preempted rather than killed."""


class Trials:
    """What one agent knows of a sweep; each look asks the lake."""

    def __init__(self, lake: Lake, records: SweepRecords) -> None:
        self.lake = lake
        self.records = records
        self._observations = Observations(lake, records)
        self._keys: dict[int, str] = {}
        """What is equal for equal points, by the number of the trial."""
        self._search: bayes.BayesSearch | None = None

    def look(self) -> list[StandingTrial]:
        """Return the trials by number.

        >>> from tracklake.sweeping.launching.create import open_sweep, sweep
        >>> lake = example()
        >>> records = open_sweep(sweep({"parameters": {"lr": {"value": 1}}}, dir=lake.dir), lake.dir)
        >>> Trials(lake, records).look()
        []
        """
        claims, outcomes = self.records.refresh().claims(), self.records.outcomes()
        unended = [claim for claim in claims if (claim.number, claim.attempt) not in outcomes]
        agents = self.records.agents() if unended else {}
        orphans = {claim.number for claim in unended if not self.records.lives(claim, agents)}
        states = self._states([self.records.run_id(number) for number in orphans])
        trials = []
        for claim in claims:
            outcome = outcomes.get((claim.number, claim.attempt))
            is_orphan = claim.number in orphans
            standing = _of_state(states.get(claim.run_id)) if is_orphan else _of_outcome(outcome)
            trials.append(StandingTrial(claim, standing, outcome == "preempted"))
        return trials

    def claim_next(self, agent: str, config: SweepConfig) -> tuple[Claim, bool] | None:
        """Take the next trial for an agent and tell whether it keeps its history; None if there is none to take.

        One that was interrupted comes first. Raises SweepError as `BayesSearch`.

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
                keeps_history = again.keeps_history or self.is_preempting(claim.run_id)
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
        return not open_trials and not self._has_more(trials, config)

    def _has_more(self, trials: list[StandingTrial], config: SweepConfig) -> bool:
        """Tell whether there is a point that was not tried, and the cap is not reached."""
        if config.run_cap is not None and len(trials) >= config.run_cap:
            return False
        tried = self._tried(trials, config)
        if config.method == "grid":
            return search.next_grid_point(config.parameters, tried, size=config.size or 0) is not None
        return config.size is None or len(tried) < config.size

    def _propose(self, trials: list[StandingTrial], config: SweepConfig) -> Point | None:
        """Return the point to try next; None if none is left, or the cap is reached."""
        if not self._has_more(trials, config):
            return None
        self._tell_missing(trials, config)
        tried = self._tried(trials, config)
        if config.method == "grid":
            return search.next_grid_point(config.parameters, tried, size=config.size or 0)
        seed = f"{self.records.id}:{len(trials)}"
        if config.method == "bayes":
            point = self._search_of(config, trials).next_point(seed=seed)
            if search.key_of(point) not in tried:
                return point
        return search.next_draw(config.parameters, tried, seed=seed, size=config.size)

    def _tried(self, trials: list[StandingTrial], config: SweepConfig) -> set[str]:
        """Return the keys of the points that were claimed, and of those of a grid that warm-start runs tell."""
        for trial in trials:
            if trial.claim.number not in self._keys:
                self._keys[trial.claim.number] = search.key_of(trial.claim.point)
        tried = set(self._keys.values())
        return tried | self._observations.warm_points(config) if config.method == "grid" else tried

    def _search_of(self, config: SweepConfig, trials: list[StandingTrial]) -> bayes.BayesSearch:
        """Return the search of this agent, which knows all that the lake says."""
        if self._search is None or self._search.parameters is not config.parameters:
            self._search = bayes.BayesSearch(config.parameters)
        self._search.observe(self._observe(trials, config))
        return self._search

    def _observe(self, trials: list[StandingTrial], config: SweepConfig) -> dict[str, Observation]:
        """Return what is known of trials and warm-start runs by run id."""
        runs = _by_standing(trials)
        points = {trial.claim.run_id: trial.claim.point for trial in trials}
        ended = runs["finished"] + runs["stopped"]
        return self._observations.of(config, ended=ended, failed=runs["failed"], running=runs["running"], points=points)

    def _tell_missing(self, trials: list[StandingTrial], config: SweepConfig) -> None:
        """Warn if the first trials log no such metric, whatever the method: it may be what they are stopped by."""
        if config.metric is not None:
            runs = _by_standing(trials)
            self._observations.tell_missing(runs["finished"] + runs["stopped"], config.metric)

    def _reached_target(self, trials: list[StandingTrial], metric: Metric | None) -> bool:
        if metric is None or metric.target is None:
            return False
        target = metric.target if metric.goal == "minimize" else -metric.target
        runs = _by_standing(trials)
        return any(v <= target for v in self._observations.numbers(runs["finished"] + runs["stopped"], metric).values())

    def is_preempting(self, run_id: str) -> bool:
        """Tell whether a run noted itself that it is to be taken up again: it had SIGTERM, or was told to say so.

        >>> from tracklake.sweeping.launching.create import open_sweep, sweep
        >>> lake = example()
        >>> records = open_sweep(sweep({"parameters": {"lr": {"value": 1}}}, dir=lake.dir), lake.dir)
        >>> Trials(lake, records).is_preempting("slow")
        False
        """
        try:
            return bool(self.lake.run(run_id).metadata.get(PREEMPTING))
        except RunNotFoundError:  # it died before it began
            return False

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


def _by_standing(trials: Iterable[StandingTrial]) -> dict[Standing, list[str]]:
    """Return the run ids of trials by where they stand; one that was killed too often has failed."""
    runs: dict[Standing, list[str]] = {"running": [], "finished": [], "failed": [], "stopped": [], "interrupted": []}
    for trial in trials:
        given_up = trial.standing == "interrupted" and not _is_due(trial)
        runs["failed" if given_up else trial.standing].append(trial.claim.run_id)
    return runs
