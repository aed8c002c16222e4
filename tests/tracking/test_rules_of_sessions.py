"""The rules of resume, rewind, fork and of how a run ended, 29 and 30 of the 30."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from processes import output, start
from rules import rows, summary

import tracklake as tl
from tracklake.errors import RunError, RunExistsError, RunNotFoundError
from tracklake.storage.journal import host


def test_rule_29_an_id_that_has_ended_needs_resume(run):
    """The error names resume="allow"; ids are compared without case."""
    run.log({"a": 1})
    run.finish()
    for taken in ("r", "R"):
        with pytest.raises(RunExistsError, match="resume='allow'"):
            tl.init("p", id=taken, dir=run.lake_dir)
    with pytest.raises(RunExistsError, match="never"):
        tl.init("p", id="r", dir=run.lake_dir, resume="never")
    with pytest.raises(RunNotFoundError, match="must"):
        tl.init("p", id="new", dir=run.lake_dir, resume="must")


@pytest.mark.parametrize("resume", ["allow", "must", "auto", True])
def test_rule_29_a_resumed_run_goes_on(tmp_path: Path, resume):
    """At the last step + 1, with its config, name and definitions; its summary covers all sessions."""
    with tl.init("p", id="r", dir=tmp_path, config={"lr": 0.1}, name="nice", tags=["t"]) as run:
        run.define_metric("a", summary="min,max,mean,first,last")
        for x in (3.0, 1.0):
            run.log({"a": x})
    with tl.init(id="r", dir=tmp_path, resume=resume) as run:
        assert (run.step, run.config.lr, run.name, run.tags, run.project) == (2, 0.1, "nice", ("t",), "p")
        run.log({"a": 5.0})
        assert summary(run) == {"a": {"min": 1, "max": 5, "mean": 3, "first": 3, "last": 5}}
    assert list(rows(run)) == [0, 1, 2]


def test_rule_29_a_live_id_is_joined(tmp_path: Path):
    """Two processes write one run; of what both said the later counts."""
    script = """
    run = tl.init("p", id="r", dir=sys.argv[1])
    run.log({"rank1": 1.0, "both": "theirs"})
    print("logged", flush=True)
    time.sleep(60)
    """
    run = tl.init("p", id="r", dir=tmp_path)
    with start(script, tmp_path) as other:
        assert other.stdout.readline() == "logged\n"
        run.log({"rank0": 2.0, "both": "mine"})
        assert summary(run) == {"both": "mine", "rank0": 2, "rank1": 1}
        run.finish()
        assert tl.open(tmp_path).run("r").state == "running"


def test_rule_29_from_step_takes_back_points_and_edits(tmp_path: Path):
    """Points from that step on, and the edits of the sessions before; raw history still shows the points."""
    with tl.init("p", id="r", dir=tmp_path) as run:
        run.define_metric("a", summary="max,last")
        for x in (1.0, 9.0, 8.0):
            run.log({"a": x})
        run.summary["note"] = "old"
    with tl.init("p", id="r", dir=tmp_path, from_step=1) as run:
        assert (run.step, summary(run)) == (1, {"a": {"max": 1, "last": 1}})
        run.log({"a": 2.0})
        run.summary["note"] = "new"
        assert summary(run) == {"a": {"max": 2, "last": 2}, "note": "new"}
    assert rows(run) == {0: {"a": 1}, 1: {"a": 2}}
    assert tl.open(tmp_path).history("a", raw=True).height == 4


def test_rule_29_a_fork_begins_with_the_parents_rows(tmp_path: Path):
    """Those below the step, times included; the parent is on record, and stays as it was."""
    with tl.init("p", id="parent", dir=tmp_path, config={"lr": 1}) as parent:
        for x in (1.0, 2.0, 3.0):
            parent.log({"a": x, "n": {"t": "text"}, "l": [1]})
        parent.summary["note"] = "not copied"
    with tl.init("p", id="child", dir=tmp_path, fork_from=("parent", 2)) as child:
        assert child.step == 2
        child.log({"a": 9.0})
        assert summary(child) == {"a": 9, "n": {"t": "text"}, "l": [1]}
    kept = {"a": 1.0, "n.t": "text", "l": [1]}
    assert rows(child) == {0: kept, 1: {**kept, "a": 2.0}, 2: {"a": 9.0}}
    lake = tl.open(tmp_path)
    assert (lake.run("child").parent, lake.run("parent").parent) == (("parent", 2), None)
    times = [lake.run(name).history()["_timestamp"][:2].to_list() for name in ("parent", "child")]
    assert times[0] == times[1]


def test_rule_29_forks_are_checked_before_anything_is_written(run):
    """The parent must be there, the child must not; W&B's way of writing it is accepted."""
    for fork_from in (("nobody", 1), "nobody?_step=1"):
        with pytest.raises(RunNotFoundError, match="unknown run 'nobody'; there are 'r'"):
            tl.init("p", dir=run.lake_dir, fork_from=fork_from)
    for wrong in ("r", ("r", "1"), ("r", True), 5):
        with pytest.raises(tl.TracklakeError, match="accepted are"):
            tl.init("p", dir=run.lake_dir, fork_from=wrong)
    with pytest.raises(RunExistsError):
        tl.init("p", id="r", dir=run.lake_dir, fork_from=("r", 1))
    assert tl.open(run.lake_dir).runs().height == 1


