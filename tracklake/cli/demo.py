"""`tracklake demo`: a real sweep on scikit-learn's digits, logged and read through the public API alone."""

from __future__ import annotations

import concurrent.futures
import functools
import importlib.util
import os
import sys
import time
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import polars as pl

import tracklake as tl
from tracklake.common.lazy_numpy import np
from tracklake.errors import TracklakeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from rich.console import Console
    from rich.table import Table

PROJECT = "digits"
METRICS = ["train/loss", "train/acc", "val/loss", "val/acc", "test/loss", "test/acc"]
SHOWN = 8
"""Configurations in the printed table, and best epochs in a row of it."""


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


def demo(
    directory: str,
    *,
    configurations: Sequence[Configuration] = (*SWEEP, DIVERGING),
    seeds: int = 3,
    epochs: int = 30,
    console: Console | None = None,
) -> None:
    """Train the sweep into the lake at `directory` and print what it found.

    New seeds are taken each time, so that a second call adds runs that say something new.
    Raises TracklakeError without scikit-learn.
    """
    if importlib.util.find_spec("sklearn") is None:
        raise TracklakeError("the demo trains with scikit-learn, which is not installed: pip install 'tracklake[demo]'")
    from rich.console import Console  # every command imports this module

    console = console or Console(highlight=False)
    lake = tl.open(directory, create=True)
    earlier_runs = lake.runs(
        where=pl.col("project") == PROJECT
    )  # project= would refuse a project that is not there yet
    first = 0 if earlier_runs.is_empty() else int(earlier_runs["config.seed"].max()) + 1  # type: ignore[arg-type]  # a column of ints
    jobs = list(product(range(first, first + seeds), configurations))
    began = time.perf_counter()
    train_all(jobs, directory=directory, epochs=epochs, console=console)
    console.print(
        f"{len(jobs)} runs in {time.perf_counter() - began:.0f} s: {len(configurations)} configurations x {seeds} seeds"
        f" x {epochs} epochs, {len(METRICS)} metrics"
    )
    if not earlier_runs.is_empty():
        console.print(f"{earlier_runs.height} runs were there; {len(jobs)} added, with seeds from {first}.")
    lake.refresh()
    report(lake, console=console, directory=directory)


# Training


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
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
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


def report(lake: tl.Lake, *, console: Console, directory: str) -> None:
    """Print the best configurations, the rows at their best epochs, what diverged, the files, and what to type next."""
    from rich.markup import escape

    runs = lake.runs(project=PROJECT, columns=["name", "group", "config.seed"])
    best = at_best(lake, runs)
    leaders = leaderboard(best)
    winner = leaders["group"][0]
    top = leaders.head(SHOWN)
    console.print(f"\n[bold]The best {top.height} of {leaders.height} configurations[/], at each run's best val/acc")
    console.print(_leaders(top))
    console.print(f"\n[bold]{winner}[/]: all metrics at the best epoch of each seed")
    console.print(_rows_at_best(best.filter(pl.col("group") == winner).sort("config.seed")))
    console.print(f"\n[bold]Diverged[/]: {diverged(lake, runs)}")
    console.print("\n[bold]Where it lies[/]")
    console.print("\n".join(tree(Path(directory))), markup=False, soft_wrap=True)
    console.print(f"\n[bold]Next[/], in {_interpreter()} or a notebook:", soft_wrap=True)
    for title, code in next_things(directory).items():
        console.print(f"\n[dim]# {title}[/]\n{escape(code)}", soft_wrap=True)


def at_best(lake: tl.Lake, runs: pl.DataFrame) -> pl.DataFrame:
    """Return one row a run: its group and seed, its best epoch by val/acc, and every metric at that epoch.

    >>> with tl.init(group="h1") as run:
    ...     run.log(dict.fromkeys(METRICS, 0.5))
    >>> at_best(tl.open(), tl.open().runs(columns=["group"])).select("group", "step", "test/acc").rows()
    [('h1', 0, 0.5)]
    """
    rows = lake.at_best("val/acc", goal="max", take=[m for m in METRICS if m != "val/acc"], runs=runs)
    return rows.join(runs, on="run_id")


def leaderboard(best: pl.DataFrame) -> pl.DataFrame:
    """Return one row a configuration, best mean first: over its seeds n, mean and std, and the best epochs.

    >>> seeds = {"group": ["a", "a"], "val/acc": [0.9, 0.7], "test/acc": [0.8, 0.6]}
    >>> best = pl.DataFrame(seeds).with_columns(pl.Series("config.seed", [1, 0]), pl.Series("step", [3, 4]))
    >>> leaderboard(best).select("group", "n", "val_mean", "epochs").row(0)
    ('a', 2, 0.8, [4, 3])
    """
    return (
        best.group_by("group")
        .agg(
            pl.len().alias("n"),
            pl.col("val/acc").mean().alias("val_mean"),
            pl.col("val/acc").std().alias("val_std"),
            pl.col("test/acc").mean().alias("test_mean"),
            pl.col("test/acc").std().alias("test_std"),
            pl.col("step").sort_by("config.seed").alias("epochs"),
        )
        .sort(["val_mean", "group"], descending=[True, False])
    )


