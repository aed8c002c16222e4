"""Text tables with a separator: CSV and its kin, as they are in the wild."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from tracklake.display.labels import clipped
from tracklake.errors import SourceError
from tracklake.importers.readers import bytestream, cells, text_lines
from tracklake.importers.readers.kept_frames import UniformFrames

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_SEPARATORS = (",", "\t", ";", "|")
_SAMPLE = 10_000
"""Rows by which types are guessed first; where that fails, all cells are looked at as texts."""
_CUT = (b".", b"e", b"E", b"e-", b"E-", b"e+", b"E+")
"""Ends of numbers that lack digits."""
_BOM = b"\xef\xbb\xbf"
_SHOWN_CELL = 40
"""Characters of a cell that a message shows."""
_NO_UTF8 = "it is no UTF-8; it was read as Windows-1252, which holds Latin-1"


class Dialect(NamedTuple):
    """How a text table is written: its columns, their separator, and what stands before the header."""

    names: list[str]
    separator: str
    skipped: int
    """Bytes up to and with the header."""
    comments: list[str]
    was_utf8: bool = True
    has_blanks: bool = False
    """Whether a blank may stand before the quotes of a cell."""

    @property
    def decimal_comma(self) -> bool:
        """Whether a comma may stand in numbers.

        >>> Dialect(["a", "b"], ";", 0, []).decimal_comma
        True
        """
        return self.separator == ";"

    @property
    def properties(self) -> dict[str, Any]:
        """What a JSON object in the comments says, as that of stable-baselines3's Monitor.

        >>> Dialect(["r"], ",", 0, ['{"env_id": "CartPole-v1"}']).properties
        {'env_id': 'CartPole-v1'}
        """
        for comment in self.comments:
            try:
                value = json.loads(comment)
            except (ValueError, RecursionError):
                continue
            if isinstance(value, dict):
                return value
        return {}


def dialect(data: bytes) -> Dialect:
    r"""Return how the table is written of which these are the first bytes; lines with `#` may stand before the header.

    Raises SourceError where there is no header.

    >>> dialect(b"# made by x\n epoch; val loss\n1;0,5").names
    ['epoch', 'val loss']
    """
    if b"\0" in data:
        raise SourceError("it holds NUL bytes: it is no text, or UTF-16; save it as UTF-8")
    at = len(_BOM) if data.startswith(_BOM) else 0
    comments: list[str] = []
    while at < len(data):
        end = data.find(b"\n", at) + 1 or len(data)
        decoded, was_utf8 = text_lines.as_utf8(data[at:end])
        line = decoded.decode("utf-8", "replace").strip("\r\n")
        if line.lstrip().startswith("#"):
            comments.append(line.lstrip(" \t#").strip())
        elif line.strip():
            names = text_lines.blank_names(comments[-1], data[at:]) if comments else None
            if names is not None:  # the header is the comment above the numbers
                return Dialect(_distinct(names), " ", at, comments[:-1])
            return _header(line, data, end, comments)._replace(was_utf8=was_utf8)
        at = end
    raise SourceError("it has no header")


def _header(line: str, data: bytes, skipped: int, comments: list[str]) -> Dialect:
    separator = max(_SEPARATORS, key=line.count)
    names = text_lines.blank_names(line, data[skipped:]) if separator not in line else None
    if names is not None:
        return Dialect(_distinct(names), " ", skipped, comments)
    try:
        fields = next(csv.reader(io.StringIO(line.lstrip(" ")), delimiter=separator, skipinitialspace=True))
    except csv.Error as error:
        raise SourceError(f"its header is none: {error}") from None
    names = _distinct([field.strip() for field in fields])
    return Dialect(names, separator, skipped, comments, has_blanks=f"{separator} " in line)


def _distinct(names: Sequence[str]) -> list[str]:
    """Name what has no name by its place, and number what repeats."""
    distinct: dict[str, None] = {}
    for i, name in enumerate(names):
        base = name or f"column {i + 1}"
        number, unique = 2, base
        while unique in distinct:
            unique, number = f"{base}.{number}", number + 1
        distinct[unique] = None
    return list(distinct)


class DelimitedTable:
    r"""A text table, read in frames of bounded size whose columns have one type all through.

    >>> from pathlib import Path
    >>> _ = Path("a.csv").write_text("step, loss\n1, 0.5\n2, N/A\n")
    >>> [frame.rows() for frame in DelimitedTable(Path("a.csv")).frames()]
    [[(1, 0.5), (2, None)]]
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.remarks: dict[str, bool] = {}
        """What is told of the cells, in order, and whether something of them was lost."""
        self._mixed: set[str] = set()
        """Columns of numbers and text, which are told once."""
        self._is_grouped: dict[str, bool] = {}
        """Of columns with `.` in a table of decimal commas, or the other way round: whether that means thousands."""
        data = bytestream.head(path)
        try:
            self.dialect = dialect(data)
        except SourceError as error:
            raise SourceError(f"{path}: {error}") from None
        self.names = self.dialect.names
        if not self.dialect.was_utf8:
            self.remarks[_NO_UTF8] = False
        self._n_rows = 0
        """Rows of the frames before."""
        self._frames = UniformFrames(self._parsed, names=self.names)

    def frames(self) -> Iterator[pl.DataFrame]:
        r"""Yield the rows in order, as frames. Raises SourceError for what is no table.

        >>> from pathlib import Path
        >>> _ = Path("a.csv").write_text("a\n1\n")
        >>> next(DelimitedTable(Path("a.csv")).frames()).rows()
        [(1,)]
        """
        return iter(self._frames)

    def _parsed(self) -> Iterator[pl.DataFrame]:
        skip, is_empty, n_comments, self._n_rows = self.dialect.skipped, True, 0, 0
        for chunk in bytestream.chunks(self.path):
            rows, skip = chunk[skip:] if skip else chunk, 0
            rows, n_more = self._plain(rows)
            n_comments += n_more
            if rows and not rows.isspace():
                is_empty = False
                frame = self._parse(self._sound(rows))
                yield frame
                self._n_rows += frame.height
        if n_comments:
            lines, were = ("one line", "was") if n_comments == 1 else (f"{n_comments:,} lines", "were")
            self.remarks[f"{lines} with # between the rows {were} left out"] = False
        if is_empty:
            yield pl.DataFrame(schema=dict.fromkeys(self.names, pl.String))

    def _plain(self, rows: bytes) -> tuple[bytes, int]:
        """Return rows as UTF-8, without comments and with one sign between cells, and how many comments these were."""
        rows, was_utf8 = text_lines.as_utf8(rows)
        if not was_utf8:
            self.remarks[_NO_UTF8] = False
        rows, n_comments = text_lines.without_comments(
            rows,
            separator=self.dialect.separator.encode(),
            n_columns=len(self.names),
            is_usual=bool(self.dialect.comments) or self.dialect.separator == " ",
        )
        if self.dialect.has_blanks:
            rows = text_lines.without_blanks_before_quotes(rows, self.dialect.separator.encode())
        return text_lines.single_blanks(rows) if self.dialect.separator == " " else rows, n_comments

    def _sound(self, rows: bytes) -> bytes:
        """Leave out a last line that was torn while it was written: without its end, and with fewer cells or digits."""
        if rows.endswith(b"\n"):
            return rows
        at = rows.rfind(b"\n") + 1
        separator = self.dialect.separator.encode()
        if rows.count(separator, at) >= len(self.names) - 1 and not rows.endswith(_CUT):
            return rows
        self.remarks["the last line is torn; it was left out"] = True
        return rows[:at]

    def _parse(self, rows: bytes) -> pl.DataFrame:
        if not rows:
            return pl.DataFrame(schema=dict.fromkeys(self.names, pl.String))
        try:
            try:
                frame = self._read(rows, infer_schema_length=_SAMPLE, null_values=list(cells.NOTHING))
            except pl.exceptions.ComputeError:  # a row further on does not fit the types guessed
                frame = self._read(rows, infer_schema=False)
        except (pl.exceptions.SchemaError, pl.exceptions.ShapeError):
            raise SourceError(f"{self.path}: a row has more cells than the {len(self.names)} of the header") from None
        except pl.exceptions.PolarsError as error:
            raise SourceError(f"{self.path} cannot be read as a table: {str(error).splitlines()[0]}") from error
        texts = [column.name for column in frame if column.dtype == pl.String]
        if texts:
            frame = self._without_headers(frame, texts)
            frame = frame.with_columns(self._typed(frame[name]) for name in texts)
        return frame

    def _typed(self, text: pl.Series) -> pl.Series:
        column, remark = cells.typed(text, decimal_comma=self.dialect.decimal_comma)
        if remark:
            self.remarks[remark] = False
        wrong = cells.text_among_numbers(column) if column.dtype == pl.String else None
        if wrong is not None and text.name not in self._mixed:
            at, cell = wrong
            self._mixed.add(text.name)
            shown = clipped(repr(cell), width=_SHOWN_CELL)
            self.remarks[
                f"the column {text.name!r} is text, as row {self._n_rows + at + 1:,} holds {shown}, where most cells "
                "are numbers: mend it to have a metric"
            ] = False
        grouping = "." if self.dialect.decimal_comma else ","
        if column.dtype.is_numeric() and text.str.contains(grouping, literal=True).any():
            is_grouped = cells.has_thousands(cells.stripped(text), grouping)
            if self._is_grouped.setdefault(text.name, is_grouped) != is_grouped:
                raise SourceError(
                    f"{self.path}: {grouping!r} sets thousands apart in some rows of the column {text.name!r}, and may "
                    "be the decimal sign in others; write its numbers without thousands"
                )
        return column

    def _read(self, rows: bytes, **options: Any) -> pl.DataFrame:
        return pl.read_csv(
            rows,
            has_header=False,
            new_columns=self.names,
            separator=self.dialect.separator,
            decimal_comma=self.dialect.decimal_comma,
            encoding="utf8-lossy",
            schema_overrides=None,
            raise_if_empty=False,
            **options,
        )

    def _without_headers(self, frame: pl.DataFrame, texts: Sequence[str]) -> pl.DataFrame:
        """Leave out headers that stand again between the rows, as where a training was started anew."""
        is_header = frame.select(
            pl.all_horizontal(pl.col(name).str.strip_chars() == name for name in texts)
        ).to_series()
        is_header = is_header.fill_null(value=False)
        if len(texts) < frame.width or not is_header.any():
            return frame
        self.remarks[f"the header stands again in {int(is_header.sum())} of the rows; they were left out"] = False
        return frame.filter(~is_header)
