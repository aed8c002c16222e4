"""The page of a run and its curves over HTTP, and edits."""

from __future__ import annotations

import stat
from pathlib import Path

import numpy as np
import pytest

import tracklake as tl
from tracklake.ui.curves import Series, gridded
from tracklake.ui.markdown_tree import tree


def entry(found, key: str):
    return next(entry for entry in found["summary"] if entry["key"] == key)


def test_where_each_summary_value_comes_from(lake, browser):
    """An entry tells its statistic, step and definition; what was set by hand says so, and when."""
    lake.define_metric("acc", summary="best", goal="max")
    lake.run("lr0.1-s0").summary["test/acc"] = 0.75
    found = browser.ask("run", id="lr0.1-s0")
    assert entry(found, "acc.best")["origin"] == "best of 5 values, at step 4; defined as acc: best, goal max"
    assert entry(found, "loss")["origin"] == "last value, at step 4"
    by_hand = entry(found, "test/acc")
    assert by_hand["value"] == 0.75
    assert by_hand["origin"].startswith("set by hand on host ")
    assert by_hand["time"] > 1.6e12


def test_metrics_have_the_statistics_of_summaries(tmp_path: Path, enter):
    """Each as `lake.summaries` gives it, of numbers, of what is not finite, of large integers; texts are no numbers."""
    with tl.init("p", id="run", dir=tmp_path / "lake") as run:
        for step, loss in enumerate([0.5, float("nan"), 0.25, float("inf")]):
            run.log({"loss": loss, "n": 2**53 + step, "word": "x", "flag": step > 1})
    lake = tl.open(tmp_path / "lake")
    with lake.ui() as server:
        columns = enter(server).ask("run", id="run")["metrics"]
    found = {column["name"]: column["values"] for column in columns}
    for kind in ("min", "argmin", "max", "argmax", "mean", "std", "sum", "count", "n_nan", "n_inf"):
        numbers = lake.summaries([(metric, kind) for metric in found["metric"]]).drop("run_id").row(0)
        expected = pytest.approx([float(value) for value in numbers], rel=0, abs=0, nan_ok=True)
        assert [float(value) for value in found[kind]] == expected
    assert dict(zip(found["metric"], found["last_step"], strict=True))["loss"] == 3
    assert "word" not in found["metric"]


def test_config_is_flat_and_exact(tmp_path: Path, enter):
    """Nested config has its dotted names, and a large integer keeps its digits."""
    with tl.init(dir=tmp_path, id="a", config={"model": {"width": 2**60, "name": "<b>"}}):
        pass
    with tl.open(tmp_path).ui() as server:
        assert enter(server).ask("run", id="a")["config"] == [["model.width", str(2**60)], ["model.name", "<b>"]]


def test_difference_to_another_run(browser):
    """Only what differs is shown, of config and summary."""
    rows = browser.ask("run", id="lr0.1-s0", diff="lr0.2-s0")["diff"]
    assert [(row["kind"], row["key"]) for row in rows] == [("config", "lr"), ("summary", "acc")]


def test_an_unknown_run_is_not_found(browser):
    """404, and the nearest id."""
    answer = browser.raw("run", id="lr0.1-s9")
    assert (answer.status, "did you mean 'lr0.1-s" in answer.json["error"]) == (404, True)


def test_quality_of_a_run(browser):
    """The flags of `lake.quality` for the metrics of the run."""
    found = browser.ask("quality", id="lr0.1-s0")
    assert found["metrics"] == ["acc", "loss"]
    assert found["flags"][0]["n_nan"] == 0


def test_fields_tags_and_summary_are_edited(lake, browser):
    """Each edit is a statement that every reader sees at once."""
    change = {"runs": ["lr0.1-s0", "lr0.1-s1"], "fields": {"name": "first", "notes": "*rerun*", "group": "g"}}
    change |= {"add_tags": ["good", "late"], "summary": {"test": 0.5, "ok": True}}
    assert browser.change("edit", change).json == {"runs": 2}
    facts = lake.run("lr0.1-s1").facts
    assert (facts["name"], facts["notes"], facts["group"], facts["tags"]) == ("first", "*rerun*", "g", ["good", "late"])
    assert (lake.run("lr0.1-s0").summary["test"], lake.run("lr0.1-s0").summary["ok"]) == (0.5, True)
    browser.change("edit", {"runs": ["lr0.1-s0"], "remove_tags": ["late"], "erase": ["ok"]})
    assert (lake.run("lr0.1-s0").tags, "ok" in lake.run("lr0.1-s0").summary) == (["good"], False)
    edits = browser.ask("run", id="lr0.1-s0")["edits"]
    assert {edit["key"] for edit in edits} == {"name", "notes", "group", "good", "late", "test", "ok"}
    assert (edits[0]["late"], len(edits[0]["host"]) > 3) == (True, True)


