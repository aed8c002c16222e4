"""What a page shows as code: the Python, the SQL and the shell command that give the very same rows."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any

from tracklake.errors import QueryError, UnknownNameError
from tracklake.schema.statistics import Statistic
from tracklake.sql import named_queries
from tracklake.ui import analysis_pages, query_pages, replies, run_rows, view_code
from tracklake.ui.conditions import literal, name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tracklake.analysis.objectives import Objective
    from tracklake.ui.parameters import Parameters
    from tracklake.ui.replies import Reply
    from tracklake.ui.sources import Source

_BEHIND = "-- The runs behind it, each with its value: tests and intervals have no SQL."
_PARAMETER = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\$(\w+)""")


def code(source: Source, parameters: Parameters) -> Reply:
    """Return a view as code: view is runs (also of scatter and parallel axes), groups, curves, compare, sweep or ask.

    >>> from tracklake.ui.parameters import Parameters
    >>> from tracklake.ui.sources import Source
    >>> reply = code(Source(example(), name="lake"), Parameters([("view", "ask"), ("name", "recent")]))
    >>> b"tracklake query recent --dir" in reply.body
    True
    """
    view = parameters.text("view") or "runs"
    if view not in _VIEWS:
        raise UnknownNameError.nearest("view", view, _VIEWS)
    return replies.json_reply(_VIEWS[view](source, parameters))


def _runs(source: Source, parameters: Parameters) -> dict[str, str]:
    question = run_rows.newest_first(run_rows.read_question(source, parameters))
    columns = run_rows.columns_shown(
        run_rows.table(source, question), question, only_differing=parameters.flag("differ")
    )
    statement = view_code.sql(question, columns, descending=_descending(source, question))
    python = view_code.python(source.dir, question, columns)
    shell = view_code.shell(source.dir, question, columns, statement=statement)
    return {"python": python, "sql": statement, "shell": shell}


def _descending(source: Source, question: run_rows.Question) -> list[bool]:
    """Tell of each column of the order whether its largest value stands first: without a sign, its goal says so."""
    with source.reading() as lake:
        names = lake._view.runs.names  # noqa: SLF001 - the page is another face of the lake
        return [o.startswith("-") or (o[0] != "+" and names.is_better_high(o)) for o in question.order_by]


def _groups(source: Source, parameters: Parameters) -> dict[str, str]:
    """Return the groups with n, mean, std, min and max of each number; the interval is that of Student's t."""
    question = run_rows.read_question(source, parameters)
    keys, measured = parameters.texts("group"), run_rows.measures(source, parameters)
    inner = view_code.sql(question, [*keys, *measured], descending=_descending(source, question))
    order = inner.rpartition("\nORDER BY ")[2]
    rows = inner.rpartition("\nORDER BY ")[0].replace(
        "\nFROM", f", row_number() OVER (ORDER BY {order}) AS place\nFROM", 1
    )
    numbers = [
        f"{function}({name_of(name)}) FILTER (isfinite({name_of(name)})) AS {name_of(f'{name}.{label}')}"
        for name in measured
        for function, label in (("avg", "mean"), ("stddev_samp", "std"), ("min", "min"), ("max", "max"))
    ]
    chosen = ",\n  ".join([*map(name_of, keys), "count(*) AS runs", *numbers])
    return _of_sql(source, f"SELECT {chosen}\nFROM (\n{rows}\n)\nGROUP BY ALL\nORDER BY min(place)")


def _curves(source: Source, parameters: Parameters) -> dict[str, str]:
    """Return the points of a metric: run by run, in order of the step."""
    metric, x = parameters.needed("metric"), parameters.text("x")
    question = run_rows.read_question(source, parameters, columns=("name",))
    axis = None if x in (None, "step", "time", "relative") else x
    arguments = {name: v for name, v in question.arguments().items() if name in ("project", "where")}
    words = "".join(f", {name}={value!r}" for name, value in {**arguments, **({"x": axis} if axis else {})}.items())
    python = f"{_opened(source)}\nrows = lake.history([{metric!r}]{words})"
    shell = ["tracklake", "history", metric, "--dir", source.dir]
    shell += [word for name, value in arguments.items() for word in (f"--{name}", value)]
    shell += ["--x", axis] if axis else []
    return {"python": python, "sql": _points(question, metric, axis), "shell": shlex.join([*shell, "--csv"])}


def _points(question: run_rows.Question, metric: str, axis: str | None) -> str:
    runs = view_code.sql(question, [], descending=[False] * len(question.order_by)).rpartition("\nORDER BY")[0]
    inside = "" if runs.endswith("FROM runs") else " AND y.run_id IN ({})".format(runs.replace("\n", " "))
    number = "if({0}.is_nan, 'nan'::DOUBLE, {0}.value) AS {1}"
    columns = ["y.run_id", "y.metric", "y.step", "y.time", number.format("y", "value")]
    tables = "history AS y"
    if axis:
        columns.append(number.format("x", "x"))
        before = f"x.metric = {literal(axis)} AND x.run_id = y.run_id AND x.step <= y.step"
        tables += f"\n  ASOF LEFT JOIN history AS x ON {before}"
    head = f"SELECT {', '.join(columns)}\nFROM {tables}"
    return f"{head}\nWHERE y.metric = {literal(metric)}{inside}\nORDER BY y.run_id, y.step"


