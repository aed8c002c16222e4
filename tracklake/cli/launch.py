"""Commands that launch: agent, the life of a sweep, and wrap."""

from __future__ import annotations

import sys

import click

import tracklake as tl
from tracklake.cli.base import Refusal, directory_option, echo, main, sweep_commands
from tracklake.integrations.wandb_standin import launcher
from tracklake.sweeping.launching import processes
from tracklake.sweeping.launching.create import open_sweep


@sweep_commands.command(short_help="Make a sweep of a YAML or JSON file, and print its id.")
@click.argument("config", type=click.Path(dir_okay=False, exists=True))
@directory_option
@click.option("--project", help="The project of its runs. [default: as the file says]")
def create(config: str, directory: str, project: str | None) -> None:
    """Make a sweep of CONFIG, W&B's sweep.yaml, and print its id.

    \b
    Examples:
      tracklake sweep create sweep.yaml
      tracklake agent $(tracklake sweep create sweep.yaml) --parallel 4
    """
    echo(tl.sweep(config, project=project, dir=directory))


@sweep_commands.command("list", short_help="Show the sweeps that were launched.")
@directory_option
def show_sweeps(directory: str) -> None:
    """Show the id, state, method, trials and name of each sweep.

    \b
    Example:
      tracklake sweep list
    """
    for sweep_id in tl.open(directory).sweeps:
        records = open_sweep(sweep_id, directory)
        name = records.config.content.get("name", "")
        trials = len(records.claims())
        echo(f"{sweep_id}  {records.state:<8}  {records.config.method:<6}  {trials:>5} trials  {name}".rstrip())


@sweep_commands.command(short_help="Let no new trial begin until the sweep is resumed.")
@click.argument("sweep")
@directory_option
def pause(sweep: str, directory: str) -> None:
    """Let agents of SWEEP wait after their trials.

    \b
    Example:
      tracklake sweep pause abcd1234
    """
    open_sweep(sweep, directory).change("PAUSED")


@sweep_commands.command(short_help="Go on with a sweep, with a higher cap if need be.")
@click.argument("sweep")
@directory_option
@click.option("--run-cap", type=click.IntRange(min=1), help="How many trials there are to be, over all agents.")
def resume(sweep: str, directory: str, run_cap: int | None) -> None:
    """Let trials of SWEEP begin again, also where it was finished.

    \b
    Examples:
      tracklake sweep resume abcd1234
      tracklake sweep resume abcd1234 --run-cap 200
    """
    open_sweep(sweep, directory).change("RUNNING", **({} if run_cap is None else {"run_cap": run_cap}))


@sweep_commands.command(short_help="Let no new trial begin, ever.")
@click.argument("sweep")
@directory_option
def cancel(sweep: str, directory: str) -> None:
    """Let agents of SWEEP end after their trials.

    \b
    Example:
      tracklake sweep cancel abcd1234
    """
    open_sweep(sweep, directory).change("CANCELED")


@main.command(short_help="Run trials of a sweep.")
@click.argument("sweep")
@directory_option
@click.option("--count", type=click.IntRange(min=1), help="At most so many trials. [default: until there are no more]")
@click.option("--parallel", type=click.IntRange(min=1), default=1, show_default=True, help="Agents side by side.")
def agent(sweep: str, directory: str, count: int | None, parallel: int) -> None:
    """Run trials of SWEEP with the command of its config, until there are no more; on as many machines as you like.

    Each trial is claimed in the lake before it is tried. SIGTERM ends an agent cleanly, with exit code 143: its trial
    is marked, and another agent goes on with it where it was (`run.resumed`, `run.starting_step`).

    \b
    Examples:
      tracklake agent abcd1234
      tracklake agent abcd1234 --count 10 --parallel 4

    \b
    A job array of Slurm, eight agents; what is preempted, or runs out of time,
    is gone on with by the others, or when the job is requeued:
      #!/bin/bash
      #SBATCH --array=0-7 --requeue --time=04:00:00 --signal=TERM@120
      srun tracklake agent abcd1234 --dir /shared/lake
    """
    if parallel == 1:
        tl.agent(sweep, count=count, dir=directory)
        return
    open_sweep(sweep, directory)
    words = [sys.executable, "-m", "tracklake.cli", "agent", sweep, "--dir", directory]
    words += [] if count is None else ["--count", str(count)]
    code = processes.run_agents(words, parallel)
    if code == processes.PREEMPTED:  # SIGTERM came, and was passed on
        sys.exit(code)
    if code:
        raise Refusal(f"an agent of sweep {sweep} ended with exit code {code}")


@main.command(
    short_help="Run a command that logs to W&B, into the lake.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@directory_option
def wrap(command: tuple[str, ...], directory: str) -> None:
    """Run COMMAND with a stand-in for wandb first on its path: its runs go into the lake, no line is changed.

    Options of wrap come before COMMAND. Libraries that log nowhere by default have to be told: report_to="wandb" for
    transformers, `yolo settings wandb=True` for ultralytics. `python -I` ignores the path, and with it the stand-in.

    \b
    Examples:
      tracklake wrap python train.py --lr 0.1
      tracklake wrap --dir runs/lake torchrun --nproc-per-node 2 train.py
    """
    sys.exit(launcher.wrap(command, lake=directory))
