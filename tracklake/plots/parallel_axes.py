"""Parallel coordinates: an upright axis a parameter, a line a run, coloured by how good it is."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from tracklake.common.lazy_numpy import np
from tracklake.common.text import number_of
from tracklake.display.labels import number_labels
from tracklake.plots import binning, marks
from tracklake.plots.binning import wants_log
from tracklake.plots.encodings import Axis, log_ticks
from tracklake.plots.figure import Plot, empty

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tracklake.schema.definition_statement import Goal

LINES = 160
"""Runs drawn; of more, the best and others evenly over the ranks."""
STRONG = 60
"""Runs in colour."""
_NAMES = 12
"""Texts that have a place of their own on an axis."""
_FEW = 7
"""Distinct numbers up to which an axis is labelled with them."""
_MISSING, _MISSING_AT = "missing", -0.09


class Placed(NamedTuple):
    """One axis: where each run lies on it, from 0 to 1, the labels (place, text) beside it, and its kind."""

    at: pl.Series
    ticks: list[tuple[float, str]]
    log: bool = False


def placed(values: pl.Series, levels: pl.Series | None = None) -> Placed:
    """Place values along an axis: numbers linearly, or in logarithms where that reads better; text in its order.

    >>> placed(pl.Series([0.01, 0.1, 1.0])).at.round(3).to_list()
    [0.0, 0.5, 1.0]
    >>> placed(pl.Series(["sgd", "adam"])).ticks
    [(0.0, 'adam'), (1.0, 'sgd')]
    """
    if not values.dtype.is_numeric():
        named = binning.most_frequent(values, limit=_NAMES)
        names = sorted(set(named))
        places = np.linspace(0, 1, len(names)) if len(names) > 1 else np.array([0.5])
        return Placed(
            named.replace_strict(names, places, return_dtype=pl.Float64), list(zip(places.tolist(), names, strict=True))
        )
    log = wants_log(values)
    distinct = binning.finite(values).unique().sort().to_numpy()
    round_ = log_ticks if log else _round_numbers
    marked = distinct if len(distinct) <= _FEW else round_(distinct[0], distinct[-1])
    scaled = np.log(values.to_numpy()) if log else values.to_numpy()
    ends = [marked[0], marked[-1]] if log else distinct[[0, -1]] if len(distinct) else [0.0, 1.0]
    low, high = np.log(ends) if log else ends
    span = (high - low) or 1.0
    start = low if high > low else low - 0.5  # a single value lies in the middle
    ticks = [
        ((float(np.log(m) if log else m) - start) / span, label)
        for m, label in zip(marked, number_labels(marked), strict=True)
    ]
    at = pl.Series((scaled - start) / span).fill_nan(None)
    below = _below(at, levels)
    feet = {name: _MISSING_AT * (i + 1) for i, name in enumerate(_in_order(below))}
    depths = below.replace_strict(feet, default=None, return_dtype=pl.Float64)
    return Placed(at.zip_with(at.is_not_null(), depths), [*ticks, *((foot, name) for name, foot in feet.items())], log)


def _below(at: pl.Series, levels: pl.Series | None) -> pl.Series:
    """Return what stands in place of the number of each run that has none, null for the others."""
    other = pl.Series([None] * len(at), dtype=pl.String) if levels is None else levels
    return pl.select(pl.when(at.is_null()).then(other.fill_null(_MISSING))).to_series()


def _in_order(names: pl.Series) -> list[str]:
    """Return the names that stand below an axis, what is missing last."""
    return sorted(names.drop_nulls().unique(), key=lambda name: (name == _MISSING, name))


def _round_numbers(low: float, high: float) -> list[float]:
    """Return about five round numbers from low to high."""
    size = 10.0 ** np.floor(np.log10((high - low) / 5))
    step = next(size * k for k in (1, 2, 5, 10) if (high - low) / (size * k) <= 6)  # noqa: PLR2004 - labels
    return [round(float(step * i), 12) for i in range(int(np.ceil(low / step)), int(np.floor(high / step)) + 1)]


def plot(frame: pl.DataFrame, titles: Mapping[str, str], *, axes: Sequence[str], goal: Goal | None) -> Plot:
    """Draw the runs (run, a column an axis, value), the last axis being the value.

    >>> runs = pl.DataFrame({"run": ["a", "b"], "axis_0": [0.1, 0.2], "value": [0.5, 0.9]})
    >>> plot(runs, {"axis_0": "lr", "value": "acc"}, axes=["axis_0"], goal="max")
    Plot('acc by lr', 4 rows)
    """
    title = f"{titles['value']} by {', '.join(titles[axis] for axis in axes)}"
    rows = frame.drop_nulls("value").sort("value", descending=goal != "min", maintain_order=True)
    lost = frame.height - rows.height
    notes = [f"Not drawn: {number_of(lost, 'run')} without a finite {titles['value']}."] if lost else []
    if rows.is_empty():
        return empty(
            title, notes=notes, because="no run has a finite number of it" if frame.height else "no run matches"
        )
    laid = {
        axis: placed(rows[axis], rows[f"{axis}_level"] if f"{axis}_level" in rows.columns else None)
        for axis in (*axes, "value")
    }
    data, thinned = _lines(rows, laid)
    ticks = [(i, at, label) for i, axis in enumerate(laid.values()) for at, label in axis.ticks]
    tick_marks = pl.DataFrame(ticks, schema={"axis": pl.Int64, "at": pl.Float64, "label": pl.String}, orient="row")
    headings = [titles[axis] + (" (log scale)" if one.log else "") for axis, one in laid.items()]
    color = Axis(titles["value"], wants_log(data["color"]), reverse=goal == "min")
    draw = partial(marks.threads, ticks=tick_marks, titles=headings, color=color)
    return Plot(title, data=data, draw=draw, notes=[*thinned, *notes])


def _lines(rows: pl.DataFrame, laid: Mapping[str, Placed]) -> tuple[pl.DataFrame, list[str]]:
    """Return run, axis, at, color and strong of the runs to draw, the best last so that they lie on top."""
    count = rows.height
    best = list(range(min(count, STRONG if count > LINES else LINES)))
    others = [len(best) + i for i in binning.spread(count - len(best), size=LINES - len(best))]
    chosen = [*reversed(others), *reversed(best)]
    parts = [
        pl.DataFrame(
            {
                "run": rows["run"][chosen],
                "axis": i,
                "at": axis.at[chosen],
                "color": rows["value"][chosen],
                "strong": [place < len(best) for place in chosen],
            }
        )
        for i, axis in enumerate(laid.values())
    ]
    if not others:
        return pl.concat(parts), []
    note = f"In colour the best {len(best)} of {count:,} runs, in grey {len(others)} others, evenly over their ranks."
    return pl.concat(parts), [note]
