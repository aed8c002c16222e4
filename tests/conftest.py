"""What every test shares: a clean environment, a fresh directory for doctests, quick and long runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import hypothesis
import pytest

import tracklake

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

hypothesis.settings.register_profile("quick", max_examples=40, deadline=None)
hypothesis.settings.register_profile("long", max_examples=2_000, deadline=None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="soaks, large cases, and 50 times as many generated examples")


def pytest_configure(config: pytest.Config) -> None:
    hypothesis.settings.load_profile("long" if config.getoption("--long") else "quick")
    config.pluginmanager.register(Places())


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if "long" in item.keywords and not config.getoption("--long"):
            item.add_marker(pytest.mark.skip(reason="runs only with --long"))


@pytest.fixture
def run(tmp_path: Path) -> Iterator[tracklake.Run]:
    """Run r of project p, open; without metadata, which is written at any moment."""
    with tracklake.init("p", id="r", dir=tmp_path, settings={"metadata": False}) as run:
        yield run


class Places:
    """A plugin rather than plain fixtures, because the doctests of tracklake/ lie outside this folder."""

    @pytest.fixture(autouse=True)
    def _no_lake_from_outside(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("TRACKLAKE_DIR", raising=False)

    @pytest.fixture(autouse=True)
    def _doctests_in_a_fresh_directory(self, request: pytest.FixtureRequest) -> None:
        if isinstance(request.node, pytest.DoctestItem):
            request.getfixturevalue("monkeypatch").chdir(request.getfixturevalue("tmp_path"))

    @pytest.fixture(autouse=True)
    def _example_lake(self, request: pytest.FixtureRequest) -> None:
        """What examples of docstrings may use: `tl`, and `example()`, a small lake of two runs."""
        if isinstance(request.node, pytest.DoctestItem):
            namespace = request.getfixturevalue("doctest_namespace")
            namespace["tl"] = tracklake
            namespace["example"] = lambda: example_lake(request.getfixturevalue("tmp_path"))


def example_lake(folder: Path) -> tracklake.Lake:
    """Return a lake of two runs, each with three steps of two metrics."""
    curves = {"slow": (0.01, [2.0, 1.0, 0.5], [0.4, 0.5, 0.6]), "fast": (0.1, [1.0, 0.25, 0.75], [0.7, 0.9, 0.8])}
    for run_id, (lr, losses, accuracies) in curves.items():
        with tracklake.init("example", id=run_id, config={"lr": lr}, dir=folder / "lake") as run:
            for loss, acc in zip(losses, accuracies, strict=True):
                run.log({"loss": loss, "acc": acc})
    return tracklake.open(folder / "lake")
