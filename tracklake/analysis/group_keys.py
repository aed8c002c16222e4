"""Keys of groups: a group found by its exact typed values, and these values as text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tracklake.analysis.grouping import EXACT, exact_text
from tracklake.display.labels import ABSENT, value_label
from tracklake.display.tables import Column
from tracklake.errors import UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import polars as pl


def find(groups: pl.DataFrame, keys: Any) -> int:
    """Return the number of the group with these keys: a mapping of columns, or the value of the only one.

    None is the value None; where some runs have that and others lack the key, these are "(absent)". A text may also be
    the group as it is printed: "lr=0.1, opt='adam'". Raises UnknownNameError, which names the groups there are,
    TypeError for a bare value where columns are several.

    >>> import polars as pl
    >>> find(pl.DataFrame({"config.lr": [0.1, None], "config.opt": ["adam", "adam"]}), {"lr": None})
    1
    """
    if isinstance(keys, str) and (named := _labelled(groups, keys)) is not None:
        return named
    if not isinstance(keys, dict):
        names = [name for name in groups.columns if not _is_part(name, groups.columns)]
        if len(names) != 1:
            raise TypeError(f"baseline={keys!r}; with several columns name them: {{{(names or [''])[0]!r}: ...}}")
        keys = {names[0]: keys}
    wanted = {_full(groups, name): value for name, value in keys.items()}
    rows = list(groups.iter_rows(named=True))
    matches = [i for i, row in enumerate(rows) if all(_has(row, name, value) for name, value in wanted.items())]
    if len(matches) != 1:
        candidates = ", ".join(label(rows[i]) for i in matches or range(min(8, len(rows))))
        what = f"{len(matches)} groups have" if matches else "no group has"
        raise UnknownNameError(f"{what} {label(wanted)}; name one of: {candidates}")
    return matches[0]


def _labelled(groups: pl.DataFrame, text: str) -> int | None:
    """Return the number of the only group that is printed so; None where a value of the only column is that text."""
    rows = list(groups.iter_rows(named=True))
    if any(value == text for row in rows for value in row.values()):
        return None
    matches = [i for i, row in enumerate(rows) if text in (label(row), label(row, quote=False))]
    return matches[0] if len(matches) == 1 else None


def _full(groups: pl.DataFrame, name: str) -> str:
    for column in (name, f"config.{name}"):
        if column in groups.columns:
            return column
    raise UnknownNameError.nearest("column of the groups", name, groups.columns)


def label(row: dict[str, Any], *, quote: bool = True) -> str:
    """Return keys and values as one text; floats as exactly as they are stored, texts in quotes.

    >>> label({"config.lr": 0.1, "config.opt": "adam", "config.drop": None})
    "lr=0.1, opt='adam', drop=null"
    """
    names = [name for name in row if not _is_part(name, row)]
    return ", ".join(f"{n.removeprefix('config.')}={_cell(row, n, quote=quote)}" for n in names) or "all runs"


def key_columns(table: pl.DataFrame, by: Sequence[str]) -> list[Column]:
    """Return the columns that group, ready to be shown: of one with mixed types its texts are in quotes.

    >>> import polars as pl
    >>> table = pl.DataFrame({"config.lr": [0.1, None], "config.lr.text": [None, "auto"]})
    >>> key_columns(table, ["config.lr", "config.lr.text"])
    [Column(heading='lr', cells=['0.1', "'auto'"], right=False, rank=0, is_key=True)]
    """
    names = [name for name in by if not _is_part(name, by)]
    return [
        Column(
            name.removeprefix("config."),
            labels_of(table, name),
            right=table[name].dtype.is_numeric() and f"{name}.text" not in by,
            is_key=True,
        )
        for name in names
    ]


def labels_of(table: pl.DataFrame, name: str) -> list[str]:
    """Return the values of one column that groups as text; what differs is told apart, if need be by quotes.

    >>> import polars as pl
    >>> labels_of(pl.DataFrame({"opt": ["adam", None]}), "opt"), labels_of(pl.DataFrame({"opt": ["null", None]}), "opt")
    (['adam', 'null'], ["'null'", 'null'])
    """
    rows = table.select(column for column in parts_of(name) if column in table.columns).to_dicts()
    mixed = f"{name}.text" in table.columns
    plain = [_cell(row, name, quote=mixed) for row in rows]
    typed = {tuple(row.values()) for row in rows}
    return plain if len(set(plain)) >= len(typed) else [_cell(row, name, quote=True) for row in rows]


def parts_of(name: str) -> tuple[str, str, str]:
    """Return the columns that together hold the exact values of one: itself, its texts, what tells types apart.

    >>> parts_of("config.lr")
    ('config.lr', 'config.lr.text', 'config.lr (exact)')
    """
    return name, f"{name}.text", name + EXACT


def _is_part(name: str, names: Collection[str]) -> bool:
    """Tell whether a column only adds to another, which holds the rest of its values."""
    return any(name.endswith(part) and name.removesuffix(part) in names for part in (".text", EXACT))


def _cell(row: dict[str, Any], name: str, *, quote: bool) -> str:
    exact, text, value = row.get(name + EXACT), row.get(f"{name}.text"), row[name]
    if exact is not None:
        return str(exact)
    if value is None and text is None and name + EXACT in row:
        return ABSENT
    return value_label(text if value is None else value, quote=quote)


def _has(row: dict[str, Any], name: str, value: Any) -> bool:
    if value == ABSENT and name + EXACT in row:
        return _cell(row, name, quote=True) == ABSENT
    if row.get(name + EXACT) is not None and isinstance(value, bool | int | float | str | None):
        return bool(row[name + EXACT] == exact_text(value))
    if isinstance(value, list | tuple | dict):
        value = json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
    stored = [row[column] for column in (name, f"{name}.text") if column in row]
    if value is None:
        return all(h is None for h in stored) and name + EXACT not in row
    return any(h == value and isinstance(h, bool) == isinstance(value, bool) for h in stored if h is not None) or (
        value != value and any(h != h for h in stored)  # noqa: PLR0124 - NaN is a key as well
    )
