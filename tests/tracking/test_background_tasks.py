"""What is done beside the training: notes of the surroundings, and samples of the system."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from processes import output

import tracklake as tl
from tracklake.errors import QueryError, UnknownNameError
from tracklake.storage import layout
from tracklake.tracking import run_metadata, system_metrics

GIT = ["git", "-c", "user.name=me", "-c", "user.email=me@example.com"]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit and a remote whose address holds a password."""
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "train.py").write_text(
        "import sys, tracklake as tl\nwith tl.init('p', id='r', dir=sys.argv[1]) as run:\n    run.log({'a': 1})\n"
    )
    commands = [
        ["init", "-q", "-b", "trunk"],
        ["add", "."],
        ["commit", "-qm", "first"],
        ["remote", "add", "origin", "https://me:secret@example.com/code.git"],
    ]
    for command in commands:
        subprocess.run([*GIT, *command], cwd=folder, check=True)
    return folder


def train(repository: Path, lake: Path, *arguments: str) -> dict:
    subprocess.run([sys.executable, repository / "train.py", lake, *arguments], check=True, cwd=lake.parent)
    return tl.open(lake).run("r").metadata


def test_a_run_notes_its_surroundings(repository: Path, tmp_path: Path):
    """Host, python, process, command line and versions, also of a run that was over at once."""
    noted = train(repository, tmp_path / "lake", "--lr", "0.1", "--api-key", "hunter2", "--hf_token=hunter2")
    assert noted.keys() == {"host", "os", "python", "pid", "argv", "cpu_count", "tracklake", "program", "git"}
    assert noted["argv"][1:] == [str(tmp_path / "lake"), "--lr", "0.1", "--api-key", "***", "--hf_token=***"]
    assert (noted["tracklake"], noted["program"]) == (tl.__version__, str(repository / "train.py"))
    assert "hunter2" not in b"".join(p.read_bytes() for p in (tmp_path / "lake").rglob("*.tlj")).decode(
        errors="replace"
    )


def test_a_run_notes_its_commit(repository: Path, tmp_path: Path):
    """Commit, branch, remote without its password, and whether files were changed since."""
    head = subprocess.run([*GIT, "rev-parse", "HEAD"], cwd=repository, check=True, capture_output=True, text=True)
    about = {"commit": head.stdout.strip(), "branch": "trunk", "remote": "https://example.com/code.git"}
    assert train(repository, tmp_path / "clean")["git"] == {**about, "dirty": False}
    with (repository / "train.py").open("a") as file:
        file.write("# changed\n")
    assert train(repository, tmp_path / "dirty")["git"] == {**about, "dirty": True}


def test_notes_can_be_left_out(tmp_path: Path):
    """settings={"metadata": False} notes nothing; the environment is never noted."""
    with tl.init("p", id="quiet", dir=tmp_path, settings={"metadata": False}):
        pass
    with tl.init("p", id="r", dir=tmp_path, settings={"console": "off"}):
        pass
    lake = tl.open(tmp_path)
    assert (lake.run("quiet").metadata, "environ" in str(lake.run("r").metadata)) == ({}, False)


def test_outside_a_repository_there_is_no_git(tmp_path: Path):
    """Nothing is noted of git then, and nothing goes wrong."""
    script = "import sys; sys.modules['__main__'].__dict__.pop('__file__', None);"
    script += " from tracklake.tracking import run_metadata as metadata;"
    done = subprocess.run(
        [sys.executable, "-c", f"{script} print(sorted(metadata.collect()))"],
        cwd=tmp_path, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert "git" not in done.stdout
    assert "'host'" in done.stdout


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        (["--tokenizer", "bpe", "--max-tokens", "5"], ["--tokenizer", "bpe", "--max-tokens", "5"]),
        (["--password=x", "key=x", "API_KEY=x"], ["--password=***", "key=***", "API_KEY=***"]),
        (["--token", "--lr", "0.1"], ["--token", "--lr", "0.1"]),
        (["--from", "https://me:pw@host/x"], ["--from", "https://host/x"]),
    ],
)
def test_secrets_are_hidden(argv, shown):
    """Values of what is called a key, a token or a password, and passwords in addresses."""
    assert run_metadata.without_secrets(argv) == shown


