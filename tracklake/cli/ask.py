"""Commands that read: runs, show, history, sql, query, describe."""

from __future__ import annotations

import json
import textwrap
from typing import Any

import click
import polars as pl

import tracklake as tl
from tracklake.cli import terminal
from tracklake.cli.base import (
    directory_option,
    echo,
    listed,
    main,
    metric_names,
    project_option,
    query_names,
    read_pair,
    run_ids,
)
from tracklake.cli.terminal import forms, give, limit
from tracklake.errors import UnknownNameError
from tracklake.lake.export import described
from tracklake.sql import named_queries

_NEWEST = "-created_at"


@main.command(short_help="Show the runs.")
@directory_option
@project_option
@click.option("--where", help="A SQL condition over the runs' columns; names with a slash in double quotes.")
@click.option("--columns", help="Names and globs, separated by commas: 'name,config.*,summary.val/acc.max'.")
@click.option(
    "--order-by", default=_NEWEST, show_default=True, help="A column; with a minus in front, the largest first."
)
@limit
@forms
def runs(directory: str, form: str | None, limit: int | None, columns: str | None, **question: str | None) -> None:
    """Show the runs, one a line, the newest first.

    A table has as many columns as the terminal has room for: what --columns or --order-by names always, then what
    varies over the runs.

    \b
    Examples:
      tracklake runs
      tracklake runs --order-by=-summary.val/acc.max --limit 5
      tracklake runs --where "state = 'finished' AND config.lr < 0.1"
      tracklake runs --columns "name,config.*,summary.*loss*.min"
      tracklake runs --columns run_id,summary.val/loss.min --csv > losses.csv
    """
    wanted = listed(columns) if columns else None
    rows = terminal.most(form, limit)
    lake = tl.open(directory)
    frame = lake.runs(columns=wanted, limit=rows and rows + 1, **question)
    if form:
        give(frame, form=form, rows=rows)
        return
    named = [] if wanted is None else frame.columns
    sorted_by = _sorted_by(lake, frame, question["order_by"])
    printed = frame if sorted_by is None or sorted_by.name in frame.columns else frame.with_columns(sorted_by)
    first = [*named, *([] if sorted_by is None or sorted_by.name in named else [sorted_by.name])]
    lead = first if wanted else terminal.telling(printed, first=first)
    give(printed, form=form, rows=rows, lead=lead, always=[name for name in ("run_id", *first) if name in lead])


def _sorted_by(lake: tl.Lake, rows: pl.DataFrame, order_by: str | None) -> pl.Series | None:
    """Return the column by which runs are sorted, None for the default and for an expression over columns."""
    name = (order_by or "").lstrip("+-")
    if order_by in (None, _NEWEST) or rows.is_empty():
        return None
    try:
        return lake.runs(runs=rows, columns=[name])[name]
    except UnknownNameError:
        return None


@main.command(short_help="Show all of one run but its history.")
@click.argument("run", shell_complete=run_ids)
@directory_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def show(run: str, directory: str, *, as_json: bool) -> None:
    """Show one run: what it is, its config, its summary, its metrics.

    \b
    Examples:
      tracklake show h64-lr0.1-seed0
      tracklake show h64-lr0.1-seed0 --json
    """
    lake = tl.open(directory)
    recorded = lake.run(run)
    description = described(recorded)
    if as_json:
        echo(json.dumps(description, ensure_ascii=False))
        return
    metrics = lake.history(recorded.metrics, runs=[run]) if recorded.metrics else pl.DataFrame()
    lines = [_line("run_id", run), *(_line(name, fact) for name, fact in recorded.facts.items() if fact is not None)]
    for title in ("config", "summary"):
        leaves = [(name, value) for name, value in _leaves(description[title]) if not name.startswith("_")]
        lines += ["", title, *(_line(f"  {name}", value) for name, value in leaves)]
    lines += ["", "metrics", *(_curve(name, metrics) for name in recorded.metrics)]
    echo("\n".join(line[: terminal.width()] for line in lines))


def _line(name: str, value: Any) -> str:
    return f"{name:<22} {terminal.cell(value, room=terminal.width())}"


