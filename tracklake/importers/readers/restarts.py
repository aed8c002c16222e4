"""Steps that fall within a run of a table: a training that was started anew, or rows in no order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracklake.common.lazy_numpy import np
from tracklake.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracklake.importers.readers.records import Restart

    Ints = np.ndarray[Any, np.dtype[np.int64]]

_BEFORE_ALL = -(2**63)


class Restarts:
    """Follows the steps of the runs of a table, batch by batch, and says what a falling one means.

    With "new-run" what follows is a run of its own, numbered behind the others of its run; with "continue" steps go on;
    "last-wins" leaves them. With None it is an error. `describe` names a run, by its number, in that error.

    >>> restarts = Restarts("continue", describe=str)
    >>> [values.tolist() for values in restarts.resolved(np.array([0, 0, 0, 1]), np.array([0, 1, 0, 0]))]
    [[0, 1, 2, 0], [0, 0, 0, 0]]
    >>> restarts.resolved(np.array([1, 0]), np.array([0, 0]))[0].tolist()
    [0, 2]
    """

    def __init__(self, restart: Restart | None, *, describe: Callable[[int], str]) -> None:
        self._restart = restart
        self._describe = describe
        self._n_rows = 0
        self._last: Ints = np.empty(0, dtype=np.int64)
        self._level: Ints = np.empty(0, dtype=np.int64)

    @property
    def counts(self) -> Ints:
        """Of each run how often it began anew so far, where each time is a run of its own.

        >>> Restarts("new-run", describe=str).counts.tolist()
        []
        """
        return self._level if self._restart == "new-run" else np.zeros(len(self._level), dtype=np.int64)

    def resolved(self, run: Ints, step: Ints) -> tuple[Ints, Ints]:
        """Return the step of each row of a batch, and how often its run had begun before.

        Raises SourceError, which names the first row whose step falls, where nobody says what that means.

        >>> rows = np.array([0, 0, 1]), np.array([1, 0, 0])
        >>> [values.tolist() for values in Restarts("new-run", describe=str).resolved(*rows)]
        [[1, 0, 0], [0, 1, 0]]
        """
        self._grow(int(run.max()) + 1 if len(run) else 0)
        if self._restart == "last-wins" or not len(run):
            return step, np.zeros(len(run), dtype=np.int64)
        order = None if (run[1:] >= run[:-1]).all() else np.argsort(run, kind="stable")
        runs, steps = (run, step) if order is None else (run[order], step[order])
        begins = np.flatnonzero(np.append(True, runs[1:] != runs[:-1]))
        ends = np.append(begins[1:], len(runs)) - 1
        before = np.append(_BEFORE_ALL, steps[:-1])
        before[begins] = self._last[runs[begins]]
        falls = steps < before
        if self._restart is None and falls.any():
            raise SourceError(self._refusal(run, np.arange(len(run)) if order is None else order, falls, before, step))
        if not falls.any() and not self._level.any():  # as nearly always
            self._last[runs[ends]] = steps[ends]
            self._n_rows += len(run)
            return step, np.zeros(len(run), dtype=np.int64)
        raised = falls * (before + 1 - steps) if self._restart == "continue" else falls.astype(np.int64)
        sums = np.cumsum(raised)
        carried = self._level[runs[begins]] - sums[begins] + raised[begins]
        levels = sums + np.repeat(carried, ends - begins + 1)
        self._last[runs[ends]] = steps[ends]
        self._level[runs[ends]] = levels[ends]
        self._n_rows += len(run)
        level = levels if order is None else np.empty_like(levels)
        if order is not None:
            level[order] = levels
        return (step + level, np.zeros_like(level)) if self._restart == "continue" else (step, level)

    def _grow(self, size: int) -> None:
        missing = max(0, size - len(self._last))
        self._last = np.append(self._last, np.full(missing, _BEFORE_ALL, dtype=np.int64))
        self._level = np.append(self._level, np.zeros(missing, dtype=np.int64))

    def _refusal(self, run: Ints, order: Ints, falls: Any, before: Ints, step: Ints) -> str:
        at = int(order[falls].min())
        step_before = int(before[falls][np.argmin(order[falls])])
        more = f" (and so {falls.sum() - 1:,} more)" if falls.sum() > 1 else ""
        return (
            f"row {self._n_rows + at + 1:,} of the table{more} has step {step[at]} after step {step_before} of the run "
            f"{self._describe(int(run[at]))}. If the training was started anew there, say restart='new-run' (a run of "
            "its own), 'continue' (steps go on) or 'last-wins' (later values replace earlier ones, also where rows are "
            "in no order); nothing was imported"
        )
