"""Several lakes, read as one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from click.testing import CliRunner

import tracklake as tl
from tracklake.cli import main
from tracklake.errors import LakeError, RunNotFoundError

if TYPE_CHECKING:
    from pathlib import Path


def _log(folder: Path, run_id: str, losses: list[float], *, project: str = "digits", **options: Any) -> None:
    with tl.init(project, id=run_id, dir=folder, **options) as run:
        for loss in losses:
            run.log({"loss": loss})


@pytest.fixture
def both(tmp_path: Path) -> tl.Lake:
    """Two lakes: a in the one, b in the other, and in each an own c."""
    _log(tmp_path / "one", "a", [2.0, 1.0], config={"lr": 0.1})
    _log(tmp_path / "one", "c", [3.0])
    _log(tmp_path / "two", "b", [0.5, 4.0], config={"lr": 0.2})
    _log(tmp_path / "two", "c", [9.0, 8.0])
    return tl.open([tmp_path / "one", tmp_path / "two"])


def test_runs_have_a_column_lake(both: tl.Lake) -> None:
    """Runs of both lakes stand side by side; those of one id are told apart by their lake."""
    table = both.runs(columns=["lake", "config.lr", "summary.loss.min"]).sort("run_id")
    assert table.rows() == [
        ("a", "one", 0.1, 1.0),
        ("b", "two", 0.2, 0.5),
        ("c@one", "one", None, 3.0),
        ("c@two", "two", None, 8.0),
    ]
    assert both.runs(where="lake = 'two'")["run_id"].to_list() == ["b", "c@two"]
    assert both.runs().columns[:3] == ["run_id", "lake", "project"]


@pytest.mark.parametrize("is_sealed", [False, True])
def test_points_of_equal_ids_do_not_clash(both: tl.Lake, tmp_path: Path, *, is_sealed: bool) -> None:
    """Histories, in Python and SQL, sealed or not, are those of the run that is named."""
    if is_sealed:
        tl.open(tmp_path / "one").refresh()
        tl.open(tmp_path / "two").refresh()
    assert both.history("loss", runs="c@two")["value"].to_list() == [9.0, 8.0]
    assert both.history("loss")["run_id"].to_list() == ["a", "a", "b", "b", "c@one", "c@two", "c@two"]
    by_lake = "SELECT lake, sum(value) AS n FROM history JOIN runs USING (run_id) GROUP BY lake ORDER BY lake"
    assert both.sql(by_lake).rows() == [("one", 6.0), ("two", 21.5)]
    assert dict(both.at_best("loss", goal="min").select("run_id", "loss").iter_rows())["c@two"] == 8.0


def test_each_run_is_summarized_as_in_its_lake(both: tl.Lake, tmp_path: Path) -> None:
    """Definitions and derived metrics of a lake hold for its runs and for no others."""
    one, two = tl.open(tmp_path / "one"), tl.open(tmp_path / "two")
    one.define_metric("loss", summary="min", goal="min")
    two.define_metric("loss", summary="max", project="digits")
    one.derive("double", "loss * 2")
    two.derive("double", "loss * 20")
    summaries = {run_id: both.run(run_id).summary["loss"] for run_id in ("a", "b")}
    assert summaries == {"a": {"min": 1.0}, "b": {"max": 4.0}}
    assert both.summaries("double.min").rows() == [("a", 2.0), ("c@one", 6.0), ("b", 10.0), ("c@two", 160.0)]
    assert both.sql("SELECT expression, runs FROM definitions WHERE kind = 'derived' ORDER BY 1").rows() == [
        ("loss * 2", 2),
        ("loss * 20", 2),
    ]


def test_a_run_that_several_lakes_hold_is_there_once(both: tl.Lake, tmp_path: Path) -> None:
    """Of a run that was merged into the other lake that one is shown of which was said something last."""
    tl.open(tmp_path / "two").merge(tl.open(tmp_path / "one"))
    assert sorted(both.runs()["run_id"]) == ["a", "b", "c@one", "c@two"]
    assert both.sql("SELECT count(*) FROM history").item() == 7
    tl.open(tmp_path / "two").run("a").summary["note"] = "newer"
    assert both.runs(columns=["lake", "summary.note"], where="run_id = 'a'").rows() == [("a", "two", "newer")]


def test_an_edit_goes_to_the_lake_of_the_run(both: tl.Lake, tmp_path: Path) -> None:
    """A summary, tags and config set through the federation are in the run's own lake."""
    run = both.run("c@two")
    run.summary["note"], run.tags, run.config["seed"] = "rerun", ["kept"], 3
    stored = tl.open(tmp_path / "two").run("c")
    assert (stored.summary["note"], stored.tags, stored.config) == ("rerun", ["kept"], {"seed": 3})
    assert both.run("c@two").summary["note"] == "rerun"
    assert "note" not in tl.open(tmp_path / "one").run("c").summary


@pytest.mark.parametrize(
    "write",
    [
        lambda lake: lake.define_metric("loss", goal="min"),
        lambda lake: lake.derive("double", "loss * 2"),
        lambda lake: lake.delete("a"),
        lambda lake: lake.restore("a"),
        lambda lake: lake.refresh(),
        lambda lake: lake.compact(),
        lambda lake: lake.vacuum(),
        lambda lake: lake.import_table(
            pl.DataFrame({"r": [1], "s": [0], "m": [1.0]}), run_columns="r", step="s", metrics={"m": "m"}
        ),
    ],
)
def test_what_writes_to_a_lake_is_refused(both: tl.Lake, write: Any) -> None:
    """What needs one lake says so, and how to open it."""
    with pytest.raises(LakeError, match=r"this needs one lake, and 2 are read as one: open the one .*open\('.*one'\)"):
        write(both)


