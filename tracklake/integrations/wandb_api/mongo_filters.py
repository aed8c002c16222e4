"""W&B's filters and orders of runs, in the style of MongoDB, as one polars expression over the columns of the runs."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from operator import ge, gt, le, lt
from typing import TYPE_CHECKING, Any

import polars as pl

from tracklake.common import arguments
from tracklake.errors import QueryError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

Schema = Mapping[str, pl.DataType]

FIELDS = {
    "name": "run_id",
    "state": "state",
    "group": "group",
    "tags": "tags",
    "notes": "notes",
    "project": "project",
    "jobType": "job_type",
    "job_type": "job_type",
    "createdAt": "created_at",
    "created_at": "created_at",
    "displayName": "name",
    "display_name": "name",
    "duration": "runtime",
}
"""The columns of W&B's fields; beside them there are config.<path> and summary_metrics.<path>."""
_COMPARISONS: dict[str, Callable[[Any, Any], pl.Expr]] = {"$gt": gt, "$gte": ge, "$lt": lt, "$lte": le}
_OPERATORS = ("$eq", "$ne", *_COMPARISONS, "$in", "$nin", "$all", "$exists", "$regex", "$not")
_LOGIC = ("$and", "$or", "$nor", "$not")
_FALSE = pl.lit(value=False)


def column(field: str) -> str:
    """Return the column that a field of a filter or an order means.

    Raises UnknownNameError, which names the nearest field.

    >>> column("summary_metrics.loss"), column("config.lr"), column("createdAt")
    ('summary.loss', 'config.lr', 'created_at')
    """
    place, dot, path = arguments.text("filters", field, takes="names of fields such as 'config.lr'").partition(".")
    if dot and place in ("config", "summary_metrics", "summary"):
        return f"{'config' if place == 'config' else 'summary'}.{path}"
    if field not in FIELDS:
        raise UnknownNameError.nearest("field", field, [*FIELDS, "config.<path>", "summary_metrics.<path>"])
    return FIELDS[field]


def columns(filters: Mapping[str, Any]) -> set[str]:
    """Return the columns that a filter looks at.

    A path may lead into a value that is stored as one, such as a list.

    >>> sorted(columns({"$or": [{"config.sizes.0": 64}, {"state": "failed"}]}))
    ['config.sizes', 'config.sizes.0', 'state']
    """
    names: set[str] = set()
    for key, condition in _items(filters):
        if key in _LOGIC:
            names = names.union(*(columns(part) for part in _parts(key, condition)))
        else:
            name = column(key)
            names |= {name, *_above(name)}
    return names


def expression(filters: Mapping[str, Any], schema: Schema) -> pl.Expr:
    """Return the condition that a filter states, over a frame of its columns; those it lacks are null for every run.

    Beside a column of numbers and texts may stand one named by `truths`: Bool, null where the value is no truth.
    Values of different kinds are never equal, and neither is greater; null equals only null. Raises UnknownNameError,
    QueryError.

    >>> lrs = pl.DataFrame({"config.lr": [0.01, 0.1, None]})
    >>> lrs.select(expression({"config.lr": {"$gte": 0.1}}, lrs.schema)).to_series().to_list()
    [False, True, False]
    """
    return _all(_stated(key, condition, schema) for key, condition in _items(filters))


def _stated(key: str, condition: Any, schema: Schema) -> pl.Expr:
    if key not in _LOGIC:
        return _of_field(_Field(column(key), schema), condition)
    parts = [expression(part, schema) for part in _parts(key, condition)]
    return _all(parts) if key == "$and" else _any(parts) if key == "$or" else ~_any(parts)


