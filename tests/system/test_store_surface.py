"""Every public call of a Lake and every command, at a URL and at a folder that hold the same: the same answers."""

from __future__ import annotations

import datetime as dt
import inspect
import io
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import click
import numpy as np
import polars as pl
import pytest
from gcs_server import GCSServer

import tracklake as tl
from tracklake.cli import main

pytest.importorskip("obstore")
pytest.importorskip("moto.server", reason="moto[server] is not installed: stores are tried where their emulators are")

TRACKLAKE = [sys.executable, "-c", "from tracklake.cli import main; main()"]
SWEEP = """
method: grid
metric: {name: loss, goal: minimize}
parameters: {lr: {values: [0.1, 0.2]}}
"""


@pytest.fixture(scope="module")
def server() -> Iterator[GCSServer]:
    with GCSServer() as running:
        yield running


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of four runs, two of them sealed, with a sweep, values of many kinds and a deleted run."""
    place = tmp_path_factory.mktemp("surface") / "lake"
    for i in range(4):
        config = {"lr": 0.1 * (i % 2), "seed": i // 2}
        with tl.init("p", id=f"r{i}", dir=place, config=config, settings={"metadata": False}) as run:
            for step in range(20):
                run.log({"loss": 1 / (step + 1 + i), "acc": step / 20})
            run.summary["weights"] = np.arange(64.0)
    lake = tl.open(place)
    lake.refresh()
    lake.define_metric("loss", summary="min", goal="min")
    with tl.init("p", id="gone", dir=place, settings={"metadata": False}) as run:
        run.log({"loss": 9.0})
    lake.delete("gone")
    lake.refresh()
    return place


@pytest.fixture
def places(origin: Path, server: GCSServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The same lake in a folder and on a store."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TRACKLAKE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TRACKLAKE_SPOOL", str(tmp_path / "spool"))
    monkeypatch.setenv("COLUMNS", "200")
    for side in ("here", "there"):
        (tmp_path / side).mkdir()
        tl.open(origin).copy_to(tmp_path / side / "other")
    there = server.place(tmp_path.name)
    for place in (tmp_path / "here" / "lake", there):
        tl.open(origin).copy_to(place)
    return {"here": str(tmp_path / "here" / "lake"), "there": there}


def imported(lake: tl.Lake) -> object:
    Path("curves.csv").write_text("step,loss\n0,1.0\n1,0.5\n")
    lake.import_from("curves.csv", format="table", step="step", project="q")
    return lake.history("loss", project="q").drop("run_id", "time")


def table(lake: tl.Lake) -> object:
    rows = pl.DataFrame({"run": ["x", "x"], "step": [0, 1], "loss": [1.0, 0.5]})
    lake.import_table(rows, run_columns="run", step="step", metrics={"loss": "loss"}, project="q")
    return lake.history("loss", project="q")["value"]


def reported(lake: tl.Lake) -> object:
    Path("report.md").write_text("# A\n\n```tracklake\nSELECT count(*) AS n FROM runs\n```\n")
    return bool(lake.report("report.md"))


def page(lake: tl.Lake) -> object:
    with lake.ui() as served:
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        browser.open(served.url, timeout=60).close()
        with browser.open(f"http://127.0.0.1:{served.port}/api/runs", timeout=60) as answer:
            return b'"r3"' in answer.read()


def then(change: Callable[[tl.Lake], object], look: Callable[[tl.Lake], object]) -> Callable[[tl.Lake], object]:
    """Return a call that changes a lake and looks at it."""

    def both(lake: tl.Lake) -> object:
        change(lake)
        return look(lake)

    return both


def runs(lake: tl.Lake) -> object:
    return lake.runs(columns=["run_id", "name", "project", "summary.loss", "config.lr"], order_by="run_id")


def recorded(run: Any) -> object:
    return run.history("loss")["loss"].to_list(), run.summary.array("weights").sum(), run.state, dict(run.config)


METHODS: dict[str, Callable[[tl.Lake], Any]] = {
    "alias": then(lambda lake: lake.alias("quality", "loss"), lambda lake: lake.summaries(["quality.min"])),
    "area_under": lambda lake: lake.area_under("loss"),
    "at": lambda lake: lake.at(1).runs(columns=["run_id"], order_by="run_id"),
    "at_best": lambda lake: lake.at_best("loss", goal="min", take=["acc"]),
    "at_budget": lambda lake: lake.at_budget({"step": 10}, metric="loss", goal="min"),
    "check": lambda lake: lake.check(full=True).findings,
    "compact": then(lambda lake: lake.compact(), runs),
    "compare": lambda lake: str(lake.compare("loss.min", by="lr", over="seed", goal="min")),
    "connect": lambda lake: lake.connect().sql("SELECT count(*) FROM history").fetchall(),
    "copy_to": then(lambda lake: lake.copy_to("copy"), lambda _: runs(tl.open("copy"))),
    "define_metric": then(lambda lake: lake.define_metric("acc", summary="max", project="p"),
                          lambda lake: lake.runs(columns=["summary.acc.max"])),
    "delete": then(lambda lake: lake.delete("r1"), runs),
    "derive": then(lambda lake: lake.derive("gap", "acc - loss"), lambda lake: lake.summaries(["gap.max"])),
    "describe": lambda lake: (lake.describe().runs, lake.describe().points, lake.describe().partitions),
    "diff": lambda lake: lake.diff("other"),
    "dir": lambda lake: bool(lake.dir),
    "export": lambda lake: sorted(path.name for path in lake.export("exported", format="csv")),
    "history": lambda lake: lake.history(["loss", "acc"], shape="wide"),
    "import_from": imported,
    "import_table": table,
    "learning_curves": lambda lake: lake.learning_curves("loss", by="lr"),
    "merge": lambda lake: lake.merge("other").runs,
    "metrics": lambda lake: list(lake.metrics),
    "move": then(lambda lake: lake.move("r1", "q"), runs),
    "on": lambda lake: lake.on("threads").summaries(["loss.p95"]),
    "plot": lambda lake: type(lake.plot.curves("loss")).__name__,
    "quality": lambda lake: lake.quality("loss"),
    "queries": lambda lake: lake.queries(),
    "query": lambda lake: lake.query("leaderboard", metric="loss", goal="min"),
    "refresh": lambda lake: lake.refresh(),
    "rename": then(lambda lake: lake.rename("r1", "new"), runs),
    "rename_project": then(lambda lake: lake.rename_project("p", "q"), runs),
    "repair": lambda lake: str(lake.repair()),
    "report": reported,
    "restore": then(lambda lake: lake.restore("gone"), runs),
    "run": lambda lake: recorded(lake.run("r1")),
    "runs": runs,
    "scan_history": lambda lake: lake.scan_history("loss").collect(),
    "sql": lambda lake: lake.sql("SELECT run_id, max(value) FROM history GROUP BY run_id ORDER BY run_id"),
    "summaries": lambda lake: lake.summaries(["loss.min", "acc.p50", "loss.std"]),
    "sweep": lambda lake: str(lake.sweep(metric="loss.min", goal="min", params=["lr", "seed"])),
    "sweeps": lambda lake: list(lake.sweeps),
    "time_to": lambda lake: str(lake.time_to("loss", 0.2, goal="min")),
    "ui": page,
    "vacuum": lambda lake: lake.vacuum(older_than=dt.timedelta(0)),
    "versions": lambda lake: lake.versions().height,
}  # fmt: skip


def same(answer: object, other: object) -> bool:
    return answer.equals(other) if isinstance(answer, pl.DataFrame | pl.Series) else answer == other


def test_every_method_is_called():
    """No public name of a Lake is left out."""
    assert sorted(METHODS) == sorted(name for name, _ in inspect.getmembers(tl.Lake) if not name.startswith("_"))


@pytest.mark.parametrize("name", METHODS)
def test_methods_answer_alike(name: str, places: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What a Lake answers, and what it is after a change, is the same at a URL."""
    answers = []
    for side, place in places.items():
        monkeypatch.chdir(tmp_path / side)
        answers.append(METHODS[name](tl.open(place)))
    assert same(*answers), answers


