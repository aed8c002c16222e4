"""The command `tracklake`: a thin layer over the library."""

from __future__ import annotations

import datetime as dt
import shutil
import sys
from typing import Any

import click
import polars as pl

import tracklake as tl
from tracklake import demo as demonstration
from tracklake.errors import TracklakeError

ROWS = 30
"""Runs that a table shows unless --limit says otherwise."""
CELL = 32
"""Characters of a cell in a table."""


class Refusal(click.ClickException):
    """An error that tracklake raised on purpose: one line, no traceback."""

    exit_code = 2


class _Commands(click.Group):
    """A group whose commands turn TracklakeError into a Refusal."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except TracklakeError as error:
            raise Refusal(str(error)) from error


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="tracklake")
def main() -> None:
    """Compare training runs: everything logged lies as Parquet in one folder, the lake.

    \b
    Start here:
      tracklake demo                     train a real sweep into ./lake and look at it
      tracklake runs --limit 5           look at the newest runs
      tracklake check                    is everything sound?

    The lake is --dir, else $TRACKLAKE_DIR, else ./lake. Exit code 1: check found something wrong; 2: the command
    could not be done.
    """


directory_option = click.option(
    "--dir", "directory", envvar="TRACKLAKE_DIR", default="lake", show_default=True, show_envvar=True, help="The lake."
)


@main.command(short_help="Train a real sweep and look at it.")
@directory_option
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(min=1), help="Runs of each configuration.")
@click.option("--epochs", default=30, show_default=True, type=click.IntRange(min=1), help="Epochs of each run.")
def demo(directory: str, seeds: int, epochs: int) -> None:
    """Train a real sweep on scikit-learn's digits and show what the lake knows of it.

    25 configurations x 3 seeds x 30 epochs, under a minute on two cores; one configuration diverges. Run it again and
    it adds runs with new seeds. Needs `pip install 'tracklake[demo]'`.

    \b
    Examples:
      tracklake demo
      tracklake demo --dir /tmp/lake --seeds 1
    """
    demonstration.demo(directory, seeds=seeds, epochs=epochs)


@main.command(short_help="Seal what is logged into Parquet.")
@directory_option
def refresh(directory: str) -> None:
    """Seal what running and ended trainings have logged so far into Parquet.

    Readers see live data without it; it makes reading faster and lets other tools read all of it. Safe at any time,
    from any number of processes.

    \b
    Example:
      tracklake refresh --dir /data/lake
    """
    sealed = tl.open(directory).refresh()
    said = f"{sealed.points:,} points of {sealed.journals:,} journal files are Parquet now"
    click.echo(f"{directory}: {said if sealed.journals else 'nothing new to seal'}")
    for fault in sealed.faults:
        click.echo(str(fault), err=True)


@main.command(short_help="Is everything sound?")
@directory_option
@click.option("--full", is_flag=True, help="Compare every summary with its points, not only a sample.")
@click.pass_context
def check(ctx: click.Context, directory: str, *, full: bool) -> None:
    """Verify what can be verified on disk: checksums, the log, states against points, stray files.

    Exit code 0 if all is sound, 1 if something is wrong.

    \b
    Examples:
      tracklake check
      tracklake check --full --dir /data/lake || echo "look at it"
    """
    report = tl.open(directory).check(full=full)
    click.echo(str(report))
    ctx.exit(0 if report.ok else 1)


@main.command(short_help="Show the runs.")
@directory_option
@click.option("--project", help="Only this project.")
@click.option("--where", help="A SQL condition over the runs' columns; names with a dot or slash in double quotes.")
@click.option("--columns", help="Names and globs, separated by commas: 'name,config.*,summary.val/acc.max'.")
@click.option(
    "--order-by", default="-created_at", show_default=True, help="A column; with a minus in front, the largest first."
)
@click.option("--limit", type=click.IntRange(min=0), help=f"This many runs; 0 for all. [default: {ROWS} in a table]")
@click.option("--json", "form", flag_value="json", help="One JSON object a line.")
@click.option("--csv", "form", flag_value="csv", help="CSV with a head line.")
def runs(directory: str, form: str | None, limit: int | None, columns: str | None, **question: str | None) -> None:
    """Show the runs, one a line, the newest first.

    A table has as many columns as the terminal has room for, name, summary and config first; --columns chooses others.

    \b
    Examples:
      tracklake runs
      tracklake runs --order-by=-summary.val/acc.max --limit 5
      tracklake runs --where "state = 'finished' AND \\"config.lr\\" < 0.1"
      tracklake runs --columns "name,config.*,summary.*loss*.min"
      tracklake runs --columns run_id,summary.val/loss.min --csv > losses.csv
    """
    wanted = [c.strip() for c in columns.split(",")] if columns else None
    most = limit or (None if form or limit == 0 else ROWS)
    frame = tl.open(directory).runs(columns=wanted, limit=most and most + 1, **question)
    shown = frame.head(most) if most else frame
    if form == "json":
        click.echo(shown.write_ndjson(), nl=False)
    elif form == "csv":
        click.echo(_flat(shown).write_csv(), nl=False)
    else:
        width = shutil.get_terminal_size((100, 0)).columns
        click.echo("\n".join(table(shown if wanted else _telling(shown), width=width)))
        if shown.height < frame.height:
            click.echo(f"... more than {shown.height} runs: --limit 0 shows them all")


def _telling(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the columns that hold anything, those first that tell most of a run."""
    held = [name for name in frame.columns if frame[name].null_count() < frame.height]
    if frame["name"].equals(frame["run_id"]):
        held = [name for name in held if name != "name"]  # what a run is called that was given no name
    first = [name for start in ("run_id", "name", "summary.", "config.") for name in held if name.startswith(start)]
    return frame[list(dict.fromkeys([*first, *held]))]


