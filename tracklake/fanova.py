"""fANOVA: how much of the variance over the whole space of settings does each parameter explain?

A random forest is fitted to the runs, and the variance of its predictions over the space between the lowest and highest
values is split into what single parameters, and pairs of them, account for. Hutter, Hoos and Leyton-Brown 2014 (ICML).
For single parameters the same numbers as optuna's FanovaImportanceEvaluator on the same encoding and random state;
computed from the boxes of all leaves at once rather than by walking the trees.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

Floats = np.ndarray[Any, np.dtype[np.float64]]

TREES = 64
DEPTH = 64


class Boxes(NamedTuple):
    """The leaves of a tree as boxes: predicted value (leaves), low and high edge (leaves x features), bounds."""

    value: Floats
    low: Floats
    high: Floats
    bounds: Floats

    @property
    def shares(self) -> Floats:
        """The share of each feature's range that a leaf covers (leaves x features)."""
        found: Floats = (self.high - self.low) / (self.bounds[:, 1] - self.bounds[:, 0])
        return found

    @property
    def variance(self) -> float:
        """The variance of the prediction over the whole space."""
        weights = self.shares.prod(axis=1)
        mean = np.average(self.value, weights=weights)
        return float(np.average((self.value - mean) ** 2, weights=weights))


def boxes(tree: Any, bounds: Floats) -> Boxes:
    """Return the leaves of a fitted tree (its `tree_`) within the bounds (features x 2)."""
    left, right, feature, threshold = tree.children_left, tree.children_right, tree.feature, tree.threshold
    low = np.tile(bounds[:, 0], (tree.node_count, 1))
    high = np.tile(bounds[:, 1], (tree.node_count, 1))
    for node in range(tree.node_count):  # parents come before their children
        if left[node] < 0:
            continue
        for child in (left[node], right[node]):
            low[child], high[child] = low[node], high[node]
        high[left[node], feature[node]] = threshold[node]
        low[right[node], feature[node]] = threshold[node]
    leaves = np.flatnonzero(left < 0)
    return Boxes(tree.value[leaves].reshape(len(leaves), -1)[:, 0], low[leaves], high[leaves], bounds)


def forest(encoded: Floats, values: Floats, bounds: Floats, *, seed: int) -> list[Boxes]:
    """Fit optuna's forest (64 trees, at most 64 deep) and return the boxes of its trees."""
    from sklearn.ensemble import RandomForestRegressor

    fitted = RandomForestRegressor(n_estimators=TREES, max_depth=DEPTH, random_state=seed).fit(encoded, values)
    return [boxes(tree.tree_, bounds) for tree in fitted.estimators_]


def explained(tree: Boxes, features: Sequence[int]) -> float:
    """Return the variance of the prediction as a function of these features alone, averaged over all others."""
    edges = [_edges(tree, f) for f in features]
    rest = np.delete(tree.shares, list(features), axis=1).prod(axis=1)
    averaged = _painted(tree, features, edges, tree.value * rest)
    weights = np.ones(1)
    for e, f in zip(edges, features, strict=True):
        weights = np.multiply.outer(weights, np.diff(e) / (tree.bounds[f, 1] - tree.bounds[f, 0]))
    weights = weights.reshape(averaged.shape)
    mean = float((weights * averaged).sum())
    return float((weights * (averaged - mean) ** 2).sum())


def marginal(tree: Boxes, features: Sequence[int], at: Floats) -> Floats:
    """Return the prediction at points of these features (points x features), averaged over all other features."""
    rest = tree.value * np.delete(tree.shares, list(features), axis=1).prod(axis=1)
    inside = np.ones((len(at), len(rest)), dtype=np.bool_)
    for column, f in enumerate(features):
        point = at[:, column : column + 1]
        inside &= (point > tree.low[:, f]) | (tree.low[:, f] == tree.bounds[f, 0])
        inside &= (point <= tree.high[:, f]) | (tree.high[:, f] == tree.bounds[f, 1])
    found: Floats = inside @ rest
    return found


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


def importance(trees: Sequence[Boxes], groups: Sequence[Sequence[int]]) -> Floats:
    """Return the share of the variance that each group of features explains alone, in the mean over trees.

    A group is one parameter: its column, or all columns of a category. Trees without variance say nothing.
    """
    shares = [
        [max(explained(tree, features), 0.0) / tree.variance for features in groups]
        for tree in trees
        if tree.variance > 0
    ]
    found: Floats = np.mean(shares, axis=0) if shares else np.zeros(len(groups))
    return found


def interaction(trees: Sequence[Boxes], first: Sequence[int], second: Sequence[int]) -> float:
    """Return the share of the variance that two parameters explain only together, in the mean over trees."""
    shares = []
    for tree in trees:
        if tree.variance > 0:
            both = explained(tree, [*first, *second])
            shares.append(max(both - explained(tree, first) - explained(tree, second), 0.0) / tree.variance)
    return float(np.mean(shares)) if shares else 0.0
