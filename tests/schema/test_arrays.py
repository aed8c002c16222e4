"""Arrays in a summary: their statistics, and the files that hold them."""

from __future__ import annotations

import hashlib
import math
import tracemalloc

import numpy as np
import pytest

from tracklake.errors import UnstorableValueError
from tracklake.schema.arrays import as_array, describe, load, save

NAME = "numpy.ndarray"


class Broken:
    """An array-like that gives no array."""

    def __array__(self, dtype=None, copy=None):
        """Raise."""
        raise RuntimeError


def test_statistics_of_int8():
    """The statistics of integers are computed in float64, least and greatest are exact."""
    assert describe(np.arange(100, dtype=np.int8), type_name=NAME) == {
        "_type": "numpy.ndarray",
        "min": 0,
        "max": 99,
        "mean": 49.5,
        "var": 833.25,
        "10%": 9.9,
        "25%": 24.75,
        "75%": 74.25,
        "90%": 89.10000000000001,
        "50%": 49.5,
        "std": 28.86607004772212,
        "size": 100,
        "shape": [100],
        "dtype": "int8",
        "nonfinite": 0,
    }


def test_statistics_leave_nonfinite_elements_out():
    """NaN and infinities are counted and do not touch the statistics."""
    about = describe(np.array([[math.nan, 1.0, 3.0], [math.inf, -math.inf, 2.0]]), type_name=NAME)
    expected = {"min": 1.0, "max": 3.0, "mean": 2.0, "50%": 2.0, "nonfinite": 3, "size": 6, "shape": [2, 3]}
    assert {key: about[key] for key in expected} == expected


def test_bools_count_as_zero_and_one():
    """The mean of bools is the share of trues."""
    about = describe(np.array([True, False] * 20), type_name=NAME)
    assert [about[key] for key in ("min", "max", "mean", "var", "dtype")] == [0, 1, 0.5, 0.25, "bool"]


@pytest.mark.parametrize("array", [np.array([math.nan, math.inf]), np.zeros((0, 3)), np.array(["a", "b"])])
def test_statistics_are_absent_where_there_are_none(array):
    """No finite element, no element, no number: the statistics are left out, not NaN."""
    assert set(describe(array, type_name=NAME)) == {"_type", "size", "shape", "dtype", "nonfinite"}


def test_statistics_of_float32_are_those_of_float64():
    """Small floats are summed as doubles: the mean of many equal numbers is the number."""
    about = describe(np.full(1_000_000, 0.1, dtype=np.float32), type_name=NAME)
    assert (about["mean"], about["var"]) == pytest.approx((0.10000000149011612, 0.0), abs=1e-15)


@pytest.mark.parametrize(
    "array",
    [
        np.random.default_rng(0).standard_cauchy(1_000_000),
        np.maximum(np.random.default_rng(1).normal(size=1_000_000).astype(np.float32), 0),  # half of them 0
        np.where(np.arange(1_000_000) % 3, np.arange(1_000_000.0), np.nan),
        np.tile(np.arange(-100, 100, dtype=np.int8), 5_000),
    ],
    ids=["wide tails", "ties", "NaN", "few values"],
)
def test_percentiles_of_a_large_array(array):
    """The percentiles of an array too large to be put in order are numpy's, and take little memory."""
    tracemalloc.start()
    about = describe(array, type_name=NAME)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    finite = array[np.isfinite(array)].astype(np.float64)
    assert [about[f"{q}%"] for q in (10, 25, 50, 75, 90)] == np.percentile(finite, [10, 25, 50, 75, 90]).tolist()
    assert most < 6_000_000  # what a few blocks take, however large the array


def test_statistics_leave_the_array_as_it_was():
    """Percentiles reorder a copy, never the caller's array."""
    array = np.array([3.0, 1.0, 2.0])
    describe(array, type_name=NAME)
    assert array.tolist() == [3.0, 1.0, 2.0]


def test_statistics_agree_with_numpy():
    """Mean, variance and percentiles are numpy's, for any memory order."""
    array = np.random.default_rng(7).normal(size=(30, 50)).T[::2]
    about = describe(array, type_name=NAME)
    assert about["mean"] == pytest.approx(array.mean(), rel=1e-12)
    assert about["var"] == pytest.approx(array.var(), rel=1e-12)
    assert [about[f"{q}%"] for q in (10, 25, 50, 75, 90)] == np.percentile(array, [10, 25, 50, 75, 90]).tolist()


