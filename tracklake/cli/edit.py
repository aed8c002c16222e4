"""Commands that edit metadata of metrics and runs, never what was logged: define, derive, alias, tag."""

from __future__ import annotations

import click

import tracklake as tl
from tracklake.cli.base import directory_option, echo, listed, main, metric_names, run_ids


@main.command(short_help="Define how a metric is summarized.")
@click.argument("metric", shell_complete=metric_names)
@directory_option
@click.option(
    "--summary", help="min, max, mean, best, last, first, std, sum, count, median or none; several with commas."
)
@click.option("--goal", type=click.Choice(["min", "max"]), help="Whether less or more of it is better.")
@click.option("--step-metric", shell_complete=metric_names, help="The metric that is its x axis.")
@click.option("--hidden/--shown", default=None, help="Whether it is left out of default columns.")
@click.option("--project", help="Only in the runs of this project.")
@click.option("--overwrite", is_flag=True, help="Replace earlier definitions, instead of adding to them.")
def define(
    metric: str, directory: str, summary: str | None, *, hidden: bool | None, overwrite: bool, **options: str | None
) -> None:
    """Define how METRIC, or all that a glob matches, is summarized in all runs, past and future. Nothing is recomputed.

    \b
    Examples:
      tracklake define "val/*loss*" --summary min --goal min
      tracklake define val/acc --summary max,last --goal max --project digits
      tracklake define "debug/*" --hidden
    """
    kinds = listed(summary) if summary is not None else None
    tl.open(directory).define_metric(metric, summary=kinds, hidden=hidden, overwrite=overwrite, **options)
    echo(f"{directory}: {metric} is defined so now")


@main.command(short_help="Derive a metric from others.")
@click.argument("name")
@click.argument("expression", required=False)
@directory_option
@click.option("--description", help="What it means.")
@click.option("--unit", help="Its unit.")
@click.option("--project", help="Only in the runs of this project.")
@click.option("--remove", is_flag=True, help="Take it back.")
def derive(name: str, expression: str | None, directory: str, *, remove: bool, **options: str | None) -> None:
    """Say that NAME is EXPRESSION, SQL over other metrics in double quotes; it is a metric then, in all runs.

    Over metrics it has a value a step; over columns of the runs alone it is one value a run, summary.NAME.

    \b
    Examples:
      tracklake derive gap '"val/loss" - "train/loss"' --description "generalization gap"
      tracklake derive acc_per_param '"summary.val/acc.max" / "config.params"'
      tracklake derive gap --remove
    """
    if remove == (expression is not None):
        raise click.UsageError("give an expression, or --remove; one of the two")
    tl.open(directory).derive(name, expression, **options)
    echo(f"{directory}: {name} is {'derived no more' if remove else f'derived as {expression}'}")


@main.command(short_help="Say that metrics are the same.")
@click.argument("name")
@click.argument("others", nargs=-1, shell_complete=metric_names)
@directory_option
@click.option("--description", help="What it means.")
@click.option("--project", help="Only in the runs of this project.")
@click.option("--remove", is_flag=True, help="Take it back.")
def alias(name: str, others: tuple[str, ...], directory: str, *, remove: bool, **options: str | None) -> None:
    """Say that NAME has the points of the metrics OTHERS, so that runs which logged under other names compare.

    \b
    Examples:
      tracklake alias environment eval/rewards env/reward
      tracklake alias environment --remove
    """
    if remove == bool(others):
        raise click.UsageError("give the other names, or --remove; one of the two")
    tl.open(directory).alias(name, *others, **options)
    echo(f"{directory}: {name} is {'no alias now' if remove else 'the same as ' + ', '.join(others)}")


@main.command(short_help="Add or remove tags of a run.")
@click.argument("run", shell_complete=run_ids)
@click.argument("tags", nargs=-1)
@directory_option
@click.option("--remove", multiple=True, help="A tag to remove. May be repeated.")
def tag(run: str, tags: tuple[str, ...], directory: str, remove: tuple[str, ...]) -> None:
    """Add TAGS to RUN, remove others, and show those that it has then.

    \b
    Examples:
      tracklake tag h64-lr0.1-seed0 baseline paper
      tracklake tag h64-lr0.1-seed0 --remove draft
    """
    recorded = tl.open(directory).run(run)
    before = recorded.tags
    after = [t for t in dict.fromkeys([*before, *tags]) if t not in remove]
    if after != before:
        recorded.tags = after
    echo(", ".join(after) or "no tags")
