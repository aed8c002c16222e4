"""What Optuna knows of studies and trials, from its database and its journal alike, as records and points."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from tracklake.errors import DefinitionError
from tracklake.importers.readers import records
from tracklake.importers.readers.records import Points, RunRecord
from tracklake.schema import definition_statement

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tracklake.importers.readers.records import ImportOptions, RunState, Yielded
    from tracklake.schema.definition_statement import Statement

_STATES: dict[str, RunState] = {"COMPLETE": "finished", "PRUNED": "killed", "FAIL": "failed", "RUNNING": "running"}
_METRIC_NAMES = "study:metric_names"
_SPECIAL = {"INF_POS": float("inf"), "INF_NEG": float("-inf"), "NAN": float("nan")}


@dataclass(slots=True)
class Study:
    """One study: its name, directions ("MINIMIZE", "MAXIMIZE") and attributes."""

    name: str
    directions: list[str] = field(default_factory=list)
    system_attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def objectives(self) -> list[str]:
        """The names of its objectives: as it says, else `value`, or `value_0`, `value_1` of several.

        >>> Study("s", ["MINIMIZE", "MAXIMIZE"]).objectives
        ['value_0', 'value_1']
        """
        names = self.system_attributes.get(_METRIC_NAMES)
        if isinstance(names, list) and len(names) == len(self.directions) and all(isinstance(n, str) for n in names):
            return names
        return ["value"] if len(self.directions) < 2 else [f"value_{i}" for i in range(len(self.directions))]  # noqa: PLR2004


@dataclass(slots=True)
class Trial:
    """One trial; parameters are what was suggested, not how they are stored."""

    study: Study
    number: int = 0
    state: str = "RUNNING"
    start: Any = None
    end: Any = None
    params: dict[str, Any] = field(default_factory=dict)
    values: dict[int, float] = field(default_factory=dict)
    intermediate: dict[int, float] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)


def read(trials: Sequence[Trial], options: ImportOptions) -> Iterator[Yielded]:
    """Yield the trials that have begun as runs; a study is their project, group and sweep.

    Intermediate values are the history of the first objective, its final value is the summary's entry; Optuna does not
    say when an intermediate value was reported, so these have no time.

    >>> from tracklake.importers.readers.records import ImportOptions
    >>> trial = Trial(Study("s", ["MINIMIZE"]), 3, "PRUNED", params={"lr": 0.1}, intermediate={0: 0.5}, values={0: 0.5})
    >>> record, batch = read([trial], ImportOptions())
    >>> record.run_id, record.state, record.tags, batch.frame.select("metric", "value").row(0)
    ('s-3', 'killed', ['pruned'], ('value', 0.5))
    """
    for trial in trials:
        if trial.state != "WAITING":
            record = _record(trial, options)
            yield record
            if trial.intermediate:
                yield Points(record, _points(trial))


def _record(trial: Trial, options: ImportOptions) -> RunRecord:
    study = trial.study
    names = study.objectives
    values = {names[i] if i < len(names) else f"value_{i}": value for i, value in sorted(trial.values.items())}
    start, end = moment(trial.start), moment(trial.end)
    attributes = {f"user_attrs.{key}": value for key, value in trial.attributes.items()}
    identity = f"optuna:{study.name}:{trial.number}:{trial.start}"
    return RunRecord(
        identity,
        run_id=f"{study.name}-{trial.number}",
        project=options.project or study.name,
        name=f"trial {trial.number}",
        group=study.name,
        tags=["pruned"] if trial.state == "PRUNED" else [],
        config=trial.params,
        summary={**attributes, **values},
        facts={"sweep_id": study.name},
        definitions=list(_definitions(study)),
        start=start,
        end=end,
        state=_STATES.get(trial.state, "running"),
        is_timed=start is not None,
        rows_are_timed=False,
    )


def _definitions(study: Study) -> Iterator[Statement]:
    for name, direction in zip(study.objectives, study.directions, strict=False):
        if direction.lower() in ("minimize", "maximize"):
            try:
                yield definition_statement.statement(name, goal=direction.lower())
            except DefinitionError:  # an empty name
                continue


def _points(trial: Trial) -> pl.DataFrame:
    steps = sorted(trial.intermediate)
    metric = pl.Series([trial.study.objectives[0]]).new_from_index(0, len(steps))
    values = pl.Series([trial.intermediate[step] for step in steps], dtype=pl.Float64)
    return records.numbers(metric, step=pl.Series(steps, dtype=pl.Int64), value=values)


def moment(value: Any) -> int | None:
    """Return a date and time of Optuna, which has no zone and is read as UTC, in microseconds; None if it is none.

    >>> moment("2021-01-18 18:18:32.205894"), moment(None)
    (1610993912205894, None)
    """
    try:
        stamp = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    zoned = stamp if stamp.tzinfo is not None else stamp.replace(tzinfo=UTC)
    return round(zoned.timestamp() * 1e6)


def suggested(internal: Any, distribution: Any) -> Any:
    """Return the parameter that a stored number stands for, by its distribution as JSON.

    >>> suggested(1.0, '{"name": "CategoricalDistribution", "attributes": {"choices": ["adam", "sgd"]}}')
    'sgd'
    >>> suggested(3.0, '{"name": "IntUniformDistribution", "attributes": {"low": 0}}')
    3
    """
    try:
        parsed = json.loads(distribution)
        name, attributes = parsed["name"], parsed.get("attributes", {})
        if name == "CategoricalDistribution":
            return attributes["choices"][int(internal)]
        return int(internal) if name.startswith("Int") else internal
    except (ValueError, TypeError, KeyError, IndexError, RecursionError, OverflowError):
        return internal


def number(value: Any, kind: Any = None) -> float | None:
    """Return a stored value with its type (FINITE, INF_POS, INF_NEG, NAN); None where there is none.

    >>> number(None, "INF_NEG"), number(0.5, "FINITE"), number(None)
    (-inf, 0.5, None)
    """
    if kind in _SPECIAL:
        return _SPECIAL[kind]
    return float(value) if isinstance(value, int | float) else None


def parsed(text: Any) -> Any:
    """Return an attribute's JSON; what is none as it is.

    >>> parsed("[1]"), parsed("{")
    ([1], '{')
    """
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return text
