"""The command `watch`: the running runs, again and again, with a curve of one metric."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, NamedTuple

import click
import polars as pl

import tracklake as tl
from tracklake.cli import terminal
from tracklake.cli.base import directory_option, main, metric_names
from tracklake.display.labels import printable
from tracklake.errors import UnknownNameError

if TYPE_CHECKING:
    from rich.table import Table


class Watched(NamedTuple):
    """One running run: where it is, and its metric."""

    run_id: str
    name: str
    step: int | None
    last: float | None
    best: float | None
    curve: str
    seconds: float
    """Since it said something."""


@main.command(short_help="Watch the running runs.")
@click.argument("metric", required=False, shell_complete=metric_names)
@directory_option
@click.option("--project", help="Only this project.")
@click.option(
    "--interval", default=2.0, show_default=True, type=click.FloatRange(min=0.1), help="Seconds between looks."
)
@click.option("--all", "every", is_flag=True, help="Runs that have ended too, the newest first.")
@click.option("--once", is_flag=True, help="Look once and end; so it is where there is no terminal.")
def watch(metric: str | None, directory: str, project: str | None, interval: float, *, every: bool, once: bool) -> None:
    """Watch the running runs: their step, the last and best value of METRIC, and its curve. Ctrl-C ends it.

    A run that ends leaves a line above the table: its state, and where it stood.

    Without METRIC it is the one that a definition gives a goal, else the first there is.

    \b
    Examples:
      tracklake watch val/loss
      tracklake watch --all --once
    """
    from rich.console import Console
    from rich.live import Live

    lake = tl.open(directory)
    console = Console(highlight=False)

    def running() -> list[Watched]:
        return look(lake, chosen, project=project, every=every)

    chosen = metric or _usual(lake)
    runs = running()
    if once or not sys.stdout.isatty():  # FORCE_COLOR colours what goes into a file, and makes it no terminal
        console.print(_table(runs, chosen))
        return
    with Live(_table(runs, chosen), console=console, auto_refresh=False) as live:
        try:
            while True:
                time.sleep(interval)
                chosen = metric or _usual(lake)
                before, runs = runs, running()
                for line in ended(lake, before, runs):
                    console.print(printable(line), markup=False)
                live.update(_table(runs, chosen), refresh=True)
        except KeyboardInterrupt:
            return


def ended(lake: tl.Lake, before: list[Watched], runs: list[Watched]) -> list[str]:
    """Return a line for each run that was watched before and has ended: its state and where it stood.

    >>> lake = example()
    >>> runs = look(lake, "loss", project=None, every=True)
    >>> ended(lake, runs, [])
    ['fast: finished at step 2, last 0.75, best 0.25', 'slow: finished at step 2, last 0.5, best 0.5']
    """
    running = {run.run_id for run in runs}
    gone = {run.run_id: run for run in before if run.run_id not in running}
    if not gone:
        return []
    states = dict(lake.runs(runs=list(gone), columns=["state"]).select("run_id", "state").iter_rows())
    return [
        f"{terminal.cell(run.name)}: {states[run_id]} at step {run.step}, "
        f"last {terminal.cell(run.last)}, best {terminal.cell(run.best)}"
        for run_id, run in gone.items()
    ]


def _usual(lake: tl.Lake) -> str | None:
    """Return the metric that has a goal, else the first, None if there is none."""
    metrics = lake.describe().metrics
    with_goal = metrics.filter(pl.col("defined").str.contains("goal "))
    return next(iter([*with_goal["metric"], *metrics["metric"]]), None)


def look(lake: tl.Lake, metric: str | None, *, project: str | None, every: bool) -> list[Watched]:
    """Return the running runs (or, with `every`, the newest), the one started last first; UnknownNameError.

    >>> newest, _ = look(example(), "loss", project=None, every=True)
    >>> newest.run_id, newest.step, newest.last, newest.best
    ('fast', 2, 0.75, 0.25)
    """
    if project is not None and project not in lake.runs(columns=["project"])["project"]:
        raise UnknownNameError.nearest("project", project, lake.runs(columns=["project"])["project"].unique())
    wanted = None if every else pl.col("state") == "running"
    rows = lake.runs(project, where=wanted, columns=["name", "summary._timestamp", "summary._step"],
                      order_by="-created_at", limit=terminal.ROWS)  # fmt: skip
    curves = _curves(lake, metric, rows["run_id"].to_list())
    now = time.time()
    return [
        Watched(run_id, name, step, *curves.get(run_id, (None, None, "")), now - (timestamp or now))
        for run_id, name, timestamp, step in rows.iter_rows()
    ]


def _curves(lake: tl.Lake, metric: str | None, runs: list[str]) -> dict[str, tuple[float | None, float | None, str]]:
    """Return the last and best value of a metric and its curve, of each run that has it."""
    if metric is None or not runs:
        return {}
    goals = set(lake.sql("SELECT goal FROM definitions WHERE name = $m", m=metric)["goal"].drop_nulls())
    points = lake.history(metric, runs=runs)
    best = pl.col("value").fill_nan(None).max() if goals == {"max"} else pl.col("value").fill_nan(None).min()
    rows = points.group_by("run_id").agg(pl.col("value").last().alias("last"), best.alias("best"), pl.col("value"))
    return {run_id: (last, best, terminal.sparkline(values)) for run_id, last, best, values in rows.iter_rows()}


def _table(runs: list[Watched], metric: str | None) -> Table:
    from rich.table import Table

    title = f"{len(runs)} run{'' if len(runs) == 1 else 's'}, {time.strftime('%H:%M:%S')}"
    table = Table(title=title, title_justify="left", title_style="", box=None, header_style="dim", pad_edge=False)
    for heading in ("run", "step", f"{metric or 'no metric'}", "best", "curve", "silent"):
        table.add_column(heading, justify="left" if heading in ("run", "curve") else "right", no_wrap=True)
    for run in runs:
        step = "" if run.step is None else f"{run.step:,}"
        silent = f"{run.seconds:.0f} s"
        table.add_row(
            terminal.cell(run.name), step, terminal.cell(run.last), terminal.cell(run.best), run.curve, silent
        )
    return table