@pytest.mark.parametrize("array", [np.array([1, None]), np.array([1j, 2j]), np.zeros(2, dtype="i4,f4")])
def test_objects_complex_and_records_are_refused(array, tmp_path):
    """What has no statistics and no plain file is refused, and nothing is written."""
    with pytest.raises(UnstorableValueError, match="cannot be kept in a summary"):
        describe(array, type_name=NAME)
    with pytest.raises(TypeError, match="cannot be kept in a summary"):
        save(array, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


# --- as_array


def test_as_array_takes_a_numpy_array_as_it_is():
    """A numpy array is not copied."""
    array = np.arange(3)
    assert as_array(array)[0] is array
    assert as_array(array)[1] == "numpy.ndarray"


def test_as_array_of_torch_shares_memory():
    """A torch tensor is looked at in place, gradient or not."""
    torch = pytest.importorskip("torch")
    tensor = torch.nn.Parameter(torch.arange(33.0))
    array, name = as_array(tensor)
    assert (name, array.ctypes.data) == ("torch.Tensor", tensor.data_ptr())


@pytest.mark.parametrize("package", ["torch", "tensorflow"])
def test_as_array_names_the_framework(package):
    """The name is told from the package of the type or of one it descends from."""
    base = type("EagerTensor", (), {"__module__": f"{package}.core", "numpy": lambda _: np.arange(3)})
    assert as_array(type("Own", (base,), {})())[1] == f"{package}.Tensor"


def test_as_array_of_pandas():
    """A series counts as a numpy array, a data frame as no array."""
    pandas = pytest.importorskip("pandas")
    array, name = as_array(pandas.Series([1.5, 2.5]))
    assert (array.tolist(), name) == ([1.5, 2.5], "numpy.ndarray")
    assert as_array(pandas.DataFrame({"a": [1]})) is None


@pytest.mark.parametrize("value", [1.5, np.float64(1.5), "a", [1, 2], {"a": 1}, None, object(), Broken()])
def test_as_array_of_anything_else(value):
    """Scalars, lists and objects that fail to give an array are no arrays."""
    assert as_array(value) is None


# --- files


@pytest.mark.parametrize(
    "array",
    [
        np.arange(40.0).reshape(5, 8),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.arange(10)[::2],
        np.array(5.0),
        np.zeros((0, 3)),
        np.array([True, False]),
        np.array(["é", "bc"]),
        np.array(["2024-01-02"], dtype="M8[D]"),
        np.arange(3, dtype=">i4"),
    ],
)
def test_saved_array_comes_back(array, tmp_path):
    """Shape, dtype and elements come back as they were."""
    name, _ = save(array, folder=tmp_path)
    again = load(tmp_path / name)
    assert (again.shape, again.dtype) == (array.shape, array.dtype)
    assert again.tolist() == array.tolist()


def test_file_is_named_by_its_content(tmp_path):
    """The name is the SHA-256 of the file, and the folder is made if it is missing."""
    name, digest = save(np.arange(3, dtype=np.int64), folder=tmp_path / "files")
    assert name == f"{digest}.npy"
    assert hashlib.sha256((tmp_path / "files" / name).read_bytes()).hexdigest() == digest


def test_same_content_is_one_file(tmp_path):
    """Saving the same array again keeps the file that is there and leaves nothing beside it."""
    first = save(np.arange(50), folder=tmp_path)
    inode = (tmp_path / first[0]).stat().st_ino
    assert save(np.arange(50), folder=tmp_path) == first
    assert [(path.name, path.stat().st_ino) for path in tmp_path.iterdir()] == [(first[0], inode)]


def test_loaded_array_is_mapped_and_read_only(tmp_path):
    """A loaded array is a view of the file that cannot be written."""
    name, _ = save(np.arange(50), folder=tmp_path)
    array = load(tmp_path / name)
    assert isinstance(array, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1


def test_load_never_unpickles(tmp_path):
    """A file with pickled objects is refused, not run."""
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(ValueError, match="Python objects"):
        load(tmp_path / "objects.npy")
