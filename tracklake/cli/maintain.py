"""Commands that maintain a lake: demo, refresh, check, import, export, completion."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, FishComplete, ZshComplete

import tracklake as tl
from tracklake.cli import demo as demonstration
from tracklake.cli.base import directory_option, listed, main, run_ids
from tracklake.schema import run_fields

SHELLS = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


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
    count = f"{sealed.points:,} points of {sealed.journals:,} journal files are Parquet now"
    click.echo(f"{directory}: {count if sealed.journals else 'nothing new to seal'}")
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


@main.group("import", short_help="Bring in what other tools left behind.")
def import_() -> None:
    """Bring in what other tools left behind, as finished runs.

    \b
    Example:
      tracklake import table curves.csv --run-columns model,seed --step epoch --metric loss
    """


@import_.command("table", short_help="Import a table of curves.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@directory_option
@click.option("--run-columns", required=True, help="Columns that tell runs apart, with commas between them.")
@click.option("--config-columns", help="Columns that become config. [default: the run columns]")
@click.option("--step", required=True, help="The column of the step: whole numbers.")
@click.option("--metric", "metrics", multiple=True, required=True, help="A column, or NAME=COLUMN. May be repeated.")
@click.option("--project", default=run_fields.UNCATEGORIZED, show_default=True, help="The project of the runs.")
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
        run_columns=listed(run_columns),
        config_columns=listed(config_columns) if config_columns is not None else None,
        step=step,
        metrics=named,
        project=project,
    )
    click.echo(f"{directory}: {done.runs:,} runs with {done.points:,} points are in the lake now")


def _named(metric: str) -> tuple[str, str]:
    """Read NAME=COLUMN; a name alone is its own column."""
    name, _, column = metric.rpartition("=")
    return (name, column) if name else (metric, metric)


@main.command(short_help="Write runs, summaries and history as files.")
@click.argument("folder", type=click.Path())
@directory_option
@click.option("--format", "form", type=click.Choice(["parquet", "csv", "jsonl"]), default="parquet", show_default=True,
              help="The form of the files.")  # fmt: skip
@click.option("--run", "run_id", shell_complete=run_ids, help="Only this run: its rows, and all else as run.json.")
@click.option("--where", help="Only runs that meet a SQL condition over their columns.")
def export(folder: str, directory: str, form: str, run_id: str | None, where: str | None) -> None:
    """Write a new folder with the files runs, summaries and history, for tools that know nothing of a lake.

    runs has one row a run, with the columns that `tracklake runs` has; summaries one row a (run, metric, statistic);
    history one row a point. With --run: history has one row a step, and run.json the config, summary and the rest.

    \b
    Examples:
      tracklake export out
      tracklake export out --format csv --where "project = 'digits'"
      tracklake export best --run h64-lr0.1-seed0 --format jsonl
    """
    written = tl.open(directory).export(folder, form=form, run=run_id, where=where)  # type: ignore[arg-type]
    for path in written:
        click.echo(str(path))


@main.command(short_help="Print the script that completes words in a shell.")
@click.argument("shell", type=click.Choice(list(SHELLS)))
def completion(shell: str) -> None:
    """Print the script that lets a shell complete commands, options, ids of runs, metrics and queries.

    \b
    Examples:
      tracklake completion bash >> ~/.bashrc
      tracklake completion zsh >> ~/.zshrc
      tracklake completion fish > ~/.config/fish/completions/tracklake.fish
    """
    script = SHELLS[shell](main, {}, "tracklake", "_TRACKLAKE_COMPLETE")
    click.echo(script.source())
