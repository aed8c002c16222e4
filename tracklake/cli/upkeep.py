"""Commands that keep a lake small and in order: compact, vacuum, repair, versions, delete, restore, rename, move."""

from __future__ import annotations

from datetime import timedelta

import click

import tracklake as tl
from tracklake.cli.base import directory_option, echo, main, run_ids
from tracklake.cli.terminal import forms, give, limit, most
from tracklake.common.text import number_of
from tracklake.display.labels import printable
from tracklake.storage import layout
from tracklake.storage.table import repair as repairing

_LISTED = 20


@main.command(short_help="Merge small partitions into large ones.")
@directory_option
def compact(directory: str) -> None:
    """Merge small partitions into few large ones: reading gets faster, answers stay the same.

    Finishing runs do so in small steps by themselves; this does all of it. Safe beside training, reading and other
    compactions; it may be interrupted.

    \b
    Example:
      tracklake compact --dir /data/lake
    """
    done = tl.open(directory).compact()
    if not done.steps:
        echo(f"{directory}: nothing to merge")
        return
    left_out = f", {done.resolved:,} that no longer count are left out" if done.resolved else ""
    echo(
        f"{directory}: {number_of(done.merged, 'partition')} became {done.written:,}; "
        f"{done.points:,} points were written{left_out}"
    )


@main.command(short_help="Delete files that nothing needs any more.")
@directory_option
@click.option("--older-than", "days", default=7.0, show_default=True, type=click.FloatRange(min=0),
              help="Days for which every version stays readable; at least one.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Only tell what would be deleted.")
def vacuum(directory: str, days: float, *, dry_run: bool) -> None:
    """Delete the files that no version of the last days needs, and those that belong to no commit.

    Runs that were deleted longer ago lose their rows for good.

    \b
    Examples:
      tracklake vacuum --dry-run
      tracklake vacuum --older-than 30
    """
    done = tl.open(directory).vacuum(older_than=timedelta(days=days), dry_run=dry_run)
    verb = "would be" if dry_run else "were"
    runs = f"; rows of {number_of(done.runs, 'deleted run')} {verb} taken out" if done.runs else ""
    echo(f"{directory}: {number_of(done.files, 'file')} ({done.bytes:,} bytes) {verb} deleted{runs}")


@main.command(short_help="Mend what check finds wrong.")
@directory_option
@click.option("--dry-run", is_flag=True, help="Only tell what would be done, and what is lost.")
@click.pass_context
def repair(ctx: click.Context, directory: str, *, dry_run: bool) -> None:
    """Mend what `tracklake check` finds wrong, as far as the bytes that are left allow.

    States are computed anew from points, lost commits are made again from the partitions that they named, journals are
    sealed as far as they can be read, and a partition that is damaged beyond that is set aside. What is lost is told by
    run and metric. Nothing that is sound is touched. Exit code 0 if nothing is lost, 1 if something is.

    \b
    Examples:
      tracklake repair --dry-run
      tracklake repair --dir /data/lake
    """
    repaired = repairing.repair(layout.connect(layout.root_of(directory)), dry_run=dry_run)
    echo(str(repaired))
    ctx.exit(1 if repaired.lost else 0)


@main.command(short_help="List the versions of the sealed data.")
@directory_option
@limit
@forms
def versions(directory: str, limit: int | None, form: str | None) -> None:
    """List the versions of the sealed data, the newest first; `lake.at(version)` reads one as it was.

    \b
    Examples:
      tracklake versions
      tracklake versions --limit 0 --csv
    """
    give(tl.open(directory).versions().reverse(), form=form, rows=most(form, limit))


@main.command(short_help="Hide runs from every answer.")
@click.argument("runs", nargs=-1, shell_complete=run_ids)
@directory_option
@click.option("--where", help="Runs that meet a SQL condition over their columns.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(runs: tuple[str, ...], directory: str, where: str | None, *, yes: bool) -> None:
    """Hide RUNS, by their ids or a condition, from every answer at once; `tracklake restore` brings them back.

    Their rows stay until `tracklake vacuum` takes them out, a week later.

    \b
    Examples:
      tracklake delete kelo-mupa
      tracklake delete --where "state = 'crashed'" --yes
    """
    lake = tl.open(directory)
    ids = _chosen(lake, runs, where)
    if not yes and ids:
        more = f" and {len(ids) - _LISTED:,} more" if len(ids) > _LISTED else ""
        click.confirm(printable(f"Delete {number_of(len(ids), 'run')} ({', '.join(ids[:_LISTED])}{more})?"), abort=True)
    echo(f"{directory}: {number_of(lake.delete(ids), 'run')} deleted")


@main.command(short_help="Bring deleted runs back.")
@click.argument("runs", nargs=-1, required=True)
@directory_option
def restore(runs: tuple[str, ...], directory: str) -> None:
    """Bring RUNS back that were deleted.

    \b
    Example:
      tracklake restore kelo-mupa
    """
    echo(f"{directory}: {number_of(tl.open(directory).restore(list(runs)), 'run')} restored")


@main.command(short_help="Give a run or a project another name.")
@click.argument("run_or_project")
@click.argument("name")
@directory_option
@click.option("--project", "is_project", is_flag=True, help="It is a project, with all its runs.")
def rename(run_or_project: str, name: str, directory: str, *, is_project: bool) -> None:
    """Give a run, by its id, the display NAME; with --project a project the name NAME. Ids of runs stay.

    \b
    Examples:
      tracklake rename kelo-mupa baseline
      tracklake rename --project digits-old digits
    """
    lake = tl.open(directory)
    if is_project:
        echo(f"{directory}: {number_of(lake.rename_project(run_or_project, name), 'run')} in project {name} now")
    else:
        lake.rename(run_or_project, name)
        echo(f"{directory}: {run_or_project} is called {name} now")


@main.command(short_help="Move runs to another project.")
@click.argument("runs", nargs=-1, shell_complete=run_ids)
@directory_option
@click.option("--where", help="Runs that meet a SQL condition over their columns.")
@click.option("--to", "project", required=True, help="The project; a new one or one that is there.")
def move(runs: tuple[str, ...], directory: str, where: str | None, project: str) -> None:
    """Move RUNS, by their ids or a condition, to another project, at once and together.

    \b
    Examples:
      tracklake move kelo-mupa --to digits
      tracklake move --where "project = 'tmp' AND state = 'finished'" --to digits
    """
    lake = tl.open(directory)
    ids = _chosen(lake, runs, where)
    echo(f"{directory}: {number_of(lake.move(ids, project), 'run')} in project {project} now")


def _chosen(lake: tl.Lake, runs: tuple[str, ...], where: str | None) -> list[str]:
    """Return the ids of the runs that a command names, by ids or by a condition."""
    if bool(runs) == (where is not None):
        raise click.UsageError("give ids of runs, or --where; one of the two")
    return lake.runs(runs=list(runs) or None, where=where, columns=["run_id"])["run_id"].to_list()
