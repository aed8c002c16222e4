"""Answers for a model: text within limits of rows and characters, which says what it leaves out, or a picture."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from tracklake.errors import QueryError
from tracklake.query.sandbox.limits import Limits
from tracklake.schema import statistics
from tracklake.ui.reports import calls
from tracklake.ui.reports.blocks import drawn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracklake.lake.lake import Lake

ROWS = 50
"""Rows of an answer unless it is asked for more."""
MOST_ROWS = 500
CHARACTERS = 20_000
"""Characters of an answer at most: some 6,000 tokens."""
METRICS = 100
SQL_SECONDS = 20.0
POINTS = 2_000_000
"""Points that one question may read."""
SUMMARY_COLUMNS = (
    f"summary.<metric>.<statistic>, a statistic being one of {' '.join(statistics.STATISTICS)} p50 p95 ..."
)
_DIGITS = 6


class Answers:
    """What a lake answers to a model. One question at a time: a Lake is for one thread.

    >>> print(Answers(example()).sql("SELECT count(*) AS runs FROM runs"))
    runs
    2
    """

    def __init__(self, lake: Lake) -> None:
        self._lake = lake._reopened(Limits.of(seconds=SQL_SECONDS))  # noqa: SLF001 - with an engine of its own
        self._lock = threading.Lock()

    def as_text(self, answer: object) -> str:
        """Return an answer as text, behind what is left out of it because files cannot be read.

        >>> Answers(example()).as_text("2 runs")
        '2 runs'
        """
        with self._lock:
            return "\n".join([*self._lake._view.logged.left_out, str(answer)])  # noqa: SLF001 - likewise

    def describe(self) -> str:
        """Say what is in the lake: runs by state, projects, metrics with their coverage, columns of the runs.

        >>> print(Answers(example()).describe().splitlines()[0])
        2 runs (2 finished), 12 points
        """
        with self._lock:
            description = self._lake.describe()
            columns = self._lake._view.runs.names.available  # noqa: SLF001 - the names that errors suggest
        states = ", ".join(f"{n:,} {state}" for state, n in description.states.items())
        config = [name for name in columns if not name.startswith("summary.")]
        n_more = description.metrics.height - METRICS
        more = f"\nand {n_more:,} more: see the view summaries" if n_more > 0 else ""
        parts = [
            f"{description.runs:,} runs ({states}), {description.points:,} points",
            f"projects:\n{_csv(description.projects.head(ROWS))}",
            f"metrics (defined: how summaries show them):\n{_csv(description.metrics.head(METRICS))}{more}",
            f"columns of the runs: {', '.join(config[:300])}; and {SUMMARY_COLUMNS}",
        ]
        return _cut("\n\n".join(parts))

    def runs(self, where: str | None, columns: Sequence[str] | None, order_by: str | None, limit: int | None) -> str:
        """Return runs as CSV.

        >>> print(Answers(example()).runs("config.lr > 0.05", ["summary.loss.min"], None, None))
        run_id,summary.loss.min
        fast,0.25
        """
        rows = _rows(limit)
        with self._lock:
            frame = self._lake.runs(where=where, columns=columns, order_by=order_by)
        wanted = ["run_id", *[name for name in frame.columns if name != "run_id"]]
        return _table(frame.select(wanted), rows)

    def history(self, metrics: Sequence[str], runs: Sequence[str], points: int | None) -> str:
        """Return how metrics of some runs went, as CSV, thinned to about so many points a curve with its extremes.

        >>> print(Answers(example()).history(["loss"], ["fast"], None))
        run_id,metric,step,value
        fast,loss,0,1
        fast,loss,1,0.25
        fast,loss,2,0.75
        """
        if not runs or not metrics:
            raise QueryError("name the metrics and the runs: a history of everything is too much to read")
        n = min(max(4, points or ROWS), MOST_ROWS)
        with self._lock:
            frame = self._lake.history(list(metrics), runs=list(runs), downsample=n, limit=POINTS)
        return _table(frame.drop("time"), MOST_ROWS)

    def sql(self, text: str, limit: int | None = None) -> str:
        """Return the answer of a text in SQL as CSV; it can only read, and is stopped after some seconds.

        >>> print(Answers(example()).sql("SELECT run_id FROM runs ORDER BY 1", 1))
        run_id
        fast
        (the first 1 of 2 rows)
        """
        rows = _rows(limit)
        with self._lock:
            return _table(self._lake.sql(text), rows)

    def compare(self, metric: str, by: Sequence[str], goal: str | None, where: str | None, baseline: Any) -> str:
        """Return a comparison of groups with its tests, in words.

        >>> print(Answers(example()).compare("acc", ["lr"], "max", None, None).splitlines()[0])
        acc (higher is better): 2 runs in 2 groups; baseline lr=0.1
        """
        with self._lock:
            comparison = self._lake.compare(
                metric, by=by[0] if len(by) == 1 else list(by), goal=goal, where=where, baseline=baseline
            )
            return _cut(comparison.to_text(width=160, rows=ROWS))

    def plot(self, call: str) -> bytes:
        """Return a picture as PNG; the call is written as in a report: curves("loss", by="lr").

        >>> Answers(example()).plot('scatter("lr", "loss.min")')[1:4]
        b'PNG'
        """
        with self._lock, tempfile.TemporaryDirectory() as folder:
            return drawn(self._lake, calls.read(call), None).save(Path(folder) / "plot.png").read_bytes()


def _rows(limit: int | None) -> int:
    if limit is None:
        return ROWS
    if not 1 <= limit <= MOST_ROWS:
        raise QueryError(f"limit={limit}; an answer has 1 to {MOST_ROWS} rows: filter, group or aggregate instead")
    return limit


def _table(frame: pl.DataFrame, rows: int) -> str:
    text = _csv(frame.head(rows))
    note = f"\n(the first {rows:,} of {frame.height:,} rows)" if frame.height > rows else ""
    return _cut(text) + note if text else "(no columns)"


def _csv(frame: pl.DataFrame) -> str:
    texts = [pl.Series(s.name, [_cell(v) for v in s.to_list()], dtype=pl.String) for s in frame]
    return pl.DataFrame(texts).write_csv().rstrip("\n")


def _cell(value: Any) -> str | None:
    if value is None:
        return None
    return f"{value:.{_DIGITS}g}" if isinstance(value, float) else str(value)


def _cut(text: str) -> str:
    """Cut a text at the end of a line, and say so."""
    if len(text) <= CHARACTERS:
        return text
    head = text[:CHARACTERS].rsplit("\n", 1)[0]
    return f"{head}\n(cut: {len(text):,} characters are too many; ask for fewer columns or rows)"
