"""Charts that runs logged, of W&B's `plot` and histograms, as pictures: bars, lines, points and matrices of cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from tracklake.errors import QueryError
from tracklake.plots import marks
from tracklake.plots.encodings import OKABE_ITO
from tracklake.plots.figure import Plot

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tracklake.plots.marks import Chart

ROWS = 20_000
"""Rows that are drawn, the first ones; the note says so."""
_LINES = ("line", "lineseries", "roc", "pr")
_BINS = {"maxbins": 40}


def custom_chart(entry: Mapping[str, Any], *, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Plot:
    """Return a chart by its entry (`chart`, `fields`, `title`) and the table that it draws.

    Raises QueryError for a kind that is only a name: its table is all that there is.

    >>> entry = {"chart": "bar", "fields": {"label": "class", "value": "n"}, "title": "Counts"}
    >>> custom_chart(entry, columns=["class", "n"], rows=[["cat", 3]]).spec["mark"]["type"]
    'bar'
    """
    kind, fields = str(entry.get("chart")), dict(entry.get("fields", {}))
    draw = _PRESETS.get(kind)
    if draw is None:
        raise QueryError(f"a chart of the kind {kind!r} is stored and not drawn; its table is shown")
    places = {field: columns.index(column) for field, column in fields.items()}
    records = [{field: row[at] for field, at in places.items()} for row in rows[:ROWS]]
    data = pl.DataFrame(records, schema=list(places), infer_schema_length=None, strict=False)
    notes = [f"the first {ROWS:,} of {len(rows):,} rows"] if len(rows) > ROWS else []
    return Plot(str(entry.get("title") or kind), data=data, draw=lambda frame: draw(frame, fields), notes=notes)


def histogram(entry: Mapping[str, Any], *, title: str) -> Plot:
    """Return a histogram that was logged: `values` counted between `bins`.

    >>> histogram({"values": [2, 1], "bins": [0.0, 0.5, 1.0]}, title="weights").data.rows()
    [(0.0, 0.5, 2), (0.5, 1.0, 1)]
    """
    bins, counts = entry["bins"], entry["values"]
    data = pl.DataFrame({"low": bins[:-1], "high": bins[1:], "n": counts})
    encoding = {
        "x": {"field": "low", "type": "quantitative", "title": title, "bin": {"binned": True}},
        "x2": {"field": "high"},
        "y": {"field": "n", "type": "quantitative", "title": "values"},
    }
    return Plot(title, data=data, draw=lambda frame: _drawn(frame, "bar", encoding, color=OKABE_ITO[0]))


def _drawn(data: pl.DataFrame, kind: str, encoding: Chart, **settings: Any) -> Chart:
    return {"data": marks.values(data), **marks.mark(kind, encoding, **settings)}


def _position(data: pl.DataFrame, field: str, title: str) -> Chart:
    kind = "quantitative" if data[field].dtype.is_numeric() else "nominal"
    return {"field": field, "type": kind, "title": title}


def _bars(data: pl.DataFrame, fields: Mapping[str, str]) -> Chart:
    label = {"field": "label", "type": "nominal", "title": fields["label"], "sort": None}
    return _drawn(data, "bar", {"y": label, "x": _position(data, "value", fields["value"])}, color=OKABE_ITO[0])


def _histogram(data: pl.DataFrame, fields: Mapping[str, str]) -> Chart:
    x = {"field": "value", "type": "quantitative", "title": fields["value"], "bin": _BINS}
    count = {"aggregate": "count", "type": "quantitative", "title": "rows"}
    return _drawn(data, "bar", {"x": x, "y": count}, color=OKABE_ITO[0])


def _lines(data: pl.DataFrame, fields: Mapping[str, str]) -> Chart:
    group = next((field for field in ("stroke", "class") if field in fields), None)
    encoding = {"x": _position(data, "x", fields["x"]), "y": _position(data, "y", fields["y"])}
    if group is not None:
        scale = {"range": OKABE_ITO}
        encoding["color"] = {"field": group, "type": "nominal", "title": fields[group], "scale": scale}
        encoding["strokeDash"] = {"field": group, "type": "nominal"}
    return _drawn(data, "line", encoding, strokeWidth=2, **({} if group else {"color": OKABE_ITO[0]}))


def _points(data: pl.DataFrame, fields: Mapping[str, str]) -> Chart:
    encoding = {"x": _position(data, "x", fields["x"]), "y": _position(data, "y", fields["y"])}
    return _drawn(data, "point", encoding, filled=True, color=OKABE_ITO[0])


def _matrix(data: pl.DataFrame, _: Mapping[str, str]) -> Chart:
    axes = {"y": {"field": "Actual", "type": "nominal", "sort": None, "title": "actual"},
            "x": {"field": "Predicted", "type": "nominal", "sort": None, "title": "predicted"}}  # fmt: skip
    cells = {"field": "nPredictions", "type": "quantitative", "title": "n", "scale": {"scheme": "blues"}}
    most = float(data["nPredictions"].max() or 1)  # type: ignore[arg-type] # numbers
    ink = {"condition": {"test": f"datum.nPredictions > {most / 2}", "value": "white"}, "value": "#222"}
    text = axes | {"text": {"field": "nPredictions", "type": "quantitative"}, "color": ink}
    return {
        "data": marks.values(data),
        "layer": [marks.mark("rect", axes | {"color": cells}), marks.mark("text", text)],
    }


_PRESETS: dict[str, Callable[[pl.DataFrame, Mapping[str, str]], Chart]] = {
    "bar": _bars,
    "histogram": _histogram,
    "scatter": _points,
    "confusion_matrix": _matrix,
    **dict.fromkeys(_LINES, _lines),
}
