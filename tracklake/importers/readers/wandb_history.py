"""The history of a W&B file, many rows at a time: what is plain is found by one pattern, the rest row by row."""

from __future__ import annotations

import itertools
import math
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from tracklake.common.lazy_numpy import np
from tracklake.importers.readers import records
from tracklake.importers.readers import wandb_records as wb
from tracklake.schema import naming

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    Ints = np.ndarray[Any, np.dtype[np.int64]]

BATCH = 8 << 20
"""Bytes of rows that are decoded together."""
_VALUE = rb'(?:[-+.0-9A-Za-z]++|"[^"\\\x00-\x1f]*+"|\$)'
_SIZE = rb"[\x00-\x7f]"
ITEM = re.compile(
    rb"\n%b[\n\x12]%b([ -~]*+)(?:\x12%b([ -~]++))?+\x82\x01%b(%b)" % (_SIZE, _SIZE, _SIZE, _SIZE, _VALUE), re.DOTALL
)
"""A plain item: its key, that below it, and its value as JSON, which holds no control character."""
_PLAIN = re.compile(b"(?:" + re.sub(rb"\((?!\?)", b"(?:", ITEM.pattern) + b")+", re.DOTALL)
_MARK = b"\n\x00\x12\x00#\x82\x01\x00$"
"""Stands before each row; no JSON is "$"."""
_FIXED, _FIXED_BELOW = 7, 2
_NO_TIME = -(2**63)
_STEP_SIZES = (2, 3, 4, 0, 5, 6, 7, 8, 9, 10, 11)
"""Bytes of the message of a step, the usual ones first."""
_STEP_TAG, _VARINT_TAG = 0x12, 0x08
_OWN = ("_step", "_timestamp", "_runtime")


class Items(NamedTuple):
    """Plain items of many records, in order."""

    keys: list[bytes]
    below: list[bytes]
    """Of nested ones the key below it, else empty."""
    values: list[bytes]


def plain_items(data: bytes) -> Items | None:
    r"""Return the items of records laid end to end; None where some of it is no plain item.

    >>> plain_items(bytes([0x0A, 7, 0x12, 1]) + b"a" + bytes([0x82, 0x01, 1]) + b"7")
    Items(keys=[b'a'], below=[b''], values=[b'7'])
    >>> plain_items(bytes([0x0A, 8, 0x12, 1]) + b"a" + bytes([0x82, 0x01, 2]) + b"{}")
    """
    flat = list(itertools.chain.from_iterable(ITEM.findall(data)))
    items = Items(flat[0::3], flat[1::3], flat[2::3])
    n_below = len(items.below) - items.below.count(b"")
    covered = sum(map(len, flat)) + _FIXED * len(items.keys) + _FIXED_BELOW * n_below
    return items if covered == len(data) else None


class History:
    """Takes rows of history and gives their points, batch by batch.

    >>> row = b"".join(
    ...     bytes([0x0A, 7 + len(k + v) - 2, 0x12, len(k)]) + k + bytes([0x82, 0x01, len(v)]) + v
    ...     for k, v in ((b"_step", b"3"), (b"_timestamp", b"2.5"), (b"loss", b"0.5"))
    ... )
    >>> history = History([])
    >>> history.add(row)
    >>> history.take(start=None).select("metric", "step", "value").rows(), history.last
    ([('loss', 3, 0.5)], {'loss': 0.5})
    """

    def __init__(self, faults: list[str]) -> None:
        self.last: dict[str, Any] = {}
        """The last value of each metric so far."""
        self._faults = faults
        self._rows: list[bytes] = []
        self._n_bytes = 0
        self._last_step = -1
        self._last_time: int | None = None

    def add(self, data: bytes) -> None:
        """Take in a history record.

        >>> history = History([])
        >>> history.add(b"")
        >>> history.is_full
        False
        """
        self._rows.append(data)
        self._n_bytes += len(data)

    @property
    def is_full(self) -> bool:
        """Whether a batch has come together.

        >>> History([]).is_full
        False
        """
        return self._n_bytes >= BATCH

    def take(self, *, start: int | None) -> pl.DataFrame:
        """Return the points of the rows that came together (schema SAMPLES); `start` is that of the run.

        >>> History([]).take(start=None).height
        0
        """
        batch = _Batch(self._rows, self._faults)
        self._rows, self._n_bytes = [], 0
        steps = batch.filled_steps(self._last_step)
        times = batch.filled_times(self._last_time if self._last_time is not None else start or 0)
        if len(steps):
            self._last_step, self._last_time = int(steps[-1]), int(times[-1])
        frames = [pl.DataFrame(schema=records.SAMPLES)]
        for name, at, values in batch.metrics():
            frames.append(records.columns({name: values}, step=pl.Series(steps[at]), ts=pl.Series(times[at])))
            self.last[name] = values[-1]
        return pl.concat(frames)


