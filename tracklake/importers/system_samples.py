"""System metrics of imported runs: a stream of their own beside the history, as the writing side keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracklake.query import system_history
from tracklake.storage.journal.clock import Clock
from tracklake.storage.journal.writer import Journal
from tracklake.storage.layout import SYSTEM_FOLDER

if TYPE_CHECKING:
    from tracklake.importers.readers.records import RunRecord
    from tracklake.storage.backend import Storage


def write(storage: Storage, record: RunRecord, run_id: str) -> int:
    """Write the samples of a record that the lake does not have; return how many these are.

    >>> from tracklake.importers.readers.records import RunRecord
    >>> storage = example()._storage
    >>> record = RunRecord("wandb:a", run_id="fast", system=[(1_000_000, {"cpu": 50.0})])
    >>> write(storage, record, "fast"), write(storage, record, "fast")
    (1, 0)
    """
    if not record.system:
        return 0
    present = system_history.history(storage, None, runs=[run_id], steps=None, shape="long")
    through = present["time"].dt.epoch("us").max() if present.height else None
    fresh = sorted((sample for sample in record.system if through is None or sample[0] > int(through)), key=_moment)  # type: ignore[arg-type]
    if not fresh:
        return 0
    journal = Journal(
        storage.journal_folder(SYSTEM_FOLDER),
        run_id=run_id,
        project=record.project,
        clock=Clock(),
        durability="buffered",
        header={"imported_from": record.identity},
    )
    for moment, numbers in fresh:
        journal.append_row(moment, 0, tuple(numbers), "d" * len(numbers), list(numbers.values()))
    journal.finish([])
    return len(fresh)


def _moment(sample: tuple[int, dict[str, float]]) -> int:
    return sample[0]
