"""A connection in memory without any right to write or to open a path, with bounds of memory and time.

Whatever a text says, duckdb has no file system here: data reach it as frames, and its settings are locked.
"""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from tracklake.common import threads, whole_modules
from tracklake.query.sandbox import bounded_functions, computed_nan
from tracklake.query.sandbox.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from duckdb import DuckDBPyConnection

T = TypeVar("T")
_MACROS = ("is_nan(x) AS isnan(x)", computed_nan.DEFINITION, *bounded_functions.definitions())


class Sandbox:
    """duckdb for many questions: an instance takes 20 ms to make. Each question has a cursor of its own."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits.of()
        self._connection: DuckDBPyConnection | None = None
        self._process = os.getpid()

    def cursor(self) -> DuckDBPyConnection:
        """Return a cursor that sees no table but those registered with it.

        >>> Sandbox().cursor().execute("SELECT 1").fetchall()
        [(1,)]
        """
        if self._connection is None or self._process != os.getpid():  # its threads do not live on in a forked child
            self._connection, self._process = locked(self.limits), os.getpid()
        return self._connection.cursor()

    @staticmethod
    def release(cursor: DuckDBPyConnection) -> None:
        """Close a cursor; one that still works on what it was told to end is left to do so.

        >>> Sandbox.release(Sandbox().cursor())
        """
        whole_modules.load("duckdb")
        import duckdb

        with contextlib.suppress(duckdb.Error):
            cursor.close()

    def abandon(self) -> None:
        """Forget the instance: one that did not end a query when it was told to is not asked again.

        >>> Sandbox().abandon()
        """
        self._connection = None


def locked(limits: Limits) -> DuckDBPyConnection:
    """Open duckdb in memory so that for ever it can open no path, load nothing, and change no setting.

    >>> locked(Limits.of()).execute("FROM read_text('README.md')")
    Traceback (most recent call last):
    _duckdb.PermissionException: Permission Error: ...
    """
    whole_modules.load("duckdb")
    import duckdb

    connection = duckdb.connect(config={"autoload_known_extensions": False})
    for macro in _MACROS:
        fetched(connection, f"CREATE MACRO {macro}")
    for setting in (
        "TimeZone = 'UTC'",
        f"memory_limit = '{limits.memory // 2**20} MiB'",
        "temp_directory = ''",  # else what has no room in memory is written into the working directory
        "disabled_filesystems = 'LocalFileSystem'",
        "enable_external_access = false",
        "python_enable_replacements = false",
        "lock_configuration = true",
    ):
        fetched(connection, f"SET GLOBAL {setting}")
    return connection


def fetched(connection: DuckDBPyConnection, text: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Run a short statement and return its rows; what a signal handler raises meanwhile comes through as itself.

    >>> fetched(locked(Limits.of()), "SELECT 1 + ?", [2])
    [(3,)]
    """
    return beside(connection, lambda: connection.execute(text, params).fetchall())


def beside(connection: DuckDBPyConnection, work: Callable[[], T]) -> T:
    """Return what short work of duckdb returns; what a signal handler raises meanwhile comes through as itself.

    Handlers run in the main thread alone, and duckdb makes an error of its own of what they raise: so another thread
    does the work.

    >>> connection = locked(Limits.of())
    >>> beside(connection, lambda: connection.execute("SELECT 1").fetchall())
    [(1,)]
    """
    if threading.current_thread() is not threading.main_thread():
        return work()
    call = threads.start(work, name="tracklake-duckdb", daemon=True)
    try:
        call.wait()
    except BaseException:
        connection.interrupt()
        raise
    return call.result()
