"""Metric definitions: the merge of several define_metric calls, and which definition serves a metric.

Definitions are an ordered list of statements. Nothing here reads history: a definition only chooses what of a
metric's state is shown, and on which x axis.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from tracklake.schema.definition_statement import Goal, Statement
from tracklake.schema.naming import compile_glob, is_glob
from tracklake.schema.statistics import SUMMARY_KINDS

if TYPE_CHECKING:
    import re


class MetricDefinition(NamedTuple):
    """The definition of one name (or glob): all of its calls merged."""

    name: str
    summary: frozenset[str] = frozenset()  # kinds asked for, "none" never among them; empty: the plain last value
    none: bool = False  # the entry is left out, whatever the kinds
    step_metric: str | None = None
    step_sync: bool = False
    hidden: bool = False
    goal: Goal | None = None

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds that the entry shows, in a fixed order; none where `none` is set.

        >>> MetricDefinition("loss", summary=frozenset({"last", "min"})).kinds
        ('min', 'last')
        """
        lacking = {"best"} if self.goal is None else set()  # which way is better is said in other runs only
        return () if self.none else tuple(kind for kind in SUMMARY_KINDS if kind in self.summary - lacking)

    def as_statement(self) -> Statement:
        """Return the statement that defines the same where nothing was defined before.

        >>> MetricDefinition("loss", summary=frozenset({"min"})).as_statement()
        Statement(name='loss', summary=frozenset({'min'}), ...)
        """
        kinds = self.summary | ({"none"} if self.none else set())
        return Statement(
            self.name,
            summary=kinds or None,
            step_metric=self.step_metric,
            step_sync=self.step_sync or None,
            hidden=self.hidden or None,
            goal=self.goal,
        )

    @property
    def parts(self) -> tuple[str, ...]:
        """The statistics that the entry shows: the kinds, and beside `best` its step.

        >>> MetricDefinition("loss", summary=frozenset({"best", "last"}), goal="min").parts
        ('best', 'best_step', 'last')
        """
        return tuple(part for kind in self.kinds for part in (("best", "best_step") if kind == "best" else (kind,)))

    def merged(self, call: Statement) -> MetricDefinition:
        """Return the definition after one more statement: kinds are united, the others replaced where given.

        `none` in the statement wins over kinds beside it; later kinds lift it, and earlier ones show again.

        >>> from tracklake.schema.definition_statement import statement
        >>> MetricDefinition("loss").merged(statement("loss", summary="min")).kinds
        ('min',)
        """
        kinds = call.summary
        return self._replace(
            summary=self.summary if kinds is None else self.summary | kinds - {"none"},
            none=self.none if kinds is None else "none" in kinds,
            step_metric=self.step_metric if call.step_metric is None else call.step_metric,
            step_sync=self.step_sync if call.step_sync is None else call.step_sync,
            hidden=self.hidden if call.hidden is None else call.hidden,
            goal=self.goal if call.goal is None else call.goal,
        )


class Definitions(Mapping[str, MetricDefinition]):
    """The definitions of an ordered list of statements: a mapping by name or glob, the latest defined last.

    Ask `resolve` for the one that serves a metric; the mapping itself has the names as they were given.

    >>> from tracklake.schema.definition_statement import statement
    >>> definitions = Definitions([statement("val/*", summary="max"), statement("val/loss", summary="min")])
    >>> definitions.resolve("val/loss").kinds, definitions.resolve("val/acc").kinds, definitions.resolve("lr")
    (('min',), ('max',), None)
    """

    def __init__(self, statements: Iterable[Statement] = ()) -> None:
        """Fold the statements, which come in the order of their stamps."""
        self.statements = tuple(statements)
        self._by_name: dict[str, MetricDefinition] = {}
        for call in self.statements:
            before = self._by_name.pop(call.name, None)  # put in again: the order is that of the latest statements
            if before is None or call.overwrite:
                before = MetricDefinition(call.name)
            self._by_name[call.name] = before.merged(call)
        self._resolved: dict[str, MetricDefinition | None] = {}
        self._globs = _Globs(self._by_name)

    def __getitem__(self, name: str) -> MetricDefinition:
        """Return the definition of just this name or glob."""
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        """Yield the names and globs, the latest defined last."""
        return iter(self._by_name)

    def __len__(self) -> int:
        """Return the number of names and globs."""
        return len(self._by_name)

    def resolve(self, metric: str) -> MetricDefinition | None:
        """Return the one definition that serves the metric, or None.

        That is the exact name before any glob, then the glob with the most literal characters, then the one that was
        defined last. Nothing is inherited from the others.

        >>> from tracklake.schema.definition_statement import statement
        >>> Definitions([statement("val/*"), statement("*loss")]).resolve("val/loss").name
        '*loss'
        """
        if metric not in self._resolved:
            self._resolved[metric] = self._find(metric)
        return self._resolved[metric]

    def _find(self, metric: str) -> MetricDefinition | None:
        if metric in self._by_name and not is_glob(metric):
            return self._by_name[metric]
        glob = self._globs.first(metric)
        return None if glob is None else self._by_name[glob]

    @property
    def step_metrics(self) -> frozenset[str]:
        """The metrics that some definition names as its step metric.

        >>> from tracklake.schema.definition_statement import statement
        >>> sorted(Definitions([statement("*", step_metric="epoch")]).step_metrics)
        ['epoch']
        """
        return frozenset(d.step_metric for d in self._by_name.values() if d.step_metric is not None)


class _Globs:
    """The globs among some names (earliest defined first), found by the texts before the first and after the last star.

    Trying 100 regular expressions costs 20 microseconds a metric; two slices and a look-up for each pair of lengths
    of those texts cost one or two.
    """

    def __init__(self, names: Iterable[str]) -> None:
        latest_first = reversed([name for name in names if is_glob(name)])
        by_literals = sorted(latest_first, key=lambda glob: glob.count("*") - len(glob))  # stable: of ties the latest
        self._by_ends: dict[tuple[str, str], list[tuple[int, str, re.Pattern[str], str]]] = defaultdict(list)
        for rank, glob in enumerate(by_literals):
            head, *middle, tail = glob.split("*")
            needle = max(middle, key=len, default="")  # every match contains it: most names need no match at all
            self._by_ends[head, tail].append((rank, needle, compile_glob(glob), glob))
        self._lengths = sorted({(len(head), len(tail)) for head, tail in self._by_ends})

    def first(self, metric: str) -> str | None:
        """Return the glob that comes first by precedence of those that match."""
        candidates = (
            (rank, glob)
            for head, tail in self._lengths
            for rank, needle, pattern, glob in self._by_ends.get((metric[:head], metric[len(metric) - tail :]), ())
            if needle in metric and pattern.match(metric)
        )
        return min(candidates, default=(0, None))[1]
