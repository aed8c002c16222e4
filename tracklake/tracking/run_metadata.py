"""What a run notes of its surroundings: host, process, code. Never the environment, never a secret."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import socket
import subprocess
import sys
import time
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracklake._version import VERSION
from tracklake.errors import RunFinishedError
from tracklake.schema import values
from tracklake.schema.statement_kind import StatementKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracklake.tracking.run_mappings import Change


_SECRET = re.compile(
    r"(^|[-_.])(api)?(key|token|secret|passphrase|password|passwd|pwd|credentials?|auth)($|[-_.])", re.IGNORECASE
)
"""A whole word of a name: `--hf-token` is hidden, `--tokenizer` is not."""
_HIDDEN = "***"
_USER_IN_URL = re.compile(r"(?<=://)[^/@]+@")
_GIT_SECONDS = 10
"""How long git may take, and how long its answer holds for other runs of the process."""


class Metadata:
    """Notes once, beside the training, what `collect` finds."""

    def __init__(self, store: Callable[[list[Change]], None]) -> None:
        self._store = store
        self._is_noted = False

    def tick(self) -> None:
        """Note it, if it is not noted.

        >>> noted = []
        >>> metadata = Metadata(noted.append)
        >>> metadata.tick(), metadata.tick(), len(noted)
        (None, None, 1)
        """
        if self._is_noted:
            return
        facts = [(StatementKind.METADATA, name, values.store(value, name=name)) for name, value in collect().items()]
        with contextlib.suppress(RunFinishedError):  # while git was asked: then `end` has noted it
            self._store(facts)
            self._is_noted = True

    def end(self) -> None:
        """Note it, if the run was over so soon that it is not noted.

        >>> noted = []
        >>> Metadata(noted.append).end()
        >>> [name for _, name, _ in noted[0]][:3]
        ['host', 'os', 'python']
        """
        self.tick()

    def after_fork(self) -> None:
        """Leave it to the parent: it is one run, noted once.

        >>> Metadata(print).after_fork()  # nothing is noted
        """


def collect() -> dict[str, Any]:
    """Return what is known of this process: host, os, python, pid, argv, cpu_count, tracklake, and git.* of its code.

    Values of arguments whose names sound like secrets are hidden, user and password of the remote's address left out.
    git takes some milliseconds, so this is for a thread of its own.

    >>> sorted(set(collect()) - {"git.commit", "git.branch", "git.dirty", "git.remote", "program"})
    ['argv', 'cpu_count', 'host', 'os', 'pid', 'python', 'tracklake']
    """
    program = getattr(sys.modules.get("__main__"), "__file__", None)
    folder = Path(program).parent if program else Path.cwd()
    return {
        "host": socket.gethostname(),
        **_machine(),
        "pid": os.getpid(),
        "argv": without_secrets(sys.argv),
        "tracklake": VERSION,
        **({"program": str(program)} if program else {}),
        **_git(str(folder), int(time.monotonic() / _GIT_SECONDS)),
    }


@cache
def _machine() -> dict[str, Any]:
    """Return what stays the same as long as the process lives."""
    system = platform.uname()  # platform.platform() takes a lock up to Python 3.11, which a fork may leave taken
    return {
        "os": f"{system.system}-{system.release}-{system.machine}",
        "python": platform.python_version(),
        "cpu_count": os.cpu_count() or 1,
    }


def without_secrets(argv: list[str]) -> list[str]:
    """Return command line arguments with the values of those hidden that sound like secrets.

    >>> without_secrets(["train.py", "--api-key=abc", "--token", "abc", "--lr", "0.1"])
    ['train.py', '--api-key=***', '--token', '***', '--lr', '0.1']
    """
    redacted: list[str] = []
    hide_next = False
    for argument in argv:
        name, equals, _ = argument.partition("=")
        is_secret = _SECRET.search(name) is not None
        if hide_next and not argument.startswith("-"):
            redacted.append(_HIDDEN)
        else:
            redacted.append(f"{name}={_HIDDEN}" if is_secret and equals else _USER_IN_URL.sub("", argument))
        hide_next = is_secret and not equals and argument.startswith("-")
    return redacted


@lru_cache(maxsize=1)
def _git(folder: str, _: int) -> dict[str, Any]:
    """Return commit, branch, dirty and remote of the repository that a folder belongs to; nothing if it has none."""
    lines = _ask(folder, "status", "--porcelain=v2", "--branch", "--untracked-files=no")
    if lines is None:
        return {}
    head = dict(line.removeprefix("# branch.").partition(" ")[::2] for line in lines if line.startswith("# branch."))
    facts = {"git.commit": head.get("oid"), "git.branch": head.get("head")}
    remote = _ask(folder, "remote", "get-url", "origin")
    address = {"git.remote": _USER_IN_URL.sub("", remote[0])} if remote else {}
    return facts | {"git.dirty": any(not line.startswith("#") for line in lines)} | address


def _ask(folder: str, *command: str) -> list[str] | None:
    """Return the lines that git answers; None if there is no git, no repository, or no answer in time."""
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}  # a look must not disturb who works there
    try:
        done = subprocess.run(  # noqa: S603 - words of our own
            ["git", "-C", folder, *command],  # noqa: S607 - whichever git the user has
            capture_output=True,
            text=True,
            check=True,
            timeout=_GIT_SECONDS,
            env=environment,
        )
    except (OSError, subprocess.SubprocessError, UnicodeError):
        return None
    return done.stdout.splitlines()
