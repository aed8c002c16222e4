"""Commands of statistical analysis: compare, sweep, at-budget, time-to. They need the extra `analysis`."""

from __future__ import annotations

from typing import Any, get_args

import click

import tracklake as tl
from tracklake.analysis.stats.options import Center, Diverged, Failed, Test, Unit
from tracklake.cli import terminal
from tracklake.cli.base import (
    directory_option,
    echo,
    listed,
    main,
    metric_names,
    project_option,
    read,
    read_pair,
    sweep_commands,
)
from tracklake.cli.terminal import forms, give, limit

goal_option = click.option(
    "--goal", type=click.Choice(["min", "max"]), help="Whether less or more is better. [default: as it is defined]"
)
where_option = click.option("--where", help="Only runs that meet a SQL condition over their columns.")
failed_option = click.option(
    "--failed", type=click.Choice(get_args(Failed)), default="exclude", show_default=True, help="Failed runs."
)
diverged_option = click.option(
    "--diverged",
    type=click.Choice(get_args(Diverged)),
    default="count",
    show_default=True,
    help="Runs that end in NaN.",
)


@main.command(short_help="Which settings are better, and is it luck?")
@click.argument("metric", shell_complete=metric_names)
@directory_option
@click.option(
    "--by", required=True, help="What makes the groups: columns with commas, such as lr,config.depth or group."
)
@click.option("--over", help="What varies inside a group, by which runs match. [default: config.seed]")
@click.option("--task", help="Columns that are tasks, such as data sets.")
@goal_option
@click.option("--stat", help="The statistic that is a run's number. [default: best]")
@where_option
@project_option
@click.option("--baseline", metavar="KEYS", help="The group to compare with: 0.1, or lr=0.1. [default: the best]")
@click.option(
    "--center", type=click.Choice(get_args(Center)), default="mean", show_default=True, help="What is compared."
)
@click.option("--unit", type=click.Choice(get_args(Unit)), default="run", show_default=True, help="What is drawn.")
@click.option("--test", type=click.Choice(get_args(Test)), default="auto", show_default=True, help="Which test.")
@failed_option
@diverged_option
@click.option("--markdown", "shape", flag_value="markdown", help="A table in Markdown.")
@click.option("--latex", "shape", flag_value="latex", help="A table in LaTeX.")
@limit
@forms
def compare(
    metric: str, directory: str, by: str, form: str | None, limit: int | None, shape: str | None, **options: Any
) -> None:
    """Compare groups of runs by METRIC: their means with intervals, their differences, and what seeds allow to say.

    --json, --csv and --parquet give all columns, one row a group.

    \b
    Examples:
      tracklake compare val/acc --by lr --over seed --goal max
      tracklake compare val/loss --by group --baseline plain --where "state = 'finished'"
      tracklake compare val/acc --by lr,batch_size --latex > table.tex
    """
    options |= {name: _columns(options[name]) for name in ("over", "task")}
    options["baseline"] = None if options["baseline"] is None else _keys(options["baseline"])
    comparison = tl.open(directory).compare(metric, by=listed(by), **options)
    if form is not None:
        give(comparison.table, form=form, rows=terminal.most(form, limit))
    elif shape is None:
        terminal.show(comparison, limit=limit)
    else:
        echo(comparison.to_markdown() if shape == "markdown" else comparison.to_latex())


