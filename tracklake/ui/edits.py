"""Edits: what the page changes, by the same statements as Python writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracklake.errors import LakeError, QueryError
from tracklake.schema import run_fields, values
from tracklake.schema.statement_kind import StatementKind
from tracklake.ui.replies import json_reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tracklake.lake.recorded_run import RecordedRun
    from tracklake.ui.replies import Reply
    from tracklake.ui.sources import Source

AT_ONCE = 1_000
"""Runs of one edit."""
FIELDS = ("name", "group", "job_type", "notes")


def edit(source: Source, body: Mapping[str, Any]) -> Reply:
    """Change runs; everything is checked before anything is written.

    The body: runs (ids), and any of fields (name, group, job_type, notes), add_tags, remove_tags, summary (values by
    key), erase (keys).

    >>> from tracklake.ui.sources import Source
    >>> source = Source(example(), name="lake")
    >>> edit(source, {"runs": ["slow"], "fields": {"notes": "rerun"}, "add_tags": ["late"]}).body
    b'{"runs":1}'
    >>> with source.reading() as lake:
    ...     lake.run("slow").facts["notes"], lake.run("slow").tags
    ('rerun', ['late'])
    """
    _check_writable(source)
    run_ids = _run_ids(body)
    fields = _fields(body)
    added, removed = _texts(body, "add_tags"), _texts(body, "remove_tags")
    run_fields.check_tags(added)
    summary, erased = _mapping(body, "summary"), _texts(body, "erase")
    for key, value in summary.items():
        values.store_exact(value, name=key)
    with source.reading() as lake:
        runs = [lake.run(run_id) for run_id in run_ids]
        for run in runs:
            _apply(run, fields, added, removed)
            for key in erased:
                del run.summary[key]
            if summary:
                run.summary.update(summary)
    return json_reply({"runs": len(runs)})


def _apply(run: RecordedRun, fields: Mapping[str, str], added: list[str], removed: list[str]) -> None:
    if fields:
        run.say([(StatementKind.FIELD, key, values.store_exact(value, name=key)) for key, value in fields.items()])
    if added or removed:
        tags = [tag for tag in dict.fromkeys([*run.tags, *added]) if tag not in removed]
        if tags != run.tags:
            run.tags = tags


def define(source: Source, body: Mapping[str, Any]) -> Reply:
    """Define a metric for the whole lake: {"metric": ..., "summary": [...], "goal": "min"}; see `Lake.define_metric`.

    >>> from tracklake.ui.sources import Source
    >>> source = Source(example(), name="lake")
    >>> define(source, {"metric": "loss", "summary": ["min"], "goal": "min"}).body
    b'{"metric":"loss"}'
    """
    _check_writable(source)
    metric, goal = body.get("metric"), body.get("goal") or None
    if not isinstance(metric, str) or not metric:
        raise QueryError(f"a definition names a metric; got {metric!r}")
    with source.reading() as lake:
        lake.define_metric(metric, summary=_texts(body, "summary") or None, goal=goal, overwrite=True)
    return json_reply({"metric": metric})


def delete(source: Source, body: Mapping[str, Any]) -> Reply:
    """Hide runs, {"runs": [...]}, until they are restored; see `Lake.delete`.

    >>> from tracklake.ui.sources import Source
    >>> source = Source(example(), name="lake")
    >>> delete(source, {"runs": ["slow"]}).body, restore(source, {"runs": ["slow"]}).body
    (b'{"runs":1}', b'{"runs":1}')
    """
    _check_writable(source)
    with source.reading() as lake:
        return json_reply({"runs": lake.delete(_run_ids(body))})


def restore(source: Source, body: Mapping[str, Any]) -> Reply:
    """Take the deletion of runs back; see `Lake.restore`.

    >>> from tracklake.ui.sources import Source
    >>> restore(Source(example(), name="lake"), {"runs": []})
    Traceback (most recent call last):
    tracklake.errors.QueryError: an edit is of 1 to 1,000 runs; got 0
    """
    _check_writable(source)
    with source.reading() as lake:
        return json_reply({"runs": lake.restore(_run_ids(body))})


def _run_ids(body: Mapping[str, Any]) -> list[str]:
    run_ids = _texts(body, "runs")
    if not 0 < len(run_ids) <= AT_ONCE:
        raise QueryError(f"an edit is of 1 to {AT_ONCE:,} runs; got {len(run_ids):,}")
    return run_ids


def _check_writable(source: Source) -> None:
    if source.is_read_only:
        raise LakeError(f"the lake at {source.dir} is read-only for this process: nothing can be changed")


def _fields(body: Mapping[str, Any]) -> dict[str, str]:
    fields = _mapping(body, "fields")
    unknown = sorted(set(fields) - set(FIELDS))
    if unknown:
        raise QueryError(f"{unknown[0]!r} cannot be changed here; {', '.join(FIELDS)} can, and tags, and the summary")
    for name, value in fields.items():
        run_fields.check(name, value)
    return fields


def _texts(body: Mapping[str, Any], name: str) -> list[str]:
    value = body.get(name) or []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise QueryError(f"{name} is a list of texts; got {value!r}")
    return value


def _mapping(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = body.get(name, {})
    if not isinstance(value, dict):
        raise QueryError(f"{name} is an object; got {value!r}")
    return value


EDITS: dict[str, Callable[[Source, Mapping[str, Any]], Reply]] = {
    "edit": edit,
    "define": define,
    "delete": delete,
    "restore": restore,
}
"""The changes by the last part of their address."""
