"""Derivations: metrics that are not logged but said in the lake, as an expression over others or as another name.

A derivation is a statement of the lake, for one project or all of them; the latest of a name holds. How it is computed
is told in `derived`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple

from tracklake.common.warnings import warn_set_aside
from tracklake.errors import DefinitionError, QueryError, UnknownNameError
from tracklake.query import conditions
from tracklake.query.column_names import BASE
from tracklake.query.sandbox import rewriting
from tracklake.schema import naming, statistics
from tracklake.schema.statement_kind import StatementKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from tracklake.query.column_names import ColumnNames
    from tracklake.query.sandbox.sql_text import SqlText
    from tracklake.storage.table.snapshot_view import SnapshotView


class Scope(NamedTuple):
    """Where a derivation holds: in one project, or in all (""); of one lake, where several are read as one."""

    project: str = ""
    lake: str = ""

    def __str__(self) -> str:
        """Return it in words.

        >>> str(Scope("digits")), str(Scope())
        ("project='digits'", 'all projects')
        """
        return f"project={self.project!r}" if self.project else "all projects"


EVERYWHERE = Scope()
"""The scope of what is said for all projects."""


@dataclass(frozen=True)
class Derivation:
    """One name: an expression, or other names under which the same was logged (one of the two)."""

    name: str
    expression: str | None = None
    others: tuple[str, ...] = ()
    description: str | None = None
    unit: str | None = None

    @property
    def kind(self) -> Literal["derived", "alias"]:
        """Say which of the two it is.

        >>> Derivation("gap", "a - b").kind, Derivation("acc", others=("accuracy",)).kind
        ('derived', 'alias')
        """
        return "alias" if self.expression is None else "derived"

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """The metrics and columns that it needs.

        >>> Derivation("rate", '"tokens" / "config.params"').inputs
        ('tokens', 'config.params')
        """
        if self.expression is None:
            return self.others
        return tuple(dict.fromkeys(column.spelled for column in read(self.expression).columns))

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics among them; without one it is a value of a run, not of a step. An alias names metrics alone.

        >>> Derivation("rate", '"tokens" / "config.params"').metrics, Derivation("seconds", others=("runtime",)).metrics
        (('tokens',), ('runtime',))
        """
        return tuple(name for name in self.inputs if self.kind == "alias" or not is_column(name))

    @property
    def is_of_steps(self) -> bool:
        """Whether it has a value a step, as a metric has.

        >>> Derivation("gap", "a - b").is_of_steps, Derivation("worth", '1 / "config.params"').is_of_steps
        (True, False)
        """
        return bool(self.metrics)

    def is_like(self, other: Derivation) -> bool:
        """Whether another one gives the same kind of thing under a name: points, the points of others, or a value.

        >>> Derivation("gap", "a - b").is_like(Derivation("gap", others=("c",)))
        False
        """
        return (self.kind, self.is_of_steps) == (other.kind, other.is_of_steps)

    @property
    def is_readable(self) -> bool:
        """Whether its expression can be read: what was said under another version of duckdb may not be.

        >>> Derivation("gap", "a - b").is_readable, Derivation("gap", "a -").is_readable
        (True, False)
        """
        try:
            return bool(self.inputs)
        except DefinitionError:
            return False

    def to_json(self) -> str:
        """Return what the statement says.

        >>> Derivation("gap", "a - b", unit="nats").to_json()
        '{"expression":"a - b","unit":"nats"}'
        """
        fields = {key: value for key, value in asdict(self).items() if value and key != "name"}
        return json.dumps(fields, separators=(",", ":"))


def is_column(name: str) -> bool:
    """Say whether a name in an expression is a column of the runs, not a metric.

    >>> is_column("config.lr"), is_column("summary.loss.min"), is_column("loss")
    (True, True, False)
    """
    return name in BASE or name.startswith(("config.", "summary."))


@cache
def read(expression: str) -> SqlText:
    """Read an expression in duckdb's SQL that has a value a row; DefinitionError if it has none.

    >>> [column.spelled for column in read('"val/loss" - "train/loss"').columns]
    ['val/loss', 'train/loss']
    """
    try:
        parsed = conditions.parsed(expression, repr(expression))
    except QueryError as error:
        raise DefinitionError(str(error)) from None
    if not parsed.columns:
        raise DefinitionError(f"{expression!r} names no metric and no column; names stand in double quotes")
    return parsed


def resolved(expression: str, *, metrics: Collection[str], names: ColumnNames) -> str:
    """Return the expression with full names in the place of short ones: a metric goes before a column of the runs.

    Raises DefinitionError, and UnknownNameError for a name that means nothing, with the nearest.

    >>> resolved("loss * lr", metrics=["loss"], names=example()._view.runs.names)
    'loss * "config.lr"'
    """
    parsed = read(expression)
    full = [(column, _full(column.spelled, metrics, names)) for column in parsed.columns]
    edits = [rewriting.Edit(c.at, c.length, rewriting.quoted(name)) for c, name in full if name != c.spelled]
    return conditions.without_frame(rewriting.applied(parsed.text, edits))


def _full(name: str, metrics: Collection[str], names: ColumnNames) -> str:
    if name in metrics or is_column(name):
        return name
    try:
        column = names.resolve(name, any_case=True)
    except UnknownNameError:
        raise UnknownNameError.nearest("metric", name, {*metrics, *names.spellings(like=name)}) from None
    is_metric = column.path is not None and column.path.stat is None and column.path.metric in metrics
    return column.path.metric if column.path is not None and is_metric else column.name


