"""project= wherever runs are chosen: other projects are as if they were not there; a mix says so."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

import tracklake as tl
from tracklake import cli
from tracklake.errors import QueryError, UnknownNameError


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> tl.Lake:
    """Two projects in one lake: in real, a beats b by seeds; toy has the same settings the other way round."""
    folder = tmp_path_factory.mktemp("projects") / "lake"
    for project, sign in (("real", 1), ("toy", -1)):
        for seed in range(3):
            for algo, score in (("a", 0.9), ("b", 0.5)):
                config = {"algo": algo, "seed": seed}
                with tl.init(project, id=f"{project}-{algo}-{seed}", config=config, dir=folder) as run:
                    run.log({"acc": sign * (score + seed / 100), f"only_{project}": 1})
    tl.open(folder).refresh()
    with tl.init("toy", id="live", config={"algo": "a", "seed": 9}, dir=folder) as run:
        run.log({"acc": -5.0})
    return tl.open(folder)


ASK = {
    "runs": lambda lake, **how: lake.runs(columns=["run_id"], **how).height,
    "summaries": lambda lake, **how: lake.summaries("acc.max", **how).height,
    "history": lambda lake, **how: lake.history("acc", **how).height,
    "scan_history": lambda lake, **how: lake.scan_history("acc", **how).collect().height,
    "at_best": lambda lake, **how: lake.at_best("acc", goal="max", **how).height,
    "at_budget": lambda lake, **how: lake.at_budget({"step": 1}, metric="acc", goal="max", **how).height,
    "compare": lambda lake, **how: lake.compare("acc", by="algo", goal="max", **how).table["n"].sum(),
    "sweep": lambda lake, **how: len(lake.sweep(metric="acc", goal="max", **how)),
    "time_to": lambda lake, **how: lake.time_to("acc", 0.1, goal="max", **how).table["n"].sum(),
    "area_under": lambda lake, **how: lake.area_under("acc", **how).height,
    "learning_curves": lambda lake, **how: lake.learning_curves("acc", **how)["n"].max(),
    "quality": lambda lake, **how: lake.quality("acc", **how).height,
    "scatter": lambda lake, **how: lake.plot.scatter("seed", "acc", **how).data.height,
}


@pytest.mark.parametrize("call", ASK)
def test_every_call_takes_a_project(lake: tl.Lake, call: str):
    """With project= an answer has the runs of that project alone; a lake opened for it gives the same without."""
    assert ASK[call](lake, project="real") == 6
    assert ASK[call](tl.open(lake.dir, project="real")) == 6
    with pytest.raises(UnknownNameError, match="unknown project 'rea'; did you mean 'real'"):
        ASK[call](lake, project="rea")


def test_a_lake_opened_for_a_project_holds_nothing_else(lake: tl.Lake):
    """Metrics, SQL, named queries, descriptions and runs by id are of the project; another one is refused."""
    real = tl.open(lake.dir, project="real")
    assert real.metrics == ["acc", "only_real"]
    assert real.sql("SELECT count(*), count(DISTINCT project) FROM runs").row(0) == (6, 1)
    assert real.sql("SELECT count(*) FROM history WHERE metric = 'acc'").item() == 6
    assert real.sql("SELECT count(*) FROM points WHERE metric = 'acc'").item() == 6
    assert real.sql("SELECT count(DISTINCT run_id) FROM summaries").item() == 6
    assert real.query("leaderboard", metric="acc", goal="max").height == 6
    assert real.describe().runs == 6
    with pytest.raises(tl.TracklakeError):
        real.run("toy-a-0")
    with pytest.raises(QueryError, match="this lake was opened for project='real' alone"):
        real.runs(project="toy")
    with pytest.raises(UnknownNameError):
        real.history("only_toy")


def test_an_answer_over_several_projects_says_so(lake: tl.Lake):
    """Pooled projects are named under the table; of one project nothing is said."""
    says = "runs of 2 projects together: 'real', 'toy'; project= takes one of them"
    assert says in str(lake.compare("acc", by="algo", goal="max", test="t")).replace("\n  ", " ")
    assert says in str(lake.sweep(metric="acc", goal="max")).replace("\n  ", " ")
    assert says in str(lake.time_to("acc", 0.1, goal="max", by="algo")).replace("\n  ", " ")
    assert "projects together" not in str(lake.compare("acc", by="algo", goal="max", project="real"))


def test_a_project_changes_the_conclusion_back(lake: tl.Lake):
    """The toy project no longer turns the answer of the real one."""
    table = lake.compare("acc", by="algo", goal="max", project="real").table
    assert table["config.algo"].to_list() == ["a", "b"]
    assert table["mean"].to_list() == pytest.approx([0.91, 0.51])


@pytest.mark.parametrize(
    "command",
    [
        "runs", "history acc", "compare acc --by algo --goal max", "sweep acc --goal max", "describe",
        "at-budget acc step=1 --goal max", "time-to acc 0.1 --goal max", "query leaderboard metric=acc goal=max",
    ],
)  # fmt: skip
def test_every_command_takes_a_project(lake: tl.Lake, command: str):
    """--project is an option of every command that chooses runs."""
    result = CliRunner().invoke(cli.main, [*command.split(), "--project", "real", "--dir", lake.dir])
    assert result.exit_code == 0, result.output
    assert "toy" not in result.stdout
    wrong = CliRunner().invoke(cli.main, [*command.split(), "--project", "rea", "--dir", lake.dir])
    assert (wrong.exit_code, "did you mean 'real'" in wrong.stderr) == (2, True)


def test_sql_of_the_shell_takes_a_project(lake: tl.Lake):
    """`tracklake sql --project` sees one project."""
    result = CliRunner().invoke(
        cli.main, ["sql", "SELECT count(*) AS n FROM runs", "--project", "real", "--json", "--dir", lake.dir]
    )
    assert result.stdout == '{"n":6}\n'


def test_exports_take_a_project(lake: tl.Lake, tmp_path: Path):
    """The files have the runs of the project alone."""
    lake.export(tmp_path / "out", format="csv", project="real")
    assert "toy" not in (tmp_path / "out/history.csv").read_text()


FRAMES = ("summaries", "history", "at_best", "at_budget", "area_under", "learning_curves", "quality")


@pytest.mark.parametrize("call", FRAMES)
def test_a_frame_over_several_projects_warns(lake: tl.Lake, call: str):
    """A frame has no notes: a warning says that projects are pooled, unless somebody chose the runs or the project."""
    with pytest.warns(UserWarning, match=r"runs of 2 projects together: 'real', 'toy'; project= takes one of them"):
        ASK[call](lake)
    with warnings.catch_warnings(action="error"):
        ASK[call](lake, project="real")
        ASK[call](lake, where="project = 'real' OR project = 'toy'")
        ASK[call](lake, runs=lake.runs(columns=["run_id"]))


@pytest.mark.parametrize(
    "draw",
    [
        lambda lake: lake.plot.curves("acc", by="algo"),
        lambda lake: lake.plot.scatter("seed", "acc"),
        lambda lake: lake.plot.heatmap("seed", "algo", "acc", goal="max"),
        lambda lake: lake.plot.ecdf("acc", by="algo", goal="max"),
        lambda lake: lake.plot.parallel(["seed", "algo"], "acc", goal="max"),
        lambda lake: lake.plot.leaderboard(lake.compare("acc", by="algo", goal="max")),
        lambda lake: lake.plot.importance(lake.sweep(metric="acc", goal="max")),
        lambda lake: lake.plot.marginal(lake.sweep(metric="acc", goal="max"), "algo"),
        lambda lake: lake.plot.parallel(lake.sweep(metric="acc", goal="max")),
        lambda lake: lake.plot.pareto(lake.sweep(metric="acc", goal="max"), {"acc": "max", "_step": "max"}),
    ],
)
def test_a_picture_of_several_projects_says_so(lake: tl.Lake, draw: Callable[[tl.Lake], tl.plots.Plot]):
    """The note stands under the title; a lake that was opened for one project has none."""
    note = "Runs of 2 projects together: 'real', 'toy'; project= takes one of them."
    assert note in draw(lake).notes
    assert not any("projects" in note for note in draw(tl.open(lake.dir, project="real")).notes)


def test_a_shell_says_so_in_its_own_words(lake: tl.Lake):
    """The note of a table and the warning of a frame name the option."""
    table = CliRunner().invoke(cli.main, ["compare", "acc", "--by", "algo", "--goal", "max", "--dir", lake.dir])
    assert "- runs of 2 projects together: 'real', 'toy'; --project takes one of them" in table.stdout
    frame = CliRunner().invoke(cli.main, ["history", "acc", "--dir", lake.dir])
    assert frame.stderr == "note: runs of 2 projects together: 'real', 'toy'; --project takes one of them\n"
