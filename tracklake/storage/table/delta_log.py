"""The commit point of the whole lake: a Delta Lake log in history/_delta_log, one numbered JSON file a commit.

Each commit names the history files that it adds and removes; a history file stands for its siblings in states/ and
runs/ too. Every Delta reader can read the table. The writer feature `tracklake` keeps foreign writers out, because
they know nothing of the siblings.
"""

from __future__ import annotations

import errno
import random
import re
import time
from typing import TYPE_CHECKING, NamedTuple

from tracklake.common import interrupts
from tracklake.errors import CommitError, LakeError
from tracklake.storage.table import checkpoint, delta_actions
from tracklake.storage.table.delta_actions import Commit, Partition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tracklake.storage.backend import Entry, Storage

COMMIT = re.compile(r"[0-9]{20}\.json", re.ASCII)
LOG_FOLDER = "history/_delta_log"
_NOT_DONE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG}
"""What a commit fails with that was not published."""
_PATIENCE = 3  # losses before a committer begins to pause


class Version(NamedTuple):
    """What one commit and all before it leave in the lake."""

    number: int
    """-1 where nothing was ever committed."""
    timestamp: int
    """Milliseconds since the epoch; never below that of an earlier version."""
    partitions: dict[str, Partition]
    """By id, in the order of their commits."""


