"""Media that runs logged, over HTTP: each is shown as it can be without running anything."""

from __future__ import annotations

import numpy as np
import pytest

import tracklake as tl
from tracklake.tracking.artifacts.media import charts as plot


@pytest.fixture
def media(lake, browser):
    """A run with one of everything."""
    with tl.init("p", id="media", dir=lake.dir) as run:
        for step in range(3):
            run.log({"picture": tl.Image(np.full((20, 30, 3), 80 * step, np.uint8), caption=f"step {step}")})
        table = tl.Table(columns=["class", "n"], data=[["<b>cat</b>", 3], ["dog", 1]])
        truth, probabilities = [0, 1, 1, 0], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]]
        run.log({
            "table": table,
            "bar": plot.bar(table, "class", "n", title="</svg><script>alert(1)</script>"),
            "histogram": plot.histogram(table, "n"),
            "line": plot.line(table, "n", "n"),
            "scatter": plot.scatter(table, "n", "n"),
            "series": plot.line_series([0, 1], [[1, 2], [3, 4]], keys=["a", "b"]),
            "roc": plot.roc_curve(truth, probabilities),
            "pr": plot.pr_curve(truth, probabilities),
            "confusion": plot.confusion_matrix(probabilities, truth, class_names=["cat", "dog"]),
            "weights": tl.Histogram([1.0, 2.0, 3.0]),
            "page": tl.Html("<script>alert(1)</script><b>done</b>"),
            "sound": tl.Audio(np.zeros(800), sample_rate=8000),
            "both": [tl.Image(np.zeros((4, 4), np.uint8)), tl.Image(np.ones((4, 4), np.uint8))],
            "points": tl.Object3D(np.zeros((4, 3))),
        })  # fmt: skip
    return lambda key, **more: browser.raw("media", id="media", key=key, **more)


@pytest.mark.usefixtures("media")
def test_they_are_listed(browser):
    """With type, caption, number and the steps at which they were logged."""
    listed = {one["key"]: one for one in browser.ask("run", id="media")["media"]}
    assert len(listed) == 15
    assert listed["picture"] == {
        "key": "picture", "type": "image-file", "caption": "step 2", "items": 1, "steps": [0, 1, 2]
    }  # fmt: skip
    assert listed["both"]["items"] == 2


def test_a_picture_of_any_step(media):
    """The last, or that of a step; a step without one is told."""
    pictures = [media("picture", step=step).body for step in range(3)]
    assert len(set(pictures)) == 3
    assert media("picture").body == pictures[2]
    assert "was not logged at step 9" in media("picture", step=9).json["error"]


@pytest.mark.parametrize("key", ["bar", "histogram", "line", "scatter", "series", "roc", "pr", "confusion", "weights"])
def test_charts_are_pictures(media, key):
    """Each kind of W&B's `plot` is an SVG that can run nothing."""
    answer = media(key)
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.headers["content-security-policy"].endswith("sandbox")
    assert b"<script" not in answer.body


def test_a_table_has_its_cells(media):
    """Column by column; that of a chart likewise."""
    columns = media("table").json["columns"]
    assert [(c["name"], c["values"]) for c in columns] == [("class", ["<b>cat</b>", "dog"]), ("n", [3, 1])]
    assert media("bar", form="table").json["rows"] == 2


@pytest.mark.parametrize(
    ("key", "content_type"),
    [("picture", "image/png"), ("sound", "audio/wav"), ("page", "text/html; charset=utf-8"), ("both", "image/png")],
)
def test_nothing_that_is_shown_can_run(media, key, content_type):
    """A picture, a sound and a page of HTML come with a policy that forbids everything."""
    headers = media(key).headers
    assert headers["content-type"] == content_type
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert headers["content-security-policy"].endswith("sandbox")


@pytest.mark.parametrize("key", ["points", "page", "table"])
def test_each_is_a_file_to_keep(media, key):
    """What is not shown, and everything by form=file, is an attachment."""
    assert media(key, form="file").headers["content-disposition"].startswith("attachment")


def test_only_content_is_read(browser, lake):
    """An entry that a run made up leads to no other file, and an unknown key is told."""
    run = lake.run("lr0.1-s0")
    run.summary["fake"] = {"_type": "image-file", "path": "../../../etc/passwd", "sha256": "", "size": 1}
    assert "is no file of a lake" in browser.raw("media", id=run.id, key="fake").json["error"]
    assert "did you mean 'fake'" in browser.raw("media", id=run.id, key="fak").json["error"]
