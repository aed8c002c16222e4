"""Heavy work on an engine: the same answers as by this process, whatever becomes of its workers."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest
from worker_tasks import CompactsMeanwhile, Counted, Processes, Twice, dies_once, fails

import tracklake as tl
from tracklake.common.task_engine import TaskEngine, run_tasks
from tracklake.engines.choice import engine_of
from tracklake.errors import LakeError, SourceError
from tracklake.storage.table import rewriting
from tracklake.storage.table import run_tasks as cutting

SEALS = 3


def log_runs(place: Path, seal: int) -> None:
    for i in range(4):
        with tl.init(f"p{i % 2}", id=f"run{seal}-{i}", dir=place, config={"lr": 0.1 * i}) as run:
            run.define_metric("loss", summary="min", goal="min")
            for step in range(50):
                run.log({"loss": (step * 37 % 11) / (i + 1), "acc": step / 50, "note": "x" if step % 7 else 1.5})
            run.log({"loss": float("nan"), "acc": float("inf")})
            with pytest.warns(UserWarning, match="logged at step 3 before"):
                run.log({"acc": 0.25}, step=3)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of three seals with late rows, a resumed and a rewound run, a run that is not sealed, and a derivation."""
    place = tmp_path_factory.mktemp("engines") / "lake"
    for seal in range(SEALS):
        log_runs(place, seal)
        if seal:
            with tl.init("p0", id="run0-0", dir=place, resume="must") as run:
                run.log({"loss": 0.001 * seal})
            with tl.init("p1", id="run0-1", dir=place, resume="must", from_step=20 + seal) as run:
                run.log({"loss": 5.0, "acc": 0.5})
        if seal == 1:
            tl.open(place).derive("gap", "acc - loss")
        tl.open(place).refresh()
    with tl.init("p0", id="live", dir=place) as run:
        for step in range(20):
            run.log({"loss": 1 / (step + 1), "acc": 0.5})
    return place


def answers(lake: tl.Lake) -> dict[str, pl.DataFrame]:
    """Return what is computed on an engine, by name."""
    flags = ["run_id", "quality.loss.diverged_at", "quality.loss.noise", "quality.acc.duplicate_steps"]
    return {
        "quantiles": lake.summaries(["loss.p95", "loss.median", "acc.p5", "_step.p50", "gap.p90"]),
        "some runs": lake.summaries(["loss.p95"], runs=["run1-0", "run0-1"]),
        "project": lake.summaries(["loss.p25"], project="p1"),
        "states": lake.summaries(["loss.min", "loss.argmin", "loss.last", "acc.count", "acc.max"]),
        "thinned": lake.history(["loss", "acc"], downsample=10),
        "thinned wide": lake.history(None, downsample=8, shape="wide"),
        "thinned raw": lake.history("acc", downsample=12, raw=True, steps=(0, 30)),
        "thinned x": lake.history("loss", downsample=10, x="acc", where="project = 'p0'"),
        "quality": lake.runs(columns=flags),
    }


