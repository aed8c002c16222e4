"""Metric definitions: one define_metric call, the merge of several, and which definition serves a metric.

Definitions are an ordered list of statements. Nothing here reads history: a definition only chooses what of a
metric's state is shown, and on which x axis.
"""

from __future__ import annotations

import json
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

from tracklake.common.arguments import check_word
from tracklake.common.warnings import warn_set_aside
from tracklake.errors import DefinitionError
from tracklake.schema.naming import compile_glob, encodable, is_glob, metric_name
from tracklake.schema.statistics import KINDS

if TYPE_CHECKING:
    import re

Goal = Literal["min", "max"]
GoalWord = Literal["min", "max", "minimize", "maximize"]

_ACCEPTED_KINDS = (*KINDS, "none", "copy")
GOALS: dict[str, Goal] = {"min": "min", "minimize": "min", "max": "max", "maximize": "max"}
"""The words for which way is better, and the goal that each names."""


class Named(Protocol):
    """Anything with a name, such as what an earlier define_metric call returned."""

    @property
    def name(self) -> str:
        """The metric's name.

        >>> class Metric:
        ...     name = "loss"
        >>> statement(Metric(), summary="min").name
        'loss'
        """


@dataclass(frozen=True, slots=True)
class Statement:
    """One define_metric call; None is what it did not give. Made by `statement`, which checks."""

    name: str
    summary: frozenset[str] | None = None  # "none" may be among the kinds
    step_metric: str | None = None
    step_sync: bool | None = None
    hidden: bool | None = None
    goal: Goal | None = None
    overwrite: bool = False

    def to_json(self) -> str:
        """Return the statement as compact JSON, the same text for equal statements; what was not given is left out.

        >>> statement("loss", summary="min,max").to_json()
        '{"name":"loss","summary":["max","min"]}'
        """
        content = {field.name: getattr(self, field.name) for field in fields(self)}
        if self.summary is not None:
            content["summary"] = sorted(self.summary)
        defaults = {field.name: field.default for field in fields(self)}
        return json.dumps(
            {key: value for key, value in content.items() if value != defaults[key]}, separators=(",", ":")
        )

    @classmethod
    def from_json(cls, text: str) -> Statement:
        """Return the statement that `to_json` wrote; DefinitionError for any other text, also of a newer version.

        >>> Statement.from_json('{"name":"loss","hidden":true}').hidden
        True
        """
        content = _fields_of(text)
        if "summary" in content:
            content["summary"] = frozenset(content["summary"])
        return cls(**content)


_FORMS: dict[str, Callable[[Any], bool]] = {
    "name": lambda value: isinstance(value, str) and value != "",
    "summary": lambda value: isinstance(value, list) and all(kind in (*KINDS, "none") for kind in value),
    "step_metric": lambda value: isinstance(value, str),
    "step_sync": lambda value: isinstance(value, bool),
    "hidden": lambda value: isinstance(value, bool),
    "goal": lambda value: value in ("min", "max"),
    "overwrite": lambda value: isinstance(value, bool),
}
"""What a stored statement may hold under each name."""


def _fields_of(text: str) -> dict[str, Any]:
    """Return the fields of a stored statement, checked."""
    try:
        content = json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise DefinitionError(f"{text!r} is no stored definition: {error}") from error
    if not isinstance(content, dict) or "name" not in content:
        raise DefinitionError(f"{text!r} is no stored definition: it names no metric")
    for name, value in content.items():
        if name not in _FORMS or not _FORMS[name](value):
            raise DefinitionError(f"{text!r} is no stored definition: {name!r} cannot be {value!r}")
    return content


def readable(texts: Iterable[str]) -> list[Statement]:
    """Return the statements that stored texts hold; of one that cannot be understood a warning tells.

    >>> readable(['{"name":"loss","summary":["min"]}'])[0].name
    'loss'
    """
    statements = []
    for text in texts:
        try:
            statements.append(Statement.from_json(text))
        except DefinitionError:
            warn_set_aside(f"the definition {text!r}")
    return statements


