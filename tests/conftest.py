"""What every test shares: a clean environment, quick and long runs."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
from typing import TYPE_CHECKING, Any

if "PYTEST_XDIST_WORKER" in os.environ:  # workers share the cores: threads of polars would wait for those of the others
    os.environ.setdefault("POLARS_MAX_THREADS", "1")

import hypothesis
import pytest
from quick_disk import MEMORY, use_memory, use_quick_disk

import tracklake

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

use_quick_disk()
use_memory()
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # begun in the background of a shell, where Ctrl-C is ignored
    signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # a hundred processes begin here: none is to compile all of it anew
sys.dont_write_bytecode = False
for name in [name for name in os.environ if name.startswith(("TRACKLAKE_", "WANDB_", "FORCE_COLOR", "NO_COLOR"))]:
    del os.environ[name]  # the user's own settings
os.environ |= {"TRACKLAKE_QUIET": "1", "COLUMNS": "100"}  # for child processes too, whose output is compared
os.umask(0o022)
IN_ITS_OWN_TIME: dict[str, Any] = {"deadline": None, "suppress_health_check": [hypothesis.HealthCheck.too_slow]}
"""Examples are drawn as quickly as the machine lets them: one that has much else to do fails no test."""
hypothesis.settings.register_profile("quick", max_examples=24, derandomize=True, **IN_ITS_OWN_TIME)
hypothesis.settings.register_profile("long", max_examples=2_000, **IN_ITS_OWN_TIME)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="soaks, large cases, and 80 times as many generated examples")


def pytest_configure(config: pytest.Config) -> None:
    hypothesis.settings.load_profile("long" if config.getoption("--long") else "quick")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if "long" in item.keywords and not config.getoption("--long"):
            item.add_marker(pytest.mark.skip(reason="runs only with --long"))


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: where a test waits for a process, a lock or a connection, another one computes."""
    return len(os.sched_getaffinity(0)) + 1 if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1) + 1


def pytest_collection_finish() -> None:
    """Keep seven thousand tests and all modules out of every garbage collection to come."""
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _memory_is_given_back(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Remove the folders of tests that lie in memory, where none failed; those on a disk are kept, as pytest does."""
    yield
    folder = tmp_path_factory.getbasetemp()
    if MEMORY in folder.parents and not request.session.testsfailed:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[tracklake.Run]:
    """Run r of project p, open; without metadata, which is written at any moment."""
    with tracklake.init("p", id="r", dir=tmp_path, settings={"metadata": False}) as run:
        yield run


@pytest.fixture(autouse=True)
def _no_lake_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRACKLAKE_DIR", raising=False)