class EngineContract:
    """What every engine keeps; one is a subclass with a fixture `engine`."""

    def test_answers_are_the_same(self, engine: TaskEngine, place: Path, monkeypatch: pytest.MonkeyPatch):
        """Quantiles, recomputed states, downsampled histories and quality are bit for bit those of this process."""
        monkeypatch.setattr(cutting, "TASK_POINTS", 300)  # several tasks a partition
        here = answers(tl.open(place))
        assert here["quantiles"].height == 13
        for name, there in answers(tl.open(place).on(engine)).items():
            assert there.equals(here[name]), name

    def test_a_check_finds_the_same(self, engine: TaskEngine, place: Path, tmp_path: Path):
        """A full check on an engine looks at every series, and names what is damaged."""
        lake = tl.open(place).copy_to(tmp_path / "lake") and tl.open(tmp_path / "lake")
        report = lake.on(engine).check(full=True)
        assert (report.ok, report.checked) == (True, lake.check(full=True).checked)
        victim = min((tmp_path / "lake" / "states").iterdir())
        victim.write_bytes(victim.read_bytes()[:-9])
        findings = lake.on(engine).check(full=True).findings
        assert [finding.split()[0] for finding in findings] == [f"states/{victim.name}"]

    def test_compaction_changes_no_answer(
        self, engine: TaskEngine, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        """Partitions are written where the engine runs and committed here; each row is there once."""
        tl.open(place).copy_to(tmp_path / "lake")
        before = answers(tl.open(tmp_path / "lake"))
        monkeypatch.setattr(rewriting, "MAX_POINTS", 1300)  # several partitions to write
        compacted = tl.open(tmp_path / "lake").on(engine).compact()
        assert compacted.written > 1
        assert tl.open(tmp_path / "lake").check(full=True).findings == []
        for name, after in answers(tl.open(tmp_path / "lake")).items():
            if name not in ("thinned raw", "quality"):  # they tell what was overwritten, and that is left out
                assert after.equals(before[name]), name

    def test_imports_are_the_same(self, engine: TaskEngine, tmp_path: Path):
        """Files are read where the engine runs and committed here, in their order; what cannot be read is told."""
        for i in range(6):
            (tmp_path / f"seed{i}.csv").write_text("step,loss\n" + "".join(f"{s},{s / (i + 1)}\n" for s in range(30)))
        (tmp_path / "bad.csv").write_text("step,loss\n0,1\n0")
        reports = []
        for name in ("here", "there"):
            lake = tl.open(tmp_path / name, create=True)
            lake = lake if name == "here" else lake.on(engine)
            reports.append(lake.import_from(str(tmp_path / "*.csv"), format="table", step="step"))
        assert (reports[1].runs, reports[1].points) == (reports[0].runs, reports[0].points)
        assert [one.path for one in reports[1].sources] == [one.path for one in reports[0].sources]
        here, there = (tl.open(tmp_path / name).history("loss").drop("time") for name in ("here", "there"))
        assert there.equals(here)

    def test_states_are_rebuilt(self, engine: TaskEngine, place: Path, tmp_path: Path):
        """Damaged states are computed anew from points where the engine runs, and committed here."""
        tl.open(place).copy_to(tmp_path / "lake")
        before = answers(tl.open(tmp_path / "lake"))
        for file in (tmp_path / "lake" / "states").iterdir():
            file.write_bytes(file.read_bytes()[:-9])
        repaired = tl.open(tmp_path / "lake").on(engine).repair()
        assert (len(repaired.done), repaired.lost) == (SEALS, [])
        assert tl.open(tmp_path / "lake").check(full=True).findings == []
        for name, after in answers(tl.open(tmp_path / "lake")).items():
            assert after.equals(before[name]), name

    def test_errors_come_as_they_are(self, engine: TaskEngine):
        """An error of a task is raised by the process that mapped it, of its own kind."""
        with pytest.raises(SourceError, match="line 7"):
            list(run_tasks(engine, fails, [1, 2]))

    def test_results_come_in_order(self, engine: TaskEngine):
        """Results stand in the order of the items."""
        assert list(run_tasks(engine, abs, [-5, 3, -1, 0, -9])) == [5, 3, 1, 0, 9]


class WorkerContract(EngineContract):
    """What engines keep beyond, whose workers may die."""

    def test_a_worker_that_dies_changes_nothing(self, engine: TaskEngine, tmp_path: Path):
        """A task whose worker was killed is done by another, and all results are there in order."""
        for name in "abcd":
            (tmp_path / name).mkdir()
        (tmp_path / "b" / "died").touch()
        folders = [str(tmp_path / name) for name in "abc"]
        assert list(run_tasks(engine, dies_once, folders)) == ["a", "b", "c"]
        assert sorted(path.parent.name for path in tmp_path.glob("*/died")) == ["a", "b", "c"]


class TestThreads(EngineContract):
    """Threads of this process."""

    @pytest.fixture
    def engine(self) -> str:
        return engine_of("threads", workers=3)


class TestProcesses(EngineContract):
    """An engine of the user's own: fresh processes."""

    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls) -> Iterator[TaskEngine]:
        with Processes() as engine:
            yield engine


class TestTwice(EngineContract):
    """An engine that runs every task twice."""

    @pytest.fixture
    def engine(self) -> TaskEngine:
        return Twice()


