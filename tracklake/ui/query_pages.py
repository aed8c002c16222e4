"""Queries for the page: the named ones and SQL, as tables and as files to keep; arrays and files of runs."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import polars as pl

from tracklake.errors import QueryError, UnknownNameError
from tracklake.sql import named_queries
from tracklake.ui import replies

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracklake.ui.parameters import Parameters
    from tracklake.ui.replies import Reply
    from tracklake.ui.sources import Source

ROWS = 2_000
"""Rows of an answer that the page shows; a file has all."""
FILE_BYTES = 200_000_000
PICTURES = {"png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp"}
"""Files that are shown as pictures, by the end of their names; an SVG is only kept."""
_TYPES = {"csv": "text/csv; charset=utf-8", "json": "application/json", "parquet": "application/vnd.apache.parquet"}


def queries(source: Source, _: Parameters) -> Reply:
    """Return the named queries: name, answers, notes, returns, text, and the parameters of each.

    >>> from tracklake.ui.parameters import Parameters
    >>> from tracklake.ui.sources import Source
    >>> b'"leaderboard"' in queries(Source(example(), name="lake"), Parameters([])).body
    True
    """
    with source.asking() as lake:
        listed = lake.queries()
    return replies.json_reply({"queries": [_described(name) for name in listed["name"]]})


def _described(name: str) -> dict[str, Any]:
    query = named_queries.get(name, ())
    parameters = [
        {"name": p.name, "type": p.type, "default": p.default, "needed": p.needed, "about": p.about}
        for p in query.parameters.values()
    ]
    about = {"answers": query.answers, "notes": query.notes, "returns": query.returns, "text": query.text}
    return {"name": name, **about, "parameters": parameters}


def ask(source: Source, parameters: Parameters) -> Reply:
    r"""Answer a named query (name, and p.<parameter>) or a text in SQL (sql), as a table or as a file (form).

    >>> from tracklake.ui.parameters import Parameters
    >>> from tracklake.ui.sources import Source
    >>> asked = Parameters([("sql", "SELECT run_id FROM runs ORDER BY 1"), ("form", "csv")])
    >>> ask(Source(example(), name="lake"), asked).body
    b'run_id\nfast\nslow\n'
    """
    text, name, form = parameters.text("sql"), parameters.text("name"), parameters.text("form")
    if (text is None) == (name is None):
        raise QueryError("the address names a query (name=...) or has a text (sql=...), one of the two")
    key = ("ask", text, name, tuple(parameters.beginning("p.").items()))
    frame: pl.DataFrame = source.cached(key, lambda: _answered(source, text, name, parameters.beginning("p.")))
    if form is not None:
        return _file(frame, form, name=name or "answer")
    answer = {"columns": replies.columns(frame.head(ROWS)), "rows": frame.height, "shown": min(ROWS, frame.height)}
    return replies.json_reply(answer)


def _answered(source: Source, text: str | None, name: str | None, arguments: dict[str, str]) -> pl.DataFrame:
    with source.asking() as lake:
        if text is not None:
            return lake.sql(text)
        query = named_queries.get(name or "", ())
        return lake.query(query.name, **typed(query, arguments))


def typed(query: named_queries.NamedQuery, arguments: Mapping[str, str]) -> dict[str, Any]:
    """Read the texts of parameters as the types that the query takes; those left empty are left out.

    >>> typed(named_queries.get("leaderboard"), {"metric": "acc", "k": "3", "goal": ""})
    {'metric': 'acc', 'k': 3}
    """
    return {key: _typed(query, key, value) for key, value in arguments.items() if value}


def _typed(query: named_queries.NamedQuery, key: str, value: str) -> Any:
    """Read the text of a parameter as the type that the query takes."""
    kind = query.parameters[key].type if key in query.parameters else "TEXT"
    try:
        if kind in ("BIGINT", "DOUBLE"):
            return int(value) if kind == "BIGINT" else float(value)
    except ValueError:
        raise QueryError(f"{key}={value!r} is no number, which {query.name} takes ({kind})") from None
    if kind == "BOOLEAN":
        return value.lower() in ("1", "true", "yes")
    return [part.strip() for part in value.split(",")] if kind.endswith("[]") else value


def _file(frame: pl.DataFrame, form: str, *, name: str) -> Reply:
    if form not in _TYPES:
        raise UnknownNameError.nearest("form", form, _TYPES)
    body = io.BytesIO()
    if form == "csv":
        _flat(frame).write_csv(body)
    elif form == "json":
        frame.write_json(body)
    else:
        frame.write_parquet(body)
    return replies.download(body.getvalue(), name=f"{name}.{form}", content_type=_TYPES[form])


def _flat(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a frame that CSV can hold: what is nested becomes text."""
    nested = [column for column in frame if column.dtype.is_nested()]
    texts = [pl.Series(column.name, [None if v is None else str(v) for v in column.to_list()]) for column in nested]
    return frame.with_columns(texts)


def array(source: Source, parameters: Parameters) -> Reply:
    """Return an array of a run's summary as a .npy file to keep.

    >>> import numpy as np
    >>> from tracklake.ui.parameters import Parameters
    >>> from tracklake.ui.sources import Source
    >>> lake = example()
    >>> lake.run("fast").summary["weights"] = np.zeros(100)
    >>> array(Source(lake, name="lake"), Parameters([("id", "fast"), ("key", "weights")])).body[1:6]
    b'NUMPY'
    """
    import numpy as np

    run_id, key = parameters.needed("id"), parameters.needed("key")
    with source.reading() as lake:
        values = lake.run(run_id).summary.array(key)
    body = io.BytesIO()
    np.save(body, values, allow_pickle=False)
    return replies.download(body.getvalue(), name=f"{run_id}.{key}.npy", content_type="application/octet-stream")


def file(source: Source, parameters: Parameters) -> Reply:
    """Return a file that a run saved, to keep; a picture (form image) to be shown. Nothing of it can run.

    >>> from tracklake.ui.parameters import Parameters
    >>> from tracklake.ui.sources import Source
    >>> lake = example()
    >>> with tl.init("example", id="third", dir=lake.dir) as run:
    ...     _ = open(run.dir + "/page.html", "w").write("<script>")
    >>> reply = file(Source(lake, name="lake"), Parameters([("id", "third"), ("name", "page.html")]))
    >>> reply.content_type, reply.headers["Content-Disposition"]
    ('application/octet-stream', "attachment; filename*=UTF-8''page.html")
    """
    run_id, name = parameters.needed("id"), parameters.needed("name")
    with source.reading() as lake:
        path = lake.run(run_id).file(name)
    if path.stat().st_size > FILE_BYTES:
        raise QueryError(f"{name} is larger than {FILE_BYTES:,} bytes: read it by lake.run({run_id!r}).file({name!r})")
    body, kind = path.read_bytes(), PICTURES.get(name.rpartition(".")[2].lower())
    if parameters.text("form") == "image" and kind:
        return replies.Reply(body, kind, headers={"Content-Security-Policy": replies.SANDBOX})
    return replies.download(body, name=name.rpartition("/")[2], content_type="application/octet-stream")
