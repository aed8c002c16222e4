"""A group has one colour, dash and marker in every page and picture of a lake."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import made_once
import pytest

import tracklake as tl


@made_once.lake
def lake(folder: Path) -> None:
    """Four runs of three models and four learning rates, in two projects."""
    for i, (model, project) in enumerate([("vit", "a"), ("conv", "b"), ("resnet", "b"), ("conv", "a")]):
        with tl.init(
            project, id=f"run-{i}", config={"model": model, "lr": (0.1, 0.01, 0.0001, 0.001)[i]}, dir=folder
        ) as run:
            for step in range(3):
                run.log({"acc": step / 10 + i / 100})


def scales(spec: Any) -> Iterator[dict[str, Any]]:
    """Yield what each name is drawn as, by every scale of a picture: name to colour, dash or marker."""
    if isinstance(spec, list):
        for part in spec:
            yield from scales(part)
    elif isinstance(spec, dict):
        if {"domain", "range"} <= spec.keys():
            yield {name.split(" (")[0]: look for name, look in zip(spec["domain"], spec["range"], strict=True)}
        for part in spec.values():
            yield from scales(part)


@pytest.mark.parametrize("chosen", [{}, {"where": "config.model <> 'vit'"}, {"project": "b"}])
@pytest.mark.parametrize("column", ["config.model", "config.lr"])
def test_the_page_has_the_colours_of_pictures(lake, browser, column, chosen):
    """Whatever runs are chosen: a filter and a project change no colour. Its place gives the page dash and marker."""
    found = browser.ask("labels", by=column)
    colours = dict(zip(found["labels"], found["colors"], strict=True))
    pictures = [lake.plot.curves("acc", by=column, **chosen), lake.plot.ecdf("acc.max", by=column, **chosen)]
    for picture in pictures:
        drawn = next(scales(picture.spec))
        assert drawn == {name: colours[name] for name in drawn}


def test_names_are_in_the_order_in_which_they_came(browser):
    """So that a value that comes later takes no other's colour; numbers go from dark to light."""
    assert browser.ask("labels", by="config.model") == {
        "labels": ["vit", "conv", "resnet"], "colors": ["#0072B2", "#D55E00", "#009E73"]
    }  # fmt: skip
    assert browser.ask("labels", by="config.lr")["labels"] == ["0.0001", "0.001", "0.01", "0.1"]


def test_markers_are_those_of_pictures(lake):
    """The page draws the markers of a scatter in this order, by the place of the name."""
    shapes = list(scales(lake.plot.scatter("lr", "acc.max", color="model").spec))[1]
    assert shapes == {"vit": "circle", "conv": "square", "resnet": "triangle-up"}


def test_axes_of_the_page_are_logarithmic_where_those_of_pictures_are(browser):
    """Learning rates are, accuracies are not."""
    header, _ = browser.raw("values", col=["config.lr", "summary.acc.max", "config.model"]).blocks
    assert [column["log"] for column in header["columns"]] == [True, False, False]


def test_a_drawn_page_says_which_statistic_it_shows(lake, browser):
    """As a picture does: the last value of a bare metric, or what its definition asks for."""

    def said() -> list[str]:
        header, _ = browser.raw("values", col=["summary.acc", "summary.acc.max", "config.lr"]).blocks
        return [column["statistic"] for column in header["columns"]]

    assert said() == [" (last)", "", ""]
    assert lake.plot.scatter("lr", "acc").spec["encoding"]["y"]["title"] == "acc (last)"
