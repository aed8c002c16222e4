"""The machine, as far as the life of its processes is concerned."""

from __future__ import annotations

import hashlib
import os
import socket
import time
from pathlib import Path

from tracklake.common import interrupts
from tracklake.errors import LakeError


def _node() -> str:
    """Return a name for the running kernel: file locks tell the truth among processes that share it.

    On Linux `boot@machine`, else the name of the host.
    """
    name = socket.gethostname()
    try:
        boot, machine = (Path(path).read_text(encoding="ascii").strip() for path in (_BOOT, _MACHINE))
    except OSError:
        return name
    return f"{boot}@{hashlib.sha256(f'{name} {machine}'.encode()).hexdigest()[:16]}"


def has_restarted(node: str, *, silence: float) -> bool:
    """Tell whether a node is this machine before it was started anew, which was less than `silence` seconds ago.

    >>> has_restarted(NODE, silence=60), has_restarted("boot@elsewhere", silence=60)
    (False, False)
    """
    boot, _, machine = node.partition("@")
    here, _, this = NODE.partition("@")
    return machine == this != "" and boot != here and time.clock_gettime(time.CLOCK_BOOTTIME) < silence


_BOOT, _MACHINE = "/proc/sys/kernel/random/boot_id", "/etc/machine-id"
NODE = _node()


class _Engine:
    """Whether polars has threads in this process: a fork loses them, and polars then waits for them for ever."""

    def __init__(self) -> None:
        self.has_started = False
        self.is_lost = False

    def look(self) -> None:
        """Find out just before a fork; where threads cannot be listed it counts as not started."""
        try:
            names = [(task / "comm").read_text() for task in Path("/proc/self/task").iterdir()]
        except OSError as error:
            interrupts.let_through(error)
            names = []
        self.has_started = any(name.startswith("polars-") and name[7:8].isdigit() for name in names)

    def forked(self) -> None:
        """Take note in the child."""
        self.is_lost = self.is_lost or self.has_started


engine = _Engine()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=engine.look, after_in_child=engine.forked)


def refuse_lost_engine() -> None:
    """Raise LakeError where reading would never come back.

    >>> refuse_lost_engine()  # nobody has forked this process
    """
    if engine.is_lost:
        raise LakeError(
            "a lake cannot be read here: this process was forked from one in which polars had threads, and they do not "
            "survive a fork. Logging works; to read, or to begin a run with an id of your own, start the process "
            "otherwise: multiprocessing.get_context('spawn')"
        )
