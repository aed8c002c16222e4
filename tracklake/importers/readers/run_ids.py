"""Ids of the runs of a table: readable, such as a lake takes, and each one once."""

from __future__ import annotations

import hashlib
import os

import polars as pl

from tracklake.schema import run_fields
from tracklake.schema.tables import LAKE_RUN

_UNFIT = r"[/\\\p{Cc}\p{Zl}\p{Zp}]"
_DIGITS = 10


def run_ids(runs: pl.DataFrame) -> pl.Series:
    """Return one readable id for each row of distinct values: the value itself, or `column=value,column=value`.

    What an id cannot hold becomes "_". Such ids, those that are too long, and those that differ from others in case
    only end in ten hex digits of a hash of the values.

    >>> run_ids(pl.DataFrame({"lr": [0.1, 0.2], "seed": [1, 1]})).to_list()
    ['lr=0.1,seed=1', 'lr=0.2,seed=1']
    """
    texts = runs.select(pl.all().cast(pl.String))
    named = [pl.lit(f"{name}=") + pl.col(name) for name in texts.columns] if texts.width > 1 else [pl.all()]
    ids = texts.select(pl.concat_str(named, separator=",").alias("run_id"))["run_id"]
    unfit = _unfit(ids).arg_true()
    if unfit.is_empty():
        return ids
    rows = zip(ids[unfit], texts[unfit].rows(), strict=True)
    return ids.scatter(unfit, [fitting_id(text, repr(row)) for text, row in rows])


def _unfit(ids: pl.Series) -> pl.Series:
    """Mark the ids that fields.check_run_id would refuse, and those that are the same without case."""
    folded = pl.Series([run_id.casefold() for run_id in ids])
    wrong = ids.str.contains(_UNFIT) | ids.str.contains(r"^(\.|\s|$)|\s$")
    return wrong | (folded == LAKE_RUN) | folded.is_duplicated() | (ids.str.len_chars() > run_fields.LONGEST_RUN_ID)


def fitting_id(text: str, values: str) -> str:
    """Return a text as an id that a lake takes, with a hash of the values that it stands for.

    >>> fitting_id("a/b", "a/b")
    'a_b-c14cddc033'
    """
    clean = pl.Series([text]).str.replace_all(_UNFIT, "_")[0].strip().lstrip(".")
    digest = hashlib.sha256(os.fsencode(values)).hexdigest()[:_DIGITS]
    return f"{clean[: run_fields.LONGEST_RUN_ID - _DIGITS - 1].strip()}-{digest}"