COMMANDS: dict[str, list[str]] = {
    "alias": ["quality", "loss"],
    "at-budget": ["loss", "step=10", "--goal", "min"],
    "check": ["--full"],
    "compact": [],
    "compare": ["loss.min", "--by", "lr", "--goal", "min"],
    "define": ["acc", "--summary", "max"],
    "delete": ["r1", "--yes"],
    "derive": ["gap", "acc - loss"],
    "describe": [],
    "export": ["exported", "--format", "csv"],
    "history": ["loss", "--csv"],
    "import paths": ["curves.csv", "--step", "step"],
    "import table": ["curves.csv", "--step", "step", "--run-columns", "seed", "--metric", "loss=loss"],
    "move": ["r1", "--to", "q"],
    "query": ["leaderboard", "metric=loss", "goal=min", "--csv"],
    "refresh": [],
    "rename": ["r1", "new"],
    "repair": ["--dry-run"],
    "report": ["report.md"],
    "restore": ["gone"],
    "runs": ["--csv"],
    "show": ["r1"],
    "sql": ["SELECT count(*) FROM history", "--csv"],
    "sweep analyze": ["loss.min", "--goal", "min", "--params", "lr,seed"],
    "sweep create": ["sweep.yaml"],
    "sweep list": [],
    "tag": ["r1", "good"],
    "time-to": ["loss", "0.2", "--goal", "min"],
    "vacuum": ["--dry-run"],
    "versions": [],
}
ELSEWHERE = {
    "agent": "test_an_agent_runs_a_sweep_there",
    "sweep cancel": "test_an_agent_runs_a_sweep_there",
    "sweep pause": "test_an_agent_runs_a_sweep_there",
    "sweep resume": "test_an_agent_runs_a_sweep_there",
    "demo": "test_commands_that_log_there",
    "wrap": "test_commands_that_log_there",
    "mcp": "test_commands_that_serve_there",
    "ui": "test_commands_that_serve_there",
    "watch": "test_commands_that_serve_there",
    "copy": "tests/system/test_object_store.py",
    "upload": "tests/system/test_store_faults.py",
    "completion": "it reads no lake",
    "import formats": "it reads no lake",
}


