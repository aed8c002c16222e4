"""Parameters: which columns of config vary over runs, on which scale, and under which condition."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import polars as pl

from tracklake.analysis.stats.ped_anova import Gridded
from tracklake.display.labels import short_name, value_label
from tracklake.display.tables import Column

if TYPE_CHECKING:
    from collections.abc import Sequence

Floats = np.ndarray[Any, np.dtype[np.float64]]
Booleans = np.ndarray[Any, np.dtype[np.bool_]]
Kind = Literal["float", "int", "categorical", "label"]

_SEED = re.compile(r"(^|[_.])(random_)?seed($|[_.])|(^|[_.])random_state$", re.IGNORECASE)
_LOG_RATIO = 4.0
"""The highest value must be so many times the lowest before a scale can be seen."""
_TABLE: dict[str, pl.DataType | type[pl.DataType]] = {
    **dict.fromkeys(("name", "kind", "scale"), pl.String),
    **dict.fromkeys(("low", "high"), pl.Float64),
    **dict.fromkeys(("n_distinct", "n_runs"), pl.Int64),
    "conditional": pl.Boolean,
    "when": pl.String,
    "choices": pl.List(pl.String),
}
_LOG_RATIO_OF_TWO = 10.0
"""The same where there are only two values."""


class Parameter(NamedTuple):
    """One column that varies. `codes` has a number for each run, NaN where the run has none."""

    name: str
    kind: Kind
    log: bool
    codes: Floats
    """The value itself of a number, the position in `choices` of a category."""
    choices: list[str]
    when: str
    """Where it is there in some runs only: the condition, as far as another parameter tells it."""

    @property
    def active(self) -> Booleans:
        """Which runs have it.

        >>> varied(pl.DataFrame({"momentum": [0.9, None, 0.8]}), ["momentum"])[0].active.tolist()
        [True, False, True]
        """
        active: Booleans = ~np.isnan(self.codes)
        return active

    @property
    def scaled(self) -> Floats:
        """The numbers on the scale on which they were chosen: the logarithm where that is it.

        >>> varied(pl.DataFrame({"lr": [0.001, 0.01, 0.1]}), ["lr"])[0].scaled.round(9).tolist()
        [-3.0, -2.0, -1.0]
        """
        return np.log10(self.codes) if self.log else self.codes

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and highest number, or position.

        >>> varied(pl.DataFrame({"lr": [0.001, 0.01, 0.1]}), ["lr"])[0].bounds
        (0.001, 0.1)
        """
        return float(np.nanmin(self.codes)), float(np.nanmax(self.codes))

    @property
    def is_varied(self) -> bool:
        """Whether it has more than one value (being there or not is not a value).

        >>> [p.is_varied for p in varied(pl.DataFrame({"lr": [0.1, 0.2], "drop": [0.5, None]}), ["lr", "drop"])]
        [True, False]
        """
        low, high = self.bounds if self.active.any() else (0.0, 0.0)
        return high > low


def varied(rows: pl.DataFrame, columns: Sequence[str]) -> list[Parameter]:
    """Return the columns whose values differ over these rows, by name; a null is a difference too.

    >>> rows = pl.DataFrame({"lr": [0.1, 0.2], "batch": [32, 32], "opt": ["sgd", "adam"], "momentum": [0.9, None]})
    >>> [(p.name, p.kind, p.when) for p in varied(rows, rows.columns)]
    [('lr', 'float', ''), ('opt', 'categorical', ''), ('momentum', 'float', "opt is 'sgd'")]
    """
    parameters = [_parameter(rows, name) for name in columns if not _is_text_part(rows, name) and _differs(rows, name)]
    return [p._replace(when=_condition(p, parameters)) for p in parameters]


def is_seed(column: str) -> bool:
    """Tell whether a column's name says that it is a seed, which is varied but no setting.

    >>> is_seed("config.seed"), is_seed("config.data.random_state"), is_seed("config.n_seeds")
    (True, True, False)
    """
    return _SEED.search(column.removeprefix("config.")) is not None


def shown(rows: Sequence[dict[str, Any]]) -> list[Column]:
    """Return the columns that show the rows of such a table.

    >>> [column.cells for column in shown(table(varied(pl.DataFrame({"depth": [1, 2]}), ["depth"])).to_dicts())][:4]
    [['depth'], ['int'], ['linear'], ['1 .. 2']]
    """
    return [
        Column("parameter", [short_name(r["name"], width=32) for r in rows], right=False),
        Column("kind", [r["kind"] for r in rows], right=False),
        Column("scale", [r["scale"] or "" for r in rows], right=False, rank=2),
        Column("values", [_values(r) for r in rows], right=False, rank=1),
        Column("runs", [str(r["n_runs"]) for r in rows], rank=3),
        Column("when", [r["when"] or "" for r in rows], right=False, rank=4),
    ]


def _values(row: dict[str, Any]) -> str:
    """Return what values a parameter takes, in short."""
    return ", ".join(row["choices"]) if row["choices"] else f"{row['low']:g} .. {row['high']:g}"


