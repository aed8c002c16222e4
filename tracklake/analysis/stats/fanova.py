"""fANOVA: how much of the variance over the whole space of settings each parameter explains.

A random forest is fitted to the runs, and the variance of its predictions over the space between the lowest and highest
values is split into what single parameters, and pairs of them, account for. Hutter, Hoos and Leyton-Brown 2014 (ICML).
For single parameters the same numbers as optuna's FanovaImportanceEvaluator on the same encoding and random state;
computed from the boxes of all leaves at once rather than by walking the trees.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tracklake.common.lazy_numpy import np

if TYPE_CHECKING:
    from collections.abc import Sequence

Floats = np.ndarray[Any, np.dtype[np.float64]]

TREES = 64
DEPTH = 64


@dataclass(frozen=True, eq=False)
class Boxes:
    """The leaves of a tree as boxes: predicted value (leaves), low and high edge (leaves x features), bounds."""

    value: Floats
    low: Floats
    high: Floats
    bounds: Floats

    @cached_property
    def shares(self) -> Floats:
        """The share of each feature's range that a leaf covers (leaves x features).

        >>> tree = Boxes(np.array([0.0, 1.0]), *np.array([[[0.0], [1.0]], [[1.0], [4.0]]]), np.array([[0.0, 4.0]]))
        >>> tree.shares.tolist()
        [[0.25], [0.75]]
        """
        covered: Floats = (self.high - self.low) / (self.bounds[:, 1] - self.bounds[:, 0])
        return covered

    @cached_property
    def volumes(self) -> Floats:
        """The share of the whole space that a leaf covers.

        >>> tree = Boxes(np.array([5.0]), np.zeros((1, 2)), np.array([[1.0, 2.0]]), np.array([[0.0, 2.0], [0.0, 4.0]]))
        >>> tree.volumes.tolist()
        [0.25]
        """
        volumes: Floats = self.shares.prod(axis=1)
        return volumes

    @cached_property
    def variance(self) -> float:
        """The variance of the prediction over the whole space.

        >>> tree = Boxes(np.array([0.0, 1.0]), *np.array([[[0.0], [1.0]], [[1.0], [4.0]]]), np.array([[0.0, 4.0]]))
        >>> tree.variance
        0.1875
        """
        mean = np.average(self.value, weights=self.volumes)
        return float(np.average((self.value - mean) ** 2, weights=self.volumes))

    def beside(self, features: Sequence[int]) -> Floats:
        """Return the share of the space of all other features that a leaf covers (leaves).

        >>> tree = Boxes(np.array([5.0]), np.zeros((1, 2)), np.array([[1.0, 2.0]]), np.array([[0.0, 2.0], [0.0, 4.0]]))
        >>> tree.beside([0]).tolist(), tree.beside([0, 1]).tolist()
        ([0.5], [1.0])
        """
        own = self.shares[:, list(features)].prod(axis=1)
        ratio: Floats = np.divide(self.volumes, own, out=np.zeros_like(own), where=own > 0)
        return ratio


def boxes(tree: Any, bounds: Floats) -> Boxes:
    """Return the leaves of a fitted tree (its `tree_`) within the bounds (features x 2)."""
    lower, right, feature, threshold = tree.children_left, tree.children_right, tree.feature, tree.threshold
    low = np.tile(bounds[:, 0], (tree.node_count, 1))
    high = np.tile(bounds[:, 1], (tree.node_count, 1))
    level = np.array([0])
    while len(level):  # all nodes of one depth at once
        split = level[lower[level] >= 0]
        for child in (lower[split], right[split]):
            low[child], high[child] = low[split], high[split]
        high[lower[split], feature[split]] = threshold[split]
        low[right[split], feature[split]] = threshold[split]
        level = np.concatenate([lower[split], right[split]])
    leaves = np.flatnonzero(lower < 0)
    return Boxes(tree.value[leaves].reshape(len(leaves), -1)[:, 0], low[leaves], high[leaves], bounds)


def forest(encoded: Floats, values: Floats, bounds: Floats, *, seed: int, most: int | None = None) -> list[Boxes]:
    """Fit optuna's forest (64 trees, at most 64 deep) and return the boxes of its trees.

    With `most` a tree is fitted to so many runs at most, drawn anew for each tree.
    """
    from sklearn.ensemble import RandomForestRegressor

    drawn = None if most is None else min(most, len(values))
    fitted = RandomForestRegressor(n_estimators=TREES, max_depth=DEPTH, random_state=seed, n_jobs=-1, max_samples=drawn)
    fitted.fit(encoded, values)
    return [boxes(tree.tree_, bounds) for tree in fitted.estimators_]


def explained(tree: Boxes, features: Sequence[int]) -> float:
    """Return the variance of the prediction as a function of these features alone, averaged over all others.

    >>> tree = Boxes(np.array([0.0, 1.0]), *np.array([[[0.0], [1.0]], [[1.0], [4.0]]]), np.array([[0.0, 4.0]]))
    >>> explained(tree, [0])  # the only feature explains all of the variance
    0.1875
    """
    edges = [_edges(tree, f) for f in features]
    averaged = _painted(tree, features, edges, tree.value * tree.beside(features))
    weights = np.ones(1)
    for e, f in zip(edges, features, strict=True):
        weights = np.multiply.outer(weights, np.diff(e) / (tree.bounds[f, 1] - tree.bounds[f, 0]))
    weights = weights.reshape(averaged.shape)
    mean = float((weights * averaged).sum())
    return float((weights * (averaged - mean) ** 2).sum())


def _edges(tree: Boxes, feature: int) -> Floats:
    return np.unique(np.concatenate([tree.low[:, feature], tree.high[:, feature], tree.bounds[feature]]))


def _painted(tree: Boxes, features: Sequence[int], edges: Sequence[Floats], values: Floats) -> Floats:
    """Add each leaf's value to all cells of the grid that it covers, through the corners of its box."""
    grid = np.zeros([len(e) for e in edges])
    starts = [np.searchsorted(e, tree.low[:, f]) for e, f in zip(edges, features, strict=True)]
    stops = [np.searchsorted(e, tree.high[:, f]) for e, f in zip(edges, features, strict=True)]
    for corner in range(1 << len(features)):
        chosen = [(stops if corner >> i & 1 else starts)[i] for i in range(len(features))]
        sign = -1.0 if corner.bit_count() % 2 else 1.0
        np.add.at(grid, tuple(chosen), sign * values)
    for axis in range(len(features)):
        grid = np.cumsum(grid, axis=axis)
    painted: Floats = grid[tuple(slice(0, len(e) - 1) for e in edges)]
    return painted


