"""Replies: what a route gives back, as JSON, as blocks of numbers, as a picture or as a file to keep."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

JSON_TYPE = "application/json; charset=utf-8"
SAFE_INTEGER = 2**53
"""The integers of JavaScript are exact up to here; larger ones travel as strings."""
SANDBOX = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
"""What a picture or a file may do where a browser opens it by itself: nothing."""


class Reply(NamedTuple):
    """One answer of the server."""

    body: bytes
    content_type: str = JSON_TYPE
    status: int = 200
    headers: Mapping[str, str] = {}


def json_reply(value: object, *, status: int = 200) -> Reply:
    """Return a value as JSON.

    >>> json_reply({"n": 1}).body
    b'{"n":1}'
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=str)
    return Reply(text.encode(errors="replace"), status=status)


def error_reply(message: str, *, status: int = 400) -> Reply:
    """Return what is wrong, as the page shows it.

    >>> error_reply("no such run", status=404).body
    b'{"error":"no such run"}'
    """
    return json_reply({"error": message}, status=status)


def download(body: bytes, *, name: str, content_type: str) -> Reply:
    """Return a file that a browser keeps and never opens as a page.

    >>> download(b"a,b", name="rows.csv", content_type="text/csv").headers["Content-Disposition"]
    "attachment; filename*=UTF-8''rows.csv"
    """
    attachment = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
    return Reply(body, content_type, headers={"Content-Disposition": attachment, "Content-Security-Policy": SANDBOX})


def picture(svg: str) -> Reply:
    """Return an SVG as an image that can run no script, not even where it is opened by itself.

    >>> picture("<svg/>").headers["Content-Security-Policy"].endswith("sandbox")
    True
    """
    return Reply(svg.encode(), "image/svg+xml", headers={"Content-Security-Policy": SANDBOX})


def blocks(header: Mapping[str, Any], arrays: Sequence[Any]) -> Reply:
    """Return numpy arrays as little-endian blocks behind a header in JSON; NaN marks a missing value.

    Layout: the length of the header as uint32, the header, padded to a multiple of 8 bytes; then the arrays, each
    padded likewise. The header gets the key "arrays": a list of (dtype, length).

    >>> import numpy as np
    >>> len(blocks({}, [np.array([1.0, 2.0])]).body) % 8
    0
    """
    described = {**header, "arrays": [[array.dtype.str[1:], len(array)] for array in arrays]}
    head = json.dumps(described, ensure_ascii=False, allow_nan=False, default=str).encode(errors="replace")
    pieces = [_padded(len(head).to_bytes(4, "little") + head)]
    pieces += [_padded(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()) for array in arrays]
    return Reply(b"".join(pieces), "application/octet-stream")


def _padded(piece: bytes) -> bytes:
    return piece + b" " * (-len(piece) % 8)


def columns(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Return a frame column by column as JSON can hold it: name, type, values.

    Types are number, time, text, flag and list. Numbers that JSON or JavaScript cannot hold (NaN, infinities, integers
    beyond 2**53) are strings; times are epoch milliseconds.

    >>> columns(pl.DataFrame({"x": [1.0, float("nan"), None]}))
    [{'name': 'x', 'type': 'number', 'values': [1.0, 'NaN', None]}]
    """
    return [{"name": s.name, "type": type_of(s.dtype), "values": _values(s)} for s in frame]


def type_of(dtype: pl.DataType) -> str:
    """Return how the page treats a column of this type.

    >>> type_of(pl.Int64()), type_of(pl.Datetime("us", "UTC")), type_of(pl.String())
    ('number', 'time', 'text')
    """
    if dtype.is_numeric():
        return "number"
    if dtype.is_temporal() and not isinstance(dtype, pl.Duration):
        return "time"
    if isinstance(dtype, pl.Boolean):
        return "flag"
    return "list" if isinstance(dtype, pl.List) else "text"


def _values(series: pl.Series) -> list[Any]:
    if series.dtype.is_float():
        values: list[Any] = series.to_list()
        return [v if v is None or math.isfinite(v) else _non_finite(v) for v in values]
    if series.dtype.is_integer():
        return [v if v is None or abs(v) <= SAFE_INTEGER else str(v) for v in series.to_list()]
    if isinstance(series.dtype, pl.Datetime):
        return series.dt.epoch("ms").to_list()
    if isinstance(series.dtype, pl.List):
        return [None if v is None else [str(item) for item in v] for v in series.to_list()]
    if series.dtype in (pl.String, pl.Boolean, pl.Null):
        return series.to_list()
    return [None if v is None else str(v) for v in series.to_list()]


def _non_finite(value: float) -> str:
    return "NaN" if math.isnan(value) else "inf" if value > 0 else "-inf"
