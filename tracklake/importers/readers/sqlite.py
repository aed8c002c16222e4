"""SQLite files of other tools: opened read-only and immutable, never beside their own writers, never for ever."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracklake.common import interrupts
from tracklake.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

MAGIC = b"SQLite format 3\0"
SUFFIXES = (".db", ".sqlite", ".sqlite3")
ROWS = 100_000
"""Rows that are fetched at once."""
LONGEST_VALUE = 64 << 20
"""Bytes of a text or blob, beyond which a row is refused."""
PATIENCE = 120.0
"""Seconds without a row, after which a query is given up."""
_OPERATIONS = 100_000


def tables_of(path: Path) -> dict[str, list[str]]:
    """Return the tables of a file with their columns; none where it is no database, or damaged.

    >>> from pathlib import Path
    >>> tables_of(Path("nowhere.db"))
    {}
    """
    if path.suffix.lower() not in SUFFIXES or not is_database(path):
        return {}
    with contextlib.suppress(SourceError), opened(path) as database:
        return database.tables
    return {}


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Database]:
    """Open a database; one that has a write-ahead log is copied first, as readers would write beside it.

    Raises SourceError for what is no database, within the block too.

    >>> from pathlib import Path
    >>> with opened(Path("nowhere.db")):
    ...     pass
    Traceback (most recent call last):
    tracklake.errors.SourceError: nowhere.db is no SQLite file
    """
    if not is_database(path):
        raise SourceError(f"{path} is no SQLite file")
    try:
        with contextlib.ExitStack() as stack:
            readable = _settled(path, stack)
            connection = sqlite3.connect(f"{readable.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
            stack.callback(connection.close)
            yield Database(path, connection)
    except (sqlite3.Error, OverflowError, UnicodeError, MemoryError) as error:
        raise SourceError(f"{path} cannot be read: {error}") from error


def is_database(path: Path) -> bool:
    """Tell whether a file begins as a SQLite database does.

    >>> from pathlib import Path
    >>> _ = Path("a.db").write_bytes(MAGIC)
    >>> is_database(Path("a.db"))
    True
    """
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError as error:
        interrupts.let_through(error)
        return False


def _settled(path: Path, stack: contextlib.ExitStack) -> Path:
    """Return the file itself, or a copy into which the write-ahead log beside it was taken."""
    log = path.with_name(f"{path.name}-wal")
    if not log.is_file() or log.stat().st_size == 0:
        return path
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tracklake-import-")))
    copy = folder / "copy.db"
    shutil.copyfile(path, copy)
    shutil.copyfile(log, folder / "copy.db-wal")
    with contextlib.closing(sqlite3.connect(copy)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return copy


class Database:
    """One open database, of which only tables are read: what a view computes is not asked for."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        connection.text_factory = lambda data: data.decode("utf-8", "replace")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_VALUE)
        connection.execute("PRAGMA trusted_schema = OFF")
        self._since = time.monotonic()
        connection.set_progress_handler(lambda: time.monotonic() - self._since > PATIENCE, _OPERATIONS)
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        self.tables: dict[str, list[str]] = {name: self._columns(name) for (name,) in names}
        """The columns of each table."""

    def _columns(self, table: str) -> list[str]:
        quoted = table.replace('"', '""')
        return [row[1] for row in self._connection.execute(f'PRAGMA table_info("{quoted}")')]

    def has(self, table: str, *columns: str) -> bool:
        """Tell whether there is a table with these columns.

        >>> from pathlib import Path
        >>> with sqlite3.connect("a.db") as connection:
        ...     _ = connection.execute("CREATE TABLE t (x)"), connection.execute("INSERT INTO t VALUES (7)")
        >>> connection.close()
        >>> with opened(Path("a.db")) as database:
        ...     database.has("t", "x"), database.has("t", "y")
        (True, False)
        """
        return set(columns) <= set(self.tables.get(table, ())) and table in self.tables

    def rows(
        self, table: str, columns: Sequence[str], *, order: Collection[str] = (), where: str = ""
    ) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a table; a column that it lacks is null. None where there is no such table.

        >>> from pathlib import Path
        >>> with sqlite3.connect("a.db") as connection:
        ...     _ = connection.execute("CREATE TABLE t (x)"), connection.execute("INSERT INTO t VALUES (7)")
        >>> connection.close()
        >>> with opened(Path("a.db")) as database:
        ...     list(database.rows("t", ["x", "y"]))
        [(7, None)]
        """
        for batch in self.batches(table, columns, order=order, where=where):
            yield from batch

    def batches(
        self, table: str, columns: Sequence[str], *, order: Collection[str] = (), where: str = ""
    ) -> Iterator[list[tuple[Any, ...]]]:
        """Yield the rows of a table as lists of bounded length.

        >>> from pathlib import Path
        >>> with sqlite3.connect("a.db") as connection:
        ...     _ = connection.execute("CREATE TABLE t (x)"), connection.execute("INSERT INTO t VALUES (7)")
        >>> connection.close()
        >>> with opened(Path("a.db")) as database:
        ...     list(database.batches("t", ["x"]))
        [[(7,)]]
        """
        if table not in self.tables:
            return
        present = self.tables[table]
        picked = ", ".join(f'"{name}"' if name in present else "NULL" for name in columns)
        query = f'SELECT {picked} FROM "{table}"'  # noqa: S608 - names of our own
        if where:
            query += f" WHERE {where}"
        if order:
            query += f" ORDER BY {', '.join(order)}"
        self._since = time.monotonic()
        cursor = self._connection.execute(query)
        while batch := cursor.fetchmany(ROWS):
            yield batch
            self._since = time.monotonic()