def _leaves(tree: dict[str, Any], above: str = "") -> list[tuple[str, Any]]:
    """Return the values of a nested dict with their dotted names."""
    leaves: list[tuple[str, Any]] = []
    for key, value in tree.items():
        name = f"{above}{key}"
        leaves += _leaves(value, f"{name}.") if isinstance(value, dict) and "_type" not in value else [(name, value)]
    return leaves


def _curve(name: str, points: pl.DataFrame) -> str:
    curve_points = points.filter(pl.col("metric") == name)
    numbers = curve_points["value"].to_list()
    curve = terminal.sparkline(numbers) if any(number is not None for number in numbers) else ""
    return f"  {name:<20} {curve_points.height:>8,} points  {curve}".rstrip()


@main.command(short_help="Show points of the history.")
@click.argument("metrics", nargs=-1, shell_complete=metric_names)
@directory_option
@project_option
@click.option("--run", "runs", multiple=True, shell_complete=run_ids, help="Only this run. May be repeated.")
@click.option("--where", help="Only runs that meet a SQL condition over their columns.")
@click.option("--steps", metavar="FIRST:LAST", help="Only these steps, both included: 100:200, 100: or :200.")
@click.option("--x", help="Another metric as x axis, its latest value at each step.")
@click.option("--wide", is_flag=True, help="One row a step, one column a metric.")
@click.option("--downsample", type=click.IntRange(min=4), help="About this many points a curve, with its extremes.")
@limit
@forms
def history(
    metrics: tuple[str, ...],
    directory: str,
    form: str | None,
    limit: int | None,
    steps: str | None,
    runs: tuple[str, ...],
    *,
    wide: bool,
    **question: Any,
) -> None:
    """Show how METRICS went, every point of every run in order; all metrics if none is named.

    \b
    Examples:
      tracklake history val/acc --run h64-lr0.1-seed0
      tracklake history train/loss val/loss --wide --where "config.lr < 0.1" --csv > curves.csv
      tracklake history val/loss --steps 100: --downsample 50
    """
    frame = tl.open(directory).history(
        list(metrics) or None,
        runs=list(runs) or None,
        steps=_steps(steps),
        shape="wide" if wide else "long",
        **question,
    )
    give(frame, form=form, rows=terminal.most(form, limit))


def _steps(text: str | None) -> tuple[int | None, int | None] | None:
    if text is None:
        return None
    first, colon, last = text.partition(":")
    try:
        start, stop = (int(end) if end else None for end in (first, last))
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is no FIRST:LAST, such as 100:200, 100: or :200", param_hint="--steps"
        ) from None
    return start, stop if colon else start


@main.command(short_help="Ask in SQL.")
@click.argument("text", required=False)
@directory_option
@project_option
@click.option("--file", type=click.File(encoding="utf-8"), help="Read the text from a file; - for standard input.")
@click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="The value of $NAME. May be repeated.")
@limit
@forms
def sql(
    text: str | None,
    directory: str,
    form: str | None,
    limit: int | None,
    project: str | None,
    file: Any,
    params: tuple[str, ...],
) -> None:
    """Ask in SQL, that of duckdb, over the views runs, summaries, history, config, definitions, sessions and points.

    runs has a column for each config value and each statistic of each metric; their names have dots and stand in double
    quotes. summaries, history and config have one row a value. `DESCRIBE runs` lists columns. A text can only read.

    \b
    Examples:
      tracklake sql 'SELECT run_id, "summary.val/acc.max" FROM runs ORDER BY 2 DESC LIMIT 5'
      tracklake sql 'SELECT step, avg(value) FROM history WHERE metric = $m GROUP BY 1' --param m=loss
      tracklake sql "SELECT stat, value FROM summaries WHERE metric = 'loss' AND run_id = 'a'" --json
      tracklake sql --file question.sql --parquet > answer.parquet
    """
    if (text is None) == (file is None):
        raise click.UsageError("give a text, or a file with --file; one of the two")
    lake = tl.open(directory, project=project)
    statement = text if text is not None else file.read()
    result = lake.sql(statement, **dict(_param(pair) for pair in params))
    if form is None and result.columns == ["explain_key", "explain_value"]:
        echo("\n".join(result["explain_value"]))
        return
    give(result, form=form, rows=terminal.most(form, limit))


