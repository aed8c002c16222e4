"""Runs and projects under other names."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import made_once
import pytest
from click.testing import CliRunner

import tracklake as tl
from tracklake.cli import main
from tracklake.errors import RunError, RunNotFoundError, UnknownNameError


@made_once.lake_in_tmp_path
def lake(folder: Path) -> None:
    """Runs a and b of the project old."""
    for run_id, loss in (("a", 2.0), ("b", 1.0)):
        with tl.init("old", id=run_id, dir=folder) as run:
            run.log({"loss": loss})
            run.log({"loss": loss / 4})


@pytest.mark.parametrize("is_sealed", [False, True])
def test_a_moved_run_is_in_its_new_project_everywhere(lake: tl.Lake, *, is_sealed: bool) -> None:
    """Tables, SQL over each view, conditions and views of one project have it there, whatever is sealed when."""
    if is_sealed:
        lake.refresh()
    assert lake.move(["a"], "new") == 1
    assert lake.runs(project="new")["run_id"].to_list() == ["a"]
    assert tl.open(lake.dir, project="old").runs()["run_id"].to_list() == ["b"]
    for view in ("runs", "history", "points", "sessions", "summaries"):
        counts = f"SELECT DISTINCT project FROM {view} WHERE run_id = 'a'"
        assert lake.sql(counts)["project"].to_list() == ["new"], view
    assert lake.sql("SELECT sum(value) FROM history WHERE project = 'new'").item() == 2.5
    lake.refresh()
    lake.compact()
    assert lake.sql("SELECT project, sum(value) FROM history GROUP BY project ORDER BY 1").rows() == [
        ("new", 2.5),
        ("old", 1.25),
    ]
    assert lake.check(full=True).ok


def test_a_moved_run_follows_the_definitions_of_its_project(lake: tl.Lake) -> None:
    """What is defined for a project holds for the runs that are in it now."""
    lake.define_metric("loss", summary="min", project="new")
    lake.define_metric("loss", summary="max", project="old")
    lake.move("a", "new")
    assert (lake.run("a").summary["loss"], lake.run("b").summary["loss"]) == ({"min": 0.5}, {"max": 1.0})


def test_a_renamed_project_takes_its_definitions_along(lake: tl.Lake) -> None:
    """All of its runs and what the lake says of it are under the new name; later runs of the old name are not."""
    lake.define_metric("loss", summary="min", goal="min", project="old")
    lake.derive("double", "loss * 2", project="old")
    assert lake.rename_project("old", "new") == 2
    with tl.init("old", id="c", dir=lake.dir) as run:
        run.log({"loss": 8.0})
    assert lake.run("a").summary["loss"] == {"min": 0.5}
    assert lake.run("c").summary["loss"] == 8.0
    assert lake.summaries("double.min").rows() == [("a", 1.0), ("b", 0.5), ("c", None)]
    assert lake.runs(project="old")["run_id"].to_list() == ["c"]


def test_artifacts_of_a_renamed_project_go_along(lake: tl.Lake, tmp_path: Path) -> None:
    """Versions keep their numbers, aliases, files and users; what is logged under the old name later begins anew."""

    def log(project: str, text: str, *aliases: str) -> None:
        with tl.init(project, dir=lake.dir) as run:
            artifact = tl.Artifact("model", type="model")
            with artifact.new_file("weights.txt") as file:
                file.write(text)
            run.log_artifact(artifact, aliases=list(aliases))

    log("old", "first", "best")
    log("old", "second")
    log("new", "third")
    with tl.init("old", id="user", dir=lake.dir) as run:
        run.use_artifact("model:best")
    lake.rename_project("old", "new")
    api = tl.Api(dir=lake.dir)
    texts = {}
    for alias in ("v0", "best", "latest"):
        found = api.artifact(f"new/model:{alias}")
        texts[found.version] = Path(found.download(tmp_path / alias), "weights.txt").read_text()
    assert texts == {"v0": "third", "v1": "first", "v2": "second"}
    assert api.artifact("new/model:best").used_by() == ["user"]
    lake.vacuum(older_than=timedelta(0))
    assert lake.check(full=True).ok
    log("old", "fourth")
    assert api.artifact("old/model:latest").version == "v0"


def test_the_last_move_holds(lake: tl.Lake) -> None:
    """A run may be moved again, and back."""
    for project in ("x", "y", "old"):
        lake.move("a", project)
        assert lake.run("a").project == project


def test_a_moved_run_is_resumed_in_its_new_project(lake: tl.Lake) -> None:
    """A training that goes on with a moved run logs to the project that it is in."""
    lake.define_metric("loss", summary="min", project="new")
    lake.move("a", "new")
    with tl.init(id="a", dir=lake.dir, resume="must") as run:
        run.log({"loss": 0.125})
        assert (run.project, run.summary["loss"]) == ("new", {"min": 0.125})
    assert lake.runs(project="new")["run_id"].to_list() == ["a"]
    assert lake.run("a").summary["loss"] == {"min": 0.125}


def test_what_cannot_be_moved_is_refused(lake: tl.Lake) -> None:
    """Running runs, and ids and projects that are not there, are errors, and nothing is moved."""
    with tl.init("old", id="live", dir=lake.dir), pytest.raises(RunError, match="'live' is running: finish it before"):
        lake.rename_project("old", "new")
    with pytest.raises(RunNotFoundError, match="unknown run 'aa'; did you mean 'a'"):
        lake.move(["b", "aa"], "new")
    with pytest.raises(UnknownNameError, match="unknown project 'odl'; did you mean 'old'"):
        lake.rename_project("odl", "new")
    assert lake.runs()["project"].unique().to_list() == ["old"]


def test_merging_takes_moved_runs_along(lake: tl.Lake, tmp_path: Path) -> None:
    """Copied to another lake a moved run is in the project that it was moved to."""
    lake.move("a", "new")
    other = tl.open(tmp_path / "other", create=True)
    other.merge(lake)
    assert dict(other.runs().select("run_id", "project").iter_rows()) == {"a": "new", "b": "old"}
    assert other.sql("SELECT project, count(*) FROM history GROUP BY 1 ORDER BY 1").rows() == [("new", 2), ("old", 2)]


def test_the_shell_renames_and_moves(lake: tl.Lake) -> None:
    """`rename RUN NAME`, `rename --project OLD NEW` and `move RUNS --to PROJECT` do so and say it."""

    def shell(*words: str) -> str:
        return CliRunner().invoke(main, [*words, "--dir", lake.dir]).output.removeprefix(f"{lake.dir}: ")

    assert shell("rename", "a", "baseline") == "a is called baseline now\n"
    assert shell("move", "--where", "name = 'baseline'", "--to", "new") == "1 run in project new now\n"
    assert shell("rename", "--project", "new", "newer") == "1 run in project newer now\n"
    assert lake.runs(columns=["name", "project"]).rows() == [("a", "baseline", "newer"), ("b", "b", "old")]
    assert "give ids of runs, or --where" in shell("move", "--to", "x")
