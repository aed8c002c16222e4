"""Modules of other libraries that load when they are first used: whole, whatever interrupts that.

An exception that a signal handler raises in the middle of an import leaves half a module behind. numpy cannot be loaded
again after that, and duckdb ends the process. Handlers run in the main thread alone, so these load in another one.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import threading
from functools import partial

from tracklake.common import threads


def load(*names: str) -> None:
    """Import modules, if they are not there yet; an import of one that is missing raises in the statement that follows.

    >>> load("duckdb", "pyarrow.parquet")
    >>> import duckdb, pyarrow.parquet
    """
    missing = [name for name in names if name not in sys.modules]
    if not missing or threading.current_thread() is not threading.main_thread():
        return
    with contextlib.suppress(RuntimeError):  # a process that may have no more threads, or that ends
        threads.start(partial(_import, missing), name="tracklake-import").wait()


def _import(names: list[str]) -> None:
    for name in names:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
