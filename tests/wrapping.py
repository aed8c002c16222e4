"""Scripts that are run under `tracklake wrap`, and the lake that they leave."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import tracklake as tl
from tracklake.lake.recorded_run import RecordedRun

ROOT = Path(tl.__file__).parents[1]


def needs(package: str) -> None:
    """Skip the test where a package is not installed; it is not imported here, where Keras would ask for TensorFlow."""
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"No module named {package!r}")


def wrapped(code: str, folder: Path, **variables: str) -> tl.Lake:
    """Run a script under the wrapper and return its lake."""
    (folder / "train.py").write_text(textwrap.dedent(code))
    words = [sys.executable, "-m", "tracklake.cli", "wrap", "--dir", "lake", sys.executable, "train.py"]
    fixed = {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "KERAS_BACKEND": "torch", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        words, cwd=folder, env={**os.environ, **fixed, **variables}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return tl.open(folder / "lake")


def only_run(lake: tl.Lake) -> RecordedRun:
    (run_id,) = lake.runs(columns=["run_id"])["run_id"]
    return lake.run(run_id)