def commands(group: click.Group, before: str = "") -> Iterator[str]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{before}{name} ")
        else:
            yield before + name


def test_every_command_is_given():
    """No command is left out."""
    assert sorted([*COMMANDS, *ELSEWHERE]) == sorted(commands(main))


def shell(*arguments: str) -> str:
    printed = io.StringIO()
    with redirect_stdout(printed):
        main(list(arguments), standalone_mode=False)
    return printed.getvalue()


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_print_alike(name: str, places: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What a command prints, and what the runs are afterwards, is the same at a URL but for the place itself."""
    answers = []
    for side, place in places.items():
        monkeypatch.chdir(tmp_path / side)
        Path("curves.csv").write_text("step,seed,loss\n0,1,1.0\n1,1,0.5\n")
        Path("sweep.yaml").write_text(SWEEP)
        Path("report.md").write_text("# A\n\n```tracklake\nSELECT count(*) AS n FROM runs\n```\n")
        printed = shell(*name.removesuffix(" paths").split(), *COMMANDS[name], "--dir", place)
        after = tl.open(place).runs(columns=["project", "name", "summary.loss.min"])
        answers.append((without_place(printed, place, name), after.sort(after.columns).rows()))
    assert answers[0] == answers[1]


def without_place(printed: str, place: str, name: str) -> str:
    if name in ("sweep create", "versions", "describe", "report"):  # random ids, times and sizes
        return ""
    return printed.replace(place, "LAKE")


def test_an_agent_runs_a_sweep_there(places: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A sweep is created, paused, resumed, run by an agent and cancelled on a store."""
    monkeypatch.chdir(tmp_path)
    place = places["there"]

    def train() -> None:
        with tl.init(dir=place) as run:
            run.log({"loss": run.config["lr"]})

    sweep_id = tl.sweep({"method": "grid", "metric": {"name": "loss", "goal": "minimize"},
                         "parameters": {"lr": {"values": [0.5, 0.25]}}}, dir=place, project="swept")  # fmt: skip
    for act in ("pause", "resume"):
        shell("sweep", act, sweep_id, "--dir", place)
    tl.agent(sweep_id, train, dir=place)
    assert sorted(tl.open(place).runs(project="swept", columns=["summary.loss.min"])["summary.loss.min"]) == [0.25, 0.5]
    shell("sweep", "cancel", sweep_id, "--dir", place)


def test_commands_that_log_there(places: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The demo, and a script that is wrapped, log into a store."""
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text("import wandb\nwith wandb.init(project='w') as run:\n    run.log({'loss': 0.5})\n")
    url = places["there"]
    subprocess.run([*TRACKLAKE, "wrap", "--dir", url, sys.executable, "train.py"], check=True, timeout=120)
    assert tl.open(url).history("loss", project="w")["value"].to_list() == [0.5]


@pytest.mark.parametrize("command", [["mcp"], ["ui", "--no-browser"], ["watch", "loss"]])
def test_commands_that_serve_there(places: dict[str, str], command: list[str]):
    """Servers begin at a URL, and end when they are told to."""
    process = subprocess.Popen([*TRACKLAKE, *command, "--dir", places["there"]],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    if command == ["mcp"]:
        process.stdin.write(b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}\n')
        process.stdin.flush()
    assert process.stdout.readline()
    assert process.poll() is None
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
