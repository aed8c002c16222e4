"""The sweep that the demo trains: configurations, the digits, and one run of them logged epoch by epoch."""

from __future__ import annotations

import concurrent.futures
import functools
import os
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import tracklake as tl
from tracklake.common.lazy_numpy import np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from rich.console import Console

PROJECT = "digits"
METRICS = ["train/loss", "train/acc", "val/loss", "val/acc", "test/loss", "test/acc"]


class Configuration(NamedTuple):
    """One point of the sweep; with a seed it is a run."""

    hidden: int
    lr: float
    batch_size: int

    @property
    def name(self) -> str:
        """The group under which the seeds of a configuration are found, such as h64-lr0.1-b32.

        >>> DIVERGING.name
        'h32-lr100000-b32'
        """
        return f"h{self.hidden}-lr{self.lr:g}-b{self.batch_size}"


SWEEP = [Configuration(*point) for point in product((16, 64), (0.01, 0.03, 0.1, 0.3), (32, 128, 512))]
DIVERGING = Configuration(hidden=32, lr=1e5, batch_size=32)
"""Its weights leave the finite numbers within a few epochs, and scikit-learn gives up."""

Part: TypeAlias = "tuple[NDArray[np.float64], NDArray[np.int64]]"
"""Images (n, 64) scaled to 0..1, and digits (n,)."""


def train_all(jobs: Sequence[tuple[int, Configuration]], *, directory: str, epochs: int, console: Console) -> None:
    """Train each (seed, configuration) in a process per core: they all write into one lake, and need not know it."""
    import multiprocessing  # late, as rich: every command loads this module

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    spawn = multiprocessing.get_context("spawn")
    workers = min(os.cpu_count() or 1, 8)
    pool = concurrent.futures.ProcessPoolExecutor(workers, mp_context=spawn, initializer=_one_thread)
    columns = [TextColumn("training"), BarColumn(), MofNCompleteColumn(), TextColumn("runs"), TimeRemainingColumn()]
    try:
        futures = [pool.submit(train, point, seed=seed, epochs=epochs, directory=directory) for seed, point in jobs]
        with Progress(*columns, console=console, transient=True, disable=not console.file.isatty()) as progress:
            task = progress.add_task("training", total=len(jobs))
            for future in concurrent.futures.as_completed(futures):
                future.result()
                progress.advance(task)
    finally:
        pool.shutdown(cancel_futures=True)


def _one_thread() -> None:
    """Hold the linear algebra of a worker to one thread: the workers already take every core."""
    import sklearn.neural_network  # noqa: F401 - brings the linear algebra; what loads later would not be held
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)


def train(point: Configuration, *, seed: int, epochs: int, directory: str) -> None:
    """Train one run and log every epoch. This is all the tracklake that training code needs."""
    from sklearn.neural_network import MLPClassifier

    parts = digits()
    model = MLPClassifier((point.hidden,), solver="sgd", learning_rate_init=point.lr, batch_size=point.batch_size,
                          random_state=seed)  # fmt: skip
    config = {**point._asdict(), "seed": seed, "epochs": epochs}
    name = f"{point.name}-seed{seed}"
    with tl.init(
        project=PROJECT, name=name, group=point.name, config=config, dir=directory, settings={"quiet": True}
    ) as run:
        run.define_metric("val/acc", summary="max", goal="max")
        run.define_metric("val/loss", summary="min", goal="min")
        for _ in range(epochs):
            learning = _epoch(model, parts["train"])
            run.log({name: value for part, data in parts.items() for name, value in measure(model, part, data)})
            if not learning:
                run.finish(exit_code=1)
                return


@functools.cache
def digits() -> dict[str, Part]:
    """Return the 1797 digits as train (60%), val and test (20% each), the same for every seed."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    images = images / 16.0
    train_x, rest_x, train_y, rest_y = train_test_split(images, labels, train_size=0.6, random_state=0, stratify=labels)
    val_x, test_x, val_y, test_y = train_test_split(rest_x, rest_y, train_size=0.5, random_state=0, stratify=rest_y)
    return {"train": (train_x, train_y), "val": (val_x, val_y), "test": (test_x, test_y)}


def _epoch(model: Any, data: Part) -> bool:
    """Show the model the data once; False if its weights left the finite numbers, where scikit-learn gives up."""
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            model.partial_fit(*data, classes=range(10))
    except ValueError:
        if all(np.isfinite(weights).all() for weights in model.coefs_):
            raise
        return False
    return True


def measure(model: Any, part: str, data: Part) -> Iterator[tuple[str, float]]:
    """Yield the cross entropy and the accuracy of the model on one part, as they are: inf and NaN too."""
    images, labels = data
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        chances = model.predict_proba(images)
        yield f"{part}/loss", float(-np.log(chances[np.arange(len(labels)), labels]).mean())
    yield f"{part}/acc", float((chances.argmax(axis=1) == labels).mean())


# Reading
