"""PED-ANOVA: which parameters tell the best runs from the others.

How far the distribution of each parameter among the best runs is from that among all runs: the Pearson divergence of
two Parzen estimates on a grid. Watanabe, Bansal and Hutter 2023 (IJCAI); conditional parameters as in condPED-ANOVA
(KDD 2026). The same numbers as optuna's PedAnovaImportanceEvaluator, computed from counts, so that they can be drawn
again many times.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tracklake.common.lazy_numpy import np

if TYPE_CHECKING:
    from collections.abc import Sequence


Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]
Booleans = np.ndarray[Any, np.dtype[np.bool_]]

_PRIOR = 1.0
"""The weight of the flat prior, in runs."""


class Gridded(NamedTuple):
    """A parameter on its grid: the cell of each run (-1 where it has none), and how many cells there are."""

    cells: Ints
    size: int
    ordered: bool
    """Whether the cells are a scale rather than categories."""
    levels: int = 0
    """How many cells, after those of the scale, are values that are no numbers: None, a word."""


def best(losses: Floats, quantile: float, *, weights: Floats | None = None) -> Booleans:
    """Tell which runs are in the best quantile (lower is better), ties at its edge included.

    >>> best(np.array([3.0, 1.0, 2.0, 2.0]), 0.5).tolist()
    [False, True, True, True]
    """
    counts = np.ones(len(losses)) if weights is None else weights
    order = np.argsort(losses, kind="stable")
    through = np.cumsum(counts[order])
    edge = losses[order[np.searchsorted(through, np.ceil(quantile * through[-1]) - 1e-9)]]
    is_best: Booleans = losses <= edge
    return is_best


def importance(parameters: Sequence[Gridded], top: Booleans, *, weights: Floats | None = None) -> Floats:
    """Return how much each parameter has to do with being in `top`, among all runs.

    `weights` counts each run as often, for draws. A parameter with one value, or that no top run has, has 0.

    >>> both = [Gridded(np.array([0, 0, 1, 1]), 2, ordered=False), Gridded(np.array([0, 1, 0, 1]), 2, ordered=False)]
    >>> first, second = importance(both, np.array([True, True, False, False]))
    >>> bool(first > 0), round(float(second), 9)
    (True, 0.0)
    """
    counts: Floats = np.ones(len(top)) if weights is None else weights
    chosen = counts * top
    n_top, n_all = chosen.sum(), counts.sum()
    divergences = np.zeros(len(parameters))
    if n_top == 0 or n_all <= 1:
        return divergences
    for i, grid in enumerate(parameters):
        active = grid.cells >= 0
        size = grid.size + grid.levels
        everyone = np.bincount(grid.cells[active], weights=counts[active], minlength=size).astype(np.float64)
        upper = np.bincount(grid.cells[active], weights=chosen[active], minlength=size).astype(np.float64)
        if size > 1 and upper.sum() > 0 and everyone.sum() > 1:
            share = (upper.sum() / n_top) ** 2 / (everyone.sum() / n_all)
            divergences[i] = share * _divergence(upper, everyone, grid)
    scaled: Floats = divergences * (n_top / n_all) ** 2
    return scaled


def _divergence(upper: Floats, everyone: Floats, grid: Gridded) -> float:
    """Return the Pearson divergence of the density of the top from that of all runs."""
    top, overall = _density(upper, grid) + 1e-12, _density(everyone, grid) + 1e-12
    return float(overall @ (top / overall - 1) ** 2)


def _density(counts: Floats, grid: Gridded) -> Floats:
    """Return the share of each cell: of a scale with levels, those of the levels and of all numbers are categories."""
    if not grid.ordered:
        return _of_categories(counts)
    if not grid.levels:
        return _on_scale(counts)
    numbers, levels = counts[: grid.size], counts[grid.size :]
    shares = _of_categories(np.append(numbers.sum(), levels))
    return np.concatenate([shares[0] * _on_scale(numbers), shares[1:]])


def _of_categories(counts: Floats) -> Floats:
    """Return the Parzen estimate over categories: a kernel a category that occurs, and a flat one."""
    seen = np.flatnonzero(counts)
    size, kernels = len(counts), len(seen) + 1
    rows = np.full((kernels, size), _PRIOR / kernels)
    rows[np.arange(len(seen)), seen] += 1
    rows /= rows.sum(axis=1, keepdims=True)
    weights = np.append(counts[seen], _PRIOR)
    density: Floats = weights @ rows / weights.sum()
    return density


def _on_scale(counts: Floats) -> Floats:
    """Return the Parzen estimate over a grid: normal kernels cut at its ends, their width by Scott's rule."""
    from scipy.special import ndtr

    seen = np.flatnonzero(counts).astype(np.float64)
    weights = counts[counts > 0]
    high = len(counts) - 1
    centers = np.append(seen, high / 2)
    width = _bandwidth(seen, weights) if len(seen) else 1.0  # where all of the top have a level: the flat kernel
    widths = np.append(np.full(len(seen), width), high + 1)
    edges = np.arange(-0.5, high + 1)
    through = ndtr((edges[:, None] - centers) / widths)
    mass = np.diff(through, axis=0) / (through[-1] - through[0])
    mixed = np.append(weights, _PRIOR)
    density: Floats = mass @ mixed / mixed.sum()
    return density


def _bandwidth(seen: Floats, weights: Floats) -> float:
    """Return Scott's rule over weighted cells, not below half a cell (in the form of optuna)."""
    through = np.cumsum(weights)
    total = through[-1]
    mean = seen @ weights / total
    deviation = np.sqrt((seen - mean) ** 2 @ weights / max(1, total - 1))
    first = np.searchsorted(through, total // 4, side="left")
    third = min(len(seen) - 1, int(np.searchsorted(through, total * 3 // 4, side="right")))
    spread = 1.059 * min((seen[third] - seen[first]) / 1.34, deviation) * total**-0.2
    return max(float(spread), 0.5 / 1.64)