def statement(
    name: str | Named,
    *,
    step_metric: str | Named | None = None,
    step_sync: bool | None = None,
    hidden: bool | None = None,
    summary: str | Iterable[str] | None = None,
    goal: str | None = None,
    objective: str | None = None,
    overwrite: bool | None = False,
    known_goal: Goal | None = None,
    is_goal_known: bool = False,
) -> Statement:
    """Return the statement of a define_metric call with these arguments, checked and normalised.

    `objective` is another word for `goal`. `known_goal` is the goal that earlier calls gave this name; a call that
    asks for `best` and gives none says it again, so that the statement can stand alone; with `is_goal_known` other
    definitions in force have one.

    Raises DefinitionError, which lists what is accepted.

    >>> statement("val/acc", summary="best, last", goal="maximize").goal
    'max'
    >>> statement("loss", step_metric="epoch").step_sync
    True
    """
    for what, flag in (("step_sync", step_sync), ("hidden", hidden), ("overwrite", overwrite)):
        if flag is not None and not isinstance(flag, bool):
            raise _refused(what, flag, "True, False or None")
    kinds = None if summary is None else _kinds(summary)
    direction = _goal(goal, objective)
    if kinds is not None and "best" in kinds and direction is None:
        direction = None if overwrite else known_goal
        if direction is None and not is_goal_known:
            raise _refused("summary", summary, "'best' together with goal='minimize' or goal='maximize'")
    axis = None if step_metric is None else _name("step_metric", step_metric)
    return Statement(
        name=_name("name", name),
        summary=kinds,
        step_metric=axis,
        step_sync=True if axis is not None and step_sync is None else step_sync,
        hidden=hidden,
        goal=direction,
        overwrite=bool(overwrite),
    )


def goal_of(word: str) -> Goal:
    """Return the goal that a word for which way is better names. Raises DefinitionError.

    >>> goal_of("minimize")
    'min'
    """
    check_word("goal", word, GoalWord, error=DefinitionError)
    return GOALS[word]


def _refused(what: str, given: object, accepted: str) -> DefinitionError:
    return DefinitionError(f"define_metric: {what}={given!r} cannot be; accepted: {accepted}")


def _name(what: str, given: str | Named) -> str:
    name = given if isinstance(given, str) else getattr(given, "name", None)
    if not isinstance(name, str) or not name:
        raise _refused(what, given, "a metric name that is not empty, or what an earlier define_metric returned")
    return encodable(metric_name(name))


def _kinds(summary: str | Iterable[str]) -> frozenset[str] | None:
    items = [summary] if isinstance(summary, str) else list(summary) if isinstance(summary, Iterable) else [summary]
    accepted = f"one or more of {', '.join(_ACCEPTED_KINDS)}, as a list or separated by commas"
    if not all(isinstance(item, str) for item in items):
        raise _refused("summary", summary, accepted)
    kinds = {kind.strip().lower() for item in items if item for kind in item.split(",")}
    if not kinds.issubset(_ACCEPTED_KINDS):
        raise _refused("summary", summary, accepted)
    if "copy" in kinds:
        # 4: past this function, `statement` and the define_metric that called it
        warnings.warn("define_metric: the summary kind 'copy' means nothing and is left out", UserWarning, stacklevel=4)
    return frozenset(kinds - {"copy"}) or None  # an empty text says nothing, as in W&B


def _goal(goal: str | None, objective: str | None) -> Goal | None:
    directions: set[Goal] = set()
    for what, word in (("goal", goal), ("objective", objective)):
        if word is None:
            continue
        direction = GOALS.get(word.lower()) if isinstance(word, str) else None
        if direction is None:
            raise _refused(what, word, "minimize, maximize, min or max")
        directions.add(direction)
    if len(directions) > 1:
        raise _refused("goal", goal, f"the same direction as objective={objective!r}, or just one of the two")
    return directions.pop() if directions else None


@dataclass(frozen=True, slots=True)
class MetricDefinition:
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
        return () if self.none else tuple(kind for kind in KINDS if kind in self.summary - lacking)

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

        >>> MetricDefinition("loss").merged(statement("loss", summary="min")).kinds
        ('min',)
        """
        kinds = call.summary
        return replace(
            self,
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
