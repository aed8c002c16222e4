"""Named queries: one SQL file, one question, one name. The comment at the head of a file says all that is known of it.

The head begins with the question, and has the sections Takes (a parameter a line: name, type, default, what it is),
Returns (the columns) and Runs on (the dialects). The text is run as any text of `lake.sql`, with the parameters bound.
"""

from __future__ import annotations

import ast
import os
import re
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from tracklake.common.arguments import check_word
from tracklake.errors import DefinitionError, QueryError, UnknownNameError
from tracklake.schema.definition_statement import GOALS, GoalWord
from tracklake.schema.statistics import STATISTICS, is_statistic
from tracklake.sql.summaries_view import ENTRY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tracklake.query.run_table import RunTable

VARIABLE = "TRACKLAKE_QUERIES"
"""The environment variable that names folders with further queries."""
_SECTION = re.compile(r"(Reads|Takes|Returns|Runs on)\s+(?=\S)")
_PARAMETER = re.compile(
    r"(?P<name>\w+) (?P<type>[A-Z]+(?:\[\])?)(?: = (?P<default>'[^']*'|\S+))?\s*(?P<about>.*)", re.DOTALL
)
_COLUMN = re.compile(r"(\w+) (TEXT|BIGINT|DOUBLE|BOOLEAN|TIMESTAMPTZ)\b")
_TEXTS = ("TEXT", "METRIC", "ENTRY", "GOAL", "STAT", "PROJECT", "RUN")
_PYTHON: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(_TEXTS, (str,)),
    "TEXT[]": (list, tuple),
    "BIGINT": (int,),
    "DOUBLE": (int, float),
    "BOOLEAN": (bool,),
}
"""The types of parameters. METRIC, PROJECT, RUN name something of the lake, ENTRY what summaries hold under one key.

GOAL is a word for which way is better (bound as min or max), STAT a statistic; goal_a and stat_a belong to a METRIC or
ENTRY a, others to the first.
"""
_NAMES = ("METRIC", "ENTRY")


class Parameter(NamedTuple):
    """One parameter, as the head says it."""

    name: str
    type: str
    default: Any
    needed: bool
    about: str

    def __str__(self) -> str:
        """Write it as in the head: metric METRIC, k BIGINT = 20."""
        default = "null" if self.default is None else repr(self.default)
        return f"{self.name} {self.type}" + ("" if self.needed else f" = {default}")


