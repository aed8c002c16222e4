"""The page of the documents that lists every name; run as a module, it prints `tracklake/wandb_names.md`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracklake.integrations.wandb_api.api import OF_A_SERVER
from tracklake.integrations.wandb_standin import names

if TYPE_CHECKING:
    from collections.abc import Mapping

_HEAD = """# W&B's names

What each public name of wandb 0.31 does under `import tracklake as wandb`, and under `tracklake wrap`: **same** as in
W&B; **better**, as the note says; **stored only**, kept in the lake and not drawn; **ignored**, accepted with one
warning; **refused**, an error that names the way out.
`python -m tracklake.integrations.wandb_standin.page` writes this page.

Arguments of `init` that are ignored: `monitor_gym`, `force`, `anonymous`, `magic`, and settings but for those of
`tracklake.tracking.settings`. `dir` is the lake under `import tracklake as wandb`, and ignored under the wrapper.
WANDB_ENTITY, JOB_TYPE, MODE, NAME, NOTES, PROJECT, RESUME, RUN_GROUP, RUN_ID and TAGS are honoured; other WANDB_*
variables are told once, but for those that only concern a server.

Libraries that have to be told: transformers 5 logs nowhere by default (`report_to="wandb"`), ultralytics neither
(`yolo settings wandb=True`).

## Libraries under the wrapper

What a real training of each logs, held by `tests/integrations/test_wrapped_libraries.py`; an empty field is not tested.

| library | metrics over | config | a run ends |
|---|---|---|---|
| Lightning `WandbLogger`, also with ddp_spawn | `trainer/global_step` | hyperparameters | finished |
| transformers `report_to="wandb"` | `train/global_step` | training arguments | finished |
| transformers `hyperparameter_search` | | the trial's values, locked | finished |
| accelerate `log_with="wandb"` | the step given | as given | |
| Keras `WandbMetricsLogger` (torch backend) | epoch | | |
| xgboost `WandbCallback` | the iteration | | |
| lightgbm `wandb_callback` | the iteration | | |
| stable-baselines3 `WandbCallback` | `global_step` | hyperparameters | |
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
    return _HEAD + "".join(f"\n## {title}\n\n{_table(rows)}" for title, rows in tables.items())


def _table(rows: Mapping[str, tuple[str, str]]) -> str:
    lines = [f"| `{name}` | {how} | {note} |" for name, (how, note) in sorted(rows.items())]
    return "\n".join(["| name | | note |", "|---|---|---|", *lines, ""])


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201 - it is what running the module is for
