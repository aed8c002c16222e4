"""Modules of ours that load when they are first used: a question does not wait for what others need.

A package whose face has `__getattr__ = late_modules.of(__name__)` lends its modules by name: who writes
`from tracklake import display` and, in a function, `display.reprs` loads `reprs` when the function asks for it.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import sys
import threading
from typing import TYPE_CHECKING

from tracklake.common import threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

_lock = threading.Lock()
_loads: set[object] = set()
"""The loads under way that collect no garbage."""


def of(package: str) -> Callable[[str], ModuleType]:
    """Return the `__getattr__` of a package that loads its modules when they are named.

    >>> of("tracklake.display")("reprs").__name__
    'tracklake.display.reprs'
    >>> of("tracklake.display")("paintings")
    Traceback (most recent call last):
    AttributeError: module 'tracklake.display' has no attribute 'paintings'
    """

    def load_module(name: str) -> ModuleType:
        """Load a module of the package; from then on it is an attribute like any other."""
        full = f"{package}.{name}"
        if not name.startswith("_"):
            try:
                return importlib.import_module(full)
            except ModuleNotFoundError as error:
                if error.name != full:
                    raise
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return load_module


def load(name: str) -> ModuleType:
    """Import a module that needs many others, if it is not there yet, in a thread, where no signal interrupts it.

    A hundred collections of garbage would fall into it and find none: nothing that a module defines is garbage.

    >>> load("tracklake.lake.opening").__name__, gc.isenabled()
    ('tracklake.lake.opening', True)
    """
    if name in sys.modules:
        return importlib.import_module(name)  # which waits, where another thread is loading it
    (module,) = threads.in_threads(_import, [name], workers=1)
    return module


def _import(name: str) -> ModuleType:
    with _without_collections():
        return importlib.import_module(name)


@contextlib.contextmanager
def _without_collections() -> Iterator[None]:
    """Collect no garbage until the last of these blocks ends, in whichever thread; then as before.

    What was made meanwhile goes to the oldest generation unseen: to look through it once would take longer than all
    that was saved. Where somebody keeps objects frozen it is left to be looked through.
    """
    token = object()
    try:
        with _lock:
            _loads.add(token)
            if gc.isenabled():
                _loads.add(_IS_OURS)
                gc.disable()
        yield
    finally:
        with _lock:
            _loads.discard(token)
            if _loads == {_IS_OURS}:
                if gc.get_freeze_count() == 0:
                    gc.freeze()
                    gc.unfreeze()
                gc.enable()
                _loads.clear()


_IS_OURS = object()
"""Among the loads: collections were on before them."""
