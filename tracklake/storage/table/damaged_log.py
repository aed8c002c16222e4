"""A log that may be damaged: read as far as it can be, its gaps told and filled."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from tracklake.errors import LakeError
from tracklake.storage.table import checkpoint, delta_actions
from tracklake.storage.table.delta_actions import Commit
from tracklake.storage.table.delta_log import COMMIT, DeltaLog, Version, after, last_number, name_of

if TYPE_CHECKING:
    from collections.abc import Iterator


class DamagedLog(DeltaLog):
    """The log of a lake, as far as it can be read.

    >>> DamagedLog(example()._storage).gaps()
    {}
    """

    def readable_commits(self) -> Iterator[tuple[int, Commit]]:
        """Yield the commits that can be read, as `commits` does, which raises for the others.

        >>> log = DamagedLog(example()._storage)
        >>> list(log.readable_commits())
        []
        """
        for number in sorted(int(name[:20]) for name in self._names() if COMMIT.fullmatch(name)):
            with contextlib.suppress(LakeError):
                commit = self._read_commit(number)
                if commit is not None:
                    yield number, commit

    def damage(self) -> list[str]:
        """Return what is wrong with the files of the log, those included that a checkpoint makes unnecessary.

        >>> DamagedLog(example()._storage).damage()
        []
        """
        names = self._names()
        findings = []
        for number in sorted(int(name[:20]) for name in names if COMMIT.fullmatch(name)):
            try:
                self._read_commit(number)
            except LakeError as error:
                findings.append(str(error))
        for number in checkpoint.numbers(names):
            try:
                checkpoint.read(self.storage, number)
            except LakeError as error:
                findings.append(str(error))
        return findings

    def gaps(self) -> dict[int, bytes | None]:
        """Return the numbers of commits that are missing or damaged, with the bytes of those that are there.

        >>> DamagedLog(example()._storage).gaps()
        {}
        """
        names = self._names()
        first = self._base(names, None).number + 1
        readable = {number for number, _ in self.readable_commits()}
        numbers = [number for number in range(first, last_number(names) + 1) if number not in readable]
        return {number: self._bytes(number) for number in numbers}

    def _bytes(self, number: int) -> bytes | None:
        try:
            return self.storage.read(name_of(number))
        except FileNotFoundError:
            return None

    def fill(self, number: int) -> None:
        """Put an empty commit in the place of one that is missing; number 0 is the log's creation.

        >>> from pathlib import Path
        >>> from tracklake.storage.local import LocalStorage
        >>> log = DamagedLog(LocalStorage(Path("lake")))
        >>> log.fill(0), log.fill(1), log.read().number
        (None, None, 1)
        """
        before = [commit.timestamp for earlier, commit in self.readable_commits() if earlier < number]
        commit = Commit(max(before, default=0), (), (), "REPAIR")
        actions = (
            delta_actions.actions(commit, data_change=False)
            if number
            else delta_actions.creation(time.time_ns() // 1_000_000)
        )
        self._put(number, delta_actions.commit_lines(actions))

    def readable_version(self) -> Version:
        """Return the newest version as far as it can be read: what a commit said that is lost is left out.

        >>> DamagedLog(example()._storage).readable_version().number
        -1
        """
        base = self._base(self._names(), None)
        return after(base, [commit for number, commit in self.readable_commits() if number > base.number])

    def create_if_gone(self) -> None:
        """Begin the log where it has no file at all.

        >>> from pathlib import Path
        >>> from tracklake.storage.local import LocalStorage
        >>> log = DamagedLog(LocalStorage(Path("lake")))
        >>> log.create_if_gone(), log.read().number
        (None, 0)
        """
        if not self._names():
            self.create()
