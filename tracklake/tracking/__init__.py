"""The writing side of a run: init, Run, config, summary, session.

- `checked_row`: one row as `log` was given it, checked: nothing in it can be refused any more.
- `config_values`: nested values of a config: dicts and lists whose changes are stored like any other, or refused.
- `distant_writers`: what other machines have said of a run on an object store, looked at now and then.
- `edit_session`: an edit of a recorded run: a session that begins and ends here.
- `exit_status`: with which exit code this process will end.
- `init_arguments`: the arguments of `init`, filled from W&B's settings, its environment variables, and the trial of a
  sweep.
- `live_summary`: the summary of a run while its own process writes it, read at the cost of the rows since the last
  read.
- `open_runs`: the runs that this process has open: the current one, their sign of life, and how they end with the
  process.
- `origins`: what a run begins from: its own earlier sessions, or the run that it is forked from.
- `read_your_writes`: what the process that writes a run reads of it: its summary, and the values that were logged
  before.
- `replaced_values`: a warning, once, when a row replaces values that were logged at its step before.
- `row_writer`: the rows of one session: what `log` is given becomes frames, at the step and in the row where it
  belongs.
- `run`: the writing side of a run: the calls of training code become statements in a journal.
- `run_config`: the config of a run: values that are stored as they are set, and change only when that is said.
- `run_conveniences`: what W&B's runs have beyond logging: watching, alerts, and facts about the run; a part of `Run`.
- `run_files`: the files of a run: its folder, what it saves, and the artifacts that it logs and uses; a part of `Run`.
- `run_mappings`: the summary of a run: a mapping that is written through as it is changed.
- `run_metadata`: what a run notes of its surroundings: host, process, code. Never the environment, never a secret.
- `running_summary`: what one run's summary is made of, in memory: states of series, edits, definitions; and the entries
  they make.
- `session`: one process writing one run: its journal from beginning to end, and what is done beside the training.
- `settings`: W&B's settings, as far as they mean something here.
- `start`: how a run starts: where its lake is, which id it has, and whether it goes on with sessions that were there.
- `system_metrics`: system metrics: samples of processor, memory and graphics cards, a stream of their own beside a
  run's history.
- `tensorboard_sync`: scalars that a SummaryWriter writes for TensorBoard, logged as metrics of the current run as well.
- `trial`: what a sweep's agent tells the `init` that its training code calls: which run it is, and the values to try.
- `turn`: turns: the calls that write one run follow each other, whatever interrupts them.
- `watching`: histograms of the gradients and parameters of a torch module, logged as it trains.
- `written_fields`: the fields of a run that is being written: what it is called and where it belongs, written through
  as they change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracklake.common import late_modules

if TYPE_CHECKING:
    from tracklake.tracking import config_values, edit_session, open_runs, run_config, run_files, run_mappings
    from tracklake.tracking import distant_writers as distant_writers
    from tracklake.tracking import live_summary as live_summary

__all__ = [
    "config_values",
    "edit_session",
    "exit_status",
    "init_arguments",
    "open_runs",
    "run",
    "run_config",
    "run_conveniences",
    "run_files",
    "run_mappings",
    "run_metadata",
    "settings",
    "start",
    "tensorboard_sync",
    "trial",
]
__getattr__ = late_modules.of(__name__)