def test_system_metrics_are_a_stream_of_their_own(tmp_path: Path):
    """Sampled at the start and the end at least, with the step the run stood at; never in history or summary."""
    with tl.init("p", id="r", dir=tmp_path, system_metrics=True) as run:
        run.log({"a": 1})
        assert "proc.memory.rssMB" not in run.summary
    lake = tl.open(tmp_path)
    samples = lake.history(["proc.memory.rssMB"], stream="system")
    assert samples.columns == ["run_id", "metric", "step", "time", "value"]
    assert samples["step"].to_list() == [0, 1]
    assert samples["value"].min() > 10
    assert (lake.metrics, lake.history().columns) == (["a"], ["run_id", "metric", "step", "time", "value"])
    assert tl.Api(tmp_path).run("r").system_metrics["system.proc.threads"] >= 1


def test_the_system_stream_by_runs_steps_and_shape(tmp_path: Path):
    """Runs and steps are chosen as in any history; wide has a row a sample; a wrong name is told the nearest."""
    for run_id in ("x", "y"):
        with tl.init("p", id=run_id, dir=tmp_path, system_metrics=True) as run:
            run.log({"a": 1})
    lake = tl.open(tmp_path)
    wide = lake.history(runs="x", stream="system", shape="wide")
    assert (wide.height, wide.columns[:3], "proc.threads" in wide.columns) == (2, ["run_id", "step", "time"], True)
    assert lake.history("proc.threads", steps=(1, None), stream="system").select("run_id", "step").rows() == [
        ("x", 1),
        ("y", 1),
    ]
    with pytest.raises(UnknownNameError, match=r"did you mean 'proc\.threads'"):
        lake.history("proc.thread", stream="system")


@pytest.mark.parametrize("asked", [{"stream": "sytem"}, {"stream": "system", "shape": "broad"}])
def test_an_unknown_stream_or_shape_is_refused(tmp_path: Path, asked: dict[str, str]):
    """A mistyped stream does not answer with the metrics, nor a mistyped shape with a wide frame."""
    with pytest.raises(QueryError, match="accepted are"):
        tl.open(tmp_path, create=True).history(**asked)


@pytest.mark.parametrize("asked", [{"x": "epoch"}, {"downsample": 100}, {"raw": True}])
def test_samples_are_shown_as_they_are(tmp_path: Path, asked: dict[str, object]):
    """What says how metrics are shown is refused for the samples of the system, rather than passed over."""
    with pytest.raises(QueryError, match="leave out x, downsample and raw"):
        tl.open(tmp_path, create=True).history(stream="system", **asked)


def test_the_system_stream_of_the_api_by_keys(tmp_path: Path):
    """The W&B-shaped call gives the system metrics asked for, by the names it shows, and knows no others."""
    with tl.init("p", id="r", dir=tmp_path, system_metrics=True):
        pass
    run = tl.Api(tmp_path).run("r")
    rows = run.history(keys=["system.proc.threads"], stream="system", pandas=False)
    assert {tuple(row) for row in rows} == {("_timestamp", "system.proc.threads")}
    assert len(run.history(x_axis="system.proc.threads", stream="system")) == len(rows) >= 1
    for asked in ({"keys": ["proc.threads"]}, {"x_axis": "proc.threads"}):
        with pytest.raises(UnknownNameError, match=r"metric 'proc.threads'; did you mean 'system.proc.threads'"):
            run.history(stream="system", **asked)


def test_without_system_metrics_there_is_no_stream(tmp_path: Path):
    """Off is the default, and leaves no folder."""
    with tl.init("p", dir=tmp_path) as run:
        run.log({"a": 1})
    assert not (tmp_path / layout.SYSTEM_FOLDER).exists()
    assert tl.open(tmp_path).history(stream="system").is_empty()


def test_samples_come_while_the_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Each sign of life takes a sample if one is due; a reader sees it at once."""
    run = tl.init("p", id="r", dir=tmp_path, system_metrics=True)
    (log,) = [task for task in run._session.tasks if isinstance(task, system_metrics.SystemLog)]
    monkeypatch.setattr(log, "_every", 0.0)
    monkeypatch.setattr(log, "_due", 0.0)
    for _ in range(3):
        run.keep_alive(beat=False)
    found = tl.open(tmp_path).history(["proc.cpu"], stream="system")
    assert found.height == 3
    assert found.filter(pl.col("value") < 0).is_empty()
    run.finish()


def test_a_killed_run_keeps_its_samples(tmp_path: Path):
    """The stream survives what the history survives; a fork's child leaves it alone."""
    script = """
    run = tl.init("p", id="r", dir=sys.argv[1], system_metrics=True)
    if os.fork() == 0:
        run.log({"child": 1.0})
        os._exit(0)
    os.wait()
    os.kill(os.getpid(), signal.SIGKILL)
    """
    output(script, tmp_path, code=-9)
    lake = tl.open(tmp_path)
    assert lake.history("proc.threads", stream="system").height == 1
    assert lake.run("r").history()["child"].to_list() == [1.0]
