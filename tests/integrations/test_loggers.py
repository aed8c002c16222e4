"""Native loggers whose example needs more than a docstring can hold."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import tracklake as tl


def test_ray_tune(tmp_path: Path):
    """A run a trial, its results as rows at training_iteration; a trial that raises is a failed run."""
    pytest.importorskip("ray")
    code = """
        from ray import tune
        from tracklake.integrations.ray import TracklakeLoggerCallback

        def train(config):
            for i in range(3):
                if config["lr"] > 0.15 and i == 2:
                    raise ValueError("diverged")
                tune.report({"loss": config["lr"] / (i + 1)})

        run_config = tune.RunConfig(callbacks=[TracklakeLoggerCallback("walk")], storage_path=__file__ + ".d")
        tune.Tuner(train, param_space={"lr": tune.grid_search([0.1, 0.2])}, run_config=run_config).fit()
    """
    (tmp_path / "train.py").write_text(textwrap.dedent(code))
    root = str(Path(tl.__file__).parents[1])
    variables = {**os.environ, "PYTHONPATH": root, "TRACKLAKE_DIR": str(tmp_path / "lake")}
    subprocess.run([sys.executable, "train.py"], cwd=tmp_path, env=variables, capture_output=True, check=False)
    lake = tl.open(tmp_path / "lake")
    runs = lake.runs(columns=["config.lr", "state", "project"], order_by="config.lr").drop("run_id")
    assert runs.rows() == [(0.1, "finished", "walk"), (0.2, "failed", "walk")]
    assert lake.history("loss")["step"].to_list() == [1, 2, 3, 1, 2]
