"""Parameters: which columns of config vary over runs, on which scale, and under which condition."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import polars as pl

from tracklake.analysis.grouping import exact_text
from tracklake.common.lazy_numpy import np
from tracklake.display.labels import ABSENT, short_name, value_label
from tracklake.display.tables import Column

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]
Booleans = np.ndarray[Any, np.dtype[np.bool_]]
Kind = Literal["float", "int", "categorical", "label"]

_SEED = re.compile(r"(^|[_.])(random_)?seed($|[_.])|(^|[_.])random_state$", re.IGNORECASE)
_LOG_RATIO = 4.0
"""The highest value must be so many times the lowest before a scale can be seen."""
_LOG_RATIO_OF_TWO = 10.0
"""The same where there are only two values."""
_SCALE = 3
"""Distinct numbers from which on a column that holds other values too is a scale rather than a set of choices."""
_TABLE: dict[str, pl.DataType | type[pl.DataType]] = {
    **dict.fromkeys(("name", "kind", "scale"), pl.String),
    **dict.fromkeys(("low", "high"), pl.Float64),
    **dict.fromkeys(("n_distinct", "n_runs"), pl.Int64),
    "conditional": pl.Boolean,
    "when": pl.String,
    "choices": pl.List(pl.String),
}


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
    levels: tuple[str, ...] = ()
    """What a column of numbers holds beside them: None (as null), a word, a boolean, or being absent."""
    level: Ints | None = None
    """The position in `levels` of each run, -1 where it has a number, or nothing; None without levels."""

    @property
    def is_level(self) -> Booleans:
        """Which runs have one of the levels in place of a number.

        >>> varied(pl.DataFrame({"drop": [0.1, 0.2, 0.3, None]}), ["drop"])[0].is_level.tolist()
        [False, False, False, True]
        """
        return np.zeros(len(self.codes), dtype=np.bool_) if self.level is None else self.level >= 0

    @property
    def active(self) -> Booleans:
        """Which runs have it.

        >>> varied(pl.DataFrame({"momentum": [0.9, None, 0.8]}), ["momentum"])[0].active.tolist()
        [True, True, True]
        """
        active: Booleans = ~np.isnan(self.codes) | self.is_level
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
        """Whether it has more than one value (being there or not, where another parameter tells it, is not a value).

        >>> rows = pl.DataFrame({"lr": [0.1, 0.2], "opt": ["sgd", "adam"], "momentum": [0.5, None]})
        >>> [p.is_varied for p in varied(rows, rows.columns)]
        [True, True, False]
        """
        low, high = (0.0, 0.0) if np.isnan(self.codes).all() else self.bounds
        levels = np.unique(self.level[self.is_level]).size if self.level is not None else 0
        return high > low or levels + bool((~np.isnan(self.codes)).any()) > 1

    def of(self, runs: Booleans) -> Parameter:
        """Return it for some of the runs.

        >>> varied(pl.DataFrame({"lr": [0.1, 0.2]}), ["lr"])[0].of(np.array([True, False])).codes.tolist()
        [0.1]
        """
        return self._replace(codes=self.codes[runs], level=None if self.level is None else self.level[runs])


class _Values(NamedTuple):
    """The values of a column: a number, a word (the exact text of what is no number), or neither where it is absent."""

    numbers: Floats
    words: list[str | None]
    is_integer: bool

    @property
    def absent(self) -> Booleans:
        has_word = np.array([word is not None for word in self.words], dtype=np.bool_)
        absent: Booleans = np.isnan(self.numbers) & ~has_word
        return absent


def varied(rows: pl.DataFrame, columns: Sequence[str], words: Mapping[str, pl.Series] | None = None) -> list[Parameter]:
    """Return the columns whose values differ over these rows, by name; None and being absent are differences too.

    `words` has the exact text of what is no number, None being null, for columns of mixed kinds (`grouping.words`).
    To be absent is a value like others, unless another parameter tells where this one is there.

    >>> rows = pl.DataFrame({"lr": [0.1, 0.2], "batch": [32, 32], "opt": ["sgd", "adam"], "momentum": [0.9, None]})
    >>> [(p.name, p.kind, p.when) for p in varied(rows, rows.columns)]
    [('lr', 'float', ''), ('opt', 'categorical', ''), ('momentum', 'float', "opt is 'sgd'")]
    """
    names = [name for name in columns if not _is_text_part(rows, name)]
    values = {name: _values(rows, name, (words or {}).get(name)) for name in names}
    values = {name: of for name, of in values.items() if _differs(of)}
    first = {name: _parameter(name, of, absent=False) for name, of in values.items()}
    conditions = {name: _condition(p, values[name].absent, first.values(), values) for name, p in first.items()}
    return [
        _parameter(name, of, absent=bool(of.absent.any()) and not conditions[name])._replace(when=conditions[name])
        for name, of in values.items()
    ]


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
        Column("values", [_range(r) for r in rows], right=False, rank=1),
        Column("runs", [str(r["n_runs"]) for r in rows], rank=3),
        Column("when", [r["when"] or "" for r in rows], right=False, rank=4),
    ]


def _range(row: dict[str, Any]) -> str:
    """Return what values a parameter takes, in short."""
    numbers = [] if row["low"] is None else [f"{row['low']:g} .. {row['high']:g}"]
    return ", ".join([*numbers, *(row["choices"] or [])])


def table(parameters: Sequence[Parameter]) -> pl.DataFrame:
    """Return a row a parameter: name, kind, scale, low, high, n_distinct, n_runs, conditional, when, choices.

    Of numbers, choices are the values beside them that are none. n_runs are those that have it.

    >>> rows = pl.DataFrame({"lr": [0.001, 0.01, 0.1, 1.0], "opt": ["a", "a", "b", None]})
    >>> table(varied(rows, ["lr", "opt"])).select("name", "kind", "scale", "conditional").rows()
    [('lr', 'float', 'log', False), ('opt', 'categorical', None, True)]
    """
    return pl.DataFrame([_row(p) for p in parameters], schema=_TABLE)


def _row(p: Parameter) -> dict[str, Any]:
    is_scale = p.kind in ("float", "int")
    labels = [*p.choices, *p.levels]
    absent = ABSENT in labels or not p.active.all()
    of_absent = p.codes == p.choices.index(ABSENT) if ABSENT in p.choices else np.zeros(len(p.codes), dtype=np.bool_)
    of_absent = p.level == p.levels.index(ABSENT) if ABSENT in p.levels and p.level is not None else of_absent
    distinct = pl.Series(p.codes).drop_nans().n_unique()
    return {
        "name": p.name,
        "kind": p.kind,
        "scale": None if not is_scale else "log" if p.log else "linear",
        "low": p.bounds[0] if is_scale else None,
        "high": p.bounds[1] if is_scale else None,
        "n_distinct": distinct + len(p.levels) - (ABSENT in labels),
        "n_runs": int((p.active & ~of_absent).sum()),
        "conditional": absent,
        "when": p.when or None,
        "choices": [label for label in labels if label != ABSENT] or None,
    }


def _is_text_part(rows: pl.DataFrame, name: str) -> bool:
    return name.endswith(".text") and name.removesuffix(".text") in rows.columns


def _values(rows: pl.DataFrame, name: str, words: pl.Series | None) -> _Values:
    """Return the values of a column, from `words` where it holds several kinds, else by its type."""
    column = rows[name]
    if column.dtype.is_numeric():
        numbers = column.cast(pl.Float64).fill_null(np.nan).to_numpy()
        numbers = np.where(np.isfinite(numbers), numbers, np.nan)
    else:
        numbers = np.full(len(column), np.nan)
    parts = [] if column.dtype.is_numeric() else [column]
    parts += [rows[f"{name}.text"]] if f"{name}.text" in rows.columns else []
    of_parts = [[_word(value) for value in part] for part in parts] if words is None else [words.to_list()]
    empty: list[str | None] = [None] * len(column)
    of_rows = [next((word for word in of if word is not None), None) for of in zip(empty, *of_parts, strict=True)]
    return _Values(numbers, of_rows, column.dtype.is_integer())


def _word(value: Any) -> str | None:
    if value is None:
        return None
    return exact_text(value) if isinstance(value, str | bool) else value_label(value)


def _differs(values: _Values) -> bool:
    numbers = pl.Series(values.numbers, nan_to_null=True)
    return pl.DataFrame({"number": numbers, "word": pl.Series(values.words, dtype=pl.String)}).n_unique() > 1


def _parameter(name: str, values: _Values, *, absent: bool) -> Parameter:
    """Return a scale with levels beside it where there are enough numbers, else choices."""
    words = [ABSENT if absent and gone else word for word, gone in zip(values.words, values.absent, strict=True)]
    numbers = values.numbers
    has_number = ~np.isnan(numbers)
    distinct = np.unique(numbers[has_number]).size
    labels = _labels({word for word in words if word is not None}, numbers)
    if has_number.any() and (not labels or distinct >= _SCALE):
        kind: Kind = "int" if values.is_integer else "float"
        log = _is_log(numbers[has_number])
        return Parameter(name, kind, log, numbers, [], "", *_levels(words, labels))
    texts = [labels[word] if word is not None else None if np.isnan(n) else value_label(_plain(n))
             for word, n in zip(words, numbers.tolist(), strict=True)]  # fmt: skip
    choices = sorted({t for t in texts if t is not None}, key=lambda text: (text in ("null", ABSENT), text))
    place = {choice: float(i) for i, choice in enumerate(choices)}
    codes = np.array([np.nan if t is None else place[t] for t in texts])
    unique = len(choices) > max(10, len(codes) // 2)
    return Parameter(name, "label" if unique else "categorical", log=False, codes=codes, choices=choices, when="")


def _plain(number: float) -> float | int:
    return int(number) if number.is_integer() and abs(number) < 1e15 else number  # noqa: PLR2004 - exact


def _levels(words: Sequence[str | None], labels: Mapping[str, str]) -> tuple[tuple[str, ...], Ints | None]:
    if not labels:
        return (), None
    ordered = sorted(labels, key=lambda word: (word == ABSENT, word))
    place = {word: i for i, word in enumerate(ordered)}
    level = np.array([-1 if word is None else place[word] for word in words], dtype=np.int64)
    return tuple(labels[word] for word in ordered), level


def word_labels(words: pl.Series, values: pl.Series) -> dict[str, str]:
    """Return the label of each exact text: without its quotes, unless it would then read like another value.

    >>> word_labels(pl.Series(["'auto'", "null", "'null'"]), pl.Series([None, None, None]))
    {"'auto'": 'auto', "'null'": "'null'", 'null': 'null'}
    """
    numbers = values.cast(pl.Float64).fill_null(np.nan).to_numpy() if values.dtype.is_numeric() else np.empty(0)
    return dict(sorted(_labels(set(words.drop_nulls()), numbers).items()))


def _labels(words: set[str], numbers: Floats) -> dict[str, str]:
    """Return the label of each word: a text without its quotes, unless it would read like another value."""
    plain = {word: word[1:-1] if word[:1] in "'\"" else word for word in words}
    others = {value_label(_plain(n)) for n in np.unique(numbers[~np.isnan(numbers)]).tolist()} if words else set()
    counts = Counter(plain.values())
    return {word: word if counts[text] > 1 or text in others else text for word, text in plain.items()}


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


def _condition(
    parameter: Parameter, absent: Booleans, others: Iterable[Parameter], values: Mapping[str, _Values]
) -> str:
    """Return the category of another parameter that says where this one is there; empty for none."""
    if not absent.any():
        return ""
    for other in others:
        if other.name == parameter.name or other.kind != "categorical" or values[other.name].absent.any():
            continue
        inside, outside = ({int(c) for c in other.codes[part]} for part in (~absent, absent))
        if inside.isdisjoint(outside):
            chosen = " or ".join(repr(other.choices[i]) for i in sorted(inside))
            return f"{other.name.removeprefix('config.')} is {chosen}"
    return ""