BAD = [
    {"runs": []},
    {"runs": ["lr0.1-s0"], "fields": {"state": "failed"}},
    {"runs": ["lr0.1-s0"], "fields": {"notes": 3}},
    {"runs": ["lr0.1-s0"], "add_tags": [""]},
    {"runs": "lr0.1-s0"},
    {"runs": ["lr0.1-s0"], "summary": []},
]


@pytest.mark.parametrize("body", BAD)
def test_a_wrong_edit_changes_nothing(lake, browser, body):
    """What cannot be is refused with its reason before anything is written."""
    answer = browser.change("edit", body | {"erase": []})
    assert answer.status == 400
    assert answer.json["error"]
    assert lake.run("lr0.1-s0").facts["notes"] is None


def test_a_metric_is_defined(lake, browser):
    """A definition from the page counts for runs of the past."""
    assert browser.change("define", {"metric": "loss", "summary": ["min"], "goal": "min"}).status == 200
    assert lake.run("lr0.1-s0").summary["loss"]["min"] == 0.2
    assert (
        "accepted: one or more of min" in browser.change("define", {"metric": "loss", "summary": ["mim"]}).json["error"]
    )


def test_a_read_only_lake_says_so(lake, browser, monkeypatch):
    """Nothing is offered, and an edit that comes all the same is refused with the reason."""
    journal = Path(lake.dir)
    journal.chmod(stat.S_IRUSR | stat.S_IXUSR)
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write everything
    try:
        assert browser.ask("lakes")["lakes"][0]["read_only"]
        answer = browser.change("edit", {"runs": ["lr0.1-s0"], "fields": {"notes": "x"}})
        assert (answer.status, "read-only" in answer.json["error"]) == (400, True)
    finally:
        journal.chmod(stat.S_IRWXU)


def test_curves_are_exact_where_they_are_short(browser):
    """Every point of every run, on one x."""
    header, arrays = browser.raw("curves", metric="acc", where="config.seed = 0").blocks
    assert (header["exact"], header["runs"], header["points"]) == (True, ["lr0.1-s0", "lr0.2-s0"], [5, 5])
    assert arrays[0].tolist() == [0, 1, 2, 3, 4]
    assert arrays[2] == pytest.approx([0.2, 0.3, 0.4, 0.5, 0.6])


def test_a_spike_survives_buckets():
    """Of 10,000 points in 100 buckets the single highest and lowest are there, in their order."""
    y = np.zeros(10_000)
    y[4_321], y[4_325] = 9.0, -9.0
    x, (bucketed,), is_exact = gridded([Series("a", np.arange(10_000.0), y)], buckets=100)
    assert not is_exact
    assert len(x) == 200
    assert bucketed[86:88].tolist() == [9.0, -9.0]
    assert (np.diff(x) > 0).all()


def test_zooming_in_gives_every_point(lake, browser):
    """Within bounds the buckets are finer, at last single points, with a neighbour beyond either edge."""
    with tl.init("p", id="long", dir=lake.dir) as run:
        for step in range(3_000):
            run.log({"wave": step % 7})
    whole, _ = browser.raw("curves", metric="wave", buckets=100).blocks
    part, (x, _) = browser.raw("curves", metric="wave", buckets=100, low=100, high=150).blocks
    assert (whole["exact"], part["exact"], x[0], x[-1], part["range"]) == (False, True, 99, 151, [0, 2999])


@pytest.mark.parametrize(("x", "expected"), [("step", [0, 1, 2]), ("tokens", [10, 20, 30]), ("relative", [0, 0, 0])])
def test_the_x_axis(tmp_path: Path, enter, x, expected):
    """x is the step, time since the start, or any metric."""
    with tl.init(dir=tmp_path, id="a") as run:
        for step in range(3):
            run.log({"loss": 1.0, "tokens": 10 * (step + 1)})
    with tl.open(tmp_path).ui() as server:
        _, (axis, *_) = enter(server).raw("curves", metric="loss", x=x).blocks
        assert axis == pytest.approx(expected, abs=5)


