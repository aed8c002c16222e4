"""System metrics: samples of processor, memory and graphics cards, a stream of their own beside a run's history.

A stream is a journal in the folder `system/` of the lake, one a session: crash-safe, and never part of a summary.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracklake.storage.journal.writer import Journal

SECONDS = 15.0
"""Between two samples."""
_MB = 1 << 20


class SystemLog:
    """Samples the system while a run goes on: at its start, every 15 seconds, and at its end."""

    def __init__(self, journal: Journal, *, step: Callable[[], int], every: float = SECONDS) -> None:
        self._journal = journal
        self._step = step
        self._every = every
        self._due = 0.0
        self._lock = threading.Lock()
        self._meter = _Meter()
        self._cards = _cards()
        self.tick()

    def tick(self) -> None:
        """Take a sample if it is time.

        >>> with tl.init(system_metrics=True) as run:
        ...     run._session.tasks[-1].tick()  # not due before 15 seconds are over
        >>> tl.open().history("proc.threads", stream="system").height  # at the start and at the end
        2
        """
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + self._every
            with self._lock:
                self._sample()

    def end(self) -> None:
        """Take the last sample and close the stream.

        >>> with tl.init(system_metrics=True) as run:
        ...     run._session.tasks.pop().end()
        ...     tl.open().history("proc.threads", stream="system").height
        2
        """
        with self._lock:
            if not self._journal.is_finished:
                self._sample()
            self._journal.finish([])

    def after_fork(self) -> None:
        """Let go of the journal in the child of a fork.

        >>> with tl.init(system_metrics=True) as run:
        ...     run._session.tasks.pop().after_fork()
        >>> tl.open().history("proc.threads", stream="system").height  # no sample at the end
        1
        """
        self._journal.abandon()

    def _sample(self) -> None:
        sample = self._meter.read()
        for number, card in enumerate(self._cards):
            sample |= {f"gpu.{number}.{name}": value for name, value in card().items()}
        stamp = self._journal.clock.tick()
        self._journal.append_row(stamp, self._step(), tuple(sample), "d" * len(sample), list(sample.values()))


class _Meter:
    """Reads processor and memory: of the host where /proc tells it (Linux), of this process everywhere."""

    def __init__(self) -> None:
        self._ran = self._clock = 0.0
        self._host: tuple[float, float] | None = None

    def read(self) -> dict[str, float]:
        """Return percent of the host's cores and memory in use, percent of one core and MB this process uses."""
        sample = {"proc.threads": float(threading.active_count()), "proc.memory.rssMB": _resident_bytes() / _MB}
        ran, clock, host = time.process_time(), time.monotonic(), _host_ticks()
        if self._clock:
            sample["proc.cpu"] = 100 * (ran - self._ran) / max(clock - self._clock, 1e-9)
            if host and self._host and host[1] > self._host[1]:
                sample["cpu"] = 100 * (host[0] - self._host[0]) / (host[1] - self._host[1])
        self._ran, self._clock, self._host = ran, clock, host
        memory = _host_memory()
        if memory:
            sample["memory_percent"] = 100 * (1 - memory["MemAvailable"] / memory["MemTotal"])
            sample["proc.memory.availableMB"] = memory["MemAvailable"] / 1024
        return sample


def _host_ticks() -> tuple[float, float] | None:
    """Return how long all cores were busy, and how long there were, since the host began."""
    with contextlib.suppress(OSError):
        first = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0]
        ticks = [float(part) for part in first.split()[1:9]]
        return sum(ticks) - ticks[3] - ticks[4], sum(ticks)  # 3 and 4: idle, and idle while a disk works
    return None


def _host_memory() -> dict[str, float]:
    """Return the host's memory in kB, by the names /proc/meminfo has."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        memory = {name: float(amount.split()[0]) for name, _, amount in (line.partition(":") for line in lines)}
        return memory if memory.keys() >= {"MemTotal", "MemAvailable"} else {}
    return {}


def _resident_bytes() -> float:
    """Return the memory this process has; where /proc does not tell, the most it has had."""
    with contextlib.suppress(OSError):
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
        return float(pages) * os.sysconf("SC_PAGE_SIZE")
    if sys.platform == "win32":
        return 0.0
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * unit


def _cards() -> list[Callable[[], dict[str, float]]]:
    """Return a reader for each graphics card that NVML knows; none without the package nvidia-ml-py or a driver."""
    try:
        nvml: Any = importlib.import_module("pynvml")
    except ImportError:
        return []
    try:
        nvml.nvmlInit()
        handles = [nvml.nvmlDeviceGetHandleByIndex(number) for number in range(nvml.nvmlDeviceGetCount())]
    except nvml.NVMLError:
        return []
    return [partial(_card, nvml, handle) for handle in handles]


def _card(nvml: Any, handle: Any) -> dict[str, float]:
    """Return what NVML tells of a card: percent of it and of its memory in use, MB, degrees Celsius, watts."""
    readings: dict[str, Callable[[], float]] = {
        "gpu": lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu,
        "memory": lambda: nvml.nvmlDeviceGetUtilizationRates(handle).memory,
        "memoryAllocatedMB": lambda: nvml.nvmlDeviceGetMemoryInfo(handle).used / _MB,
        "temp": lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU),
        "powerWatts": lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1000,
    }
    sample = {}
    for name, read in readings.items():
        with contextlib.suppress(nvml.NVMLError):  # not every card tells everything
            sample[name] = float(read())
    return sample
