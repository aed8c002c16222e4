"""Commands that maintain a lake: demo, refresh, check, export, completion."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, FishComplete, ZshComplete

import tracklake as tl
from tracklake.cli import demo as demonstration
from tracklake.cli.base import directory_option, echo, main, project_option, run_ids

FORMS = ["parquet", "csv", "jsonl", "mlflow", "tensorboard", "wandb"]
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
    echo(f"{directory}: {count if sealed.journals else 'nothing new to seal'}")
    for fault in sealed.faults:
        echo(str(fault), err=True)


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
    echo(str(report))
    ctx.exit(0 if report.ok else 1)


@main.command(short_help="Write runs, summaries and history as files.")
@click.argument("folder", type=click.Path())
@directory_option
@click.option("--format", "form", type=click.Choice(FORMS), default="parquet", show_default=True,
              help="The form of the files.")  # fmt: skip
@click.option("--run", "run_id", shell_complete=run_ids, help="Only this run: its rows, and all else as run.json.")
@click.option("--where", help="Only runs that meet a SQL condition over their columns.")
@click.option("--formulas", is_flag=True, help="CSV: no apostrophe before a text that a spreadsheet would run.")
@project_option
def export(
    folder: str,
    directory: str,
    form: str,
    run_id: str | None,
    where: str | None,
    project: str | None,
    *,
    formulas: bool,
) -> None:
    """Write a new folder with the files runs, summaries and history, for tools that know nothing of a lake.

    runs has one row a run, with the columns that `tracklake runs` has; summaries one row a (run, metric, statistic);
    history one row a point. With --run: history has one row a step, and run.json the config, summary and the rest.

    \b
    Examples:
      tracklake export out
      tracklake export out --format csv --where "project = 'digits'"
      tracklake export best --run h64-lr0.1-seed0 --format jsonl
    """
    written = tl.open(directory).export(
        folder,
        format=form,  # type: ignore[arg-type] # one of the choices
        run=run_id,
        where=where,
        project=project,
        escape_formulas=not formulas,
    )
    for path in written:
        echo(str(path))


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
