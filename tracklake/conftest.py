"""What the examples of docstrings share: a fresh folder each, `tl`, and `example()`, a small lake of two runs."""

from __future__ import annotations

import importlib.util
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from quick_disk import use_quick_disk  # type: ignore[import-not-found]  # of tests, which pytest finds

import tracklake

if TYPE_CHECKING:
    from pathlib import Path


use_quick_disk()
os.environ["TRACKLAKE_QUIET"] = "1"
os.environ.setdefault("KERAS_BACKEND", "torch")  # Keras asks for TensorFlow else
LIBRARIES = {
    "accelerate": "accelerate",
    "keras": "keras",
    "lightgbm": "lightgbm",
    "lightning": "lightning",
    "optuna": "optuna",
    "ray": "ray",
    "sb3": "stable_baselines3",
    "sklearn": "sklearn",
    "transformers": "transformers",
    "xgboost": "xgboost",
}
"""What a module of `integrations` needs to be imported at all."""
collect_ignore = [
    f"integrations/{module}.py" for module, library in LIBRARIES.items() if importlib.util.find_spec(library) is None
]


@pytest.fixture(autouse=True)
def _example_surroundings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, example_folder: Path, doctest_namespace: dict[str, Any]
) -> None:
    monkeypatch.delenv("TRACKLAKE_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    doctest_namespace["tl"] = tracklake
    doctest_namespace["example"] = lambda: tracklake.open(shutil.copytree(example_folder, tmp_path / "lake"))


@pytest.fixture(scope="session")
def example_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a lake of two runs, each with three steps of two metrics, of which each example takes a copy."""
    folder = tmp_path_factory.mktemp("example") / "lake"
    curves = {"slow": (0.01, [2.0, 1.0, 0.5], [0.4, 0.5, 0.6]), "fast": (0.1, [1.0, 0.25, 0.75], [0.7, 0.9, 0.8])}
    for run_id, (lr, losses, accuracies) in curves.items():
        with tracklake.init("example", id=run_id, config={"lr": lr}, dir=folder) as run:
            for loss, acc in zip(losses, accuracies, strict=True):
                run.log({"loss": loss, "acc": acc})
    return folder
