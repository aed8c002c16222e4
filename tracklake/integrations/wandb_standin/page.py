"""The page of the documents that lists every name; run as a module, it prints `tracklake/wandb_names.md`."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from tracklake.integrations.wandb_api.api import OF_A_SERVER
from tracklake.integrations.wandb_standin import names
from tracklake.tracking import init_arguments

if TYPE_CHECKING:
    from collections.abc import Mapping

_HEAD = """# W&B's names

What each public name of wandb 0.31 does under `import tracklake as wandb`, and under `tracklake wrap`: **same** as in
W&B; **better**, as the note says; **stored only**, kept in the lake and not drawn; **ignored**, accepted with one
warning; **refused**, an error that names the way out.
`python -m tracklake.integrations.wandb_standin.page` writes this page.

Arguments of `init` that are ignored: `monitor_gym`, `force`, `anonymous`, `magic`, and settings but for those of
`tracklake.tracking.settings`. `dir` is the lake under `import tracklake as wandb`, and ignored under the wrapper.

{variables}

Libraries that have to be told: transformers 5 logs nowhere by default (`report_to="wandb"`), ultralytics neither
(`yolo settings wandb=True`).

## Libraries under the wrapper

What a real training of each logs, held by `tests/integrations/test_wrapped_libraries.py`, run by `.ci/run`. Values are
compared with those that the library reports; for ddp_spawn, the search, ultralytics and stable-baselines3 steps alone.
An exception or an exit code other than 0 makes a run failed, but where a library finishes it itself.

| library | metrics over | config | a run ends | test |
|---|---|---|---|---|
| Lightning `WandbLogger` | `trainer/global_step` | hyperparameters | finished | `test_lightning` |
| Lightning with ddp_spawn | `trainer/global_step` | | finished | `test_lightning_in_spawned_processes` |
| transformers `report_to="wandb"` | `train/global_step` | training arguments | finished | `test_transformers` |
| transformers `hyperparameter_search` | `train/global_step` | locked | finished | `test_transformers_search` |
| accelerate `log_with="wandb"` | the step given | as given | finished | `test_accelerate` |
| Optuna `WeightsAndBiasesCallback` | the trial's number | the trial's parameters | finished | `test_optuna_callback` |
| Ray `WandbLoggerCallback` | `training_iteration` | the trial's | finished (a failed one too) | `test_ray_callback` |
| Ray `setup_wandb` | the row | the trial's | finished | `test_ray_setup` |
| ultralytics | `epoch` | all arguments | finished | `test_ultralytics` |
| Keras `WandbMetricsLogger` (torch backend) | `epoch/epoch` | as given to `init` | finished | `test_keras` |
| xgboost `WandbCallback` | the iteration | the booster's settings | finished | `test_xgboost_and_lightgbm` |
| lightgbm `wandb_callback` | the iteration | parameters | finished | `test_xgboost_and_lightgbm` |
| stable-baselines3 `WandbCallback` | `global_step` | hyperparameters | finished | `test_stable_baselines` |

## Scripts of W&B's documents

Scripts in the shape of those documents, run by `tests/integrations/test_wandb_documents.py` and
`tests/integrations/wandb_api/test_wandb_snippets.py`.

| script | with the import line changed alone | under the wrapper |
|---|---|---|
| summary: the best so far, and an update after the run | ran | ran |
| summary: `define_metric` with min, max, best, hidden, a step metric | ran | ran |
| summary: every kind; entries, nested ones and an array, during the run and after it | ran | ran |
| axes of one's own, for one metric and by a pattern | ran | ran |
| summary: sixteen further ones, arrays, tensors, resuming, comparing runs | ran | |
| sweeps: define, initialize and run (random) | ran | ran |
| sweeps: added to one's own code (bayes) | ran | ran |
| sweeps: all kinds of distributions, `init(config=config)` | ran | ran |
| sweeps: parameters nested twice | ran | ran |
| sweeps: hyperband | ran | ran |
| sweeps: agents by entity, project and id; a nested metric; what the public API says of a sweep | ran | ran |
| sweeps: `wandb sweep`, `wandb agent --count`, `--pause`, `--resume`, `--stop` in a shell | | ran |
| sweeps: `wandb.controller(...)`, a local controller | refused | refused |
| Lightning: metrics, checkpoints by alias, media, `watch`, `unwatch` | it imports wandb: `TracklakeLogger` | ran |
| Lightning: Fabric | as above | ran |
| Keras: metrics, checkpoints, tables of predictions, the older callback | | ran |
| Keras: checkpoints in TensorFlow's SavedModel format | | Keras 3 itself refuses them |
"""
_API_RUN = {
    "delete": ("same", "`lake.restore(runs)` takes it back until vacuum; artifacts stay"),
    "display": ("ignored", ""),
    "download_history_exports": ("refused", "`lake.scan_history()` is complete; partitions are Parquet already"),
    "history": ("better", "complete by default"),
    "stop": ("refused", "end its process"),
    "update_state": ("refused", "`tracklake.init(id=..., resume='must')` goes on with it"),
    "upload_file": ("refused", "`run.save` while it runs"),
}


def page() -> str:
    r"""Return the page as Markdown.

    >>> page()[:14]
    "# W&B's names\n"
    """
    module = {name: (entry.how, entry.note) for name, entry in names.MODULE.items()}
    api = {name: ("refused", way_out) for name, way_out in OF_A_SERVER.items()}
    api |= dict.fromkeys(names.API, ("same", ""))
    run = {name: _API_RUN.get(name, ("same", "")) for name in names.API_RUN}
    tables: dict[str, Mapping[str, tuple[str, str]]] = {
        "The module": module,
        "Run": names.RUN,
        "Api": api,
        "Runs of the Api": run,
    }
    head = _HEAD.format(variables=_variables())
    return head + "".join(f"\n## {title}\n\n{_table(rows)}" for title, rows in tables.items())


def _variables() -> str:
    """Return what becomes of W&B's environment variables."""
    honoured = ", ".join(sorted(init_arguments.ENVIRONMENT))
    quiet = ", ".join(sorted(init_arguments.HARMLESS))
    text = (
        f"Environment variables that stand for arguments which are not given: {honoured}. Those that concern a server, "
        f"or that libraries read themselves, are accepted without a word: {quiet}. Any other WANDB_* is told once, by "
        "name, to mean nothing; the lake is where TRACKLAKE_DIR says."
    )
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)


def _table(rows: Mapping[str, tuple[str, str]]) -> str:
    lines = [f"| `{name}` | {how} | {note} |" for name, (how, note) in sorted(rows.items())]
    return "\n".join(["| name | | note |", "|---|---|---|", *lines, ""])


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201 - it is what running the module is for
