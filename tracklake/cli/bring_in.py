"""The command `import`: bring in what other tools left behind."""

from __future__ import annotations

import difflib
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import tracklake as tl
from tracklake.cli.base import directory_option, echo, listed, main
from tracklake.cli.terminal import wrapped
from tracklake.cli.wording import shell_words
from tracklake.errors import UnknownNameError
from tracklake.importers import registry
from tracklake.schema import run_fields

if TYPE_CHECKING:
    from tracklake.importers.readers.records import Restart


class _Import(click.Group):
    """`import PATH...` recognises, `import FORMAT PATH...` insists, `import table FILE --metric ...` says all."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Take the first word for a path where it is no command and no format."""
        name = args[0]
        is_spelled_out = {"--run-columns", "--metric", "--help", "-h"} & {arg.split("=")[0] for arg in args}
        if name in self.commands and (name != "table" or is_spelled_out):
            return super().resolve_command(ctx, args)
        formats = registry.load()
        if name in formats:
            return "paths", _insisting(name), args[1:]
        if len(args) > 1 and not Path(name).exists() and difflib.get_close_matches(name, formats, 1):
            raise UnknownNameError.nearest("format", name, formats)
        return "paths", _insisting(None), args


@main.group("import", cls=_Import, short_help="Bring in what other tools left behind.")
def import_() -> None:
    """Bring in what other tools left behind, as finished runs: files, folders and all below them, globs.

    What a file is, is told from what it holds; a format named first is insisted on. The same source again adds nothing,
    one that grew what is new. Options: tracklake import paths --help. Formats: tracklake import formats.

    \b
    Examples:
      tracklake import results/
      tracklake import results/ --dry-run
      tracklake import results/ --path "{dataset}/{model}/seed{seed}/metrics.csv"
      tracklake import keras logs/*.log --restart new-run
      tracklake import text_log train.log --pattern "step (?P<step>[0-9]+): loss (?P<loss>[0-9.]+)"
      tracklake import table curves.csv --run-columns model,seed --step epoch --metric loss
    """


_restart_option = click.option(
    "--restart", type=click.Choice(["new-run", "continue", "last-wins"]), help="What a falling step means."
)


@import_.command("formats", short_help="List the formats that are recognised.")
def formats() -> None:
    """List the formats that are recognised, in the order in which they are asked.

    \b
    Example:
      tracklake import formats
    """
    for name, module in registry.load().items():
        echo(f"{name:<18}{(module.__doc__ or '').splitlines()[0]}")


_PATH_OPTIONS = [
    click.argument("paths", nargs=-1, required=True),
    directory_option,
    click.option("--project", help="The project of all runs. [default: as the source has it]"),
    click.option("--dry-run", is_flag=True, help="Tell what would come in; write nothing."),
    click.option("--verify", is_flag=True, help="Compare the summaries with those that the sources hold."),
    click.option("--replace", is_flag=True, help="What was imported of these runs before counts no longer."),
    click.option("--watch", type=click.FloatRange(min=0), metavar="SECONDS", help="Import again and again."),
    click.option("--step", help="Tables: the column of the step; '' counts the rows."),
    click.option("--run-columns", default="", help="Tables: columns that tell runs apart, with commas between them."),
    click.option("--metrics", default="", help="Tables: columns that must be numbers, with commas between them."),
    _restart_option,
    click.option("--pattern", help="Text logs: a regular expression with named groups."),
    click.option("--path", "named_paths", help="Parts of paths as config: '{model}/seed{seed}/metrics.csv'."),
]


def _insisting(format: str | None) -> click.Command:  # noqa: A002 - the word for it
    """Return the command that imports paths, of one format if it is named."""

    def paths_command(paths: tuple[str, ...], directory: str, **options: Any) -> None:
        """Import files, folders and all below them, and globs; tell what came in and what could not be read.

        \b
        Example:
          tracklake import results/ --dry-run
        """
        _import_paths(paths, directory, format=format, **options)

    for option in reversed(_PATH_OPTIONS):
        paths_command = option(paths_command)
    return click.command("paths", short_help="Import files and folders.")(paths_command)


def _import_paths(
    paths: tuple[str, ...],
    directory: str,
    *,
    run_columns: str,
    metrics: str,
    named_paths: str | None,
    replace: bool,
    watch: float | None,
    **options: Any,
) -> None:
    """Import once, or again and again, and print what came of it."""
    bring_in = partial(
        tl.open(directory, create=True).import_from,
        paths,
        run_columns=listed(run_columns),
        metrics=listed(metrics),
        paths=named_paths,
        **options,
    )
    echo(wrapped(shell_words(str(bring_in(replace=replace)))))
    while watch is not None:
        time.sleep(watch)
        report = bring_in()
        if report.runs:
            echo(wrapped(shell_words(str(report))))


import_.add_command(_insisting(None))


@import_.command("table", short_help="Import a table of curves.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@directory_option
@click.option("--run-columns", required=True, help="Columns that tell runs apart, with commas between them.")
@click.option("--config-columns", help="Columns that become config. [default: the run columns]")
@click.option("--step", required=True, help="The column of the step: whole numbers.")
@click.option("--metric", "metrics", multiple=True, required=True, help="A column, or NAME=COLUMN. May be repeated.")
@click.option("--project", default=run_fields.UNCATEGORIZED, show_default=True, help="The project of the runs.")
@_restart_option
def import_table(
    file: str,
    directory: str,
    run_columns: str,
    config_columns: str | None,
    step: str,
    metrics: tuple[str, ...],
    project: str,
    restart: Restart | None,
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
        run_columns=listed(run_columns),
        config_columns=listed(config_columns) if config_columns is not None else None,
        step=step,
        metrics=named,
        project=project,
        restart=restart,
    )
    echo(f"{directory}: {done.runs:,} runs with {done.points:,} points are in the lake now")


def _named(metric: str) -> tuple[str, str]:
    """Read NAME=COLUMN; a name alone is its own column."""
    name, _, column = metric.rpartition("=")
    return (name, column) if name else (metric, metric)
