"""Arrays set in a summary: their description, and the files by content that hold them whole."""

from __future__ import annotations

import hashlib
import math
import os
import uuid
from functools import cache
from typing import IO, TYPE_CHECKING, Any

from tracklake.common.lazy_numpy import np
from tracklake.errors import UnstorableValueError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy.typing as npt

    Blocks = Callable[[], Iterator[npt.NDArray[Any]]]
    """Gives the finite elements of an array, some at a time, as often as it is called."""

CONVERSION_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    LookupError,
    OSError,
    RuntimeError,  # torch and jax; RecursionError of a list that holds itself; NotImplementedError of symbolic tensors
    TypeError,
    ValueError,
)
"""What the methods of a foreign object raise when it cannot be read as a value."""

_BLOCK = 1 << 18
"""Elements that are looked at at once."""
PERCENTS = {"10%": 10, "25%": 25, "75%": 75, "90%": 90, "50%": 50}


def as_array(value: object) -> tuple[npt.NDArray[Any], str] | None:
    """Return a value's array, without a copy where it can, and what it was; None for what is no array or tensor.

    What it was is "torch.Tensor", "tensorflow.Tensor", or else "numpy.ndarray" (jax arrays and pandas series too).
    An object that fails to give its array is None as well: storing it as a value then says why.

    >>> array, type_name = as_array(np.zeros((2, 3)))
    >>> array.shape, type_name
    ((2, 3), 'numpy.ndarray')
    >>> as_array([1, 2]) is None
    True
    """
    try:
        array = as_numpy(value)
    except CONVERSION_ERRORS:
        return None
    if array is None:
        return None
    packages = {ancestor.__module__.partition(".")[0] for ancestor in type(value).__mro__}
    tensor = next((package for package in ("torch", "tensorflow") if package in packages), None)
    return array, f"{tensor}.Tensor" if tensor else "numpy.ndarray"


def as_numpy(value: Any) -> npt.NDArray[Any] | None:
    """Return an array, tensor or series as a numpy array, without a copy where it can; None for what is none of these.

    Known by what its type offers, so that no framework is imported. bfloat16 and float8 come as float32, masked
    elements as NaN. Raises what the object's own methods raise (see CONVERSION_ERRORS).

    >>> as_numpy([1, 2]) is None
    True
    """
    kind = type(value)  # looked at instead of the value: an object may answer to every attribute name
    if isinstance(value, np.ma.MaskedArray):
        return np.asarray(np.ma.filled(value.astype(np.float64), np.nan))
    if isinstance(value, np.generic) or kind.__name__ == "DataFrame":
        return None
    if all(hasattr(kind, method) for method in ("detach", "cpu", "numpy")):
        return _from_torch(value)
    if hasattr(kind, "numpy"):
        return _standard(np.asarray(value.numpy()))
    return _standard(np.asarray(value)) if hasattr(kind, "__array__") else None


def finite_numbers(array: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], int]:
    """Return the finite elements of a numeric array, flat and without a copy if all are, and how many others it has.

    Bools come as 0 and 1 (uint8), long doubles as float64. The order of the elements is not kept.

    >>> finite_numbers(np.array([1.0, float("inf")]))[1]
    1
    """
    if array.dtype.kind == "b":
        return array.ravel(order="K").view(np.uint8), 0
    if array.dtype.kind in "iu":
        return array.ravel(order="K"), 0
    with np.errstate(over="ignore"):
        doubles = array.astype(np.float64) if array.dtype.itemsize > np.dtype(np.float64).itemsize else array
    finite = np.isfinite(doubles)
    if finite.all():
        return doubles.ravel(order="K"), 0
    return doubles[finite], int(array.size - np.count_nonzero(finite))


