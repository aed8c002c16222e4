"""Definition statements: one define_metric call, checked, and how it is stored.

What was not given is None, so that several calls for one name can be merged.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple, Protocol

from tracklake.common.arguments import check_word
from tracklake.common.warnings import warn_set_aside
from tracklake.errors import DefinitionError
from tracklake.schema.naming import encodable, metric_name
from tracklake.schema.statistics import SUMMARY_KINDS

Goal = Literal["min", "max"]
GoalWord = Literal["min", "max", "minimize", "maximize"]

_ACCEPTED_KINDS = (*SUMMARY_KINDS, "none", "copy")
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


class Statement(NamedTuple):
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
        content = self._asdict()
        if self.summary is not None:
            content["summary"] = sorted(self.summary)
        given = {key: value for key, value in content.items() if key == "name" or value != self._field_defaults[key]}
        return json.dumps(given, separators=(",", ":"))

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
    "summary": lambda value: isinstance(value, list) and all(kind in (*SUMMARY_KINDS, "none") for kind in value),
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


def _refused(what: str, value: object, accepted: str) -> DefinitionError:
    return DefinitionError(f"define_metric: {what}={value!r} cannot be; accepted: {accepted}")


def _name(what: str, named: str | Named) -> str:
    name = named if isinstance(named, str) else getattr(named, "name", None)
    if not isinstance(name, str) or not name:
        raise _refused(what, named, "a metric name that is not empty, or what an earlier define_metric returned")
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