def _items(filters: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(filters, Mapping):
        raise QueryError(f"a filter is a dict such as {{'config.lr': {{'$gt': 0.1}}}}, not {filters!r}")
    yield from filters.items()


def _parts(key: str, condition: Any) -> list[Any]:
    if key == "$not":
        return [condition]
    if not isinstance(condition, list | tuple):
        raise QueryError(f"{key} takes a list of filters, not {condition!r}")
    return list(condition)


def truths(name: str) -> str:
    """Return the name of the column that tells where a mixed column has truths, which its texts show as words.

    >>> truths("config.bias")
    'truths of config.bias'
    """
    return f"truths of {name}"


class _Field:
    """One column of the runs, and beside it those of its texts and truths where values are mixed."""

    def __init__(self, name: str, schema: Schema) -> None:
        above = next((other for other in _above(name) if other in schema), None)
        if name not in schema and above is not None:
            parts = name.removeprefix(f"{above}.").split(".")
            path = parts[1:] if parts[0] == "value" else parts  # as W&B's raw config has it
            if path:
                self._inside(above, path, schema)
                return
            name = above
        self.number = pl.col(name) if name in schema else pl.lit(None)
        self.dtype = schema.get(name, pl.Null())
        texts = f"{name}.text" if f"{name}.text" in schema else name
        self.text = pl.col(texts) if schema.get(texts) == pl.String else None
        self.truth = self.number if self.dtype == pl.Boolean else None
        self.exists = self.number.is_not_null() | (_FALSE if self.text is None else self.text.is_not_null())
        if truths(name) in schema:
            self.truth = pl.col(truths(name))
            self.text = pl.when(self.truth.is_null()).then(self.text)

    def _inside(self, name: str, path: Sequence[str], schema: Schema) -> None:
        """Be what a path leads to inside of values that are stored as JSON."""
        texts = f"{name}.text" if f"{name}.text" in schema else name
        stored = pl.col(texts) if schema.get(texts) == pl.String else pl.lit(None, pl.String)

        def part(read: Callable[[Any], Any], dtype: type[pl.DataType]) -> pl.Expr:
            return stored.map_elements(lambda text: read(_at(text, path)), return_dtype=dtype)

        self.dtype = pl.Float64()
        self.number = part(lambda value: float(value) if _is_number(value) else None, pl.Float64)
        self.truth = part(lambda value: value if isinstance(value, bool) else None, pl.Boolean)
        self.text = part(_as_text, pl.String)
        self.exists = self.number.is_not_null() | self.truth.is_not_null() | self.text.is_not_null()

    def equals(self, value: Any) -> pl.Expr:
        """Say where the value is this one; of a list of tags, where it is one of them."""
        if value is None:
            return ~self.exists
        if isinstance(self.dtype, pl.List):
            same = self.number.list.contains(value) if isinstance(value, str) else _FALSE
        elif isinstance(value, float) and math.isnan(value):
            same = self.number.is_nan() if self.dtype.is_float() else _FALSE
        elif isinstance(value, list | dict):
            same = _FALSE if self.text is None else self.text == json.dumps(value, ensure_ascii=False)
        else:
            same = self._against(value, lambda a, b: a == b).fill_null(value=False) | self._has_element(value)
        return same.fill_null(value=False)

    def _has_element(self, value: Any) -> pl.Expr:
        """Say where the value is a list that has this one among its elements, as MongoDB compares with lists."""
        if self.text is None:
            return _FALSE
        return self.text.map_elements(lambda text: _holds(text, value), return_dtype=pl.Boolean).fill_null(value=False)

    def is_among(self, values: Collection[Any]) -> pl.Expr:
        """Say where the value is one of these; of a list of tags, where one of them is."""
        texts = [value for value in values if isinstance(value, str)]
        if isinstance(self.dtype, pl.List):
            return (self.number.list.set_intersection(texts).list.len() > 0).fill_null(value=False)
        if self.text is None or isinstance(self.dtype, pl.Datetime):
            return _any(self.equals(value) for value in values)
        others = _any(self.equals(value) for value in values if not isinstance(value, str))
        elements = _any(self._has_element(value) for value in texts)
        return self.text.is_in(texts).fill_null(value=False) | elements | others

    def compares(self, value: Any, how: Callable[[Any, Any], pl.Expr]) -> pl.Expr:
        """Say where the value is greater or less than this one; NaN is neither."""
        number = self.number.is_not_nan() if self.dtype.is_float() else pl.lit(value=True)
        return (self._against(value, how) & number).fill_null(value=False)

    def matches(self, pattern: str) -> pl.Expr:
        """Say where a text has a match of the regular expression."""
        if isinstance(self.dtype, pl.List):
            return self.number.list.eval(pl.element().str.contains(pattern)).list.any().fill_null(value=False)
        return _FALSE if self.text is None else self.text.str.contains(pattern).fill_null(value=False)

    def _against(self, value: Any, how: Callable[[Any, Any], pl.Expr]) -> pl.Expr:
        if isinstance(value, bool):
            return _FALSE if self.truth is None else how(self.truth, value)
        if isinstance(value, int | float):
            return how(self.number, value) if self.dtype.is_numeric() else _FALSE
        if isinstance(self.dtype, pl.Datetime):
            return how(self.number, pl.lit(_moment(value), self.dtype))
        return how(self.text, value) if isinstance(value, str) and self.text is not None else _FALSE


def _of_field(field: _Field, condition: Any) -> pl.Expr:
    """Return what a condition says of a field: a value, or a dict of operators."""
    if isinstance(condition, re.Pattern):
        return field.matches(_pattern("", condition.pattern))
    is_operators = isinstance(condition, Mapping) and condition and all(str(key)[:1] == "$" for key in condition)
    if not is_operators:
        return field.equals(condition)
    options = f"(?{condition['$options']})" if condition.get("$options") else ""
    stated = ((name, operand) for name, operand in condition.items() if name != "$options")
    return _all(
        _operator(field, name, _pattern(options, operand) if name == "$regex" else operand) for name, operand in stated
    )


def _pattern(options: str, pattern: Any) -> str:
    """Return a regular expression with its options, or raise the error that says what is wrong with it."""
    if not isinstance(pattern, str):
        raise QueryError(f"$regex takes a text, not {pattern!r}")
    try:
        pl.select(pl.lit("").str.contains(options + pattern))
    except pl.exceptions.ComputeError as error:
        raise QueryError(f"$regex: {pattern!r} is no regular expression of Rust's regex crate: {error}") from error
    return options + pattern


def _operator(field: _Field, name: str, operand: Any) -> pl.Expr:
    if name in _COMPARISONS:
        return field.compares(operand, _COMPARISONS[name])
    if name in ("$in", "$nin", "$all"):
        return _of_several(field, name, operand)
    if name in ("$eq", "$ne"):
        return field.equals(operand) if name == "$eq" else ~field.equals(operand)
    if name == "$exists":
        return field.exists if operand else ~field.exists
    if name == "$regex":
        return field.matches(operand)
    if name == "$not":
        return ~_of_field(field, operand)
    raise UnknownNameError.nearest("operator", name, _OPERATORS)


def _of_several(field: _Field, name: str, operand: Any) -> pl.Expr:
    if not isinstance(operand, list | tuple | set):
        raise QueryError(f"{name} takes a list of values, not {operand!r}")
    if name == "$all":
        return _all(field.equals(value) for value in operand)
    matches = field.is_among(operand)
    return matches if name == "$in" else ~matches


def _above(name: str) -> list[str]:
    """Return the names above one of config or of summaries, the longest first."""
    parts = name.split(".")
    return [".".join(parts[:n]) for n in range(len(parts) - 1, 1, -1)]


def _at(text: str, path: Sequence[str]) -> Any:
    """Return what a path leads to in JSON, None for nothing: a number is a place in a list, else each element's key."""
    try:
        value = json.loads(text) if text[:1] in "[{" else None
    except ValueError:
        return None
    for i, part in enumerate(path):
        if isinstance(value, list) and part.isdigit():
            value = value[int(part)] if int(part) < len(value) else None
        elif isinstance(value, list):
            below = [_at(json.dumps(item), path[i:]) for item in value]
            return [item for item in below if item is not None] or None
        else:
            value = value.get(part) if isinstance(value, dict) else None
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _as_text(value: Any) -> str | None:
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return value if isinstance(value, str) else None


def _holds(text: str, value: Any) -> bool:
    """Say whether a text is a list in JSON that has a value of this kind among its elements."""
    if not text.startswith("["):
        return False
    try:
        elements = json.loads(text)
    except ValueError:
        return False
    return any(element == value and isinstance(element, bool) == isinstance(value, bool) for element in elements)


def _moment(value: Any) -> datetime:
    """Read a time: a datetime, or ISO text, of any zone; without one it is UTC."""
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise QueryError(
            f"{value!r} is no time; accepted are datetimes and texts such as '2026-01-31T12:00'"
        ) from error
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _all(parts: Iterable[pl.Expr]) -> pl.Expr:
    return pl.all_horizontal(pl.lit(value=True), *parts)


def _any(parts: Iterable[pl.Expr]) -> pl.Expr:
    return pl.any_horizontal(_FALSE, *parts)