def test_live_runs_are_seen(both: tl.Lake, tmp_path: Path) -> None:
    """A run that is being written in one of the lakes is there, running; what it logs is seen at once."""
    assert both.runs().height == 4
    with tl.init("digits", id="d", dir=tmp_path / "two") as run:
        run.log({"loss": 0.25})
        assert both.runs(where="run_id = 'd'", columns=["state", "summary.loss"]).rows() == [("d", "running", 0.25)]
    assert both.runs(where="run_id = 'd'", columns=["state"])["state"].to_list() == ["finished"]


def test_ends_of_paths_name_lakes(tmp_path: Path) -> None:
    """Lakes of one name are told apart by the folders that they lie in; the same place twice is an error."""
    for name in ("x", "y"):
        tl.open(tmp_path / name / "lake", create=True)
        _log(tmp_path / name / "lake", "r", [1.0])
    lake = tl.open(f"{tmp_path}/x/lake, {tmp_path}/y/lake")
    assert sorted(lake.runs(columns=["lake"]).select("run_id", "lake").rows()) == [
        ("r@x_lake", "x/lake"),
        ("r@y_lake", "y/lake"),
    ]
    with pytest.raises(LakeError, match="named twice"):
        tl.open([tmp_path / "x" / "lake", tmp_path / "x" / ".." / "x" / "lake"])
    with pytest.raises(RunNotFoundError, match="'r@x_lake'"):
        lake.run("r")


def test_all_that_answers_answers(both: tl.Lake) -> None:
    """Comparisons, curves, sweeps, plots, description, projects, the Api and the texts take several lakes as one."""
    assert both.compare("loss", by=["lake"], goal="min").table["n"].to_list() == [2, 2]
    assert both.learning_curves("loss", by=["lake"])["n"].max() == 2
    assert both.sweep(metric="loss", goal="min").best(1)["run_id"].to_list() == ["b"]
    assert both.describe().runs == 4
    assert both.runs(project="digits").height == 4
    assert both.check().ok
    assert "4 runs" in repr(both)
    assert both.history(stream="system").height == 0
    assert both.plot.curves("loss") is not None


def test_the_api_and_the_shell_take_several_places(both: tl.Lake, tmp_path: Path) -> None:
    """`tl.Api([...])` and `--dir one,two` are the same."""
    places = [str(tmp_path / "one"), str(tmp_path / "two")]
    api = tl.Api(places)
    assert sorted(run.id for run in api.runs("digits")) == ["a", "b", "c@one", "c@two"]
    assert api.run("digits/c@two").summary["loss"] == 8.0
    printed = CliRunner().invoke(main, ["runs", "--dir", ",".join(places), "--columns", "lake", "--csv"])
    assert printed.output.splitlines()[:2] == ["run_id,lake", "c@two,two"], printed.output
    assert len(both.runs()) == 4


def test_a_moment_an_engine_and_a_budget(both: tl.Lake, tmp_path: Path) -> None:
    """`at` a time shows each lake as it was then, `on` an engine answers the same, budgets hold for runs of all."""
    for name in ("one", "two"):
        tl.open(tmp_path / name).refresh()
    moment = datetime.now(UTC)
    _log(tmp_path / "two", "later", [0.25])
    tl.open(tmp_path / "two").delete("b")
    assert both.runs().sort("run_id")["run_id"].to_list() == ["a", "c@one", "c@two", "later"]
    assert both.at(moment).runs().sort("run_id")["run_id"].to_list() == ["a", "b", "c@one", "c@two"]
    tl.open(tmp_path / "two").restore("b")
    on_threads = both.on("threads").summaries(["loss.min"]).sort("run_id")
    assert on_threads.rows() == [("a", 1.0), ("b", 0.5), ("c@one", 3.0), ("c@two", 8.0), ("later", 0.25)]
    budgeted = both.at_budget({"step": 0}, metric="loss", goal="min").sort("run_id")
    assert budgeted.select("run_id", "value").rows() == [
        ("a", 2.0), ("b", 0.5), ("c@one", 3.0), ("c@two", 9.0), ("later", 0.25),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("at-budget loss step=0 --goal min --csv", "c@two,0,9.0,9.0"),
        ("time-to loss 1.5 --goal min --csv", None),
        ("history loss --run c@two --csv", None),
        ("describe", "4 runs (4 finished), 7 points"),
        ("delete a --yes", "Error: this needs one lake, and 2 are read as one: say which, such as --dir {one}"),
        ("restore a", "Error: this needs one lake, and 2 are read as one: say which, such as --dir {one}"),
        ("import {one}", "Error: this needs one lake, and 2 are named: say which, such as --dir {one}"),
        ("repair", "Error: this needs one lake, and 2 are named: say which, such as --dir {one}"),
        ("agent x", "Error: this needs one lake, and 2 are named: say which, such as --dir {one}"),
    ],
)
def test_commands_over_several_places(both: tl.Lake, tmp_path: Path, command: str, line: str | None) -> None:
    """What asks answers for the runs of all; what writes says which option names one lake."""
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    assert both.describe().heading[1].startswith("nothing sealed yet")
    printed = CliRunner().invoke(main, [*command.format(one=one).split(), "--dir", f"{one},{two}"])
    assert printed.exit_code == (2 if line is not None and line.startswith("Error") else 0), printed.output
    assert line is None or line.format(one=one) in printed.output, printed.output


def test_sealed_lakes_have_no_version_in_common(both: tl.Lake, tmp_path: Path) -> None:
    """A description of several lakes counts their partitions and names no version."""
    for name in ("one", "two"):
        tl.open(tmp_path / name).refresh()
    assert both.describe().heading[1].startswith("2 partitions, ")
