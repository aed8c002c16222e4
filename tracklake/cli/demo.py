"""`tracklake demo`: a real sweep on scikit-learn's digits, logged and read through the public API alone."""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

import tracklake as tl
from tracklake.cli.demo_sweep import DIVERGING, METRICS, PROJECT, SWEEP, Configuration, train_all
from tracklake.errors import TracklakeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console
    from rich.table import Table

SHOWN = 8
"""Configurations in the printed table, and best epochs in a row of it."""


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
