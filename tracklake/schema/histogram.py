"""Histograms, a kind of value: counts of numbers in bins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracklake.common.lazy_numpy import np
from tracklake.errors import UnstorableValueError
from tracklake.schema.arrays import as_numpy, count_in_bins, finite_numbers

if TYPE_CHECKING:
    import numpy.typing as npt

MAX_BINS = 512


class Histogram:
    """Counts of numbers in bins, stored as one value.

    Takes either `sequence`, numbers to count in `num_bins` equal bins as `numpy.histogram` does it, or
    `np_histogram`, a pair of counts and edges. NaN and infinities are left out and counted in `nonfinite`.
    Raises ValueError for more than 512 bins or a pair that does not fit, UnstorableValueError for other than numbers.

    >>> Histogram([1, 2, 3, 4], num_bins=2).to_json()
    {'_type': 'histogram', 'values': [2, 2], 'bins': [1.0, 2.5, 4.0]}
    >>> Histogram(np_histogram=([1, 2], [0.0, 1.0, 2.0])).histogram
    [1, 2]
    """

    __slots__ = ("bins", "histogram", "nonfinite")

    histogram: list[float]
    bins: list[float]
    nonfinite: int

    def __init__(self, sequence: object = None, *, np_histogram: object = None, num_bins: int = 64) -> None:
        if (sequence is None) == (np_histogram is None):
            raise ValueError("a Histogram takes a sequence of numbers or np_histogram=(counts, edges), one of the two")
        if np_histogram is None:
            _check_bins(num_bins)
            numbers, self.nonfinite = finite_numbers(_numbers(sequence))
            counts, edges = count_in_bins(numbers, num_bins=num_bins)
        else:
            counts, edges = _pair(np_histogram)
            self.nonfinite = 0
        self.histogram = counts.tolist()
        self.bins = edges.tolist()

    def to_json(self) -> dict[str, Any]:
        """Return the stored mapping: `_type`, `values` (n counts), `bins` (n + 1 edges), `nonfinite` if there are any.

        >>> Histogram([1, float("nan")], num_bins=1).to_json()
        {'_type': 'histogram', 'values': [1], 'bins': [0.5, 1.5], 'nonfinite': 1}
        """
        left_out = {"nonfinite": self.nonfinite} if self.nonfinite else {}
        return {"_type": "histogram", "values": self.histogram, "bins": self.bins, **left_out}


def _numbers(value: object) -> npt.NDArray[Any]:
    array = as_numpy(value)
    array = np.asarray(value) if array is None else array
    if array.dtype.kind not in "biuf":
        raise UnstorableValueError(f"a Histogram takes real numbers, not dtype {array.dtype}")
    return array


def _check_bins(num_bins: int) -> None:
    if not 1 <= num_bins <= MAX_BINS:
        raise ValueError(f"a Histogram has 1 to {MAX_BINS} bins, not {num_bins}")


def _pair(np_histogram: Any) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    counts, edges = (_numbers(part) for part in np_histogram)
    _check_bins(len(counts))
    if len(edges) != len(counts) + 1:
        raise ValueError(
            f"np_histogram is (counts, edges) with one edge more than counts, not {len(counts)} and {len(edges)}"
        )
    return counts, edges
