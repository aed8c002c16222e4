"""Blocks: fences of a report that ask the lake: sql, query, plot and compare; what they give holds no script.

    ```plot The two models
    curves("val/acc", by="model")
    ```

The words after the kind are the caption. A report with a filter asks of the runs of that filter, unless a block has a
`where` of its own; SQL asks of the whole lake.
"""

from __future__ import annotations

import base64
import inspect
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracklake.display import tables
from tracklake.display.labels import in_html
from tracklake.errors import ReportError, UnknownNameError
from tracklake.ui.reports import calls

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    from tracklake.lake.lake import Lake
    from tracklake.plots.figure import Plot
    from tracklake.ui.reports.calls import Call

ROWS = 200
"""Rows of a table in a report."""
_OF_RUNS = ("curves", "scatter", "heatmap", "ecdf", "parallel")
_OF_SWEEPS = ("importance", "marginal", "pareto")


def sql(lake: Lake, text: str, where: str | None) -> str:
    """Return the answer of a text in SQL as a table.

    >>> sql(example(), "SELECT run_id FROM runs WHERE run_id = 'slow'", None)
    '<table><thead><tr><th>run_id</th></tr></thead><tbody><tr><td>slow</td></tr></tbody></table>'
    """
    del where
    return _table(lake.sql(text))


def query(lake: Lake, text: str, where: str | None) -> str:
    """Return the answer of a named query, written as a call: leaderboard(metric="acc", goal="max").

    >>> "<td>fast</td>" in query(example(), 'leaderboard(metric="acc", goal="max")', None)
    True
    """
    del where
    call = calls.read(text)
    if call.arguments:
        raise ReportError(f"the parameters of {call.name} are written with their names, such as metric='acc'")
    return _table(lake.query(call.name, **call.keywords))


def compare(lake: Lake, text: str, where: str | None) -> str:
    """Return a comparison: the arguments of `lake.compare`.

    >>> "baseline" in compare(example(), '"acc", by="lr", goal="max"', None)
    True
    """
    call = calls.read(f"compare({text.strip()})")
    comparison = lake.compare(*call.arguments, **_filtered(call.keywords, where))
    return _sheet(comparison._sheet())  # noqa: SLF001 - as text and notebooks show it


def plot(lake: Lake, text: str, where: str | None) -> str:
    """Return a picture of `lake.plot` as an image; of leaderboard the arguments are those of `lake.compare`.

    importance, marginal and pareto take what `lake.plot` takes after the sweep, and the keywords of `lake.sweep`.

    >>> plot(example(), 'scatter("lr", "loss.min")', None)[:32]
    '<img src="data:image/svg+xml;bas'
    """
    picture = drawn(lake, calls.read(text), where)
    with tempfile.TemporaryDirectory() as folder:
        svg = picture.save(Path(folder) / "plot.svg").read_bytes()
    return f'<img src="data:image/svg+xml;base64,{base64.b64encode(svg).decode()}" alt="{in_html(picture.title)}">'


def drawn(lake: Lake, call: Call, where: str | None) -> Plot:
    """Return the plot that a call names; UnknownNameError for one that is not there.

    >>> drawn(example(), calls.read('scatter("lr", "loss.min")'), None)
    Plot('loss.min over lr', 2 rows)
    """
    if call.name not in PLOTS:
        raise UnknownNameError.nearest("plot", call.name, PLOTS)
    return PLOTS[call.name](lake, call, where)


def _of_runs(lake: Lake, call: Call, where: str | None) -> Plot:
    return getattr(lake.plot, call.name)(*call.arguments, **_filtered(call.keywords, where))  # type: ignore[no-any-return] # a Plot


def _of_comparison(lake: Lake, call: Call, where: str | None) -> Plot:
    of_comparison, of_plot = _divided(call.keywords, lake.compare)
    comparison = lake.compare(*call.arguments, **_filtered(of_comparison, where))
    return getattr(lake.plot, call.name)(comparison, **of_plot)  # type: ignore[no-any-return] # a Plot


def _of_sweep(lake: Lake, call: Call, where: str | None) -> Plot:
    of_sweep, of_plot = _divided(call.keywords, lake.sweep)
    sweep = lake.sweep(**_filtered(of_sweep, where))
    return getattr(lake.plot, call.name)(sweep, *call.arguments, **of_plot)  # type: ignore[no-any-return] # a Plot


PLOTS: dict[str, Callable[[Lake, Call, str | None], Plot]] = {
    **dict.fromkeys(_OF_RUNS, _of_runs),
    "leaderboard": _of_comparison,
    **dict.fromkeys(_OF_SWEEPS, _of_sweep),
}
"""How each plot is drawn, by its name in a call."""


def _divided(keywords: dict[str, Any], question: Callable[..., Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Divide keywords into those that a question of the lake takes, and the others: its plot's."""
    known = inspect.signature(question).parameters
    of_question = {key: value for key, value in keywords.items() if key in known}
    return of_question, {key: value for key, value in keywords.items() if key not in known}


def _filtered(keywords: dict[str, Any], where: str | None) -> dict[str, Any]:
    return keywords if where is None or "where" in keywords else {**keywords, "where": where}


def _table(frame: pl.DataFrame) -> str:
    head = frame.head(ROWS)
    columns = [tables.Column(s.name, [_cell(v) for v in s], right=s.dtype.is_numeric()) for s in head]
    notes = (f"the first {ROWS} of {frame.height:,} rows",) if frame.height > ROWS else ()
    return _sheet(tables.Sheet("", columns, notes=notes))


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def _sheet(sheet: tables.Sheet) -> str:
    """Write a sheet as a plain table; everything in it is escaped."""

    def row(cells: list[str], tag: str) -> str:
        kinds = (' class="number"' if column.right else "" for column in sheet.columns)
        return "".join(f"<{tag}{kind}>{in_html(cell)}</{tag}>" for kind, cell in zip(kinds, cells, strict=True))

    head = f"<thead><tr>{row([column.heading for column in sheet.columns], 'th')}</tr></thead>"
    lines = [
        f"<tr{' class=best' if i in sheet.bold else ''}>{row(list(cells), 'td')}</tr>"
        for i, cells in enumerate(sheet.rows())
    ]
    title = f"<p class=title>{in_html(sheet.title)}</p>" if sheet.title else ""
    notes = "".join(f"<li>{in_html(note)}</li>" for note in sheet.notes)
    return f"{title}<table>{head}<tbody>{''.join(lines)}</tbody></table>" + (
        f"<ul class=notes>{notes}</ul>" if notes else ""
    )


BLOCKS: dict[str, Callable[[Lake, str, str | None], str]] = {
    "compare": compare,
    "plot": plot,
    "query": query,
    "sql": sql,
}
"""The blocks that ask, by the first word of their fence."""
