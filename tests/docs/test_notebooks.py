"""The notebooks: executed in a fresh kernel, and saved so that they can be read where they lie."""

from __future__ import annotations

import json
import math
import random
import re
from pathlib import Path

import pytest

pytest.importorskip("altair")
pytest.importorskip("vl_convert")

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
SMALLER = {
    "N_SETTINGS, EPOCHS = 40, 12": "N_SETTINGS, EPOCHS = 12, 2",
    "if configuration.lr in (0.03, 0.3):": "if configuration.lr == 0.3:",
    "epochs=8": "epochs=2",
}
"""What a test changes, so that it is done in seconds."""
LEARNERS = {"SVC_linear": 0.6, "SVC_rbf": 0.9, "sklearn.ensemble.RandomForestClassifier": 0.95,
            "sklearn.naive_bayes.BernoulliNB": 0.5, "sklearn.neighbors.KNeighborsClassifier": 0.92}  # fmt: skip


def learning_curves(path: Path) -> None:
    """Write a small table of the form of LCDB's: two data sets, five learners, four splits, sizes from 16 to 4096."""
    rng = random.Random(0)
    lines = ["openmlid,learner,size_train,size_test,outer_seed,inner_seed,traintime,score_train,score_valid,score_test"]
    for data, (learner, top), outer, inner in (
        (d, item, o, i) for d in (6, 44) for item in LEARNERS.items() for o in (0, 1) for i in (0, 1)
    ):
        for size in (2**k for k in range(4, 13)):
            score = top - (top - 0.1) * math.exp(-size * (1.2 - top) / 100) + rng.gauss(0, 0.01)
            lines.append(f"{data},{learner},{size},500,{outer},{inner},0.1,1.0,{score},{score}")
    path.write_text("\n".join(lines))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Every cell runs in a fresh kernel and shows as many things as are saved."""
    nbclient = pytest.importorskip("nbclient")
    for engine in ("OMP", "OPENBLAS"):  # networks this small only wait for more threads
        monkeypatch.setenv(f"{engine}_NUM_THREADS", "1")
    learning_curves(tmp_path / "database-accuracy.csv")
    saved = read(path)
    notebook = smaller(read(path))
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=1200, coalesce_streams=True, resources=resources).execute()
    assert [kinds(cell) for cell in notebook.cells] == [kinds(cell) for cell in saved.cells]


def read(path: Path):
    """Return a notebook as it is saved."""
    return pytest.importorskip("nbformat").read(path, 4)


def smaller(notebook):
    """Return a notebook that is done in seconds."""
    for cell, (was, now) in ((cell, pair) for cell in notebook.cells for pair in SMALLER.items()):
        cell.source = cell.source.replace(was, now)
    return notebook


def kinds(cell) -> list[str]:
    """Return what a cell shows: text, tables, pictures."""
    shown = [output.get("data", {"text/plain": ""}) for output in cell.get("outputs", [])]
    return sorted(kind for data in shown for kind in data)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_reads_where_it_lies(path: Path):
    """It is saved with its outputs, in order, without an error, small, and names no place of this machine."""
    text = path.read_text()
    notebook = read(path)
    pytest.importorskip("nbformat").validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert {output.output_type for cell in code for output in cell.outputs} <= {
        "stream",
        "display_data",
        "execute_result",
    }
    assert all(output.get("name") != "stderr" for cell in code for output in cell.outputs)
    assert len(notebook.cells) < 15
    assert len(text) < 1_000_000
    assert re.findall(r"/(?:home|root|tmp|Users|work)/[\w.-]+", without_pictures(notebook)) == []


def without_pictures(notebook) -> str:
    """Return all that a notebook says."""
    data = [{k: v for k, v in o.get("data", o).items() if k != "image/png"}
            for cell in notebook.cells for o in cell.get("outputs", [])]  # fmt: skip
    return json.dumps([cell.source for cell in notebook.cells] + data, default=str)


def test_notebooks_are_there():
    """Log and compare, a sweep, learning curves, SQL."""
    assert [path.stem[:2] for path in NOTEBOOKS] == ["01", "02", "03", "04"]


def test_what_the_test_makes_smaller_is_there():
    """The numbers that a test replaces stand in a notebook."""
    text = "".join(cell.source for path in NOTEBOOKS for cell in read(path).cells)
    assert [was for was in SMALLER if was not in text] == []
