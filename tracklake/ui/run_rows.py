"""The runs table: one frame a question, cut into windows; groups with their spread; which columns there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from tracklake.schema.values import NULL, STORED
from tracklake.ui import conditions, first_rows, replies

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracklake.ui.parameters import Parameters
    from tracklake.ui.sources import Source

WINDOW = 500
"""Rows of one answer at most."""
DEFAULT_COLUMNS = 30
"""Columns shown where none are chosen; more are a click away."""
GROUPS = 2_000
_ALWAYS = first_rows.ALWAYS


class Question(NamedTuple):
    """What is asked of `lake.runs`: its arguments."""

    project: str | None = None
    where: str | None = None
    order_by: tuple[str, ...] = ()
    columns: tuple[str, ...] | None = None

    def arguments(self) -> dict[str, Any]:
        """Return it as the arguments of `lake.runs`.

        >>> Question(project="p", order_by=("name",)).arguments()
        {'project': 'p', 'order_by': ['name']}
        """
        values = {"project": self.project, "where": self.where, "order_by": list(self.order_by) or None,
                  "columns": None if self.columns is None else list(self.columns)}  # fmt: skip
        return {name: value for name, value in values.items() if value is not None}


def read_question(source: Source, parameters: Parameters, *, columns: tuple[str, ...] | None = None) -> Question:
    """Read a question from an address: project, where, q (a search), run, archived, order, and, unless given, col.

    >>> from tracklake.ui.parameters import Parameters
    >>> from tracklake.ui.sources import Source
    >>> question = Parameters([("where", "config.lr > 0.05"), ("order", "-name"), ("col", "config.lr")])
    >>> read_question(Source(example(), name="lake"), question)
    Question(project=None, where='config.lr > 0.05', order_by=('-name',), columns=('config.lr',))
    """
    searched, runs = parameters.text("q"), parameters.texts("run")
    hides = not parameters.flag("archived") and _has_archived(source)
    where = conditions.all_of(
        [
            parameters.text("where"),
            conditions.search(searched) if searched else None,
            conditions.one_of(runs) if runs else None,
            conditions.NOT_ARCHIVED if hides else None,
        ]
    )
    project = parameters.text("project")
    columns = columns or tuple(parameters.texts("col")) or usual(source, project)[0]
    return Question(project, where, tuple(parameters.texts("order")), columns)


def newest_first(question: Question) -> Question:
    """Return the question with the order of the table: unless another is chosen, the newest run stands first.

    >>> newest_first(Question()).order_by, newest_first(Question(order_by=("name",))).order_by
    (('-created_at',), ('name',))
    """
    return question if question.order_by else question._replace(order_by=("-created_at",))


def _has_archived(source: Source) -> bool:
    def look() -> bool:
        with source.reading() as lake:
            tags = lake.runs(columns=["tags"])["tags"]
        return bool(tags.list.contains(conditions.ARCHIVED).any())

    return bool(source.cached("archived", look))


def table(source: Source, question: Question) -> pl.DataFrame:
    """Return all rows of a question, from the cache if nothing has changed.

    >>> from tracklake.ui.sources import Source
    >>> table(Source(example(), name="lake"), Question(order_by=("-config.lr",)))["run_id"].to_list()
    ['fast', 'slow']
    """
    return _rows(source, question, _order(source, question))


def _all(source: Source, question: Question) -> pl.DataFrame:
    """Return the columns of a question for all runs of its project: one frame serves all orders and filters."""
    wanted = None if question.columns is None else tuple(dict.fromkeys([*question.columns, *_ALWAYS]))
    plain = Question(project=question.project, columns=wanted)

    def read() -> pl.DataFrame:
        with source.reading() as lake:
            return lake.runs(**plain.arguments())

    with source.reading():  # who asks for the same at the same time waits for it
        frame: pl.DataFrame = source.cached(plain, read)
        source.is_cold = False
        return frame


def _order(source: Source, question: Question) -> pl.Series:
    """Return the ids of the runs of a question, in its order."""
    plain = question._replace(columns=("run_id",))
    if question.where is None and not question.order_by:
        return _all(source, question)["run_id"]

    def read() -> pl.Series:
        with source.reading() as lake:
            return lake.runs(**plain.arguments())["run_id"]

    return source.cached(plain, read)  # type: ignore[no-any-return]


def _rows(source: Source, question: Question, run_ids: pl.Series) -> pl.DataFrame:
    """Return the columns of a question for these runs."""
    frame = _all(source, question)
    if run_ids is frame["run_id"] or (len(run_ids) == frame.height and run_ids.equals(frame["run_id"])):
        return frame
    return run_ids.to_frame().join(frame, on="run_id", how="left", maintain_order="left")


def columns_shown(frame: pl.DataFrame, question: Question, *, only_differing: bool) -> list[str]:
    """Return the columns to show: those chosen, in a wish only those in which runs differ.

    >>> lake = example()
    >>> question = Question(columns=("config.lr", "project"))
    >>> columns_shown(lake.runs(columns=["config.lr", "project", "name"]), question, only_differing=True)
    ['config.lr']
    """
    extra = {name for name in _ALWAYS if name not in (question.columns or ())}
    names = [name for name in frame.columns if name not in extra]
    if only_differing and frame.height > 1:
        names = [name for name in names if name == "name" or _differs(frame[name])]
    return names


def usual(source: Source, project: str | None) -> tuple[tuple[str, ...], int]:
    """Return the columns that tell most, and how many more there are; they do not change with a filter.

    They are summaries, config in which runs differ, and fields that somebody set; what most runs lack stands last. Of
    many runs a sample decides, and anew only when a column comes or the runs double.

    >>> from tracklake.ui.sources import Source
    >>> usual(Source(example(), name="lake"), None)[0]
    ('summary.acc', 'summary.loss', 'config.lr', 'state', 'created_at', 'runtime')
    """

    def look() -> tuple[list[str], pl.Series]:
        with source.reading() as lake:
            ids = lake.runs(project=project, columns=["run_id"])["run_id"]
            return lake._view_of(project).runs.names.defaults(ids), ids  # noqa: SLF001 - the page is another face

    with source.reading():  # likewise
        names, ids = source.cached(("columns", project), look)
        key = ("usual", project, tuple(names), len(ids).bit_length())
        return source.cached(key, lambda: _choose(source, project, names, ids), anew=len(ids) <= first_rows.SAMPLE)  # type: ignore[no-any-return]


def _choose(source: Source, project: str | None, names: list[str], ids: pl.Series) -> tuple[tuple[str, ...], int]:
    """Return those of the columns that tell most by a sample of the runs, and how many more there are."""
    sample, config = first_rows.sample(source, ids)
    with source.reading() as lake:
        others = [name for name in names if not name.startswith("config.")]
        frame = lake.runs(project=project, runs=sample, columns=others)
    values = [*frame.select(pl.exclude("run_id")).iter_columns(), *_columns_of(config, frame["run_id"])]
    columns = {series.name: series for series in values}
    summaries = [name for name in columns if name.startswith("summary.")]
    differing = [name for name in columns if name.startswith("config.") and _differs(columns[name])]
    fields = [name for name in ("project", "group", "job_type") if _differs(columns[name])]
    telling = [*summaries, *differing, *fields, "tags", "state", "created_at", "runtime"]
    filled = sorted((n for n in telling if not _is_empty(columns[n])), key=lambda n: _is_rare(columns[n]))
    shown = tuple(filled[:DEFAULT_COLUMNS])
    return shown, len({"run_id", *names, *columns}) - len(shown)


def _columns_of(config: pl.DataFrame, ids: pl.Series) -> Iterator[pl.Series]:
    """Return the config columns of these runs that have any value, the values as they are stored."""
    for (name,), part in config.filter(pl.col("kind") != NULL).sort("column").group_by("column", maintain_order=True):
        cells = part.select("run_id", pl.struct(STORED).alias(str(name))).unique("run_id", keep="last")
        yield ids.to_frame("run_id").join(cells, on="run_id", how="left")[str(name)]


def _is_empty(series: pl.Series) -> bool:
    return len(series) > 0 and series.null_count() == len(series)


def _is_rare(series: pl.Series) -> bool:
    return 2 * series.null_count() > len(series)


def _differs(series: pl.Series) -> bool:
    return series.n_unique() > 1


def window(source: Source, parameters: Parameters) -> dict[str, Any]:
    """Return some rows of a question, and how many there are in all.

    >>> from tracklake.ui.parameters import Parameters
    >>> from tracklake.ui.sources import Source
    >>> answer = window(Source(example(), name="lake"), Parameters([("col", "config.lr"), ("limit", "1")]))
    >>> answer["total"], answer["run_ids"], answer["columns"][0]["values"]
    (2, ['fast'], [0.1])
    """
    question = newest_first(read_question(source, parameters))
    run_ids = _order(source, question)
    offset, only_differing = parameters.integer("offset", default=0), parameters.flag("differ")
    window_ids = run_ids.slice(offset, parameters.integer("limit", default=100, most=WINDOW))
    is_first = source.is_cold and len(run_ids) > first_rows.SAMPLE and not (only_differing or parameters.texts("col"))
    if is_first:
        rows = first_rows.read(source, window_ids, project=question.project, columns=question.columns or ())
    else:
        rows = _rows(source, question, window_ids)
    names = columns_shown(table(source, question) if only_differing else rows, question, only_differing=only_differing)
    return {
        "version": source.version(),
        "total": len(run_ids),
        "offset": offset,
        "run_ids": rows["run_id"].to_list(),
        "names": rows["name"].to_list(),
        "states": rows["state"].to_list(),
        "columns": replies.columns(rows.select(names)),
        "hidden_columns": 0 if parameters.texts("col") else usual(source, question.project)[1],
    }


def groups(source: Source, parameters: Parameters) -> dict[str, Any]:
    """Return the runs of a question by the values of some columns: n, and mean, std and interval of each number.

    The interval is that of the mean by Student's t at 95 %, null for a group of one; values that are not finite do not
    count. Each group has the condition that its runs meet.

    >>> from tracklake.ui.parameters import Parameters
    >>> from tracklake.ui.sources import Source
    >>> question = Parameters([("group", "config.lr"), ("col", "summary.loss.min")])
    >>> grouped_rows = groups(Source(example(), name="lake"), question)
    >>> grouped_rows["n"], grouped_rows["measures"][0]["mean"], grouped_rows["conditions"][0]
    ([1, 1], [0.5, 0.25], '"config.lr" = 0.01')
    """
    keys = parameters.texts("group")
    frame = _with_keys(source, parameters)
    measured = measures(source, parameters)
    grouped = frame.group_by(keys, maintain_order=True).agg(
        pl.len().alias("#n"), *(a for n in measured for a in _of(n))
    )
    grouped_rows = grouped.head(GROUPS)
    return {
        "total": grouped.height,
        "keys": replies.columns(grouped_rows.select(keys)),
        "n": grouped_rows["#n"].to_list(),
        "measures": [_measure(grouped_rows, name) for name in measured],
        "conditions": [_condition(keys, row) for row in grouped_rows.select(keys).iter_rows()],
    }


def _with_keys(source: Source, parameters: Parameters) -> pl.DataFrame:
    question = read_question(source, parameters)
    columns = dict.fromkeys([*parameters.texts("group"), *(question.columns or ())])
    return table(source, question._replace(columns=tuple(columns)))


def measures(source: Source, parameters: Parameters) -> list[str]:
    """Return the columns of numbers of which groups show mean and spread: those shown that are neither key nor config.

    >>> from tracklake.ui.parameters import Parameters
    >>> from tracklake.ui.sources import Source
    >>> measures(Source(example(), name="lake"), Parameters([("group", "config.lr"), ("col", "runtime")]))
    ['runtime']
    """
    frame, others = _with_keys(source, parameters), (*parameters.texts("group"), *_ALWAYS)
    numbers = [name for name in frame.columns if name not in others and frame[name].dtype.is_numeric()]
    return [name for name in numbers if not name.startswith("config.")]


def _condition(keys: list[str], row: tuple[Any, ...]) -> str | None:
    return conditions.all_of(conditions.equals(key, value) for key, value in zip(keys, row, strict=True))


def _of(name: str) -> list[pl.Expr]:
    finite = pl.col(name).cast(pl.Float64).filter(pl.col(name).cast(pl.Float64).is_finite())
    return [
        finite.count().alias(f"{name}#count"),
        finite.mean().alias(f"{name}#mean"),
        finite.std().alias(f"{name}#std"),
        finite.min().alias(f"{name}#min"),
        finite.max().alias(f"{name}#max"),
    ]


def _measure(grouped_rows: pl.DataFrame, name: str) -> dict[str, Any]:
    values = {part: grouped_rows[f"{name}#{part}"] for part in ("count", "mean", "std", "min", "max")}
    half = _half_widths(values["count"], values["std"])
    low, high = values["mean"] - half, values["mean"] + half
    return {"name": name, **{part: series.to_list() for part, series in values.items()},
            "low": low.to_list(), "high": high.to_list()}  # fmt: skip


def _half_widths(count: pl.Series, std: pl.Series) -> pl.Series:
    """Return t * std / sqrt(n), null below two values."""
    from scipy.special import stdtrit

    n = count.cast(pl.Float64)
    quantile = pl.Series(stdtrit((n - 1).clip(lower_bound=1).to_numpy(), 0.975))
    return quantile * std / n.sqrt()
