"""However a command starts its Python, `import wandb` gives the stand-in, and runs go into the same lake."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import tracklake as tl
from tracklake.integrations.wandb_standin import launcher

ROOT = Path(tl.__file__).parents[1]
SCRIPT = "import wandb\nwith wandb.init(project='walk') as run:\n    run.log({'loss': 0.5})\n"


def wrap(*command: str, folder: Path) -> tl.Lake:
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    words = [sys.executable, "-m", "tracklake.cli", "wrap", "--dir", "lake", *command]
    done = subprocess.run(words, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return tl.open(folder / "lake")


def losses(lake: tl.Lake) -> list:
    return lake.runs(columns=["project", "summary.loss"]).drop("run_id").rows()


def test_a_module(tmp_path: Path):
    """`python -m package.train`."""
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "train.py").write_text(SCRIPT)
    assert losses(wrap(sys.executable, "-m", "pack.train", folder=tmp_path)) == [("walk", 0.5)]


def test_a_shell_script_that_changes_its_folder(tmp_path: Path):
    """The lake is absolute in the environment, and `wandb` is a command."""
    (tmp_path / "train.py").write_text(SCRIPT)
    script = f"mkdir other && cd other && wandb login && {sys.executable} ../train.py"
    assert losses(wrap("sh", "-c", script, folder=tmp_path)) == [("walk", 0.5)]


def test_torchrun(tmp_path: Path):
    """Each process that torchrun starts sees the stand-in; rank 0 logs, as training code has it."""
    pytest.importorskip("torch")
    code = "import os, wandb\nif os.environ['RANK'] == '0':\n" + textwrap.indent(SCRIPT, "    ")
    (tmp_path / "train.py").write_text(code)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    assert losses(wrap(*torchrun, "train.py", folder=tmp_path)) == [("walk", 0.5)]


def test_a_spawned_process_attaches_to_the_run(tmp_path: Path):
    """`wandb._attach` in another process logs into the run that goes on here, as Lightning's ddp_spawn has it."""
    code = """
        import multiprocessing, wandb

        def train(run_id):
            wandb._attach(run_id).log({"loss": 0.5})

        if __name__ == "__main__":
            with wandb.init(project="walk") as run:
                child = multiprocessing.get_context("spawn").Process(target=train, args=(run._attach_id,))
                child.start()
                child.join()
                run.summary["best"] = 0.9
    """
    (tmp_path / "train.py").write_text(textwrap.dedent(code))
    lake = wrap(sys.executable, "train.py", folder=tmp_path)
    runs = lake.runs(columns=["summary.loss", "summary.best", "state"]).drop("run_id")
    assert runs.rows() == [(0.5, 0.9, "finished")]


def test_a_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """After `%load_ext tracklake`, `import wandb` in a notebook gives the stand-in."""
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(code) for code in ("%load_ext tracklake", SCRIPT)]
    )
    nbclient.NotebookClient(notebook, timeout=1200, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert losses(tl.open(tmp_path / "lake")) == [("walk", 0.5)]


def test_the_folder_of_the_stand_in_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Commands that are killed leave nothing: all of them share a folder of the cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert launcher.cached_folder() == launcher.cached_folder()
    assert [path.parent for path in (tmp_path / "tracklake").iterdir()] == [tmp_path / "tracklake"]