@pytest.fixture(scope="module")
def path_of_workers() -> Iterator[None]:
    """Workers import what the tests do."""
    folders = [str(Path(__file__).parents[1]), str(Path(tl.__file__).parents[1])]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv("PYTHONPATH", os.pathsep.join([*folders, os.environ.get("PYTHONPATH", "")]))
        yield


@pytest.mark.usefixtures("path_of_workers")
class TestRay(WorkerContract):
    """Ray on this machine."""

    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls) -> Iterator[TaskEngine]:
        ray = pytest.importorskip("ray")
        yield engine_of("ray")
        ray.shutdown()


@pytest.mark.usefixtures("path_of_workers")
class TestDask(WorkerContract):
    """Dask with two processes of this machine."""

    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls) -> Iterator[TaskEngine]:
        distributed = pytest.importorskip("distributed")
        with distributed.Client(n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
            yield engine_of("dask", address=client)


@pytest.mark.usefixtures("path_of_workers")
class TestSpark(WorkerContract):
    """Spark on this machine, which tries a task four times."""

    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls) -> Iterator[TaskEngine]:
        sql = pytest.importorskip("pyspark.sql")
        if shutil.which("java") is None:
            pytest.skip("Spark needs Java")
        session = sql.SparkSession.builder.master("local[2,4]").config("spark.ui.enabled", "false").getOrCreate()
        yield engine_of("spark", session=session)
        session.stop()


HEAVY: dict[str, Callable[[tl.Lake], object]] = {
    "quantiles": lambda lake: lake.summaries(["loss.p95"]),
    "states that cannot be merged": lambda lake: lake.summaries(["loss.min"]),
    "downsampled histories": lambda lake: lake.history("loss", downsample=10),
    "quality": lambda lake: lake.runs(columns=["quality.loss.noise"]),
    "imports": lambda lake: lake.import_from("*.csv", format="table", step="step"),
    "compaction": lambda lake: lake.compact(),
    "rebuilding states": lambda lake: lake.repair(),
    "check": lambda lake: lake.check(full=True),
}


@pytest.mark.parametrize("work", HEAVY)
def test_heavy_work_runs_on_the_engine(work: str, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Each kind of heavy work is tasks of the engine, several where there are several partitions or files."""
    tl.open(place).copy_to(tmp_path / "lake")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(rewriting, "MAX_POINTS", 1300)
    for i in range(SEALS):
        Path(f"seed{i}.csv").write_text("step,loss\n0,1.0\n1,0.5\n")
    engine = Counted()
    HEAVY[work](tl.open("lake").on(engine))
    assert len(engine.ran) >= (1 if work == "states that cannot be merged" else 2), engine.ran


def test_partitions_that_are_compacted_away_meanwhile_are_read(place: Path, tmp_path: Path):
    """Tasks read the files they were made for, which stay until vacuum."""
    tl.open(place).copy_to(tmp_path / "lake")
    engine = CompactsMeanwhile(str(tmp_path / "lake"))
    here = tl.open(place).summaries(["loss.p95"], where="run_id != 'live'")
    assert tl.open(tmp_path / "lake").on(engine).summaries(["loss.p95"]).equals(here)
    assert engine.merged == SEALS


def test_what_is_no_engine_is_refused(place: Path):
    """Other words, objects without `map` and options that there are not say what is accepted."""
    lake = tl.open(place)
    with pytest.raises(LakeError, match="'threads', 'ray', 'dask', 'spark'"):
        lake.on("slurm")
    with pytest.raises(LakeError, match="method map"):
        lake.on(7)
    with pytest.raises(LakeError, match="nodes"):
        lake.on("threads", nodes=3)


@pytest.mark.parametrize(("word", "library"), [("ray", "ray"), ("dask", "distributed"), ("spark", "pyspark.sql")])
def test_an_engine_that_is_not_installed_names_its_extra(place: Path, word: str, library: str, monkeypatch):
    """Without its library an engine says what to install."""
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(LakeError, match=rf"pip install 'tracklake\[{word}\]'"):
        tl.open(place).on(word)
