"""Grids: a parameter as cells, for the divergence of PED-ANOVA."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracklake.analysis.stats.ped_anova import Gridded
from tracklake.common.lazy_numpy import np

if TYPE_CHECKING:
    from tracklake.analysis.parameters import Parameter

Floats = np.ndarray[Any, np.dtype[np.float64]]

_CELLS = 50
"""Cells of the grid of a number, at most."""


def gridded(parameter: Parameter) -> Gridded:
    """Put a parameter on its grid: a cell a category; of a number at most 50, even on its scale, and a cell a level.

    The cells are as wide as the common step (on a logarithmic scale the common ratio) of the values, if they have one:
    what unit they are in makes no difference.

    >>> from tracklake.analysis.parameters import varied
    >>> import polars as pl
    >>> opt, depth = varied(pl.DataFrame({"opt": ["sgd", "adam", "sgd"], "depth": [10, 30, 40]}), ["opt", "depth"])
    >>> gridded(opt).cells.tolist(), gridded(depth).cells.tolist(), gridded(depth).size
    ([1, 0, 1], [0, 2, 3], 4)
    """
    cells = np.full(len(parameter.codes), -1, dtype=np.int64)
    has_number = ~np.isnan(parameter.codes)
    if parameter.choices:
        cells[has_number] = parameter.codes[has_number].astype(np.int64)
        return Gridded(cells, len(parameter.choices), ordered=False)
    numbers = parameter.codes[has_number]
    size = _size(parameter, numbers)
    values = np.log(numbers) if parameter.log else numbers
    low, high = float(values.min()), float(values.max())
    width = (high - low) / max(size - 1, 1) or 1.0
    cells[has_number] = np.clip(np.ceil((values - low) / width - 0.5).astype(np.int64), 0, size - 1)
    if parameter.level is not None:
        cells[parameter.is_level] = size + parameter.level[parameter.is_level]
    return Gridded(cells, size, ordered=True, levels=len(parameter.levels))


def _size(parameter: Parameter, numbers: Floats) -> int:
    """Return how many cells the grid of numbers has; of integers without a common ratio as optuna has it."""
    distinct = np.unique(numbers)
    if len(distinct) == 1:
        return 1
    scaled = np.log(distinct) if parameter.log else distinct
    step = _common_step(np.diff(scaled))
    if step is not None:
        return round(float(scaled[-1] - scaled[0]) / step) + 1
    if parameter.kind != "int" or not parameter.log:
        return _CELLS
    unit = float(np.gcd.reduce(distinct.astype(np.int64)))
    span = (distinct[-1] - distinct[0]) / unit + 1
    return min(int(np.ceil(np.log(span) / np.log(2))) + 1, _CELLS)


def _common_step(differences: Floats) -> float | None:
    """Return the largest step of which all differences are multiples, None where it would make too many cells."""
    for part in range(1, _CELLS):
        step = float(differences.min()) / part
        multiples = differences / step
        if multiples.sum() + 1 > _CELLS + 1e-6:
            return None
        if np.abs(multiples - multiples.round()).max() < 1e-6:  # noqa: PLR2004 - rounding
            return step
    return None