@pytest.mark.parametrize(
    ("code", "state"), [(None, "finished"), (0, "finished"), (3, "failed"), (130, "killed"), (143, "killed")]
)
def test_rule_30_how_a_run_ended(run, code, state):
    """By its exit code: 0, any other, or that of a signal."""
    run.finish(exit_code=code)
    assert tl.open(run.lake_dir).run("r").state == state


def test_rule_30_an_exception_marks_it_failed(tmp_path: Path):
    """Leaving the context by an exception is a failure, by Ctrl-C a kill."""
    for error, state in ((ValueError, "failed"), (KeyboardInterrupt, "killed")):
        with pytest.raises(error), tl.init("p", id=state, dir=tmp_path):
            raise error
        assert tl.open(tmp_path).run(state).state == state


def test_rule_30_without_a_word_it_is_crashed_and_can_go_on(tmp_path: Path):
    """A process that is killed leaves a free lock: the run is crashed, and goes on when it is resumed."""
    script = """
    run = tl.init("p", id="r", dir=sys.argv[1])
    run.log({"a": 1.0})
    os.kill(os.getpid(), signal.SIGKILL)
    """
    output(script, tmp_path, code=-9)
    lake = tl.open(tmp_path)
    assert lake.run("r").state == "crashed"
    with tl.init("p", id="r", dir=tmp_path, resume="allow") as run:
        run.log({"a": 2.0})
        assert (lake.run("r").state, list(rows(run))) == ("running", [0, 1])
    assert lake.run("r").state == "finished"


def test_rule_30_elsewhere_a_heartbeat_tells_life(run, monkeypatch: pytest.MonkeyPatch):
    """Of a journal of another host the last beat counts: five minutes without one is crashed, a new one running."""
    run.log({"a": 1})
    monkeypatch.setattr(host, "NODE", "another host")
    kept = tl.open(run.lake_dir)
    states = [{lake.run("r").state for lake in (kept, tl.open(run.lake_dir))}]
    os.utime(run._session.journal.path, (time.time() - 400,) * 2)
    states.append({lake.run("r").state for lake in (kept, tl.open(run.lake_dir))})
    run.keep_alive(beat=True)
    states.append({lake.run("r").state for lake in (kept, tl.open(run.lake_dir))})
    assert states == [{"running"}, {"crashed"}, {"running"}]


def test_rule_29_a_rewind_goes_to_a_step_of_the_run(tmp_path):
    """from_step is at least 0 and at most one more than the last step; anything else is refused."""
    with tl.init("p", id="r", dir=tmp_path) as run:
        run.log({"a": 1.0}), run.log({"a": 2.0})
    for step in (-1, 3):
        with pytest.raises(RunError, match="to a step from 0 to 2"):
            tl.init("p", id="r", dir=tmp_path, from_step=step)
    with tl.init("p", id="r", dir=tmp_path, from_step=2) as run:
        run.log({"a": 3.0})
    assert tl.open(tmp_path).history("a")["value"].to_list() == [1.0, 2.0, 3.0]


def test_rule_29_a_fork_has_the_definitions_in_force(tmp_path):
    """It begins with those of its parent, and may change them."""
    with tl.init("p", id="parent", dir=tmp_path) as run:
        run.define_metric("a", summary="min,max")
        run.log({"a": 1.0}), run.log({"a": 2.0})
    with tl.init("p", id="fork", fork_from=("parent", 1), dir=tmp_path) as run:
        run.log({"a": 5.0})
        run.define_metric("a", summary="mean")
        assert run.summary["a"] == {"min": 1.0, "max": 5.0, "mean": 3.0}
    assert tl.open(tmp_path).run("fork").summary["a"] == {"min": 1.0, "max": 5.0, "mean": 3.0}
    assert tl.open(tmp_path).run("parent").summary["a"] == {"min": 1.0, "max": 2.0}


def test_rule_29_a_resumed_run_goes_on_after_its_last_step_though_it_seems_alive(tmp_path):
    """A job that is requeued while its last session still shows life does not start at 0 again."""
    first = tl.init("p", id="r", dir=tmp_path)
    first.log({"a": 1.0}), first.log({"a": 2.0})
    second = tl.init("p", id="r", dir=tmp_path, resume="allow", reinit="create_new")
    second.log({"a": 3.0})
    second.finish(), first.finish()
    assert tl.open(tmp_path).history("a")["value"].to_list() == [1.0, 2.0, 3.0]