class Derivations(Mapping[str, dict[Scope, Derivation]]):
    """The derivations in force: by name, and for each name by scope."""

    def __init__(self, scoped: Iterable[tuple[Scope, Derivation]]) -> None:
        """Fold what was said: (scope, derivation) in the order of the stamps. One that says nothing takes back."""
        self._by_name: dict[str, dict[Scope, Derivation]] = {}
        for scope, derivation in scoped:
            scopes = self._by_name.setdefault(derivation.name, {})
            scopes.pop(scope, None)
            if derivation.expression is not None or derivation.others:
                scopes[scope] = derivation
        self._by_name = {name: scopes for name, scopes in self._by_name.items() if scopes}

    @classmethod
    def of(cls, snapshot: SnapshotView) -> Derivations:
        """Return those that a lake says.

        >>> lake = example()
        >>> lake.derive("gap", "acc - loss")
        >>> list(Derivations.of(lake._view.logged))
        ['gap']
        """
        statements = snapshot.statements_of_lakes(StatementKind.DERIVE, StatementKind.ALIAS)
        rows = statements.select("scope", "lake", "key", "text").iter_rows()
        scoped = ((Scope(scope, lake), _readable(name, text)) for scope, lake, name, text in rows)
        return cls((scope, derivation) for scope, derivation in scoped if derivation is not None)

    def __getitem__(self, name: str) -> dict[Scope, Derivation]:
        """Return the derivations of one name by scope."""
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        """Give the names."""
        return iter(self._by_name)

    def __len__(self) -> int:
        """Return the number of names."""
        return len(self._by_name)

    def usable(self) -> Derivations:
        """Return these without those that cannot be read, would need themselves, or are of another kind than the first.

        None such is ever accepted, but two processes may close a circle at once, another duckdb may read less, and of
        lakes that are read as one each has its own.

        >>> list(Derivations([(Scope(), Derivation("gap", "a - b")), (Scope(), Derivation("bad", "a -"))]).usable())
        ['gap']
        """
        readable = Derivations((scope, d) for scope, d in self._scoped() if d.is_readable)
        sound = Derivations((scope, d) for scope, d in readable._scoped() if not readable._circle(d.name, ()))
        first = {name: next(iter(scopes.values())) for name, scopes in sound.items()}
        return Derivations((scope, d) for scope, d in sound._scoped() if d.is_like(first[d.name]))

    def with_one(self, scope: Scope, derivation: Derivation) -> Derivations:
        """Return these and one more; DefinitionError, which shows the circle, if it needs itself.

        >>> Derivations([(EVERYWHERE, Derivation("a", "b + 1"))]).with_one(EVERYWHERE, Derivation("b", "a - 1"))
        Traceback (most recent call last):
        tracklake.errors.DefinitionError: 'b' would need itself: b <- a <- b
        """
        after = Derivations([*self._scoped(), (scope, derivation)])
        circle = after._circle(derivation.name, ())
        if circle:
            raise DefinitionError(f"{derivation.name!r} would need itself: {' <- '.join(circle)}")
        return after

    def _scoped(self) -> Iterator[tuple[Scope, Derivation]]:
        return ((scope, d) for scopes in self._by_name.values() for scope, d in scopes.items())

    def _circle(self, name: str, above: tuple[str, ...]) -> tuple[str, ...]:
        if name in above:
            return (*above[above.index(name) :], name)
        for derivation in self._by_name.get(name, {}).values():
            for needed in derivation.inputs if derivation.kind == "derived" else ():
                for behind in self._behind(needed):
                    circle = self._circle(behind, (*above, name))
                    if circle:
                        return circle
        return ()

    def _behind(self, needed: str) -> list[str]:
        """Return the derivations that are computed for an input: an entry is read with those above and under it."""
        path = needed.removeprefix("summary.")
        is_entry = path != needed and statistics.split_statistic(path) is None
        kin = [n for n in self if n in naming.parents(path) or path in naming.parents(n)] if is_entry else []
        return [self.owner(needed) or needed, *kin]

    def owner(self, name: str) -> str | None:
        """Return the derivation that a metric or a column belongs to.

        >>> Derivations([(EVERYWHERE, Derivation("gap", "a - b"))]).owner("summary.gap.max")
        'gap'
        """
        path = name.removeprefix("summary.")
        candidates = (path, path.rpartition(".")[0]) if path != name else (name,)
        return next((c for c in candidates if c in self._by_name), None)


def from_json(name: str, text: str) -> Derivation:
    """Return the derivation of a name that a stored text holds; DefinitionError for any other text.

    >>> from_json("gap", '{"expression":"a - b"}').expression
    'a - b'
    """
    try:
        content = json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise DefinitionError(f"{text!r} is no stored derivation: {error}") from error
    if not isinstance(content, dict) or not name:
        raise DefinitionError(f"{text!r} is no stored derivation of {name!r}")
    for field, value in content.items():
        is_list = field == "others" and isinstance(value, list) and all(isinstance(item, str) for item in value)
        if not is_list and not (field in ("expression", "description", "unit") and isinstance(value, str)):
            raise DefinitionError(f"{text!r} is no stored derivation: {field!r} cannot be {value!r}")
    return Derivation(**{**content, "name": name, "others": tuple(content.get("others", ()))})


def _readable(name: str, text: str) -> Derivation | None:
    """Return a stored derivation; None, with a warning, where it cannot be understood."""
    try:
        return from_json(name, text)
    except DefinitionError:
        warn_set_aside(f"the derivation of {name!r}, {text!r},")
        return None