def _leaders(leaders: pl.DataFrame) -> Table:
    table = _table("configuration", "n", "val/acc", "test/acc there", "best epochs")
    for row in leaders.iter_rows(named=True):
        epochs = " ".join(map(str, row["epochs"][:SHOWN])) + (" ..." if row["n"] > SHOWN else "")
        val, test = _spread(row["val_mean"], row["val_std"]), _spread(row["test_mean"], row["test_std"])
        table.add_row(row["group"], str(row["n"]), val, test, epochs)
    return table


def _rows_at_best(rows: pl.DataFrame) -> Table:
    table = _table("seed", "epoch", *METRICS)
    for row in rows.iter_rows(named=True):
        table.add_row(str(row["config.seed"]), str(row["step"]), *(f"{row[metric]:.4f}" for metric in METRICS))
    return table


def _table(*headings: str) -> Table:
    from rich.table import Table

    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "configuration" else "right", no_wrap=True)
    return table


def _spread(mean: float, std: float | None) -> str:
    return f"{mean:.4f}" if std is None else f"{mean:.4f} ± {std:.4f}"  # one seed has no spread


def diverged(lake: tl.Lake, runs: pl.DataFrame) -> str:
    """Say which runs had a val/loss that was not finite, and how often.

    >>> with tl.init(group="h1") as run:
    ...     run.log({"val/loss": float("nan")})
    >>> print(diverged(tl.open(), tl.open().runs(columns=["group"])).splitlines()[0])
    1 of 1 runs, all of them h1.
    """
    counts = lake.summaries(["val/loss.n_nan", "val/loss.n_inf"], runs=runs).join(runs, on="run_id")
    bad = counts.filter(pl.col("val/loss.n_nan") + pl.col("val/loss.n_inf") > 0)
    if bad.is_empty():
        return "none."
    groups = ", ".join(sorted(set(bad["group"])))
    return (
        f"{bad.height} of {runs.height} runs, all of them {groups}.\nTheir val/loss was inf in"
        f" {bad['val/loss.n_inf'].sum()} epochs, then NaN in {bad['val/loss.n_nan'].sum()}: kept, and counted apart."
    )


def tree(root: Path) -> Iterator[str]:
    """Yield a line for the lake and one for each part of it: files and bytes."""
    yield f"{root}{os.sep}".ljust(20) + _size([f for f in root.rglob("*") if f.is_file()])
    entries = sorted(root.iterdir(), key=lambda path: (path.is_dir(), path.name))
    for entry in entries:
        branch = "└── " if entry == entries[-1] else "├── "
        inner = [f for f in entry.rglob("*") if f.is_file()] if entry.is_dir() else [entry]
        name = f"{branch}{entry.name}{os.sep if entry.is_dir() else ''}".ljust(20)
        yield name + _size(inner) + ABOUT.get(entry.name, "")


ABOUT = {
    "history": "  points: Parquet, a Delta Lake table",
    "journal": "  as logged, until it is sealed",
    "runs": "  configs, names, how they ended",
    "states": "  aggregates: any summary without a scan",
}


def _size(files: list[Path]) -> str:
    kilobytes = sum(f.stat().st_size for f in files) / 1000
    return f"{len(files):>4} file{'s' if len(files) != 1 else ' '} {kilobytes:>9,.1f} kB"


NEXT = {
    "Which learning rate is better, and is the difference real? Configurations and seeds are matched": """\
import tracklake as tl
lake = tl.open({directory})
same = ["seed", "hidden", "batch_size"]
print(lake.compare("val/acc", by="lr", over=same, goal="max", where="state = 'finished'"))""",
    "Ask SQL: which runs were the first to reach 97 %?": """\
import tracklake as tl
tl.open({directory}).sql('''
    SELECT run_id, min(step) AS epoch, count(*) AS epochs_above FROM history
    WHERE metric = 'val/acc' AND value > 0.97 GROUP BY run_id ORDER BY epoch, run_id LIMIT 5''')""",
    "The best runs, and what each scored on test at its lowest val/loss": """\
import tracklake as tl
lake = tl.open({directory})
top = lake.runs(where='"config.lr" < 1', order_by="-summary.val/acc.max", limit=5)
lake.at_best("val/loss", take=["val/acc", "test/acc"], runs=top)""",
    "Read the Parquet with plain polars, without tracklake": """\
import polars as pl
points = pl.scan_parquet({points}).filter(pl.col("metric") == "val/acc")
points.group_by("run_id").agg(pl.col("value").max()).sort("value").tail(5).collect()""",
}
"""The next things to type: title and Python."""


def next_things(directory: str) -> dict[str, str]:
    """Return the next things to type: title and Python that runs as it stands.

    >>> list(next_things("lake").values())[-1].splitlines()[1][:43]
    "points = pl.scan_parquet('lake/history/*.pa"
    """
    points = f"{Path(directory).as_posix()}/history/*.parquet"
    return {title: code.format(points=repr(points), directory=repr(directory)) for title, code in NEXT.items()}


def _interpreter() -> str:
    """Return the Python that has tracklake, as one would type it from here."""
    here = Path.cwd()
    python = Path(sys.executable)
    return str(python.relative_to(here) if python.is_relative_to(here) else python)
