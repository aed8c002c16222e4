from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from processes import output

import tracklake as tl

if TYPE_CHECKING:
    from pathlib import Path


def states(folder: Path) -> dict[str, str]:
    return dict(tl.open(folder).runs(columns=["state"]).select("run_id", "state").iter_rows())


@pytest.mark.parametrize("reinit", [True, "finish_previous"])
def test_a_run_may_finish_the_one_before_it(tmp_path, reinit):
    """With `reinit=True` the run that was current is finished, and the new one is current."""
    tl.init("p", id="first", dir=tmp_path)
    with tl.init("p", id="second", dir=tmp_path, reinit=reinit) as second:
        assert tl.run is second
        assert states(tmp_path) == {"first": "finished", "second": "running"}


@pytest.mark.parametrize("reinit", [False, "return_previous"])
def test_a_run_may_be_the_one_before_it(tmp_path, reinit):
    """With `reinit=False` no run is begun while one is current: that one is returned."""
    with tl.init("p", id="first", dir=tmp_path) as first:
        assert tl.init("p", id="second", dir=tmp_path, reinit=reinit) is first
    assert states(tmp_path) == {"first": "finished"}


@pytest.mark.parametrize("reinit", [None, "default", "create_new"])
def test_a_script_may_have_several_runs(tmp_path, reinit):
    """In a script a run begins beside the one that is current, and each gets its own rows."""
    with tl.init("p", id="first", dir=tmp_path) as first, tl.init("p", id="second", dir=tmp_path, reinit=reinit) as run:
        first.log({"a": 1.0})
        run.log({"a": 2.0})
        assert states(tmp_path) == {"first": "running", "second": "running"}
    assert tl.open(tmp_path).history("a").select("run_id", "value").rows() == [("first", 1.0), ("second", 2.0)]


def test_a_cell_that_is_run_again_finishes_its_run(tmp_path):
    """In a notebook and at a prompt a new run finishes the one before it."""
    script = """
    sys.ps1 = "In : "
    for run_id in ("first", "second"):
        tl.init("p", id=run_id, dir=sys.argv[1])
    print(tl.open(sys.argv[1]).runs()["state"].to_list())
    """
    assert output(script, tmp_path) == "['finished', 'running']"


def test_reinit_takes_the_words_of_wandb(tmp_path):
    """Any other word is refused before a run is there."""
    with pytest.raises(tl.TracklakeError, match=r"reinit.*'again'.*finish_previous"):
        tl.init("p", dir=tmp_path / "lake", reinit="again")
    assert not (tmp_path / "lake").exists()


def test_a_training_may_go_to_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A lake stays where it was when it was given, by a path from there: rows, arrays, the summary, and readers."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()
    with tl.init("p", id="r", dir="lake") as run:
        run.log({"loss": 0.5})
        lake, seen = tl.open("lake"), tl.Api("lake").run("r")
        monkeypatch.chdir(tmp_path / "other")
        run.summary["weights"] = np.arange(100)
        seen.summary.update({"biases": np.arange(100)})
        assert (run.summary["loss"], run.lake_dir, lake.dir) == (0.5, "lake", "lake")
    assert list((tmp_path / "other").iterdir()) == []
    assert [lake.run("r").summary[name]["max"] for name in ("weights", "biases")] == [99, 99]


def test_a_disabled_run_leaves_nothing(tmp_path: Path):
    """Its folder is gone when the process has ended, also where the run was left open."""
    script = """
    import tempfile
    tempfile.tempdir = sys.argv[1]
    with tl.init("p", mode="disabled") as run:
        run.log({"a": 1.0})
    assert run.summary["a"] == 1.0
    tl.init("p", mode="disabled").log({"a": 1.0})
    sys.exit(0)
    """
    output(script, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_run_says_where_it_goes_unless_it_is_quiet(tmp_path: Path, monkeypatch, capsys, recwarn):
    """One line on standard error, and nothing at all, warnings neither, with the setting or the variable."""
    monkeypatch.delenv("TRACKLAKE_QUIET", raising=False)
    for run_id, settings in (("told", {}), ("quiet", {"quiet": True}), ("silent", {"silent": True})):
        tl.init("p", id=run_id, dir=tmp_path, settings={"metadata": False, **settings}).finish()
    monkeypatch.setenv("TRACKLAKE_QUIET", "1")
    tl.init("p", id="variable", dir=tmp_path).finish()
    assert capsys.readouterr().err == f"tracklake: run told -> {tmp_path}\n"
    assert [str(warning.message) for warning in recwarn if warning.category is UserWarning] == []
