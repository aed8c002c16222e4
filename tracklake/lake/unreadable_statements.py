"""Statements that this version does not understand: they are set aside when they are read, and told by `check`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from tracklake.errors import TracklakeError
from tracklake.query import derivations
from tracklake.schema.definition_statement import Statement
from tracklake.schema.statement_kind import StatementKind
from tracklake.schema.values import Kind
from tracklake.tracking.artifacts.media.content import StoredFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tracklake.storage.journal.reader import JournalRecords

_PARSERS: dict[str, Callable[[str, str], object]] = {
    StatementKind.DEFINE: lambda _, text: Statement.from_json(text),
    StatementKind.DERIVE: derivations.from_json,
    StatementKind.ALIAS: derivations.from_json,
    StatementKind.FILE: lambda _, text: StoredFile.from_json(text),
}


class Line(NamedTuple):
    """What is looked at of a statement."""

    op: str
    key: str
    kind: int
    text: str | None


def of_frame(statements: pl.DataFrame) -> Iterator[tuple[str, Line]]:
    """Yield (run_id, line) of the statements of a frame (schema STATEMENTS) that can be wrong.

    >>> from tracklake.storage.journal.statements import STATEMENTS
    >>> list(of_frame(pl.DataFrame(schema=STATEMENTS)))
    []
    """
    plain_kinds = [str(kind) for kind in StatementKind if kind not in _PARSERS]
    is_json = pl.col("kind") == int(Kind.JSON)
    suspects = statements.filter(~pl.col("op").is_in(plain_kinds) | is_json)
    for run_id, *line in suspects.select("run_id", "op", "key", "kind", "text").iter_rows():
        yield run_id, Line(*line)


def of_journal(records: JournalRecords) -> Iterator[Line]:
    """Yield the lines of a journal's statements, and of the values of its rows that are no numbers.

    >>> from tracklake.storage.journal.reader import JournalRecords
    >>> list(of_journal(JournalRecords()))
    []
    """
    for item in records.items:
        yield Line(item.op, item.key, item.stored.kind, item.stored.text)
    for point in records.unpacked:
        yield Line(StatementKind.ROW, point.metric, point.stored.kind, point.stored.text)


def findings(lines: Iterable[tuple[str, Line]]) -> list[str]:
    """Return a sentence for each statement of a run that cannot be understood.

    >>> findings([("r1", Line("newer", "a", 3, None)), ("r1", Line("tag", "b", 3, None))])
    ["run 'r1': a statement 'newer' of 'a' cannot be understood and is set aside: there is no such statement"]
    """
    reasons = ((run_id, line, _reason(line)) for run_id, line in lines)
    return list(
        dict.fromkeys(
            f"run {run_id!r}: a statement {line.op!r} of {line.key!r} cannot be understood and is set aside: {reason}"
            for run_id, line, reason in reasons
            if reason
        )
    )


def _reason(line: Line) -> str:
    """Return why a statement cannot be understood; "" if it can."""
    if line.op not in set(StatementKind):
        return "there is no such statement"
    try:
        if line.op in _PARSERS:
            _PARSERS[line.op](line.key, line.text or "")
        elif line.kind == Kind.JSON:
            json.loads(line.text or "null")
    except (TracklakeError, ValueError, RecursionError) as error:
        return str(error)
    return ""