class NamedQuery:
    """One named query: a file of SQL, and what its head says of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.stem

    @cached_property
    def text(self) -> str:
        """The SQL, head included.

        >>> get("leaderboard").text.splitlines()[0]
        '-- Which runs are best by one statistic of a metric?'
        """
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def _head(self) -> dict[str, list[str]]:
        """The lines of each section; those before any section and after them stand under ""."""
        sections: dict[str, list[str]] = {"": []}
        here = ""
        for line in self.text.splitlines():
            if not line.startswith("--"):
                break
            text = line[2:].removeprefix(" ")
            section = _SECTION.match(text)
            if section:
                here = section[1]
            elif not text.startswith("   "):
                here = ""
            sections.setdefault(here, []).append(text[section.end() :] if section else text.strip())
        return sections

    @property
    def answers(self) -> str:
        """The question that it answers.

        >>> get("leaderboard").answers
        'Which runs are best by one statistic of a metric?'
        """
        return " ".join(self._head[""]).split("  ")[0].strip()

    @property
    def notes(self) -> str:
        """What the head says beside; empty for nothing.

        >>> get("leaderboard").notes
        'Runs without a number are left out; equal values have equal ranks.'
        """
        return "\n".join(self._head[""]).partition("\n\n")[2].strip()

    @property
    def returns(self) -> str:
        """The columns that come back: name and type, or what the head says of them in words.

        >>> get("recent").returns
        'run_id TEXT...'
        """
        text = " ".join(" ".join(self._head.get("Returns", [])).split())
        return ", ".join(f"{name} {kind}" for name, kind in _COLUMN.findall(text)) or text

    @property
    def dialects(self) -> list[str]:
        """The engines on which it is tested.

        >>> get("leaderboard").dialects[0]
        'duckdb'
        """
        return [name.strip() for name in " ".join(self._head.get("Runs on", ["duckdb"])).split(",")]

    @cached_property
    def parameters(self) -> dict[str, Parameter]:
        """The parameters by name; QueryError where the head does not say them as it should.

        >>> str(get("leaderboard").parameters["k"])
        'k BIGINT = 20'
        """
        return {parameter.name: parameter for parameter in self._parameters()}

    def _parameters(self) -> Iterator[Parameter]:
        lines: list[str] = []
        for line in self._head.get("Takes", ["no parameters"]):
            if _PARAMETER.fullmatch(line) or not lines:
                lines.append(line)
            else:
                lines[-1] += f" {line}"
        for line in lines if lines != ["no parameters"] else []:
            match = _PARAMETER.fullmatch(line)
            if match is None or match["type"] not in _PYTHON:
                raise QueryError(
                    f"{self.path}: {line!r} is no parameter; write `name TYPE = default  what it is`, with a type of "
                    f"{', '.join(_PYTHON)}"
                )
            default = None if match["default"] in (None, "null") else ast.literal_eval(match["default"].capitalize())
            yield Parameter(match["name"], match["type"], default, match["default"] is None, match["about"])

    def takes_text(self, name: str) -> bool:
        """Say whether a parameter is a text, also where its value looks like a number.

        >>> query = get("leaderboard")
        >>> query.takes_text("metric"), query.takes_text("k")
        (True, False)
        """
        return name in self.parameters and self.parameters[name].type in _TEXTS

    def bind(self, bindings: Mapping[str, Any], *, table: RunTable) -> dict[str, Any]:
        """Return the value of every parameter: as given, else the default; checked against types and the lake.

        Raises QueryError for a parameter that is missing, unknown or of another type, UnknownNameError for a metric,
        project or run that is not there.

        >>> get("leaderboard").bind({"metric": "acc", "goal": "max", "k": 3}, table=example()._view.runs)["k"]
        3
        """
        for name in bindings:
            if name not in self.parameters:
                accepted = ", ".join(str(p) for p in self.parameters.values()) or "none"
                raise QueryError(f"the query {self.name!r} has no parameter {name!r}; its parameters: {accepted}")
        values = {name: self._value(parameter, bindings) for name, parameter in self.parameters.items()}
        for name, parameter in self.parameters.items():
            if values[name] is not None:
                _check_name(parameter, values[name], table)
        values |= self._entries_for(values, table)
        goals = [p.name for p in self.parameters.values() if p.type == "GOAL"]
        return values | {name: self._goal(name, values, table) for name in goals}

    def _entries_for(self, values: Mapping[str, Any], table: RunTable) -> dict[str, str]:
        """Return the statistics of metrics that are one value a run, set by hand or derived: the entry itself.

        UnknownNameError where the query is over history, or another statistic is asked for.
        """
        stats: dict[str, str] = {}
        for parameter in self.parameters.values():
            metric = values[parameter.name]
            if parameter.type != "METRIC" or metric not in table.summaries.value_keys:
                continue
            own = [p.name for p in self.parameters.values() if p.type == "STAT" and self._owner(p) == parameter.name]
            if not own or any(values[stat] not in (None, ENTRY) for stat in own):
                way = f'. Here: {" or ".join(own)}="{ENTRY}"' if own else ""
                raise UnknownNameError(f"{table.unknown(metric)}{way}")
            stats |= dict.fromkeys(own, ENTRY)
        return stats

    def _owner(self, parameter: Parameter) -> str:
        """Return the parameter that names the metric to which a goal or a statistic belongs."""
        metrics = [p.name for p in self.parameters.values() if p.type in _NAMES]
        suffix = parameter.name.partition("_")[2]
        return suffix if suffix in metrics else metrics[0]

    def _value(self, parameter: Parameter, bindings: Mapping[str, Any]) -> Any:
        value = bindings.get(parameter.name, parameter.default)
        if value is None and parameter.needed:
            raise QueryError(f"the query {self.name!r} needs {parameter}: {parameter.about}")
        fits = isinstance(value, (*_PYTHON[parameter.type], type(None)))
        if not fits or (isinstance(value, bool) and parameter.type != "BOOLEAN"):
            raise QueryError(
                f"the query {self.name!r}: {parameter.name}={value!r} is no {parameter.type}; it takes {parameter}"
            )
        return value

    def _goal(self, name: str, values: Mapping[str, Any], table: RunTable) -> str:
        """Return the goal that is said, else the one that the definitions give the metric to which it belongs."""
        if values[name] is not None:
            return GOALS[values[name]]
        metric = values[self._owner(self.parameters[name])]
        goals = table.summaries.goals(metric)
        if len(goals) != 1:
            why = "no definition names one" if not goals else "runs define different ones"
            raise DefinitionError(f"the query {self.name!r} needs {name}='min' or 'max' for {metric!r}: {why}")
        return goals.pop()


def find(folders: Iterable[str | os.PathLike[str]] = ()) -> dict[str, NamedQuery]:
    """Return all queries by name: those of these folders, of $TRACKLAKE_QUERIES, and those that come with tracklake.

    Of two with one name the one found first holds. Raises QueryError for a folder that is not there.

    >>> "leaderboard" in find()
    True
    """
    named = [Path(folder) for folder in (*folders, *filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)))]
    for folder in named:
        if not folder.is_dir():
            raise QueryError(f"there is no folder {folder} with queries; give a folder of .sql files")
    queries: dict[str, NamedQuery] = {}
    for folder in (*named, shipped()):
        for path in sorted(folder.glob("*.sql")):
            queries.setdefault(path.stem, NamedQuery(path))
    return dict(sorted(queries.items()))


def get(name: str, folders: Iterable[str | os.PathLike[str]] = ()) -> NamedQuery:
    """Return one query; UnknownNameError, which names the nearest, if there is none of this name.

    >>> get("leaderbord")
    Traceback (most recent call last):
    tracklake.errors.UnknownNameError: unknown query 'leaderbord'...
    """
    queries = find(folders)
    if name not in queries:
        raise UnknownNameError.nearest("query", name, queries)
    return queries[name]


def listing(queries: Mapping[str, NamedQuery]) -> pl.DataFrame:
    """Return one row a query: name, answers, parameters, returns, runs_on, path.

    >>> listing({"recent": get("recent")})["name"].to_list()
    ['recent']
    """
    rows = [
        (q.name, q.answers, ", ".join(map(str, q.parameters.values())), q.returns, ", ".join(q.dialects), str(q.path))
        for q in queries.values()
    ]
    columns = ("name", "answers", "parameters", "returns", "runs_on", "path")
    return pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row")


def shipped() -> Path:
    """Return the folder of the queries that come with tracklake: in the package, or beside it in a checkout.

    >>> (shipped() / "leaderboard.sql").is_file()
    True
    """
    package = Path(__file__).parents[1]
    inside = package / "queries"
    return inside if inside.is_dir() else package.parent / "queries"


def _check_name(parameter: Parameter, value: Any, table: RunTable) -> None:
    runs = table.summaries.runs
    if parameter.type in _NAMES:
        if value not in table.summaries.entry_keys:
            raise UnknownNameError.nearest("metric", value, table.summaries.entry_keys)
    elif parameter.type == "PROJECT" and value not in runs["project"]:
        raise UnknownNameError.nearest("project", value, runs["project"].unique())
    elif parameter.type == "RUN" and value not in runs["run_id"]:
        raise UnknownNameError.nearest("run", value, runs["run_id"])
    elif parameter.type == "GOAL":
        check_word(parameter.name, value, GoalWord)
    elif parameter.type == "STAT" and value != ENTRY and not is_statistic(value):
        raise UnknownNameError.nearest("statistic", value, [*STATISTICS, ENTRY])