def fractions(trees: Sequence[Boxes], groups: Sequence[Sequence[int]]) -> Floats:
    """Return the share of the variance that each group of features explains alone (trees x groups).

    A group is one parameter: its column, or all columns of a category. Trees without variance are left out.

    >>> tree = Boxes(np.array([0.0, 1.0]), *np.array([[[0.0], [1.0]], [[1.0], [4.0]]]), np.array([[0.0, 4.0]]))
    >>> fractions([tree], [[0]]).tolist()
    [[1.0]]
    """
    shares = [[explained(tree, group) / tree.variance for group in groups] for tree in trees if tree.variance > 0]
    clipped: Floats = np.maximum(np.array(shares).reshape(-1, len(groups)), 0.0)
    return clipped


def importance(trees: Sequence[Boxes], groups: Sequence[Sequence[int]]) -> Floats:
    """Return the share of the variance that each group explains alone, in the mean over trees; 0 without variance.

    >>> tree = Boxes(np.array([0.0, 1.0]), *np.array([[[0.0], [1.0]], [[1.0], [4.0]]]), np.array([[0.0, 4.0]]))
    >>> importance([tree], [[0]]).tolist()
    [1.0]
    """
    shares = fractions(trees, groups)
    mean_shares: Floats = shares.mean(axis=0) if len(shares) else np.zeros(len(groups))
    return mean_shares


def interactions(
    trees: Sequence[Boxes], groups: Sequence[Sequence[int]], pairs: Sequence[tuple[int, int]]
) -> list[float]:
    """Return the share of the variance that the groups of each pair explain only together, in the mean over trees.

    >>> low = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> either = Boxes(np.array([0.0, 1.0, 1.0, 0.0]), low, low + 1, np.array([[0.0, 2.0]] * 2))  # one of two, not both
    >>> interactions([either], [[0], [1]], [(0, 1)])
    [1.0]
    """
    alone = fractions(trees, groups)
    if not len(alone):
        return [0.0] * len(pairs)
    both = fractions(trees, [[*groups[a], *groups[b]] for a, b in pairs])
    return [float(np.maximum(both[:, i] - alone[:, a] - alone[:, b], 0).mean()) for i, (a, b) in enumerate(pairs)]
