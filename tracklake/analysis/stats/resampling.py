"""Resampling: draws of the aggregates of many columns of values, in strata.

Runs are drawn again with replacement within each stratum (task), so that every task keeps its weight (Agarwal et al.
2021, "Deep Reinforcement Learning at the Edge of the Statistical Precipice"; the package rliable). Columns whose
values stand in the same cells (seeds) of a stratum are drawn together: one draw of seeds serves them all. That leaves
the interval of each column as it is, makes the difference of two columns a paired one, and turns the work into a
matrix product.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from tracklake.common.lazy_numpy import np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray
    from threadpoolctl import ThreadpoolController

    from tracklake.analysis.stats.options import Center

CENTERS: tuple[Center, ...] = ("mean", "median", "iqm")
Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

_CHUNK = 2_000_000
"""Numbers drawn at a time: what fits the caches, and bounds the memory."""


class Sample(NamedTuple):
    """Values of many columns (groups), sorted by column, stratum (task) and cell (seed); cell -1 matches no other."""

    column: Ints
    stratum: Ints
    cell: Ints
    value: Floats

    @property
    def tasks(self) -> int:
        """How many strata there are over all columns.

        >>> sample([0, 0, 1], stratum=[0, 3, 3], cell=[-1] * 3, value=[1.0, 2.0, 3.0]).tasks
        2
        """
        return len(np.unique(self.stratum))


def by_itself(sample: Sample) -> Sample:
    """Return the sample for what is asked of each column by itself: all that have as many values draw alike.

    The draws of two columns then say nothing of their difference, and cost a fraction.

    >>> by_itself(sample([0, 0, 1, 1], stratum=[0] * 4, cell=[7, 8, 3, 9], value=[1.0, 2.0, 3.0, 4.0])).cell.tolist()
    [0, 1, 0, 1]
    """
    pieces = pieces_of(sample)
    return sample._replace(cell=np.arange(len(sample.cell)) - np.repeat(pieces.start, pieces.size))


def sample(column: ArrayLike, *, stratum: ArrayLike, cell: ArrayLike, value: ArrayLike) -> Sample:
    """Return the values in order. All four have one length; the first three hold numbers from 0.

    >>> sample([1, 0, 0], stratum=[0, 0, 0], cell=[0, 5, 2], value=[3.0, 2.0, 1.0]).value.tolist()
    [1.0, 2.0, 3.0]
    """
    columns, strata, cells = (np.asarray(part, dtype=np.int64) for part in (column, stratum, cell))
    values = np.asarray(value, dtype=np.float64)
    order = np.lexsort((values, cells, strata, columns))
    return Sample(columns[order], strata[order], cells[order], values[order])


def centers(sample: Sample, *, center: Center, size: int) -> Floats:
    """Return the aggregate of each of `size` columns, NaN for a column without values.

    mean: of the stratum means. median: of the values, or of the stratum means where the sample has several strata.
    iqm: of all values of the column.

    >>> whole = sample([0, 0, 0, 0], stratum=[0, 0, 0, 1], cell=[-1] * 4, value=[1.0, 2.0, 3.0, 10.0])
    >>> centers(whole, center="mean", size=2).tolist()  # (2 + 10) / 2; column 1 has no values
    [6.0, nan]
    """
    aggregates = np.full(size, np.nan)
    if center == "iqm" or (center == "median" and sample.tasks <= 1):
        for column, of in _slices(sample.column):
            ordered = np.sort(sample.value[of])
            aggregates[column] = ordered[kept(center, ordered.size)].mean()
        return aggregates
    pieces = pieces_of(sample)
    means = np.add.reduceat(sample.value, pieces.start) / pieces.size if len(pieces.start) else np.empty(0)
    for column, of in _slices(pieces.column):
        aggregates[column] = means[of].mean() if center == "mean" else np.median(means[of])
    return aggregates


def resampled(
    sample: Sample, *, center: Center, draws: int, seed: int, together: int = 1
) -> Iterator[tuple[Ints, Floats]]:
    """Yield (columns, draws of their aggregates): rows are columns, in batches that fit the memory.

    Every column of the sample is yielded once; `together` consecutive ones (0 and 1, 2 and 3...) in one batch. What is
    drawn depends on the seed and the sample alone.

    >>> whole = sample([0, 0], stratum=[0, 0], cell=[-1, -1], value=[1.0, 3.0])
    >>> ((columns, drawn),) = resampled(whole, center="mean", draws=200, seed=0)
    >>> columns.tolist(), drawn.shape, sorted(set(drawn[0].tolist()))
    ([0], (1, 200), [1.0, 2.0, 3.0])
    """
    pieces = pieces_of(sample)
    pooled = center == "iqm" or (center == "median" and sample.tasks <= 1)
    rows_drawn = draws * (sample.tasks if center == "median" else 1)
    for columns in _batches(pieces, draws=rows_drawn, cells=_CHUNK // 25 if pooled else None, together=together):
        batch = pieces.of_columns(columns)
        with _blas().limit(limits=1, user_api="blas"):  # several threads wait for each other on a busy machine
            if pooled:
                drawn = _pooled(sample, batch, columns, center=center, draws=draws, seed=seed)
            elif center == "mean":
                drawn = _mean_of_means(sample, batch, columns, draws=draws, seed=seed)
            else:
                drawn = _median_of_means(sample, batch, columns, draws=draws, seed=seed)
        yield columns, drawn


class _Pieces(NamedTuple):
    """The values of one column in one stratum: where they stand, and which draw of cells serves them."""

    column: Ints
    start: Ints
    size: Ints
    block: Ints

    def of_columns(self, columns: Ints) -> _Pieces:
        return _Pieces(*(part[np.isin(self.column, columns)] for part in self))

    def values(self, sample: Sample) -> list[Floats]:
        return [sample.value[at : at + n] for at, n in zip(self.start.tolist(), self.size.tolist(), strict=True)]


def pieces_of(sample: Sample) -> _Pieces:
    """Cut the sample where column or stratum change; pieces of one stratum with the same cells share a block.

    >>> whole = sample([0, 0, 1], stratum=[0, 0, 0], cell=[1, 2, 1], value=[1.0, 2.0, 3.0])
    >>> pieces_of(whole).size.tolist(), pieces_of(whole).block.tolist()
    ([2, 1], [0, 1])
    """
    if sample.value.size == 0:
        return _Pieces(*(np.empty(0, dtype=np.int64),) * 4)
    changes = np.diff(sample.column).astype(bool) | np.diff(sample.stratum).astype(bool)
    start = np.concatenate([[0], np.flatnonzero(changes) + 1])
    size = np.diff(np.append(start, sample.value.size))
    numbers: dict[tuple[int, bytes], int] = {}
    block = np.empty(len(start), dtype=np.int64)
    for i, (at, n) in enumerate(zip(start.tolist(), size.tolist(), strict=True)):
        cells = sample.cell[at : at + n]
        own = cells[0] < 0 or bool((cells[1:] == cells[:-1]).any())
        key = (-1, i.to_bytes(8, "big")) if own else (int(sample.stratum[at]), cells.tobytes())
        block[i] = numbers.setdefault(key, len(numbers))
    return _Pieces(sample.column[start], start, size, block)


def _batches(pieces: _Pieces, *, draws: int, cells: int | None, together: int) -> Iterator[Ints]:
    """Yield columns in batches whose draws fit the memory, equal designs side by side.

    Where all cells are drawn at once there are no more than about `cells` of them, so that they fit the caches.
    """
    units = list(_slices(pieces.column // together))
    designs = {unit: pieces.block[of].tobytes() for unit, of in units}
    sizes = {unit: int(pieces.size[of].sum()) for unit, of in units}
    batch: list[int] = []
    n_cells = 0
    last = b""
    for unit in sorted(designs, key=lambda unit: (designs[unit], unit)):
        new = 0 if cells is None or designs[unit] == last else sizes[unit]
        if batch and (
            (cells is not None and n_cells + new > cells) or (len(batch) + 1) * together * draws > 10 * _CHUNK
        ):
            yield _columns(pieces, batch, together)
            batch, n_cells, new = [], 0, sizes[unit]
        batch.append(unit)
        n_cells, last = n_cells + new, designs[unit]
    if batch:
        yield _columns(pieces, batch, together)


def _columns(pieces: _Pieces, units: list[int], together: int) -> Ints:
    return np.unique(pieces.column[np.isin(pieces.column // together, units)])


def _mean_of_means(sample: Sample, pieces: _Pieces, columns: Ints, *, draws: int, seed: int) -> Floats:
    """Draw the mean of the stratum means."""
    row = _rows(columns)[pieces.column]
    strata = np.bincount(row, minlength=len(columns))
    total = np.zeros((len(columns), draws))
    for of, means, where in _stratum_means(sample, pieces, draws=draws, seed=seed):
        total[row[of], where] += means / strata[row[of], None]
    return total


def _median_of_means(sample: Sample, pieces: _Pieces, columns: Ints, *, draws: int, seed: int) -> Floats:
    """Draw the median of the stratum means."""
    row = _rows(columns)[pieces.column]
    means_of_strata = np.empty((len(row), draws))
    for of, means, where in _stratum_means(sample, pieces, draws=draws, seed=seed):
        means_of_strata[of, where] = means
    return np.stack([np.median(means_of_strata[row == i], axis=0) for i in range(len(columns))])


def _stratum_means(sample: Sample, pieces: _Pieces, *, draws: int, seed: int) -> Iterator[tuple[Ints, Floats, slice]]:
    """Yield (pieces, their drawn means, which draws): the counts of the cells times the values, block by block."""
    for block, of in _slices(pieces.block):
        n = int(pieces.size[of[0]])
        values = np.stack(_Pieces(*(part[of] for part in pieces)).values(sample)) / n
        drawn = _Drawn(n, seed=(seed, block))
        rows = max(1, _CHUNK // n)
        for first in range(0, draws, rows):
            where = slice(first, min(first + rows, draws))
            size = where.stop - first
            alone = len(of) == 1  # the drawn values of one column are added up in half the time that counting takes
            means = values[0][drawn.cells(size)].sum(axis=1) if alone else values @ drawn.counts(size).T
            yield of, np.atleast_2d(means), where


@cache
def _blas() -> ThreadpoolController:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _pooled(sample: Sample, pieces: _Pieces, columns: Ints, *, center: Center, draws: int, seed: int) -> Floats:
    """Draw the mean of the middle of all values of a column."""
    drawn_means = np.empty((len(columns), draws))
    size = {int(b): int(n) for b, n in zip(pieces.block, pieces.size, strict=True)}
    drawn = {block: _Drawn(n, seed=(seed, block)) for block, n in size.items()}
    designs = [(i, pieces.of_columns(columns[i : i + 1])) for i in range(len(columns))]
    ordered = [_Ordered(np.concatenate(design.values(sample)), center) for _, design in designs]
    rows = max(1, 4 * _CHUNK // sum(size.values()))
    for first in range(0, draws, rows):
        where = slice(first, min(first + rows, draws))
        counts = {block: cells.counts(where.stop - first) for block, cells in drawn.items()}
        joined, last = np.empty((0, 0)), [-1]
        for (i, design), order in zip(designs, ordered, strict=True):
            blocks = design.block.tolist()
            joined = joined if blocks == last else np.concatenate([counts[b] for b in blocks], axis=1)
            drawn_means[i, where], last = order.middle_means(joined), blocks
    return drawn_means


class _Ordered:
    """The values of one column in order, to average the middle of draws from them.

    In order of value, let K be how many were drawn up to each, held within the part that is kept. Then the kept sum is
    stop * last - start * first - sum of K * (the next value - this value): summation by parts. Below the first quarter
    K is `start`, above the third it is `stop`, between it is linear in the counts; only near the quarters, in the
    windows, K has to be counted draw by draw.
    """

    def __init__(self, values: Floats, center: Center) -> None:
        self._order = np.argsort(values, kind="stable")
        ordered = values[self._order]
        self._steps = np.diff(ordered, append=ordered[-1])
        self._kept = kept(center, values.size)
        self._ends = self._kept.stop * ordered[-1] - self._kept.start * ordered[0]
        near = int(8 * np.sqrt(values.size) / 2) + 1  # eight standard deviations of a binomial count, at its widest
        first = slice(max(self._kept.start - near, 0), self._kept.start + near)
        second = slice(self._kept.stop - near, self._kept.stop + near)
        self._windows = (first, second) if first.stop < second.start else None

    def middle_means(self, counts: Floats) -> Floats:
        """Return the mean of the middle of each draw; counts has a row a draw."""
        everything = slice(0, len(self._order))
        parts = self._in_windows(counts, *self._windows) if self._windows else None
        below = self._in_window(counts, everything, 0.0)[0] if parts is None else parts
        means: Floats = (self._ends - below) / (self._kept.stop - self._kept.start)
        return means

    def _in_windows(self, counts: Floats, first: slice, second: slice) -> Floats | None:
        """Return the sum of K * step; None if a draw has left the windows, which hardly ever happens."""
        place = np.empty(len(self._order), dtype=np.int64)
        place[self._order] = np.arange(len(place))
        between = slice(first.stop, second.start)
        onward = np.cumsum(self._steps[between][::-1])[::-1]  # what each drawn value adds to all K after it
        lengths = np.concatenate([np.full(between.start, onward[0]), onward, np.zeros(len(place) - between.stop)])
        until_first, until_second, middle = (counts @ np.stack(
            [place < first.start, place < second.start, lengths[place]], axis=1)).T  # fmt: skip
        low, after_first = self._in_window(counts, first, until_first)
        high, after_second = self._in_window(counts, second, until_second)
        start, stop = self._kept.start, self._kept.stop
        sound = (until_first <= start) & (after_first >= start) & (until_second <= stop) & (after_second >= stop)
        if not sound.all():
            return None
        outside = start * self._steps[: first.start].sum() + stop * self._steps[second.stop :].sum()
        total: Floats = outside + low + middle + high
        return total

    def _in_window(self, counts: Floats, window: slice, before: Floats | float) -> tuple[Floats, Floats]:
        """Return the sum of K * step in a window, and how many were drawn up to its end."""
        through = np.cumsum(counts.take(self._order[window], axis=1), axis=1)
        through += np.reshape(before, (-1, 1))
        end = through[:, -1].copy()
        np.clip(through, self._kept.start, self._kept.stop, out=through)
        return through @ self._steps[window], end


class _Drawn:
    """A stream of draws of n cells with replacement, told as counts."""

    def __init__(self, n: int, *, seed: Sequence[int]) -> None:
        self._n = n
        self._generator = np.random.default_rng(seed)
        self._type = np.uint8 if n <= 1 << 8 else np.uint16 if n <= 1 << 16 else np.int64

    def cells(self, rows: int) -> NDArray[np.integer[Any]]:
        """Return the next draws, one a row, as the numbers of the cells."""
        return self._generator.integers(0, self._n, (rows, self._n), dtype=self._type)

    def counts(self, rows: int) -> Floats:
        """Return the next draws: one a row, the count of each cell a column."""
        if self._n == 1:
            return np.ones((rows, 1))
        at = self.cells(rows) + np.arange(0, rows * self._n, self._n)[:, None]
        return np.bincount(at.ravel(), minlength=at.size).reshape(at.shape).astype(np.float64)


def _rows(columns: Ints) -> Ints:
    """Return the table that gives the row of each column."""
    table = np.full(int(columns.max()) + 1, -1, dtype=np.int64)
    table[columns] = np.arange(len(columns))
    return table


def kept(center: Center, size: int) -> slice:
    """Return which of the ordered values are averaged.

    >>> kept("mean", 8), kept("iqm", 8), kept("median", 8)
    (slice(0, 8, None), slice(2, 6, None), slice(3, 5, None))
    """
    cut = {"mean": 0, "iqm": size // 4, "median": max(size - 1, 0) // 2}[center]
    return slice(cut, size - cut)


def _slices(labels: Ints) -> Iterator[tuple[int, Ints]]:
    """Yield each label and the positions that have it, the smallest label first."""
    order = np.argsort(labels, kind="stable")
    edges = np.flatnonzero(np.diff(labels[order])) + 1
    for part in np.split(order, edges) if len(order) else []:
        yield int(labels[part[0]]), part