def _param(text: str) -> tuple[str, Any]:
    """Read NAME=VALUE for SQL, where an object of JSON is a text."""
    name, value = read_pair(text)
    return name, text.partition("=")[2] if isinstance(value, dict) else value


@main.command(short_help="Ask a named query.")
@click.argument("name", required=False, shell_complete=query_names)
@click.argument("params", nargs=-1, metavar="[PARAM=VALUE]...")
@directory_option
@project_option
@click.option("--queries", "folders", multiple=True, type=click.Path(), help="A folder of .sql files of your own.")
@click.option("--about", is_flag=True, help="Say what NAME answers, takes and returns, and ask nothing.")
@limit
@forms
def query(
    name: str | None,
    params: tuple[str, ...],
    directory: str,
    form: str | None,
    limit: int | None,
    project: str | None,
    folders: tuple[str, ...],
    *,
    about: bool,
) -> None:
    """Ask one of the questions that come with tracklake, or one of yours; without NAME, list them.

    Folders of your own are those of --queries and of $TRACKLAKE_QUERIES.

    \b
    Examples:
      tracklake query
      tracklake query leaderboard --about
      tracklake query leaderboard metric=val/acc goal=max k=5
      tracklake query run_diff a=h64-lr0.1-seed0 b=h64-lr0.3-seed0 --json
    """
    if name is None:
        _list_queries(named_queries.find(folders), form)
    elif about:
        echo(_about(named_queries.get(name, folders)))
    else:
        lake = tl.open(directory, queries=folders, project=project)
        result = lake.query(name, **_typed(named_queries.get(name, folders), params))
        give(result, form=form, rows=terminal.most(form, limit))


def _typed(query: named_queries.NamedQuery, params: tuple[str, ...]) -> dict[str, Any]:
    """Read params; what the query takes as a text is one, also where it looks like a number."""
    values = dict(_param(text) for text in params)
    texts = {text.partition("=")[0]: text.partition("=")[2] for text in params}
    return {name: texts[name] if query.takes_text(name) and v is not None else v for name, v in values.items()}


def _list_queries(queries: dict[str, named_queries.NamedQuery], form: str | None) -> None:
    frame = named_queries.listing(queries)
    if form is None:
        margin = max(map(len, frame["name"])) + 2
        width = max(terminal.width(), margin + terminal.LEAST)
        for name, answers in frame.select("name", "answers").iter_rows():
            echo(textwrap.fill(answers, width, initial_indent=name.ljust(margin), subsequent_indent=" " * margin))
    else:
        give(frame, form=form)


def _about(query: named_queries.NamedQuery) -> str:
    takes = [f"  {parameter!s:<24} {parameter.about}" for parameter in query.parameters.values()] or ["  no parameters"]
    returns = [f"  {column}" for column in query.returns.split(", ")]
    notes = ["", query.notes] if query.notes else []
    return "\n".join([query.answers, "", "Takes", *takes, "", "Returns", *returns, *notes])


@main.command(short_help="What is in the lake?")
@directory_option
@project_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def describe(directory: str, project: str | None, *, as_json: bool) -> None:
    """Show what is in the lake, in one screen: runs by state, projects, metrics, what is not sealed yet.

    \b
    Examples:
      tracklake describe
      tracklake describe --json
    """
    contents = tl.open(directory).describe(project=project)
    if as_json:
        echo(json.dumps(contents.as_dict(), ensure_ascii=False))
        return
    rows = max(4, terminal.height() - 12)
    width = terminal.width()
    counts, stored = contents.heading
    echo(f"{directory}: {counts}\n{stored}")
    tables = [
        (contents.projects, 5),
        (contents.metrics, rows),
        (contents.derived.select("name", "kind", "expression", "unit"), 5),
    ]
    for frame, more in tables if contents.derived.height else tables[:2]:
        echo("")
        echo("\n".join(terminal.table(frame.head(more), width=width)[:-1]))
        if frame.height > more:
            echo(f"... and {frame.height - more:,} more: --json lists them all")