def count_in_bins(numbers: npt.NDArray[Any], *, num_bins: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return counts (n) and edges (n + 1) of finite numbers as numpy.histogram gives them.

    Where numpy refuses the range, the counts and edges of a range a little wider.

    >>> counts, edges = count_in_bins(np.array([1, 2, 3, 4]), num_bins=2)
    >>> counts.tolist(), edges.tolist()
    ([2, 2], [1.0, 2.5, 4.0])
    """
    with np.errstate(over="ignore", invalid="ignore"):
        try:
            counts, edges = np.histogram(numbers, num_bins)
            if np.isfinite(edges).all():
                return counts, edges
        except ValueError:  # the numbers lie too close together, or too far apart, to cut the range between them
            pass
        quarter = numbers.astype(np.float64) / 4
        low, high = quarter.min(), quarter.max()
        margin = num_bins * np.spacing(max(-low, high))
        counts, edges = np.histogram(quarter, num_bins, range=(low - margin, high + margin))
        largest = np.finfo(np.float64).max
        return counts, np.clip(edges * 4, -largest, largest)


def describe(array: npt.NDArray[Any], *, type_name: str) -> dict[str, Any]:
    """Return what a summary says about an array of any shape.

    `_type`, `size`, `shape`, `dtype`, `nonfinite` always; of the finite elements `min` and `max` (exact), `mean`,
    `var` (population), `std`, and the linear percentiles `10%`, `25%`, `50%`, `75%`, `90%`, in float64. Bools count
    as 0 and 1. The statistics are absent if no element is finite, and for arrays of text or dates. Takes little
    memory beside an array that lies together. Raises UnstorableValueError for objects, records and complex numbers.

    >>> describe(np.arange(5), type_name="numpy.ndarray")["50%"]
    2.0
    """
    _check(array)
    about: dict[str, Any] = {"_type": type_name}
    nonfinite = 0
    if array.dtype.kind in "biuf":
        flat = array.ravel(order="K")  # no copy of what lies together

        def blocks() -> Iterator[npt.NDArray[Any]]:
            parts = (finite_numbers(flat[start : start + _BLOCK])[0] for start in range(0, flat.size, _BLOCK))
            return (numbers for numbers in parts if numbers.size)

        nonfinite = flat.size - sum(block.size for block in blocks())
        about |= _statistics(blocks) if nonfinite < flat.size else {}
    size, shape, dtype = int(array.size), list(array.shape), str(array.dtype)
    return {**about, "size": size, "shape": shape, "dtype": dtype, "nonfinite": nonfinite}


def save(array: npt.NDArray[Any], *, folder: Path) -> tuple[str, str]:
    """Write an array into `folder` under the SHA-256 of its .npy file; return the file's name and that digest.

    The same content is written once. The file appears whole or not at all. A contiguous array is not copied.
    Raises UnstorableValueError for objects, records and complex numbers, OSError if the disk does.

    >>> from pathlib import Path; from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as lake:
    ...     name, digest = save(np.arange(3), folder=Path(lake) / "files")
    ...     (load(Path(lake) / "files" / name).tolist(), name == digest + ".npy")
    ([0, 1, 2], True)
    """
    _check(array)
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".{uuid.uuid4().hex}.tmp"
    try:
        with unfinished.open("xb") as file:
            hashing = _HashingFile(file)
            np.lib.format.write_array(hashing, array, allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())  # before it gets its name: a file of that name is always whole
        digest = hashing.sha256.hexdigest()
        saved = folder / f"{digest}.npy"
        if not saved.exists():
            unfinished.replace(saved)
    finally:
        unfinished.unlink(missing_ok=True)
    return saved.name, digest


def load(path: Path) -> npt.NDArray[Any]:
    """Return a saved array, read-only and memory-mapped: only the elements looked at are read.

    Raises FileNotFoundError if there is no such file, ValueError if it is not a .npy file of plain elements.
    See `save` for an example.

    >>> from pathlib import Path
    >>> name, _ = save(np.eye(3), folder=Path())
    >>> load(Path(name)).shape
    (3, 3)
    """
    array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


def _from_torch(tensor: Any) -> npt.NDArray[Any]:
    cpu = tensor.detach().cpu()
    try:
        return np.asarray(cpu.numpy())
    except TypeError:
        return np.asarray(cpu.float().numpy())  # bfloat16 and float8 have no numpy dtype


def _standard(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return `array`, as float32 if its floats are an extension of numpy (bfloat16, float8 of jax and tensorflow)."""
    extension = array.dtype.kind == "V" and not issubclass(array.dtype.type, np.void)
    return array.astype(np.float32) if extension else array


class _HashingFile:
    """Writes through to a file and hashes what passes, so that neither array nor file is held twice."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.sha256 = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        return self.file.write(data)


def _check(array: npt.NDArray[Any]) -> None:
    if array.dtype.hasobject or array.dtype.kind in "cV":
        way_out = "set its .real and .imag" if array.dtype.kind == "c" else "set an array of numbers or text"
        raise UnstorableValueError(f"an array of dtype {array.dtype} cannot be kept in a summary; {way_out}")


def _statistics(blocks: Blocks) -> dict[str, float]:
    """Return the statistics of the elements of blocks, of which there is at least one."""
    size = sum(block.size for block in blocks())
    ends = min(block.min() for block in blocks()), max(block.max() for block in blocks())
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(sum(block.sum(dtype=np.float64) for block in blocks()) / size)
        var = float(sum(np.square(block.astype(np.float64) - mean).sum() for block in blocks()) / size)
        marks = _percentiles(blocks, size, ends, list(PERCENTS.values()))
    about = {"min": ends[0].item(), "max": ends[1].item(), "mean": mean, "var": var}
    return about | dict(zip(PERCENTS, marks, strict=True)) | {"std": math.sqrt(var)}


def _percentiles(blocks: Blocks, size: int, ends: tuple[Any, Any], percents: list[int]) -> list[float]:
    """Return linear percentiles as numpy has them in float64."""
    places = np.array(percents) / 100 * (size - 1)
    below = np.floor(places).astype(np.int64)
    above = np.minimum(below + 1, size - 1)
    ordered = _at_ranks(blocks, size, ends, [*below.tolist(), *above.tolist()]).astype(np.float64)
    low, high = np.split(ordered, 2)
    part = places - below
    between = np.where(part < 0.5, low + (high - low) * part, high - (high - low) * (1 - part))  # noqa: PLR2004 - as numpy
    marks: list[float] = np.where(high == low, low, between).tolist()
    return marks


def _at_ranks(blocks: Blocks, size: int, ends: tuple[Any, Any], ranks: list[int]) -> npt.NDArray[Any]:
    """Return the elements that have these places in the order of all, holding few of them at once.

    A sample tells elements that enclose each closely; counting how many lie below and at them tells between which two
    it is, and just those in between are put in order.
    """
    sample = np.sort(np.concatenate([block[:: 1 + (size >> 16)] for block in blocks()]))
    if sample.size == size:
        return sample[ranks]
    guesses, margin = np.array(ranks) / size * sample.size, 4 * math.sqrt(sample.size)
    near = np.clip([guesses - margin, guesses + margin], 0, sample.size - 1).astype(np.int64)
    edges = np.unique(np.append(sample[near], np.array(ends, dtype=sample.dtype)))
    below = np.sum([[np.count_nonzero(block < edge) for edge in edges] for block in blocks()], axis=0)
    up_to = np.sum([[np.count_nonzero(block <= edge) for edge in edges] for block in blocks()], axis=0)

    @cache
    def between(i: int) -> npt.NDArray[Any]:
        inside = [block[(block > edges[i - 1]) & (block < edges[i])] for block in blocks()]
        return np.sort(np.concatenate(inside))

    at = np.searchsorted(up_to, ranks, side="right").tolist()
    ordered = [edges[i] if below[i] <= r else between(i)[r - up_to[i - 1]] for i, r in zip(at, ranks, strict=True)]
    return np.array(ordered)
