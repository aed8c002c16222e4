"""An agent: claims trials of a sweep and runs them, one after the other, until there are no more."""

from __future__ import annotations

import signal
import sys
import time
import traceback
from typing import TYPE_CHECKING, Any

from tracklake.common import arguments
from tracklake.errors import EarlyStopped, SweepError
from tracklake.lake.lake import Lake
from tracklake.sweeping import space
from tracklake.sweeping.launching import processes
from tracklake.sweeping.launching.create import open_sweep
from tracklake.sweeping.launching.liveness import living
from tracklake.sweeping.launching.trials import Trials
from tracklake.tracking import trial as current_trial
from tracklake.tracking.exit_status import TERMINATED, code_of
from tracklake.tracking.open_runs import open_runs
from tracklake.tracking.trial import Trial

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from tracklake.sweeping.config import SweepConfig
    from tracklake.sweeping.records import Claim, Outcome

MOST_FAILURES, SECONDS = 3, 60.0
"""So many trials in a row that fail within so many seconds each stop an agent."""
POLL_SECONDS = 2.0
"""How often a paused sweep is looked at."""


def agent(
    sweep_id: str,
    function: Callable[[], Any] | None = None,
    entity: str | None = None,
    project: str | None = None,
    count: int | None = None,
    forward_signals: bool = True,  # noqa: FBT001, FBT002 - as W&B
    *,
    dir: str | os.PathLike[str] | None = None,  # noqa: A002 - as in init
) -> None:
    """Run trials of a sweep: `function` in this process, else the sweep's command; at most `count` of them.

    The function calls `init` as ever: the run is the trial's, and its values are in the config, locked. Any number of
    agents on any machines share the lake; each claims a trial before it tries it. A trial whose process or agent died
    is tried again, by this agent or another, its earlier rows masked; one that was preempted (SIGTERM to the agent, or
    `run.mark_preempting()`, however it ended then but for success) is taken up where it was. An exception makes its run
    failed and the next one goes on; three failures in a row within a minute each raise SweepError. A paused sweep is
    waited for. `entity`, `project` and `forward_signals` mean nothing. Raises SweepError for a sweep that the lake does
    not have.

    >>> sweep_id = tl.sweep({"method": "random", "parameters": {"lr": {"min": 0.0, "max": 1.0}}}, project="walk")
    >>> def train():
    ...     with tl.init() as run:
    ...         run.log({"loss": run.config.lr**2})
    >>> agent(sweep_id, train, count=3)
    >>> tl.open().runs().height
    3
    """
    del entity, project, forward_signals
    if function is not None and not callable(function):
        raise arguments.refused("function", "a function without arguments", function)
    records = open_sweep(sweep_id, dir)
    with living(records) as name:
        _Agent(Trials(Lake(dir), records), name, function).run(count)


class _Agent:
    """One agent of one sweep."""

    def __init__(self, trials: Trials, name: str, function: Callable[[], Any] | None) -> None:
        self._trials = trials
        self._records = trials.records
        self._name = name
        self._function = function
        self._failures: list[str] = []
        """Of the trials that failed at once, in a row."""

    def run(self, count: int | None) -> None:
        """Run trials until there is none to claim."""
        done = 0
        while count is None or done < count:
            if not self._may_go_on():
                return
            config = self._records.config
            trial = self._trials.claim_next(self._name, config)
            if trial is None:
                break
            self._try(*trial, config)
            done += 1
        self._note_end()

    def _may_go_on(self) -> bool:
        """Wait while the sweep is paused; False once it is cancelled or finished."""
        is_over = self._note_end()  # it looks at the lake anew
        while (state := self._records.state) == "PAUSED":
            time.sleep(POLL_SECONDS)
            is_over = self._note_end()
        return state == "RUNNING" and not is_over

    def _note_end(self) -> bool:
        """Note that the sweep is finished if it is, and tell so."""
        over = self._trials.is_over(self._trials.look(), self._records.config)
        if over and self._records.state == "RUNNING":
            self._records.change("FINISHED")
        return over

    def _try(self, claim: Claim, keeps_history: bool, config: SweepConfig) -> None:  # noqa: FBT001 - of one caller
        """Run one trial and note how it ended."""
        trial = Trial(
            lake=str(self._records.storage.root),
            sweep_id=self._records.id,
            run_id=claim.run_id,
            project=config.project,
            config=space.nest(claim.point),
            resume=keeps_history,
            number=claim.number,
            attempt=claim.attempt,
        )
        start = time.monotonic()
        with processes.on_sigterm(lambda *_: self._preempt(claim)):
            try:
                outcome, error = self._outcome(trial, claim, config)
            except KeyboardInterrupt:
                self._records.end(claim, "killed")
                raise
        if outcome == "failed" and self._trials.is_preempting(claim.run_id):
            outcome = "preempted"  # as W&B: the machine was taken, whatever the training made of it
        self._records.end(claim, outcome, error=error)
        self._count_failure(error if outcome == "failed" else "", time.monotonic() - start)

    def _outcome(self, trial: Trial, claim: Claim, config: SweepConfig) -> tuple[Outcome, str]:
        if self._function is not None:
            return _call(self._function, trial)
        code = processes.run_trial(config, claim.point, trial)
        if code == 0:
            return "finished", ""
        if code in (-signal.SIGTERM, -signal.SIGKILL, processes.PREEMPTED, 128 + signal.SIGKILL):
            return "killed", f"exit code {code}"
        return "failed", f"exit code {code}"

    def _preempt(self, claim: Claim) -> None:
        """End the trial for another agent to take up, and this process as SIGTERM does."""
        run = open_runs.current
        if run is not None and run.id == claim.run_id:
            run.mark_preempting()
        self._records.end(claim, "preempted")
        if self._function is None:
            raise _Preempted
        open_runs.finish_all(TERMINATED)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTERM)

    def _count_failure(self, error: str, seconds: float) -> None:
        self._failures = [*self._failures, error] if error and seconds < SECONDS else []
        if len(self._failures) == MOST_FAILURES:
            raise SweepError(
                f"sweep {self._records.id}: {MOST_FAILURES} trials in a row failed at once, the agent stops; "
                f"the last one said: {error}"
            )


class _Preempted(SystemExit):
    """The agent is to end: it leaves the wait for its process, which is ended then."""

    def __init__(self) -> None:
        super().__init__(processes.PREEMPTED)


def _call(function: Callable[[], Any], trial: Trial) -> tuple[Outcome, str]:
    """Call the training function and return how it ended, and the error if it failed."""
    with current_trial.assign(trial):
        try:
            function()
        except EarlyStopped:
            _finish(trial, 0)
            return "stopped", ""
        except KeyboardInterrupt as interrupt:
            _finish(trial, code_of(interrupt))
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever training raises: the next trial goes on
            code = code_of(error)
            _finish(trial, code)
            if code == 0:
                return "finished", ""
            traceback.print_exc(file=sys.stderr)
            return "failed", f"{type(error).__name__}: {error}"
        _finish(trial, 0)
        return "finished", ""


def _finish(trial: Trial, code: int) -> None:
    """Finish the run of a trial if the function left it open."""
    run = open_runs.current
    if run is not None and run.id == trial.run_id:
        run.finish(exit_code=code)
