"""What a picture in a paper must show: outlines, ends of axes, which statistic, what did not finish."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import tracklake as tl
from tracklake.plots import encodings
from tracklake.plots.parallel_axes import placed


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> tl.Lake:
    """Nine runs of three models; learning rates from 2e-4 to 0.05, accuracies up to 0.97; one failed."""
    folder: Path = tmp_path_factory.mktemp("papers")
    rates = (2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 4e-2, 5e-2)
    for i, rate in enumerate(rates):
        with tl.init("p", id=f"run-{i}", config={"lr": rate, "model": "abc"[i % 3]}, dir=folder) as run:
            for step in range(3):
                run.log({"acc": 0.97 - i / 10 - (2 - step) / 100, "loss": rate})
            run.finish(exit_code=int(i == 8))
    return tl.open(folder)


def parts(spec: Any, key: str) -> Iterator[Any]:
    """Yield everything that stands under a key anywhere in a spec."""
    if isinstance(spec, list):
        for part in spec:
            yield from parts(part, key)
    elif isinstance(spec, dict):
        if key in spec:
            yield spec[key]
        for part in spec.values():
            yield from parts(part, key)


def test_bands_have_outlines(lake):
    """Where bands overlap each is told by its edge, in the colour of its group."""
    marks = [mark for mark in parts(lake.plot.curves("acc", by="model").spec, "mark") if isinstance(mark, dict)]
    assert [mark["type"] for mark in marks][:3] == ["area", "line", "line"]
    assert [mark["strokeOpacity"] for mark in marks[1:3]] == [0.5, 0.5]


def test_a_log_axis_says_so_and_has_a_label_at_both_ends(lake):
    """From below the lowest to above the highest value."""
    x = lake.plot.scatter("lr", "acc.max").spec["encoding"]["x"]
    assert x["title"] == "lr (log scale)"
    assert x["scale"]["domain"] == [x["axis"]["values"][0], x["axis"]["values"][-1]] == [2e-4, 0.05]


def test_so_does_an_upright_log_axis():
    """Among parallel axes: round numbers from end to end."""
    axis = placed(pl.Series([10 ** (-i / 3) / 1.5 for i in range(12)]))
    assert axis.log
    assert (axis.ticks[0], axis.ticks[-1]) == ((0.0, "0.0001"), (1.0, "1"))


def test_the_heading_of_an_upright_log_axis_says_so(lake):
    """As the title of any other."""
    spec = str(lake.plot.parallel(["lr", "model"], "acc.max").spec)
    assert "lr (log scale)" in spec
    assert "acc.max (log scale)" not in spec


def test_an_axis_of_accuracies_ends_at_one(lake):
    """There is nothing beyond."""
    y = next(parts(lake.plot.curves("acc").spec, "y"))
    assert y["scale"]["domainMax"] == 1


def test_a_scatter_says_which_statistic_it_shows(lake):
    """A bare metric is its last value, or what its definition asks for."""
    titles = [lake.plot.scatter("lr", y).spec["encoding"]["y"]["title"] for y in ("acc", "acc.max")]
    assert titles == ["acc (last)", "acc.max"]


def test_runs_that_did_not_finish_are_hollow(lake):
    """And it is told how many."""
    plot = lake.plot.scatter("lr", "acc.max")
    assert plot.notes[0] == "Hollow: 1 run of 9 that did not finish."
    assert plot.data["finished"].to_list() == [True] * 8 + [False]


def test_groups_differ_without_colours(lake):
    """By dash and marker, in grey as well."""
    legend = encodings.Legend("model", ["a", "b", "c"])
    assert len({*map(tuple, legend.dashes)}) == len({*legend.shapes}) == 3
    spec = str(lake.plot.curves("acc", by="model").spec)
    assert str(legend.dashes) in spec
    assert str(legend.shapes) in spec


def test_numbers_as_groups_are_dark_enough_for_lines():
    """The lightest shade stands out from white: its relative luminance is below a half."""
    shade = encodings.along_viridis(5)[-1]
    red, green, blue = (int(shade[i : i + 2], 16) / 255 for i in (1, 3, 5))
    assert 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2 < 0.5