def test_values_that_are_not_finite_are_counted(tmp_path: Path, enter):
    """NaN and infinities are gaps in the curve, and the header counts them."""
    with tl.init(dir=tmp_path, id="a") as run:
        for value in (1.0, float("nan"), float("inf"), 2.0):
            run.log({"loss": value})
    with tl.open(tmp_path).ui() as server:
        header, _ = enter(server).raw("curves", metric="loss").blocks
        assert (header["n_nan"], header["n_inf"], header["points"]) == ([1], [1], [4])
        assert header["odd_at"] == [[1.0, 2.0]]


def test_a_metric_of_texts_has_no_curve(tmp_path: Path, enter):
    """The reply says that there are no numbers."""
    with tl.init(dir=tmp_path, id="a") as run:
        run.log({"stage": "warm-up"})
    with tl.open(tmp_path).ui() as server:
        assert "no numbers" in enter(server).raw("curves", metric="stage").json["error"]


def test_bands_of_groups(browser):
    """A group has its median and spread at each x, and n."""
    found = browser.ask("bands", metric="acc", by="config.lr")
    assert found["labels"] == ["0.1", "0.2"] == browser.ask("labels", by="config.lr")["labels"]
    assert found["groups"][1]["median"] == pytest.approx([0.205, 0.305, 0.405, 0.505, 0.605])
    assert found["groups"][1]["n"] == [2] * 5


def test_columns_as_numbers(browser):
    """A column of text is codes and words; runs that did not finish are named."""
    header, (lr, state) = browser.raw("values", col=["config.lr", "state"]).blocks
    assert lr.tolist() == [0.2, 0.2, 0.1, 0.1]
    assert (header["columns"][1]["words"], state.tolist(), header["unfinished"]) == (["finished"], [0, 0, 0, 0], [])


HOSTILE = "<img src=x onerror=alert(1)> [a](javascript:alert(1)) <script>alert(1)</script>"


def test_markdown_holds_no_markup():
    """HTML in notes is text, and a link that is a script is none."""
    (paragraph,) = tree(HOSTILE)
    assert all(isinstance(child, str) for child in paragraph["children"])
    assert "".join(paragraph["children"]) == HOSTILE


def test_markdown_has_links_and_lists():
    """What is useful in notes is there."""
    found = tree("# a\n\n- [b](https://example.org/)\n- `c`\n\n| x |\n|---|\n| 1 |")
    assert [node["tag"] for node in found] == ["h1", "ul", "table"]
    link = found[1]["children"][0]["children"][0]
    assert link == {"tag": "a", "children": ["b"], "href": "https://example.org/"}


def test_runs_are_deleted_and_restored(browser):
    """A deleted run is gone from every table at once, and comes back."""
    assert browser.change("delete", {"runs": ["lr0.1-s0"]}).json == {"runs": 1}
    assert browser.ask("runs")["total"] == 3
    assert browser.change("restore", {"runs": ["lr0.1-s0"]}).json == {"runs": 1}
    assert browser.ask("runs")["total"] == 4


def test_files_come_as_attachments(lake, browser):
    """A page that a run saved is a file to keep, never shown; a picture is shown, and can do nothing."""
    with tl.init("p", id="files", dir=lake.dir) as run:
        Path(run.dir, "page.html").write_text("<script>alert(1)</script>")
        Path(run.dir, "plot.svg").write_text("<svg onload='alert(1)'/>")
        Path(run.dir, "plot.png").write_bytes(b"\x89PNG")
    assert browser.ask("run", id="files")["files"] == ["page.html", "plot.png", "plot.svg"]
    for name in ("page.html", "plot.svg"):
        answer = browser.raw("file", id="files", name=name, form="image")
        assert answer.headers["content-disposition"].startswith("attachment")
        assert answer.headers["content-type"] == "application/octet-stream"
    picture = browser.raw("file", id="files", name="plot.png", form="image")
    assert (picture.headers["content-type"], picture.headers["x-content-type-options"]) == ("image/png", "nosniff")
    assert picture.headers["content-security-policy"].endswith("sandbox")
    assert browser.raw("file", id="files", name="../../etc/passwd").status == 400
