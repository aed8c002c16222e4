"""One file that cannot be read costs what it holds, and every answer that lacks something says so.

Run a lies in the first partition, b in the second, c in a journal; files are damaged, gone, or another user's.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from processes import open_to_others, output

import tracklake as tl
from tracklake.storage.journal.reader import JournalReader
from tracklake.ui import vocabulary
from tracklake.ui.mcp_server.answers import Answers
from tracklake.ui.sources import Source

ASKED = ["run_id", "state", "config.lr", "summary.loss.min"]


@pytest.fixture
def lake(tmp_path: Path) -> tl.Lake:
    for run_id in "abc":
        with tl.init("p", id=run_id, dir=tmp_path / "lake", config={"lr": 0.1}, settings={"metadata": False}) as run:
            for i in range(3):
                run.log({"loss": 1.0 - i / 2})
        if run_id != "c":
            tl.open(tmp_path / "lake").refresh()
    return tl.open(tmp_path / "lake")


def of_run(lake: tl.Lake, run_id: str, kind: str) -> Path:
    """The file of this kind that holds a run."""
    (states,) = (
        path for path in Path(lake.dir, "states").iterdir() if run_id in pl.read_parquet(path)["run_id"].to_list()
    )
    return Path(lake.dir, kind, states.name)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def told(question: Callable[[], object]) -> tuple[object, str]:
    """What a question gives, and what it warns of."""
    with warnings.catch_warnings(record=True, action="always") as warned:
        answer = question()
    return answer, "\n".join(str(w.message) for w in warned)


def answers(lake: tl.Lake) -> dict[str, tuple[object, str]]:
    return {
        "runs": told(lambda: lake.runs(columns=ASKED, order_by="run_id").rows()),
        "history": told(lambda: lake.history("loss").group_by("run_id").len().sort("run_id").rows()),
        "sql": told(lambda: lake.sql("SELECT run_id, count(*) FROM history GROUP BY 1 ORDER BY 1").rows()),
    }


ROWS = {run_id: (run_id, "finished", 0.1, 0.0) for run_id in "abc"}


@pytest.mark.parametrize("break_it", [flip, Path.unlink])
def test_a_runs_file_costs_its_runs(lake: tl.Lake, break_it: Callable[[Path], None]):
    """The others answer, each time with the file and the run that is left out; a new run begins; the file returns."""
    path = of_run(lake, "a", "runs")
    sound = path.read_bytes()
    break_it(path)
    for opened in (tl.open(lake.dir), tl.open(lake.dir)):
        for _ in range(2):
            found = answers(opened)
            assert {name: answer for name, (answer, _) in found.items()} == {
                "runs": [ROWS["b"], ROWS["c"]],
                "history": [("b", 3), ("c", 3)],
                "sql": [("b", 3), ("c", 3)],
            }
            assert all(path.name in text and "run 'a' is left out" in text for _, text in found.values())
        with pytest.warns(UserWarning, match=path.name), pytest.raises(tl.errors.LakeError, match=path.name):
            opened.run("a")
    with pytest.raises(tl.errors.LakeError, match=path.name):
        lake.merge(tl.open(lake.dir))
    with pytest.raises(tl.errors.LakeError, match=path.name):  # at which step it would go on is not known
        tl.init("p", id="a", resume="must", dir=lake.dir, reinit="create_new")
    with warnings.catch_warnings(action="ignore"), tl.init("p", dir=lake.dir, reinit="create_new") as run:
        run.log({"loss": 0.0})
    assert pl.read_parquet(of_run(lake, "b", "states")).height > 0
    path.write_bytes(sound)
    assert told(lambda: opened.runs(runs=["a"], columns=ASKED).rows()) == ([ROWS["a"]], "")


@pytest.mark.parametrize("break_it", [flip, Path.unlink])
def test_a_file_of_points_costs_the_points_of_its_runs(lake: tl.Lake, break_it: Callable[[Path], None]):
    """Summaries are there; of points those of the others, and it is said whose are not."""
    path = of_run(lake, "a", "history")
    break_it(path)
    opened = tl.open(lake.dir)
    for _ in range(2):
        found = answers(opened)
        assert found["runs"][0] == [ROWS["a"], ROWS["b"], ROWS["c"]]
        assert found["history"][0] == found["sql"][0] == [("b", 3), ("c", 3)]
        assert all(path.name in found[name][1] for name in ("history", "sql"))
        assert "points of run 'a' are left out" in found["history"][1]
    with warnings.catch_warnings(action="ignore"), pytest.raises(tl.errors.LakeError, match=path.name):
        opened.run("a").history()
    assert told(lambda: opened.run("b").history().height)[0] == 3


@pytest.mark.parametrize("break_it", [flip, Path.unlink])
def test_a_file_of_states_costs_time(lake: tl.Lake, break_it: Callable[[Path], None]):
    """They are computed from the points; without these the summaries of its runs are left out."""
    path = of_run(lake, "a", "states")
    points = of_run(lake, "a", "history")
    break_it(path)
    found = answers(tl.open(lake.dir))
    assert found["runs"][0] == [*ROWS.values()]
    assert found["history"][0] == [("a", 3), ("b", 3), ("c", 3)]
    assert "computed from the points" in found["runs"][1]
    assert told(lambda: tl.open(lake.dir).metrics)[0] == ["loss"]
    break_it(points)
    found = answers(tl.open(lake.dir))
    assert found["runs"][0] == [("a", "finished", 0.1, None), ROWS["b"], ROWS["c"]]
    assert "summaries of run 'a' are left out" in found["runs"][1]


@pytest.mark.skipif(sys.platform == "win32" or os.getuid() != 0, reason="only root can give its rights away")
def test_files_of_another_user_cost_what_they_hold(lake: tl.Lake, tmp_path: Path):
    """Journals, runs files and points that may not be read: who may not read them gets the rest, and seals it."""
    (journal,) = Path(lake.dir, "journal").iterdir()
    with tl.init("p", id="d", dir=lake.dir, settings={"metadata": False}) as run:
        run.log({"loss": 0.0})
    open_to_others(tmp_path)
    for path in Path(lake.dir).rglob("*"):
        os.chown(path, 65534, 65534)
    for path in (journal, of_run(lake, "a", "runs"), of_run(lake, "b", "history")):
        os.chown(path, 0, 0)
        path.chmod(0o600)
    script = """
    import warnings
    os.setgid(65534), os.setuid(65534)
    place, journal = sys.argv[1:]
    def told(question):
        with warnings.catch_warnings(record=True, action="always") as warned:
            answer = question()
        return answer, " ".join(str(w.message) for w in warned)
    lake = tl.open(place)
    for _ in range(2):
        answer, text = told(lambda: lake.runs(columns=["run_id", "summary.loss.min"], order_by="run_id").rows())
        print(answer, journal in text, "Permission denied" in text, "run 'a' is left out" in text)
        print(told(lambda: lake.history("loss")["run_id"].unique().to_list())[0])
    findings = lake.check().findings
    print(sum("Permission denied" in line for line in findings))
    """
    assert output(script, lake.dir, journal.name).splitlines() == [
        *["[('b', 0.0), ('d', 0.0)] True True True", "['d']"] * 2,
        "3",
    ]


def test_a_journal_that_was_cut_and_written_anew_is_read_anew(tmp_path: Path):
    """A reader that stays open notices that what it has read is there no more: it says so, and answers as a new one."""
    run = tl.init("p", id="r", dir=tmp_path, settings={"metadata": False})
    (journal,) = (tmp_path / "journal").iterdir()
    run.log({"a": 1.0})
    before = journal.read_bytes()
    run.log({"a": 2.0})
    lake, reader = tl.open(tmp_path), JournalReader(journal)
    assert reader.read().n_points == 2
    assert lake.history("a")["value"].to_list() == [1.0, 2.0]
    run.log({"a": 3.0})
    third = journal.read_bytes()[-(len(journal.read_bytes()) - len(before)) // 2 :]
    os.truncate(journal, 0)
    journal.write_bytes(before + third + third[:9])
    with pytest.raises(tl.errors.LakeError, match="does not hold any more what was read of it"):
        reader.read()
    with pytest.warns(UserWarning, match="does not hold any more what was read of it"):
        values = lake.history("a")["value"].to_list()
    assert values == tl.open(tmp_path).history("a")["value"].to_list() == [1.0, 3.0]
    run.finish()


def test_a_journal_that_is_listed_and_never_there_is_named(lake: tl.Lake, monkeypatch: pytest.MonkeyPatch):
    """As a stale listing of a network file system shows it: the rest is answered, with its name."""
    (journal,) = Path(lake.dir, "journal").iterdir()
    opened = tl.open(lake.dir)
    listed = opened._storage.list("journal")
    stale = listed[0]._replace(name=journal.name.replace(".0.tlj", ".1.tlj"))
    monkeypatch.setattr(type(opened._storage), "list", _with(stale, type(opened._storage).list))
    for _ in range(2):
        answer, text = told(lambda: opened.runs(columns=ASKED, order_by="run_id").rows())
        assert answer == [*ROWS.values()]
        assert stale.name in text


def _with(entry: object, real: Callable[..., list]) -> Callable[..., list]:
    def list_(storage, folder: str, **options: object) -> list:
        return [*real(storage, folder, **options), *([entry] if folder == "journal" else [])]

    return list_


def test_a_manifest_costs_its_version(tmp_path: Path):
    """The other versions are listed, with a word of it; what is logged after a damaged version is the next one."""
    for number in range(3):
        with tl.init("p", dir=tmp_path, settings={"metadata": False}) as run:
            artifact = tl.Artifact("data", type="set")
            with artifact.new_file("a.txt") as file:
                file.write(f"{number}")
            run.log_artifact(artifact, aliases=["best"])
    api = tl.Api(tmp_path)
    (damaged,) = tmp_path.glob("artifacts/p-*/data-*/v000002.json")
    damaged.write_bytes(damaged.read_bytes()[:30])
    versions, text = told(lambda: [artifact.version for artifact in api.artifacts("set", "p/data")])
    assert versions == ["v1", "v0"]
    assert damaged.name in text
    assert told(lambda: api.artifact("p/data:v1").version) == ("v1", "")
    with pytest.raises(tl.errors.ArtifactError, match=damaged.name):
        api.artifact("p/data:latest")
    with tl.init("p", dir=tmp_path, settings={"metadata": False}) as run:
        artifact = tl.Artifact("data", type="set")
        version, text = told(lambda: run.log_artifact(artifact).version)
    assert (version, damaged.name in text) == ("v3", True)
    (alias,) = tmp_path.glob("artifacts/p-*/data-*/alias.000001.json")
    alias.write_bytes(b"")
    assert told(lambda: api.artifact("p/data:latest").version) == ("v3", "")
    with pytest.raises(tl.errors.LakeError, match=alias.name):
        api.artifact("p/data:best")


def test_the_page_and_a_model_are_told_what_is_left_out(lake: tl.Lake):
    """What has no terminal for warnings says it beside the answer."""
    path = of_run(lake, "a", "runs")
    flip(path)
    with warnings.catch_warnings(action="ignore"):
        schema = vocabulary.schema(Source(tl.open(lake.dir), name="lake"))
        answers = Answers(tl.open(lake.dir))
        answer = answers.as_text(answers.sql("SELECT count(*) AS n FROM runs"))
    assert (schema["runs"], [path.name in text for text in schema["lost"]]) == (2, [True])
    assert path.name in answer
    assert answer.endswith("n\n2")