def _compare(source: Source, parameters: Parameters) -> dict[str, str]:
    arguments = analysis_pages.compare_arguments(source, parameters)
    comparison = analysis_pages.comparison(source, arguments)
    keys = [name for name in comparison.table.columns if name in comparison.runs.columns]
    python = f"{_opened(source)}\ncomparison = lake.compare({_called(arguments)})\nrows = comparison.table"
    statement = _values(comparison.grouped.objective, keys, arguments.get("where"), order="created_at, run_id")
    return {
        "python": f"{python}\nruns = comparison.runs  # with the value of each",
        "sql": f"{_BEHIND}\n{statement}",
        "shell": _shell(source, ["compare"], arguments),
    }


def _sweep(source: Source, parameters: Parameters) -> dict[str, str]:
    arguments = analysis_pages.sweep_arguments(source, parameters)
    swept = analysis_pages.sweep_of(source, parameters)
    python = f"{_opened(source)}\nsweep = lake.sweep({_called(arguments)})\nrows = sweep.best({analysis_pages.BEST})"
    best = swept.objective.goal == "max"
    order = f"value {'DESC' if best else 'ASC'} NULLS LAST, created_at, run_id LIMIT {analysis_pages.BEST}"
    where = [f"({arguments['where']})"] if "where" in arguments else []
    where += [] if arguments.get("failed") == "include" else ["state NOT IN ('failed', 'crashed')"]
    return {
        "python": python,
        "sql": _values(swept.objective, [p.name for p in swept.settings], " AND ".join(where), order=order),
        "shell": _shell(source, ["sweep"], arguments, ["--best", str(analysis_pages.BEST)]),
    }


def _values(objective: Objective, keys: list[str], where: str | None, *, order: str) -> str:
    """Return the statement that gives runs with their keys and the value by which they are judged."""
    metric = objective.source
    if not isinstance(metric, Statistic):
        raise QueryError(f"{objective.name} is no statistic of a metric: it has no column to select")
    value = name_of(f"summary.{metric.metric}" + (f".{metric.stat}" if metric.stat else ""))
    columns = ", ".join(["run_id", *map(name_of, keys), f"{value} AS value"])
    return f"SELECT {columns}\nFROM runs{view_code.where_clause(where)}\nORDER BY {order}"


def _ask(source: Source, parameters: Parameters) -> dict[str, str]:
    """Return a text in SQL, or a named query with its parameters: bound in the SQL."""
    text, name = parameters.text("sql"), parameters.text("name")
    if text is not None:
        return _of_sql(source, text)
    if name is None:
        raise QueryError("the address names a query (name=...) or has a text (sql=...), one of the two")
    query = named_queries.get(name, ())
    values = query_pages.typed(query, parameters.beginning("p."))
    with source.asking() as lake:
        bound = query.bind(values, table=lake._view.runs)  # noqa: SLF001 - the page is another face of the lake
    arguments = "".join(f", {key}={value!r}" for key, value in values.items())
    words = [f"{key}={','.join(value) if isinstance(value, list) else value}" for key, value in values.items()]
    return {
        "python": f"{_opened(source)}\nrows = lake.query({name!r}{arguments})",
        "sql": _PARAMETER.sub(lambda match: _literal(bound[match[1]]) if match[1] in bound else match[0], query.text),
        "shell": shlex.join(["tracklake", "query", name, *words, "--dir", source.dir, "--csv"]),
    }


def _literal(value: Any) -> str:
    """Write a bound parameter as SQL has it.

    >>> _literal(None), _literal(["a", "b"])
    ('NULL', "['a', 'b']")
    """
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_literal, value))}]"
    return "NULL" if value is None else literal(value)


def _of_sql(source: Source, statement: str) -> dict[str, str]:
    is_plain = "\n" not in statement or "\\" in statement or "'''" in statement or statement.endswith("'")
    written = repr(statement) if is_plain else f"'''\n{statement}\n'''"
    return {
        "python": f"{_opened(source)}\nrows = lake.sql({written})",
        "sql": statement,
        "shell": f"tracklake sql --dir {shlex.quote(source.dir)} {shlex.quote(statement)} --csv",
    }


def _opened(source: Source) -> str:
    return f"import tracklake as tl\n\nlake = tl.open({source.dir!r})"


def _called(arguments: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in arguments.items())


def _shell(source: Source, command: list[str], arguments: Mapping[str, Any], more: list[str] | None = None) -> str:
    """Return a command whose options are the arguments; a list is joined by commas, a dict is key=value."""
    words = ["tracklake", *command, arguments["metric"], "--dir", source.dir]
    for name, value in arguments.items():
        if name != "metric":
            words += [f"--{name}", _option(value)]
    return shlex.join([*words, *(more or []), "--csv"])


def _option(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{key}={item}" for key, item in value.items())
    return ",".join(value) if isinstance(value, list) else str(value)


_VIEWS: dict[str, Callable[[Source, Parameters], dict[str, str]]] = {
    "runs": _runs,
    "groups": _groups,
    "curves": _curves,
    "compare": _compare,
    "sweep": _sweep,
    "ask": _ask,
}
