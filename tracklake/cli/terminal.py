"""What a command prints: a plain table that fits the terminal, or JSON, CSV or Parquet for other programs."""

from __future__ import annotations

import datetime as dt
import io
import itertools
import json
import math
import shutil
import sys
import textwrap
from collections import Counter
from typing import TYPE_CHECKING, Any
from unicodedata import combining, east_asian_width

import click
import polars as pl

from tracklake.cli.base import echo
from tracklake.cli.wording import shell_words
from tracklake.lake import export

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tracklake.display.tables import Tabulated

ROWS = 30
"""Rows that a table shows unless --limit says otherwise."""
CELL = 32
"""Characters of a cell in a table."""
LEAST = 40
"""Characters of a line that tells something, also where a terminal has fewer."""
_TIMES = ("created_at", "runtime")
_BARS = "▁▂▃▄▅▆▇█"


def forms(command: Callable[..., Any]) -> Callable[..., Any]:
    r"""Add the options --json, --csv and --parquet, which set `form`.

    >>> from click.testing import CliRunner
    >>> echo = click.command()(forms(lambda form: click.echo(form)))
    >>> CliRunner().invoke(echo, ["--csv"]).output
    'csv\n'
    """
    for name, about in (
        ("parquet", "Parquet, into a file or a pipe."),
        ("csv", "CSV with a head line."),
        ("json", "One JSON object a line."),
    ):
        click.option(f"--{name}", "form", flag_value=name, help=about)(command)
    return command


limit = click.option(
    "--limit", type=click.IntRange(min=0), help=f"This many rows; 0 for all. [default: {ROWS} in a table]"
)


def most(form: str | None, limit: int | None) -> int | None:
    """Return how many rows are shown, None for all: as --limit says, else few in a table and all for a program.

    >>> most(None, None), most("csv", None), most("csv", 5), most(None, 0)
    (30, None, 5, None)
    """
    return limit or (None if form or limit == 0 else ROWS)


def give(
    frame: pl.DataFrame,
    *,
    form: str | None,
    rows: int | None = None,
    lead: Sequence[str] | None = None,
    always: Sequence[str] = (),
) -> None:
    """Print a frame, at most `rows` rows of it.

    A table shows the columns of `lead` in their order, under short headings, and those of `always` in any case. None
    and 0 rows are all. UsageError for Parquet on a terminal.

    >>> give(pl.DataFrame({"lr": [0.1, 0.2]}), form="csv", rows=1)
    lr
    0.1
    """
    top_rows = frame.head(rows) if rows else frame
    if form == "json":
        _for_program(export.spelled(_plain(top_rows).lazy()).collect().write_ndjson())
    elif form == "csv":
        _for_program(flat(top_rows).write_csv())
    elif form == "parquet":
        _give_parquet(top_rows)
    else:
        called = {name: name for name in top_rows.columns} if lead is None else headings(lead)
        top = top_rows.select(pl.col(name).alias(heading) for name, heading in called.items())
        echo("\n".join(table(top, width=width(), always=[called[name] for name in always])))
        if top_rows.height < frame.height:
            echo(f"... more than {top_rows.height} rows: --limit 0 shows them all")


def show(
    result: Tabulated, *, limit: int | None, columns: str = "in a wider terminal, or with --csv or --json"
) -> None:
    """Print a result as a table that fits the terminal, and say how to see the rest of its rows and `columns`.

    >>> show(example().time_to("acc", 0.6, goal="max", by="lr"), limit=1)
    step until acc >= 0.6; baseline lr=0.1
    ...
    """
    hints = ("with --limit 0", columns)
    echo(result.to_text(width=max(width(), LEAST), rows=most(None, limit), places=hints, words=shell_words))


def _for_program(text: str) -> None:
    """Print what another program reads as it is; on a terminal without control characters."""
    if sys.stdout.isatty():
        echo(text, nl=False)
    else:
        click.echo(text, nl=False)


def _give_parquet(frame: pl.DataFrame) -> None:
    if sys.stdout.isatty():
        raise click.UsageError(
            "--parquet writes bytes, not for a terminal: send it to a file, `... --parquet > x.parquet`"
        )
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    sys.stdout.buffer.write(buffer.getvalue())


def wrapped(text: str) -> str:
    """Return lines of text broken between words where the terminal ends, as they are where there is no terminal.

    >>> wrapped("could not be read: x.csv: it has no header")
    'could not be read: x.csv: it has no header'
    """
    if not sys.stdout.isatty():
        return text
    broken = (
        textwrap.wrap(line, max(width(), LEAST), subsequent_indent="  ", break_on_hyphens=False, break_long_words=False)
        for line in text.splitlines()
    )
    return "\n".join(itertools.chain.from_iterable(broken))


def width() -> int:
    """Return the columns of the terminal, 100 where there is none."""
    return shutil.get_terminal_size((100, 24)).columns


def height() -> int:
    """Return the lines of the terminal, 24 where there is none."""
    return shutil.get_terminal_size((100, 24)).lines


