"""What stands beside a name along an axis: which statistic of a metric is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tracklake.query.history import SeriesTable


def statistic(series: SeriesTable, column: str) -> str:
    """Say which statistic of a metric a bare column shows: its last value, where no other is defined.

    >>> series = example()._view.series
    >>> statistic(series, "summary.loss"), statistic(series, "summary.loss.min")
    (' (last)', '')
    """
    metric = column.removeprefix("summary.")
    if metric == column or metric.startswith("_") or metric not in series.snapshot.metrics:
        return ""
    kinds = {k for d in series.table.summaries.definition(metric).values() if d is not None for k in d.kinds}
    return f" ({', '.join(sorted(kinds)) or 'last'})"
