"""Steps that fall within a run of a table: a training that was started anew, or rows in no order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tracklake.common.lazy_numpy import np
from tracklake.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracklake.importers.readers.records import Restart

    Ints = np.ndarray[Any, np.dtype[np.int64]]


class Segments(NamedTuple):
    """Rows in the order of their runs (`order`), cut where a run begins or its step falls."""

    order: Ints
    starts: Ints
    """The first of each segment, counted in that order."""
    number: Ints
    """Of each segment, how many of its run came before."""


def segments(run: Ints, step: Ints) -> Segments:
    """Return the segments of rows, each of a run and a step.

    >>> segments(np.array([0, 1, 0, 0]), np.array([0, 0, 1, 0])).starts.tolist()
    [0, 2, 3]
    """
    order = np.argsort(run, kind="stable")
    runs, steps = run[order], step[order]
    begins = np.append(True, runs[1:] != runs[:-1])[: len(runs)]
    falls = np.append(False, steps[1:] < steps[:-1])[: len(runs)] & ~begins
    starts = np.flatnonzero(begins | falls)
    first = np.maximum.accumulate(np.where(begins[starts], np.arange(len(starts)), 0))
    return Segments(order, starts, np.arange(len(starts)) - first)


def resolved(
    run: Ints, step: Ints, restart: Restart | None, *, describe: Callable[[int], str]
) -> tuple[Ints, Ints, Ints]:
    """Return the run and the step of each row, and of each run how often it had begun before.

    Where steps fall, "new-run" makes runs of what follows, numbered behind those that there are; "continue" lets steps
    go on; "last-wins" leaves them. With None SourceError, which names the first such row; `describe` names its run.

    >>> run, step = np.array([0, 0, 0, 1]), np.array([0, 1, 0, 0])
    >>> [values.tolist() for values in resolved(run, step, "new-run", describe=str)]
    [[0, 0, 1, 2], [0, 1, 0, 0], [0, 1, 0]]
    >>> resolved(run, step, "continue", describe=str)[1].tolist()
    [0, 1, 2, 0]
    """
    cut = segments(run, step)
    if not cut.number.any() or restart == "last-wins":
        return run, step, np.zeros(int(run.max()) + 1 if len(run) else 0, dtype=np.int64)
    if restart is None:
        raise SourceError(_refusal(run, step, cut, describe))
    lengths = np.diff(np.append(cut.starts, len(run)))
    segment = np.empty(len(run), dtype=np.int64)
    segment[cut.order] = np.repeat(np.arange(len(cut.starts)), lengths)
    if restart == "new-run":
        return segment, step, cut.number
    return run, step + _shifts(step[cut.order], cut)[segment], np.zeros(int(run.max()) + 1, dtype=np.int64)


def _shifts(steps: Ints, cut: Segments) -> Ints:
    """Return by how much the steps of each segment are raised: each goes on behind the one before it."""
    shifts = np.zeros(len(cut.starts), dtype=np.int64)
    ends = np.append(cut.starts[1:], len(steps)) - 1
    for i in np.flatnonzero(cut.number):
        shifts[i] = steps[ends[i - 1]] + shifts[i - 1] + 1 - steps[cut.starts[i]]
    return shifts


def _refusal(run: Ints, step: Ints, cut: Segments, describe: Callable[[int], str]) -> str:
    rows = cut.order[cut.starts[cut.number > 0]]
    at = int(rows.min())
    before = int(step[:at][run[:at] == run[at]][-1])
    more = f" (and so {len(rows) - 1:,} more)" if len(rows) > 1 else ""
    return (
        f"row {at + 1:,} of the table{more} has step {step[at]} after step {before} of the run {describe(at)}. If the "
        "training was started anew there, say restart='new-run' (a run of its own), 'continue' (steps go on) or "
        "'last-wins' (later values replace earlier ones, also where rows are in no order); nothing was imported"
    )