@sweep_commands.command("analyze", short_help="What do runs say of their settings? METRIC may be a launched sweep.")
@click.argument("metric", shell_complete=metric_names)
@directory_option
@goal_option
@click.option("--params", help="The columns of config that count, with commas. [default: all that vary]")
@click.option("--stat", help="The statistic that is a run's number. [default: best]")
@where_option
@project_option
@failed_option
@diverged_option
@click.option("--best", type=click.IntRange(min=1), help="Show this many of the best runs instead.")
@click.option("--marginal", metavar="PARAM", help="Show what each value of one setting means instead.")
@limit
@forms
def sweep(
    metric: str,
    directory: str,
    form: str | None,
    limit: int | None,
    params: str | None,
    best: int | None,
    marginal: str | None,
    **options: Any,
) -> None:
    """Show which settings of a set of runs mattered for METRIC, most important first; launched as a sweep or not.

    METRIC may be the id of a sweep that was launched: its runs are judged by its own metric.

    \b
    Examples:
      tracklake sweep val/acc --goal max
      tracklake sweep val/loss --where "project = 'digits'" --best 5
      tracklake sweep val/acc --marginal lr --csv > lr.csv
    """
    if best is not None and marginal is not None:
        raise click.UsageError("give --best or --marginal; one of the two")
    lake = tl.open(directory)
    launched = metric in lake.sweeps and metric not in lake.metrics
    target: dict[str, Any] = {"sweep_id": metric} if launched else {"metric": metric}
    analysis = lake.sweep(**target, params=_columns(params), **options)
    if best is not None:
        frame = analysis.best(best)
    else:
        frame = analysis.importance() if marginal is None else analysis.marginal(marginal)
    if form is None and best is None and marginal is None:
        terminal.show(analysis, limit=0, columns="in a wider terminal")  # the forms give what is below
        echo()
    give(frame, form=form, rows=terminal.most(form, limit))


@main.command("at-budget", short_help="What had each run reached with equal means?")
@click.argument("metric", shell_complete=metric_names)
@click.argument("budget", nargs=-1, required=True, metavar="X=AMOUNT...")
@directory_option
@goal_option
@where_option
@project_option
@limit
@forms
def at_budget(
    metric: str,
    budget: tuple[str, ...],
    directory: str,
    form: str | None,
    limit: int | None,
    **options: str | None,
) -> None:
    """Show the last and the best value of METRIC within a budget of step, time, or any metric; of several all hold.

    \b
    Examples:
      tracklake at-budget val/acc step=1000
      tracklake at-budget val/loss time=2h tokens=1e9 --goal min
    """
    frame = tl.open(directory).at_budget(dict(read_pair(text) for text in budget), metric=metric, **options)
    give(frame, form=form, rows=terminal.most(form, limit))


@main.command("time-to", short_help="How much does it take to reach a threshold?")
@click.argument("metric", shell_complete=metric_names)
@click.argument("threshold", type=float)
@directory_option
@goal_option
@click.option("--x", help="What is counted: time, or a metric such as tokens.  [default: the step]")
@click.option("--by", help="What makes the groups: columns with commas. [default: all runs are one group]")
@where_option
@project_option
@click.option("--baseline", metavar="KEYS", help="The group to compare with: 0.1, or lr=0.1. [default: the soonest]")
@limit
@forms
def time_to(
    metric: str,
    threshold: float,
    directory: str,
    form: str | None,
    limit: int | None,
    by: str | None,
    baseline: str | None,
    **options: Any,
) -> None:
    """Show how many steps runs take until METRIC reaches THRESHOLD; those that never do count as well.

    \b
    Examples:
      tracklake time-to val/acc 0.95 --by lr
      tracklake time-to val/loss 0.3 --x time --goal min --json
    """
    base = None if baseline is None else _keys(baseline)
    result = tl.open(directory).time_to(metric, threshold, by=_columns(by) or (), baseline=base, **options)
    if form is None:
        terminal.show(result, limit=limit)
    else:
        give(result.table, form=form, rows=terminal.most(form, limit))


def _keys(text: str) -> Any:
    """Read the keys of a group: a value, an object of JSON, or as a table prints them: lr=0.1, depth=3."""
    pairs = [pair.partition("=") for pair in text.split(", ")]
    if all(equals and name.strip().replace(".", "").replace("_", "").isalnum() for name, equals, _ in pairs):
        return {name.strip(): read(value) for name, _, value in pairs}
    return read(text)


def _columns(text: str | None) -> list[str] | None:
    return None if text is None else listed(text)
