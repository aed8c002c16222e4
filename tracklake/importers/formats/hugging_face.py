"""Hugging Face's Trainer: `trainer_state.json`, of a run's folder or of its checkpoints."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from tracklake.errors import SourceError
from tracklake.importers.readers import curves, json_lines, places
from tracklake.importers.readers.curves import Form
from tracklake.importers.readers.records import ImportOptions, Source
from tracklake.importers.readers.run_files import with_config

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    import polars as pl

    from tracklake.importers.readers.records import Yielded

PRIORITY = 30
LARGEST = 256 << 20
"""Bytes of a state, beyond which it is none."""
_CHECKPOINT = re.compile(r"checkpoint-(\d+)")
_ONCE = ("train_runtime", "train_samples_per_second", "train_steps_per_second", "train_loss", "total_flos")
"""What the Trainer logs once, at the end: summary, not history."""
_CONFIG = ("max_steps", "num_train_epochs", "train_batch_size", "eval_steps", "logging_steps", "save_steps")


def recognise(folder: Path, names: Collection[str]) -> Iterator[Source]:
    """Yield the state that a folder has, if it is not that of a checkpoint beside a later one.

    >>> from pathlib import Path
    >>> [source.path.name for source in recognise(Path("out"), ["trainer_state.json"])]
    ['trainer_state.json']
    """
    if "trainer_state.json" in names and not _has_later(folder):
        run = folder.parent if _CHECKPOINT.fullmatch(folder.name) else folder
        others = sorted(run.glob("checkpoint-*/trainer_state.json"))
        state = folder / "trainer_state.json"
        yield Source("hugging_face", state, (state, *(path for path in others if path != state)))


def _has_later(folder: Path) -> bool:
    """Tell whether the state of a checkpoint is repeated by that of its run, or of a later checkpoint."""
    match = _CHECKPOINT.fullmatch(folder.name)
    if match is None:
        return False
    states = folder.parent.glob("checkpoint-*/trainer_state.json")
    numbers = [_CHECKPOINT.fullmatch(path.parent.name) for path in states]
    is_last = all(int(other[1]) <= int(match[1]) for other in numbers if other is not None)
    return (folder.parent / "trainer_state.json").is_file() or not is_last


def _run_folder(path: Path) -> Path:
    """Return the folder that stands for the run: that of its checkpoints."""
    return path.parent.parent if _CHECKPOINT.fullmatch(path.parent.name) else path.parent


class _LogHistory:
    """The list `log_history` of a state, as one frame."""

    def __init__(self, path: Path, rows: list[dict[str, Any]]) -> None:
        self.path, self._rows = path, rows
        self.remarks: dict[str, bool] = {}

    def frames(self) -> Iterator[pl.DataFrame]:
        """Yield the rows."""
        yield json_lines.of_rows(self._rows)


def read(source: Source, options: ImportOptions) -> Iterator[Yielded]:
    """Yield the run, with the Trainer's own names: `eval_loss` is eval/loss, `loss` is train/loss.

    >>> from pathlib import Path
    >>> from tracklake.importers.readers.records import ImportOptions
    >>> _ = Path("trainer_state.json").write_text('{"log_history": [{"step": 1, "eval_loss": 0.5}]}')
    >>> source = Source("hugging_face", Path("trainer_state.json"))
    >>> list(read(source, ImportOptions()))[1].frame["metric"][0]
    'eval/loss'
    """
    path = source.path
    state = _state(path)
    folder = _run_folder(path)
    record = places.record_at(folder, options, kind="hugging_face", file=path)
    record.session = ""  # the checkpoints of a run tell the same history again
    rows = [row for row in state.get("log_history", []) if isinstance(row, dict)]
    once = {key: row[key] for row in rows for key in _ONCE if key in row and "train_runtime" in row}
    best = {key: state[key] for key in ("best_metric", "best_global_step") if state.get(key) is not None}
    record.summary = {**{_renamed(key): value for key, value in once.items()}, **best}
    record.config = {**{key: state[key] for key in _CONFIG if state.get(key) is not None}, **record.config}
    yield from with_config(record, [folder])
    logged = [{k: v for k, v in row.items() if k not in once or "train_runtime" not in row} for row in rows]
    form = Form(step="step", elapsed="", rename=_renamed)
    if logged:
        yield from curves.points(_LogHistory(path, logged), record, options, form)
    else:
        record.is_timed, record.start = False, path.stat().st_mtime_ns // 1000
        yield record


def _state(path: Path) -> dict[str, Any]:
    if path.stat().st_size > LARGEST:
        raise SourceError(f"{path} is larger than {LARGEST >> 20} MB: it is no trainer state")
    try:
        state = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path} is no JSON: {error}") from None
    if not isinstance(state, dict) or not isinstance(state.get("log_history"), list):
        raise SourceError(f"{path} has no log_history")
    return state


def _renamed(name: str) -> str:
    """Return the name that the Trainer's own integrations log under."""
    for prefix in ("eval", "test"):
        if name.startswith(f"{prefix}_"):
            return f"{prefix}/{name.removeprefix(f'{prefix}_')}"
    return f"train/{name}"
