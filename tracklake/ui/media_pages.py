"""Media that a run logged: pictures, sound, tables and charts are shown, everything else is a file to keep."""

from __future__ import annotations

import importlib
import json
import re
from typing import TYPE_CHECKING, Any

import polars as pl

from tracklake.errors import QueryError, UnknownNameError
from tracklake.storage import content_files
from tracklake.ui import analysis_pages, replies

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tracklake.lake.lake import Lake
    from tracklake.lake.recorded_run import RecordedRun
    from tracklake.ui.parameters import Parameters
    from tracklake.ui.replies import Reply
    from tracklake.ui.sources import Source

ROWS = 500
"""Rows of a table that the page shows."""
STEPS = 1_000
SHOWN = {
    "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp",
    "wav": "audio/wav", "mp3": "audio/mpeg", "ogg": "audio/ogg", "mp4": "video/mp4", "webm": "video/webm",
}  # fmt: skip
"""Files that a browser shows and that can hold no script, by the end of their names."""
MEDIA_KINDS = ("image-file", "images/separated", "audio-file", "video-file", "html-file", "table-file", "custom-chart",
         "histogram", "object3D-file", "molecule-file", "plotly-file", "graph-file")  # fmt: skip
_CONTENT = re.compile(r"files/[0-9a-f]{64}[\w.\-]*")


def listed(lake: Lake, run: RecordedRun) -> list[dict[str, Any]]:
    """Return the media of a run: key, type, caption, how many there are (items), and the steps at which it was logged.

    >>> lake = example()
    >>> with tl.init("example", id="third", dir=lake.dir) as run:
    ...     run.log({"sample": tl.Image([[0, 255]], caption="noise")})
    >>> listed(lake, lake.run("third"))
    [{'key': 'sample', 'type': 'image-file', 'caption': 'noise', 'items': 1, 'steps': [0]}]
    """
    entries = dict(_entries(run.summary._json_dict))  # noqa: SLF001 - W&B's own name
    if not entries:
        return []
    metrics = set(run.metrics)
    logged = [key for key in entries if key in metrics]
    history = lake.history(logged, runs=run.id) if logged else pl.DataFrame({"metric": [], "step": []})
    steps = {key[0]: part["step"].to_list() for key, part in history.partition_by("metric", as_dict=True).items()}
    return [
        {"key": key, "type": entry["_type"], "caption": str(entry.get("caption") or ""),
         "items": len(entry.get("items", [0])), "steps": steps.get(key, [])[-STEPS:]}
        for key, entry in entries.items()
    ]  # fmt: skip


def _entries(nested: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for key, value in nested.items():
        if isinstance(value, dict):
            if value.get("_type") in MEDIA_KINDS:
                yield f"{above}{key}", value
            elif "_type" not in value:
                yield from _entries(value, f"{above}{key}.")


def media(source: Source, parameters: Parameters) -> Reply:
    """Return one of a run's media (id, key; step, else the last; item of a list): shown as it can be without a script.

    A picture, sound or film comes as itself, a chart as SVG, a table as JSON by columns, a page of HTML in a sandbox;
    what is left is a file to keep, and so is each of them with form=file.

    >>> from tracklake.ui.parameters import Parameters
    >>> from tracklake.ui.sources import Source
    >>> lake = example()
    >>> with tl.init("example", id="third", dir=lake.dir) as run:
    ...     run.log({"rows": tl.Table(columns=["a"], data=[[1]])})
    >>> media(Source(lake, name="lake"), Parameters([("id", "third"), ("key", "rows")])).body
    b'{"columns":[{"name":"a","type":"number","values":[1]}],"rows":1}'
    """
    run_id, key = parameters.needed("id"), parameters.needed("key")
    with source.reading() as lake:
        run = lake.run(run_id)
        entry = _item(_at(lake, run, key, parameters.text("step")), parameters)
        content = b"" if entry["_type"] == "histogram" else _content(run, entry)
    return _reply(entry, content, key=key, form=parameters.text("form"))


def _at(lake: Lake, run: RecordedRun, key: str, step: str | None) -> dict[str, Any]:
    """Return the entry of a key, the last one or that of a step."""
    entries = dict(_entries(run.summary._json_dict))  # noqa: SLF001 - W&B's own name
    if key not in entries:
        raise UnknownNameError.nearest(f"picture, table or file of run {run.id!r}", key, entries)
    if step is None:
        return entries[key]
    at = lake.history([key], runs=run.id).filter(pl.col("step").cast(pl.String) == step)
    entry = json.loads(at["text"][0]) if at.height and at["text"][0] else None
    if not isinstance(entry, dict) or entry.get("_type") not in MEDIA_KINDS:
        raise QueryError(f"{key} was not logged at step {step}")
    return entry


def _item(entry: dict[str, Any], parameters: Parameters) -> dict[str, Any]:
    items = entry.get("items")
    if not isinstance(items, list):
        return entry
    at = parameters.integer("item", default=0)
    if at >= len(items):
        raise QueryError(f"item={at}: there are {len(items)}")
    return dict(items[at])


def _content(run: RecordedRun, entry: Mapping[str, Any]) -> bytes:
    """Return the bytes of an entry, which lie under their hash and nowhere else."""
    path = str(entry.get("path"))
    if not _CONTENT.fullmatch(path):
        raise QueryError(f"{path!r} is no file of a lake")
    return content_files.verified(run.storage, path).read_bytes()


def _reply(entry: Mapping[str, Any], content: bytes, *, key: str, form: str | None) -> Reply:
    kind, suffix = entry["_type"], str(entry.get("path", "")).rpartition(".")[2].lower()
    name = f"{key.rpartition('/')[2]}.{suffix}"
    if form == "file":
        return replies.download(content, name=name, content_type="application/octet-stream")
    if kind == "histogram":
        return replies.picture(analysis_pages.svg(_drawing().histogram(entry, title=key)))
    if kind in ("custom-chart", "table-file"):
        return _table_reply(entry, json.loads(content), as_table=form == "table" or kind == "table-file")
    sandboxed = {"Content-Security-Policy": replies.SANDBOX}
    if kind == "html-file":
        return replies.Reply(content, "text/html; charset=utf-8", headers=sandboxed)
    if suffix in SHOWN:
        return replies.Reply(content, SHOWN[suffix], headers=sandboxed)
    return replies.download(content, name=name, content_type="application/octet-stream")


def _table_reply(entry: Mapping[str, Any], table: Mapping[str, Any], *, as_table: bool) -> Reply:
    columns, rows = [str(name) for name in table["columns"]], table["data"]
    if not as_table:
        return replies.picture(analysis_pages.svg(_drawing().custom_chart(entry, columns=columns, rows=rows)))
    cells = [[_cell(row[at]) for row in rows[:ROWS]] for at in range(len(columns))]
    series = [pl.Series(f"{at}", column, strict=False) for at, column in enumerate(cells)]
    shown = replies.columns(pl.DataFrame(series)) if series else []
    named = [column | {"name": name} for column, name in zip(shown, columns, strict=True)]
    return replies.json_reply({"columns": named, "rows": len(rows)})


def _drawing() -> Any:
    """Return what draws charts: it loads numpy, which the command line must not."""
    return importlib.import_module("tracklake.ui.custom_charts")


def _cell(value: Any) -> Any:
    """Return what a cell shows: of a medium its type."""
    if isinstance(value, dict):
        return f"({value.get('_type', 'object')})" if "_type" in value else json.dumps(value)
    return json.dumps(value) if isinstance(value, list) else value
