"""What is logged and asked in the benchmarks: shapes, values, and the answers as numpy gives them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Shape(NamedTuple):
    """So many runs, each with so many metrics at so many steps."""

    runs: int
    metrics: int
    steps: int

    @property
    def points(self) -> int:
        return self.runs * self.metrics * self.steps

    def scaled(self, size: float) -> Shape:
        """Fewer runs and steps, the same metrics; at least three of each where there were as many."""
        return Shape(_fewer(self.runs, size), self.metrics, _fewer(self.steps, size))


ONE_RUN = {
    "10 metrics": Shape(1, 10, 10_000),
    "1,000 metrics": Shape(1, 1_000, 100),
    "50 metrics": Shape(1, 50, 20_000),
}
"""W1."""
MANY_RUNS = Shape(200, 20, 200)
"""W2 writes them, W3 to W6 ask about them."""
ASKED = "metric/007"
"""The metric of W4 and W5."""
BEST = 10
"""Runs of W5."""


def _fewer(count: int, size: float) -> int:
    return max(min(3, count), round(count * size))


def names(shape: Shape) -> list[str]:
    return [f"metric/{j:03d}" for j in range(shape.metrics)]


def run_id(number: int) -> str:
    return f"run-{number:04d}"


def config(number: int) -> dict[str, object]:
    return {
        "lr": 10.0 ** -(number % 5),
        "depth": number % 7,
        "seed": number,
        "optimizer": "adam",
        "amp": number % 2 == 0,
    }


def curves(number: int, shape: Shape) -> np.ndarray:
    """Sine and noise of full precision: steps x metrics."""
    noise = np.random.default_rng(number).normal(scale=0.1, size=(shape.steps, shape.metrics))
    return np.sin(np.arange(shape.steps)[:, None] / 50 + np.arange(shape.metrics) + number) + noise


def rows(number: int, shape: Shape) -> list[dict[str, float]]:
    """The same as what training code hands to `log`: one dict a step."""
    return [dict(zip(names(shape), row, strict=True)) for row in curves(number, shape).tolist()]


def everything(shape: Shape) -> np.ndarray:
    """The values of all runs: runs x steps x metrics."""
    return np.stack([curves(number, shape) for number in range(shape.runs)])


def expected_table(shape: Shape) -> dict[str, np.ndarray]:
    """W3: one row a run: config, and last, min and max of every metric."""
    values, runs = everything(shape), range(shape.runs)
    table = {f"config.{key}": np.array([config(r)[key] for r in runs]) for key in config(0)}
    for j, name in enumerate(names(shape)):
        series = values[:, :, j]
        found = {"last": series[:, -1], "min": series.min(axis=1), "max": series.max(axis=1)}
        table |= {f"summary.{name}.{stat}": column for stat, column in found.items()}
    return table


def expected_best(shape: Shape) -> list[tuple[str, float, int]]:
    """W5: the runs with the largest maximum of one metric: id, maximum, its step."""
    series = everything(shape)[:, :, names(shape).index(ASKED)]
    order = np.argsort(-series.max(axis=1))[:BEST]
    return [(run_id(r), float(series[r].max()), int(series[r].argmax())) for r in order]
