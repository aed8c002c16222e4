"""What a run record says beside its points, as stamped statements of one session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tracklake.schema import naming, nesting, run_fields, values
from tracklake.schema.statement_kind import StatementKind
from tracklake.schema.values import Kind, Stored

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tracklake.importers.readers.records import RunRecord

_FIELDS = ("name", "group", "job_type", "notes")


class SourceStatement(NamedTuple):
    """One statement that has no stamp yet: the kind of statement, its key, and the stored value."""

    op: StatementKind
    key: str
    stored: Stored


def opening(record: RunRecord, facts: Mapping[str, Any]) -> Iterator[SourceStatement]:
    """Yield what is stamped with the start of the session: facts, fields, config, metadata and definitions.

    >>> from tracklake.importers.readers.records import RunRecord
    >>> record = RunRecord("x:1", run_id="1", group="a", config={"opt": {"lr": 0.1}})
    >>> [(str(one.op), one.key) for one in opening(record, {"source": "x:1"})]
    [('session', 'source'), ('field', 'group'), ('config', 'opt.lr')]
    """
    for key, value in {**facts, **record.facts}.items():
        if value is not None:
            yield _statement(StatementKind.SESSION, key, value)
    if not record.is_timed:
        yield _statement(StatementKind.SESSION, "untimed", value=True)
    elif not record.rows_are_timed:
        yield _statement(StatementKind.SESSION, "untimed_rows", value=True)
    for name in _FIELDS:
        if getattr(record, name):
            yield _statement(StatementKind.FIELD, name, getattr(record, name))
    if record.tags:
        yield from (SourceStatement(*tag) for tag in run_fields.statements({"tags": list(record.tags)}, tags=()))
    for path, value in nesting.leaves(record.config, name="config", any_key=True):
        if path:
            yield _statement(StatementKind.CONFIG, naming.join(path), value)
    for key, value in record.metadata.items():
        yield _statement(StatementKind.METADATA, key, value)
    for definition in record.definitions:
        yield SourceStatement(
            StatementKind.DEFINE, definition.name, Stored(int(Kind.JSON), None, None, definition.to_json())
        )


def closing(record: RunRecord) -> Iterator[SourceStatement]:
    """Yield what is stamped with the end of the session: summary entries, and how it ended.

    >>> from tracklake.importers.readers.records import RunRecord
    >>> [str(one.op) for one in closing(RunRecord("x:1", run_id="1", summary={"best": 1}))]
    ['edit', 'finish', 'finish']
    """
    for key, value in record.summary.items():
        yield _statement(StatementKind.EDIT, key, value)
    if record.state in ("finished", "failed", "killed"):
        default = {"finished": 0, "failed": 1}.get(record.state)
        code = default if record.exit_code is None else record.exit_code
        yield _statement(StatementKind.FINISH, "state", record.state)
        if code is not None:
            yield _statement(StatementKind.FINISH, "exit_code", code)


def _statement(op: StatementKind, key: str, value: Any) -> SourceStatement:
    return SourceStatement(op, key, values.store_exact(_with_text_keys(value), name=key))


def _with_text_keys(value: Any) -> Any:
    """Make the keys of dicts texts, as JSON and YAML of other tools may hold numbers there."""
    if isinstance(value, dict):
        return {str(key): _with_text_keys(below) for key, below in value.items()}
    return [_with_text_keys(item) for item in value] if isinstance(value, list) else value