def _flat(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with lists as text, which is what CSV can hold."""
    lists = [name for name, dtype in frame.schema.items() if dtype == pl.List]
    return frame.with_columns(frame[name].cast(pl.List(pl.String)).list.join(",") for name in lists)


def table(frame: pl.DataFrame, *, width: int) -> list[str]:
    """Return the lines of a plain table of at most `width` characters; what has no room is named below it.

    >>> for line in table(pl.DataFrame({"name": ["a", "b"], "lr": [0.1, None], "long": ["x" * 9] * 2}), width=12):
    ...     print(line)
    name   lr
    a     0.1
    b
    2 rows; no room for 1 column: long
    """
    columns = {name: _column(name, frame[name]) for name in frame.columns}
    shown: list[list[str]] = []
    left = width
    for cells in columns.values():
        left -= len(cells[0]) + 2 * bool(shown)
        if left < 0 and shown:
            break
        shown.append(cells)
    lines = ["  ".join(cells).rstrip() for cells in zip(*shown, strict=True)]
    hidden = frame.columns[len(shown) :]
    count = f"{frame.height} row{'' if frame.height == 1 else 's'}"
    room = f"; no room for {len(hidden)} column{'' if len(hidden) == 1 else 's'}: {', '.join(hidden)}"
    return [*lines, count + (room if hidden else "")]


def _column(name: str, values: pl.Series) -> list[str]:
    """Return heading and cells of one column, all of one width."""
    cells = [_cell(name), *map(_cell, values)]
    width = max(map(len, cells))
    return [cell.rjust(width) if values.dtype.is_numeric() else cell.ljust(width) for cell in cells]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dt.datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    text = ", ".join(map(str, value)) if isinstance(value, pl.Series) else str(value)
    text = "".join(c if c.isprintable() else " " for c in text)  # a name may hold line ends and terminal codes
    return text if len(text) <= CELL else text[: CELL - 1] + "…"


@main.group("import")
def import_() -> None:
    """Bring in what other tools left behind, as finished runs.

    \b
    Example:
      tracklake import table curves.csv --run-columns model,seed --step epoch --metric loss
    """


@import_.command("table")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@directory_option
@click.option("--run-columns", required=True, help="Columns that tell runs apart, with commas between them.")
@click.option("--config-columns", help="Columns that become config. [default: the run columns]")
@click.option("--step", required=True, help="The column of the step: whole numbers.")
@click.option("--metric", "metrics", multiple=True, required=True, help="A column, or NAME=COLUMN. May be repeated.")
@click.option("--project", default="uncategorized", show_default=True, help="The project of the runs.")
def import_table(
    file: str,
    directory: str,
    run_columns: str,
    config_columns: str | None,
    step: str,
    metrics: tuple[str, ...],
    project: str,
) -> None:
    """Import a table with one row a (run, step): CSV, TSV, Parquet or JSONL, by its ending.

    All of its runs come in, as finished ones, or none. An empty cell is not logged; of rows with the same run and step
    the last that has a value wins.

    \b
    Examples:
      tracklake import table curves.csv --run-columns model,seed --step epoch --metric val/loss=loss --metric acc
      tracklake import table curves.parquet --run-columns run --config-columns lr,depth --step step --metric loss
    """
    named = dict(_named(metric) for metric in metrics)
    lake = tl.open(directory, create=True)
    done = lake.import_table(
        file,
        run_columns=_listed(run_columns),
        config_columns=_listed(config_columns) if config_columns is not None else None,
        step=step,
        metrics=named,
        project=project,
    )
    click.echo(f"{directory}: {done.runs:,} runs with {done.points:,} points are in the lake now")


def _listed(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _named(metric: str) -> tuple[str, str]:
    """Read NAME=COLUMN; a name alone is its own column."""
    name, _, column = metric.rpartition("=")
    return (name, column) if name else (metric, metric)


if __name__ == "__main__":
    sys.exit(main())
