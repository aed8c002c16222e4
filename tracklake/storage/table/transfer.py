"""Transfer: the sealed content of a lake, copied to another place as the same lake.

Files come before the commits that name them, in the order of the log, so that the copy is a whole lake at any moment,
and a copy that was interrupted goes on where it ended. What is there already is compared, not copied again.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, NamedTuple

from tracklake.errors import LakeError
from tracklake.storage import layout
from tracklake.storage.table.delta_log import DeltaLog
from tracklake.storage.table.verified_files import SIBLINGS, checksum, verified

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracklake.storage.backend import Storage
    from tracklake.storage.table.delta_actions import Partition
    from tracklake.storage.table.verified_files import Sibling

LOG = "history/_delta_log"
CONTENT = "files"


class Copied(NamedTuple):
    """What a transfer wrote."""

    files: int
    bytes: int
    commits: int


def copy(source: Storage, target: Storage) -> Copied:
    """Copy all that is sealed and not there yet, each file verified on both sides; the target may be empty or older.

    Raises LakeError where the target is another lake, or has commits that the source has not, and where a file of the
    source is damaged; OSError where the target cannot be written.

    >>> from pathlib import Path
    >>> lake = example()
    >>> _ = lake.refresh()
    >>> copied = copy(lake._storage, layout.connect(Path("backup")))
    >>> copied.commits, copy(lake._storage, layout.connect(Path("backup"))).files  # the log's creation, and a seal
    (2, 0)
    """
    marker = source.read(layout.MARKER)
    if not target.put_if_absent(layout.MARKER, marker) and target.read(layout.MARKER) != marker:
        raise LakeError(
            f"{target.describe()} is another lake than {source.describe()}: a copy goes to an empty place or to an "
            "earlier copy. lake.merge(other) brings the runs of one lake into another"
        )
    log = [entry.name for entry in source.list(LOG)]
    copied_log = {entry.name for entry in target.list(LOG)}
    _refuse_other_commits(source, target, copied_log - set(log))
    log.sort()
    if log and log[0] not in copied_log:  # a lake that has partitions and no log has lost it
        target.put_if_absent(f"{LOG}/{log[0]}", source.read(f"{LOG}/{log[0]}"))
    sizes = [*_copy_content(source, target), *_copy_partitions(source, target)]
    missing = [name for name in log if name not in copied_log]
    for name in missing:
        target.put_if_absent(f"{LOG}/{name}", source.read(f"{LOG}/{name}"))
    target.journal_folder(layout.JOURNAL_FOLDER)
    return Copied(len(sizes), sum(sizes), sum(name.endswith(".json") for name in missing))


def _refuse_other_commits(source: Storage, target: Storage, foreign: set[str]) -> None:
    commits = sorted(name for name in foreign if name.endswith(".json"))
    newest = DeltaLog(source).read().number
    beyond = [name for name in commits if name[:20].isdigit() and int(name[:20]) > newest]
    if beyond:
        raise LakeError(
            f"{target.describe()} has commits that {source.describe()} has not ({beyond[0]} and later): it went its "
            "own way. Copy in the other direction, or to an empty place"
        )


def _copy_content(source: Storage, target: Storage) -> Iterator[int]:
    """Copy the files that are named by their content; yield the bytes of each."""
    present = {entry.name for entry in target.list(CONTENT)}
    for entry in source.list(CONTENT):
        if entry.name not in present:
            shutil.copyfile(source.fetch(f"{CONTENT}/{entry.name}"), target.stage(f"{CONTENT}/{entry.name}"))
            target.publish([f"{CONTENT}/{entry.name}"])
            yield entry.size


def _copy_partitions(source: Storage, target: Storage) -> Iterator[int]:
    """Copy the files of the newest version's partitions; yield the bytes of each."""
    present = {folder: {entry.name for entry in target.list(folder)} for folder in SIBLINGS}
    for partition in DeltaLog(source).read().partitions.values():
        for sibling in SIBLINGS:
            name = getattr(partition, sibling)
            is_there = name.rpartition("/")[2] in present[sibling]
            if is_there and _is_whole(target, partition, sibling):
                continue
            path = verified(source, partition, sibling)
            if is_there:  # damaged, and there is a sound one to put in its place
                target.delete(name)
            shutil.copyfile(path, target.stage(name))
            if checksum(target.stage(name)) != checksum(path):
                raise LakeError(f"{target.describe(name)} differs from what was written to it: the place is unreliable")
            target.publish([name])
            yield partition.sizes[SIBLINGS.index(sibling)]


def _is_whole(target: Storage, partition: Partition, sibling: Sibling) -> bool:
    """Tell whether a file that an earlier transfer wrote is whole."""
    try:
        verified(target, partition, sibling)
    except LakeError:
        return False
    return True