def table(found: Sequence[Parameter]) -> pl.DataFrame:
    """Return a row a parameter: name, kind, scale, low, high, n_distinct, n_runs, conditional, when, choices.

    >>> rows = pl.DataFrame({"lr": [0.001, 0.01, 0.1, 1.0], "opt": ["a", "a", "b", None]})
    >>> table(varied(rows, ["lr", "opt"])).select("name", "kind", "scale", "conditional").rows()
    [('lr', 'float', 'log', False), ('opt', 'categorical', None, True)]
    """
    rows = [
        {
            "name": p.name,
            "kind": p.kind,
            "scale": None if p.choices else "log" if p.log else "linear",
            "low": None if p.choices else p.bounds[0],
            "high": None if p.choices else p.bounds[1],
            "n_distinct": pl.Series(p.codes[p.active]).n_unique(),
            "n_runs": int(p.active.sum()),
            "conditional": not p.active.all(),
            "when": p.when or None,
            "choices": p.choices or None,
        }
        for p in found
    ]
    return pl.DataFrame(rows, schema=_TABLE)


def _is_text_part(rows: pl.DataFrame, name: str) -> bool:
    return name.endswith(".text") and name.removesuffix(".text") in rows.columns


def _differs(rows: pl.DataFrame, name: str) -> bool:
    parts = [c for c in (name, f"{name}.text") if c in rows.columns]
    return rows.select(parts).n_unique() > 1


def _parameter(rows: pl.DataFrame, name: str) -> Parameter:
    column = rows[name]
    mixed = f"{name}.text" in rows.columns and rows[f"{name}.text"].null_count() < rows.height
    if column.dtype.is_numeric() and not mixed:
        codes = column.cast(pl.Float64).fill_null(np.nan).to_numpy()
        codes = np.where(np.isfinite(codes), codes, np.nan)
        kind: Kind = "int" if column.dtype.is_integer() else "float"
        if not np.isnan(codes).all():
            return Parameter(name, kind, _is_log(codes[~np.isnan(codes)]), codes, [], "")
    text = [None if v is None else value_label(v) for v in column]
    if mixed:
        texts = rows[f"{name}.text"]
        alike = {*text} & {*texts.drop_nulls()}  # True and "true", which are two choices
        quoted = [repr(t) if t in alike else t for t in texts]
        text = [own if own is not None else other for own, other in zip(text, quoted, strict=True)]
    choices = sorted({t for t in text if t is not None})
    place = {choice: float(i) for i, choice in enumerate(choices)}
    codes = np.array([np.nan if t is None else place[t] for t in text])
    unique = len(choices) > max(10, len(codes) // 2)
    return Parameter(name, "label" if unique else "categorical", log=False, codes=codes, choices=choices, when="")


def _is_log(values: Floats) -> bool:
    """Tell whether the values lie evenly on a logarithmic scale rather than on a linear one.

    The distance (Kolmogorov-Smirnov) of the distinct values to evenly spread ones, on both scales.
    """
    ordered = np.sort(values)
    distinct = ordered[np.append(True, np.diff(ordered) > 0)]  # np.unique loads numpy.ma, a tenth of a second
    if distinct[0] <= 0:
        return False
    ratio = distinct[-1] / distinct[0]
    if len(distinct) <= 2:  # noqa: PLR2004 - two values lie evenly on every scale
        return bool(ratio >= _LOG_RATIO_OF_TWO)
    return bool(ratio >= _LOG_RATIO and _unevenness(np.log(distinct)) < _unevenness(distinct))


def _unevenness(ordered: Floats) -> float:
    position = (ordered - ordered[0]) / (ordered[-1] - ordered[0])
    return float(np.abs(position - np.linspace(0, 1, len(ordered))).max())


def _condition(parameter: Parameter, others: Sequence[Parameter]) -> str:
    """Return the category of another parameter that says where this one is there; empty for none."""
    active = parameter.active
    if active.all():
        return ""
    for other in others:
        if other is parameter or other.kind != "categorical" or not other.active.all():
            continue
        inside, outside = ({int(c) for c in other.codes[part]} for part in (active, ~active))
        if inside.isdisjoint(outside):
            chosen = " or ".join(repr(other.choices[i]) for i in sorted(inside))
            return f"{other.name.removeprefix('config.')} is {chosen}"
    return ""


_STEPS = 50
"""Cells of the grid of a number."""


def gridded(parameter: Parameter) -> Gridded:
    """Put a parameter on its grid: a cell a category; of a number at most 50, even on its scale.

    >>> from tracklake.analysis.parameters import varied
    >>> import polars as pl
    >>> opt, depth = varied(pl.DataFrame({"opt": ["sgd", "adam", "sgd"], "depth": [1, 3, 4]}), ["opt", "depth"])
    >>> gridded(opt).cells.tolist(), gridded(depth).cells.tolist(), gridded(depth).size
    ([1, 0, 1], [0, 2, 3], 4)
    """
    active = parameter.active
    cells = np.full(len(active), -1, dtype=np.int64)
    if parameter.choices:
        cells[active] = parameter.codes[active].astype(np.int64)
        return Gridded(cells, len(parameter.choices), ordered=False)
    size = _grid_size(parameter)
    values = np.log(parameter.codes[active]) if parameter.log else parameter.codes[active]
    low, high = np.log(parameter.bounds) if parameter.log else parameter.bounds
    width = (high - low) / (size - 1)
    cells[active] = np.clip(np.ceil((values - low) / width - 0.5).astype(np.int64), 0, size - 1)
    return Gridded(cells, size, ordered=True)


def _grid_size(parameter: Parameter) -> int:
    """Return how many cells the grid of a number has."""
    if parameter.kind != "int":
        return _STEPS
    low, high = parameter.bounds
    span = high - low + 1
    return min(int(np.ceil(np.log(span) / np.log(2))) + 1 if parameter.log else round(span), _STEPS)