class DeltaLog:
    """Reads and extends the log of one lake.

    >>> import pathlib, tempfile
    >>> from tracklake.storage.local import LocalStorage
    >>> log = DeltaLog(LocalStorage(pathlib.Path(tempfile.mkdtemp())))
    >>> part = Partition("7f3a", n_points=200, created=1_700_000_000_000, sizes=(900, 500, 300), crcs=(1, 2, 3))
    >>> version = log.commit(base=log.read(), add=[part], operation="SEAL", still_valid=lambda newer: True)
    >>> version.number, list(version.partitions)
    (1, ['7f3a'])
    >>> log.read(at=0).partitions
    {}
    """

    __slots__ = ("_listed", "storage")

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._listed: dict[str, Entry] = {}
        """The files of the log, which never change: what is known of them is not looked at again."""

    def create(self) -> None:
        """Begin the log with version 0 unless there is one: of several creators one wins, and all are content.

        >>> from pathlib import Path
        >>> from tracklake.storage.local import LocalStorage
        >>> log = DeltaLog(LocalStorage(Path("lake")))
        >>> log.create(), log.create(), log.read().number
        (None, None, 0)
        """
        self._put(0, delta_actions.commit_lines(delta_actions.creation(_now())))

    def read(self, *, since: Version | None = None, at: int | None = None) -> Version:
        """Return the newest version, or version number `at`; Version(-1, 0, {}) where there is no log.

        With `since`, a version read before, only newer commits are read, and `since` itself comes back if there are
        none. Raises LakeError for a version that is not there, for a commit that cannot be understood, and, without
        `since` and `at`, for one that is missing although later ones are there.

        >>> from pathlib import Path
        >>> from tracklake.storage.local import LocalStorage
        >>> DeltaLog(LocalStorage(Path("nowhere"))).read()
        Version(number=-1, timestamp=0, partitions={})
        """
        names = [] if since is not None and at is None else self._names()
        last = last_number(names) if at is None else -1
        version = since if since is not None and (at is None or since.number <= at) else self._base(names, at)
        newer: list[Commit] = []
        while at is None or version.number + len(newer) < at:
            commit = self._read_commit(version.number + len(newer) + 1)
            if commit is None:
                break
            newer.append(commit)
        version = after(version, newer)
        self._check_gap(version, last)
        if version.number < 0 and since is None and at is None:
            self._check_lost()
        if at is not None and at != version.number:
            raise LakeError(
                f"the lake {self.storage.describe()} has no version {at}; the newest of those before is "
                f"{version.number}"
            )
        return version

    def _check_gap(self, version: Version, last: int) -> None:
        if version.number < last:
            raise LakeError(
                f"{self.storage.describe(name_of(version.number + 1))} is missing, though version {last} is there: "
                f"what was sealed since version {version.number} cannot be read. Restore the file from a copy, or let "
                f"`tracklake repair` make it anew"
            )

    def _check_lost(self) -> None:
        """Refuse to take a lake that has partitions for an empty one: its log is made before the first of them."""
        parts = self.storage.list("history", prefix="part-", suffix=".parquet")
        if parts:
            raise LakeError(
                f"{self.storage.describe(LOG_FOLDER)} is gone, though {len(parts)} partitions are there. Restore it "
                "from a copy, or let `tracklake repair` make it anew"
            )

    def commits(self) -> Iterator[tuple[int, Commit]]:
        """Yield the commits of which the log still has the file, by their numbers, the oldest first.

        >>> from pathlib import Path
        >>> from tracklake.storage.local import LocalStorage
        >>> log = DeltaLog(LocalStorage(Path("lake")))
        >>> log.create()
        >>> [(number, commit.operation) for number, commit in log.commits()]
        [(0, 'CREATE TABLE')]
        """
        for number in sorted(int(name[:20]) for name in self._names() if COMMIT.fullmatch(name)):
            commit = self._read_commit(number)
            if commit is not None:
                yield number, commit

    def commit(
        self,
        *,
        base: Version,
        add: Sequence[Partition] = (),
        remove: Sequence[str] = (),
        operation: str,
        still_valid: Callable[[Version], bool],
        data_change: bool = True,
    ) -> Version | None:
        """Add and remove partitions (by id) in one commit on top of `base`; return the version it makes.

        If others committed since, it goes on top of theirs, provided that the partitions to remove are all there and
        `still_valid(newer)` is true. Else it returns None: nothing is committed, and the caller builds anew.
        `data_change` is False for a commit that only rearranges. Raises CommitError where the file system cannot
        publish atomically, or has no room; nothing was committed then. Any other OSError comes as it is: a file system
        elsewhere may yet have published what it called failed.

        >>> from pathlib import Path
        >>> from tracklake.storage.local import LocalStorage
        >>> log = DeltaLog(LocalStorage(Path("lake")))
        >>> part = Partition("7f3a", n_points=200, created=0, sizes=(900, 500, 300), crcs=(1, 2, 3))
        >>> first = log.commit(base=log.read(), add=[part], operation="SEAL", still_valid=lambda newer: True)
        >>> log.commit(base=first, remove=["7f3a"], operation="DROP", still_valid=lambda newer: True).number
        2
        >>> log.commit(base=first, remove=["7f3a"], operation="DROP", still_valid=lambda newer: True) is None
        True
        """
        if base.number < 0:
            self.create()
        first = self.read(at=0) if base.number < 0 else base
        newest, losses = first, 0
        last = last_number(self._names())
        if last > newest.number:
            newest = self.read(since=newest)
            self._check_gap(newest, last)  # else a commit that is missing would be written anew
        while newest.partitions.keys() >= set(remove) and (newest is first or still_valid(newest)):
            commit = Commit(max(_now(), newest.timestamp), add, remove, operation)
            actions = delta_actions.actions(commit, data_change=data_change)
            if self._commit(newest.number + 1, delta_actions.commit_lines(actions)):
                version = after(newest, [commit])
                self._checkpoint(version)
                return version
            losses += 1
            _pause(losses)
            newest = self.read(since=newest)
        return None

    def _names(self) -> list[str]:
        self._listed = {entry.name: entry for entry in self.storage.list(LOG_FOLDER, cached=self._listed)}
        return list(self._listed)

    def _base(self, names: Sequence[str], at: int | None) -> Version:
        """Return the newest version that has a sound checkpoint, at most `at`; else what is before the first commit.

        One of another Delta writer has no checksum, and is read only where commits before it are gone.
        """
        damage = None
        for number in checkpoint.numbers(names):
            if (at is None or number <= at) and (checkpoint.is_own(names, number) or not _has_all(names, number)):
                try:
                    return self._from_checkpoint(number)
                except LakeError as error:
                    damage = damage or error
        if damage is not None and name_of(0).rpartition("/")[2] not in names:
            raise damage
        return Version(-1, 0, {})

    def _from_checkpoint(self, number: int) -> Version:
        partitions = checkpoint.read(self.storage, number)
        commit = self._read_commit(number)
        return Version(number, commit.timestamp if commit else 0, partitions)

    def _checkpoint(self, version: Version) -> None:
        """Write a checkpoint each so many commits; without it the log is longer to read, and says the same."""
        if version.number % checkpoint.EVERY:
            return
        with interrupts.suppressed(OSError, LakeError):
            names = self._names()
            earlier = [number for number in checkpoint.numbers(names) if number < version.number]
            metadata = (
                checkpoint.read_metadata(self.storage, earlier[0])
                if earlier
                else checkpoint.first_metadata(self.storage.read(name_of(0)))
            )
            checkpoint.write(self.storage, version.number, version.partitions.values(), metadata=metadata)

    def _commit(self, number: int, data: bytes) -> bool:
        """Publish a commit; CommitError where it is sure that it was not, for want of room or rights."""
        try:
            return self._put(number, data)
        except OSError as error:
            if error.errno not in _NOT_DONE:
                raise
            raise CommitError(
                f"cannot commit to {self.storage.describe()}: {error.strerror}. Nothing was changed; what is logged "
                "stays in journals"
            ) from error

    def _put(self, number: int, data: bytes) -> bool:
        """Publish a commit; False if the number is taken by another's."""
        name = name_of(number)
        try:
            won = self.storage.put_if_absent(name, data)
        except OSError as error:
            interrupts.let_through(error)
            if self._is_there(name, data):
                return True
            raise
        # A network file system may call a name taken by what it has just published itself.
        return won or self._is_there(name, data)

    def _is_there(self, name: str, data: bytes) -> bool:
        """Tell whether the commit of this name is our own: each one holds a random id."""
        try:
            return self.storage.read(name) == data
        except FileNotFoundError:
            return False

    def _read_commit(self, number: int) -> Commit | None:
        name = name_of(number)
        try:
            data = self.storage.read(name)
        except FileNotFoundError:
            return None
        except OSError as error:
            interrupts.let_through(error)
            raise LakeError(f"{self.storage.describe(name)} cannot be read: {error.strerror}") from error
        try:
            return delta_actions.parse(data)
        except (LakeError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise LakeError(f"{self.storage.describe(name)} is damaged or no commit of a lake: {error}") from error


def after(version: Version, commits: Sequence[Commit]) -> Version:
    """Return the version that these commits make of another one.

    >>> part = Partition("7f3a", n_points=200, created=0, sizes=(900, 500, 300), crcs=(1, 2, 3))
    >>> after(Version(-1, 0, {}), [Commit(7, [part], []), Commit(9, [], ["7f3a"])])
    Version(number=1, timestamp=9, partitions={})
    """
    if not commits:
        return version
    partitions = dict(version.partitions)
    for commit in commits:
        for key in commit.remove:
            partitions.pop(key, None)
        partitions.update((part.id, part) for part in commit.add)
    timestamp = max(version.timestamp, *(commit.timestamp for commit in commits))
    return Version(version.number + len(commits), timestamp, partitions)


def _has_all(names: Iterable[str], number: int) -> bool:
    """Tell whether the commits up to a number are all among the files of the log."""
    return sum(int(name[:20]) <= number for name in names if COMMIT.fullmatch(name)) == number + 1


def last_number(names: Iterable[str]) -> int:
    """Return the largest number of a commit among the files of the log; -1 if there is none.

    >>> last_number(["00000000000000000007.json", "_last_checkpoint"])
    7
    """
    return max((int(name[:20]) for name in names if COMMIT.fullmatch(name)), default=-1)


def name_of(number: int) -> str:
    """Return the name of the file of a commit.

    >>> name_of(7)
    'history/_delta_log/00000000000000000007.json'
    """
    return f"{LOG_FOLDER}/{number:020d}.json"


def _now() -> int:
    return time.time_ns() // 1_000_000


def _pause(losses: int) -> None:
    """Let others go first for a moment, after several losses."""
    if losses > _PATIENCE:
        time.sleep(random.uniform(0, min(losses, 25) * 0.002))  # noqa: S311 - spreads committers, keeps no secret