class _Batch:
    """Rows that are decoded together."""

    def __init__(self, rows: Sequence[bytes], faults: list[str]) -> None:
        self._faults = faults
        self._steps: Ints = np.full(len(rows), _NO_TIME, dtype=np.int64)
        self._times: Ints = np.full(len(rows), _NO_TIME, dtype=np.int64)
        self._has_metric = np.zeros(len(rows), dtype=bool)
        self._is_lost = np.zeros(len(rows), dtype=bool)
        self._parts: dict[str, list[tuple[Ints, pl.Series]]] = {}
        without_steps = [_without_step(row) for row in rows]
        every = np.arange(len(rows))
        if rows and not self._add_plain(without_steps, every):
            is_plain = np.array([_is_plain(row) for row in without_steps])
            plain = every[is_plain]
            if not (len(plain) and self._add_plain([without_steps[i] for i in plain], plain)):
                is_plain[:] = False
            self._add_others((int(i), rows[i]) for i in every[~is_plain])

    def _add_plain(self, rows: Sequence[bytes], at: Ints) -> bool:
        """Take in rows of plain items, each with its step and time; False, and nothing of them, where one is not."""
        items = plain_items(_MARK + _MARK.join(rows))
        if items is None:
            return False
        values = pl.Series(items.values, dtype=pl.Binary).cast(pl.String)
        keys = [
            pl.Series(name, texts, dtype=pl.Binary).cast(pl.String) for name, texts in zip("kb", items[:2], strict=True)
        ]
        row = (values == "$").cum_sum().cast(pl.Int64) - 1
        table = pl.DataFrame([*keys, row.alias("row"), values.alias("value")])
        parts = table.filter(pl.col("value") != "$").partition_by("k", "b", as_dict=True, include_key=False)
        own = {name: parts.pop((name, ""), table.clear()) for name in _OWN}
        steps = own["_step"]["value"].cast(pl.Int64, strict=False)
        times = own["_timestamp"]["value"].cast(pl.Float64, strict=False)
        has_each = all(own[name]["row"].to_list() == list(range(len(rows))) for name in ("_step", "_timestamp"))
        if not has_each or steps.null_count() or times.null_count() or not times.is_finite().all():
            return False
        self._steps[at], self._times[at] = steps.to_numpy(), (times * 1e6).cast(pl.Int64).to_numpy()
        for (key, below), part in parts.items():
            name = next(iter(naming.flatten({key or "_": {below: 0}}))) if below else key
            self._add(name, at[part["row"].to_numpy()], _typed(name, part["value"]))
        return True

    def _add_others(self, rows: Iterable[tuple[int, bytes]]) -> None:
        """Take in rows one by one."""
        metrics: dict[str, tuple[list[int], list[Any]]] = {}
        for at, data in rows:
            try:
                values, step = wb.row(data)
            except (ValueError, RecursionError) as error:
                self._faults.append(str(error))
                self._is_lost[at] = True
                continue
            own, moment = values.pop("_step", None), values.pop("_timestamp", None)
            values.pop("_runtime", None)
            stated = own if isinstance(own, int) else step
            if stated is not None:
                self._steps[at] = stated
            if isinstance(moment, int | float) and math.isfinite(moment):
                self._times[at] = int(moment * 1e6)
            for name, value in _flat(values):
                places, several = metrics.setdefault(name, ([], []))
                places.append(at)
                several.append(value)
        for name, (places, several) in metrics.items():
            self._add(name, np.array(places), records.series(name, several))

    def _add(self, name: str, at: Ints, values: pl.Series) -> None:
        self._parts.setdefault(name, []).append((at, values))
        self._has_metric[at] = True

    def filled_steps(self, before: int) -> Ints:
        """Return the steps; a row that says none follows the one before it.

        >>> _Batch([b""], []).filled_steps(6).tolist()
        [7]
        """
        for at in np.flatnonzero(self._steps == _NO_TIME):
            self._steps[at] = (self._steps[at - 1] if at else before) + 1
        return self._steps

    def filled_times(self, before: int) -> Ints:
        """Return the moments in microseconds since the epoch; a row without one has that of the one before it.

        >>> _Batch([b""], []).filled_times(6).tolist()
        [6]
        """
        for at in np.flatnonzero(self._times == _NO_TIME):
            self._times[at] = self._times[at - 1] if at else before
        return self._times

    def metrics(self) -> Iterator[tuple[str, Ints, pl.Series]]:
        """Yield each metric's name, the rows that have it, in order, and its values there.

        >>> [name for name, _, _ in _Batch([b""], []).metrics()]  # an empty row is one
        ['_step']
        """
        empty = np.flatnonzero(~self._has_metric & ~self._is_lost)
        if len(empty):
            self._add("_step", empty, pl.Series("_step", self._steps[empty]))
        for name, parts in self._parts.items():
            if len(parts) == 1:
                yield name, *parts[0]
                continue
            at = np.concatenate([places for places, _ in parts])
            order = np.argsort(at, kind="stable")
            yield name, at[order], _joined(name, [values for _, values in parts])[pl.Series(order)]


def _joined(name: str, several: Sequence[pl.Series]) -> pl.Series:
    """Return values one after the other, of the one type that they have."""
    dtypes = {values.dtype for values in several}
    if dtypes <= {pl.Int64(), pl.Float64()}:
        return pl.concat([values.cast(pl.Float64 if len(dtypes) > 1 else values.dtype) for values in several])
    return records.series(name, [value for values in several for value in values])


def _flat(values: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield values by metric; nested ones by dotted names, but for those of W&B's own types."""
    for key, value in values.items():
        if type(value) is dict and "_type" not in value:
            yield from naming.flatten({key or "_": value}).items()
        else:
            yield key, value


def _without_step(data: bytes) -> bytes:
    """Return a record without the step that stands behind its items: a message of one varint, or of none for 0."""
    for size in _STEP_SIZES:
        at = len(data) - size - 2
        if at > 0 and data[at] == _STEP_TAG and data[at + 1] == size and (not size or data[at + 2] == _VARINT_TAG):
            return data[:at]
    return data


def _is_plain(row: bytes) -> bool:
    return _PLAIN.fullmatch(row) is not None and b"_step\x82" in row and b"_timestamp\x82" in row


def _typed(name: str, values: pl.Series) -> pl.Series:
    """Return JSON texts as values: of integers, else numbers, else of whatever kinds they are."""
    for dtype in (pl.Int64, pl.Float64):
        numbers = values.cast(dtype, strict=False)
        if not numbers.null_count():
            return numbers
    return records.series(name, [wb.value_of(text.encode()) for text in values])
