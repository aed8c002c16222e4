"""An edit of a recorded run: a session that begins and ends here."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tracklake.storage import layout
from tracklake.storage.journal import host
from tracklake.storage.journal.upload import uploader_of
from tracklake.storage.journal.writer import Journal
from tracklake.storage.layout import JOURNAL_FOLDER

if TYPE_CHECKING:
    from tracklake.storage.backend import Storage
    from tracklake.storage.journal.clock import Clock
    from tracklake.tracking.run_mappings import Change


def write_session(storage: Storage, *, run_id: str, project: str, changes: list[Change], clock: Clock) -> None:
    """Write statements as a session that begins and ends here; it does not count for the run's state.

    They are on the disk then. Raises LakeError where the lake cannot be written, UnsavedRowsError on a full disk.

    >>> from tracklake.schema import values
    >>> from tracklake.storage.journal.clock import Clock
    >>> lake = example()
    >>> changes = [("field", "notes", values.store("rerun", name="notes"))]
    >>> write_session(lake._storage, run_id="slow", project="example", changes=changes, clock=Clock())
    >>> lake.run("slow").facts["notes"], lake.run("slow").state
    ('rerun', 'finished')
    """
    header: dict[str, object] = {
        "lake": layout.read_id(storage),
        "node": host.NODE,
        "pid": os.getpid(),
        "edits_only": True,
    }
    journal = Journal(
        storage.journal_folder(JOURNAL_FOLDER),
        run_id=run_id,
        project=project,
        clock=clock,
        durability="fsync",
        header=header,
    )
    journal.append_changes(changes)
    journal.finish([])
    uploader = uploader_of(storage, JOURNAL_FOLDER, journal.session)
    if uploader is not None:
        uploader.finish()