def flat(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame as CSV can hold it: lists as text with commas, anything deeper as JSON; durations as seconds.

    >>> flat(pl.DataFrame({"tags": [["a", "b"]], "best": [{"lr": 0.1}]})).row(0)
    ('a,b', '{"lr": 0.1}')
    """
    nested = [series for series in frame if series.dtype.is_nested()]
    return _plain(frame).with_columns(_as_text(series) for series in nested)


def _as_text(nested: pl.Series) -> pl.Series:
    if isinstance(nested.dtype, pl.List) and not nested.dtype.inner.is_nested():
        return nested.cast(pl.List(pl.String)).list.join(",")
    texts = [
        None if value is None else json.dumps(value, ensure_ascii=False, default=str) for value in nested.to_list()
    ]
    return pl.Series(nested.name, texts, dtype=pl.String)


def _plain(frame: pl.DataFrame) -> pl.DataFrame:
    durations = [name for name, dtype in frame.schema.items() if dtype == pl.Duration]
    return frame.with_columns(pl.col(durations).dt.total_microseconds() / 1e6, pl.col(pl.Binary).bin.encode("hex"))


def telling(frame: pl.DataFrame, *, first: Sequence[str] = ()) -> list[str]:
    """Return the columns of runs that hold anything: those named as first, then what varies over them, then the rest.

    Of what varies, values of config and of summaries take turns; times, which always vary, come after them.

    >>> runs = pl.DataFrame({"run_id": ["a", "b"], "name": ["a", "b"], "notes": [None, None], "state": ["failed"] * 2})
    >>> telling(runs.with_columns(pl.Series("config.lr", [0.1, 0.2])))
    ['run_id', 'config.lr', 'state']
    """
    filled = [name for name in frame.columns if frame[name].null_count() < frame.height]
    if frame["name"].equals(frame["run_id"]):
        filled = [name for name in filled if name != "name"]  # what a run is called that was given no name
    varied = [name for name in filled if frame[name].n_unique() > 1]
    in_turn = [[name for name in varied if name.startswith(start)] for start in ("config.", "summary.")]
    turns = [name for pair in itertools.zip_longest(*in_turn) for name in pair if name]
    facts = [name for name in varied if "." not in name and name not in _TIMES]
    own = [name for name in ("run_id", "name") if name in filled]
    return list(dict.fromkeys([*own, *first, *facts, *turns, *varied, *filled]))


def headings(names: Sequence[str]) -> dict[str, str]:
    """Return what columns of runs are called in a table: without their prefix, unless two would be called the same.

    >>> headings(["state", "config.lr", "summary.loss", "config.loss"])
    {'state': 'state', 'config.lr': 'lr', 'summary.loss': 'summary.loss', 'config.loss': 'config.loss'}
    """
    short = {name: name.removeprefix("config.").removeprefix("summary.") for name in names}
    counts = Counter(short.values())
    return {name: heading if heading and counts[heading] == 1 else name for name, heading in short.items()}


def table(frame: pl.DataFrame, *, width: int, always: Sequence[str] = ()) -> list[str]:
    """Return the lines of a plain table of at most `width` characters; what has no room is named below it.

    The columns named in `always` are there whatever room they take.

    >>> for line in table(pl.DataFrame({"name": ["a", "b"], "lr": [0.1, None], "long": ["x" * 9] * 2}), width=12):
    ...     print(line)
    name   lr
    a     0.1
    b
    2 rows; no room for 1 column: long
    """
    columns = {name: _column(name, frame[name]) for name in frame.columns}
    room = width - sum(taken(columns[name][0]) + 2 for name in always)
    fitting = list(always)
    for name in (name for name in frame.columns if name not in always):
        room -= taken(columns[name][0]) + 2 * bool(fitting)
        if room < 0 and fitting:
            break
        fitting.append(name)
    visible = [columns[name] for name in frame.columns if name in fitting]
    lines = ["  ".join(cells).rstrip() for cells in zip(*visible, strict=True)]
    hidden = [name for name in frame.columns if name not in fitting]
    count = f"{frame.height} row{'' if frame.height == 1 else 's'}"
    hint = f"; no room for {len(hidden)} column{'' if len(hidden) == 1 else 's'}: {', '.join(hidden)}"
    return [*lines, cell(count + (hint if hidden else ""), room=max(width, LEAST))]


def _column(name: str, values: pl.Series) -> list[str]:
    """Return heading and cells of one column, all of one width."""
    cells = [cell(name), *map(cell, values)]
    width = max(map(taken, cells))
    fills = (" " * (width - taken(text)) for text in cells)
    is_number = values.dtype.is_numeric()
    return [fill + text if is_number else text + fill for text, fill in zip(cells, fills, strict=True)]


def taken(text: str) -> int:
    """Return how many columns of a terminal a text takes: wide characters two, combining ones none.

    >>> taken("val/loss"), taken("損失"), taken("e\u0301")
    (8, 4, 1)
    """
    if text.isascii():
        return len(text)
    widths = (0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)
    return sum(widths)


def cell(value: Any, *, room: int = CELL) -> str:
    """Return a value as one short line.

    >>> cell(0.1234567), cell(None), cell("two\\nlines"), cell("x" * 9, room=4)
    ('0.123457', '', 'two lines', 'xxx…')
    """
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dt.datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    text = ", ".join(map(str, value)) if isinstance(value, pl.Series | list) else str(value)
    text = "".join(c if c.isprintable() else " " for c in text)  # a name may hold line ends and terminal codes
    if taken(text) <= room:
        return text
    while taken(text) >= room:
        text = text[: room - 1] if len(text) >= room else text[:-1]
    return text + "…"


def sparkline(values: Iterable[float | None], *, size: int = 24) -> str:
    """Draw a curve in one line: the mean of each stretch, lowest to highest; what is not finite is an x.

    >>> sparkline([0, 1, 2, 3, None, 7])
    '▁▂▃▄x█'
    """
    numbers = [math.nan if value is None else float(value) for value in values]
    edges = (
        [round(i * len(numbers) / size) for i in range(size + 1)] if len(numbers) > size else range(len(numbers) + 1)
    )
    means = [sum(numbers[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]
    finite = [mean for mean in means if math.isfinite(mean)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    scale = (len(_BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(_BARS[int((mean - low) * scale)] if math.isfinite(mean) else "x" for mean in means)
