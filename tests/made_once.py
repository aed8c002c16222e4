"""Lakes that are made once a process and copied for each test: a copy takes a tenth of the time."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import tracklake as tl


def lake(make: Callable[[Path], object]) -> Callable[..., tl.Lake]:
    """Make a fixture of what fills a folder: an open lake of the test's own, in the folder `lake` of its `tmp_path`."""
    return _fixture(make, "lake")


def lake_in_tmp_path(make: Callable[[Path], object]) -> Callable[..., tl.Lake]:
    """Likewise, in `tmp_path` itself."""
    return _fixture(make, ".")


def _fixture(make: Callable[[Path], object], place: str) -> Callable[..., tl.Lake]:
    made: list[Path] = []

    @pytest.fixture(name=make.__name__)
    def fixture(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> tl.Lake:
        if not made:
            folder = tmp_path_factory.mktemp("made") / "lake"
            make(folder)
            made.append(folder)
        return tl.open(shutil.copytree(made[0], tmp_path / place, dirs_exist_ok=True))

    fixture.__doc__ = make.__doc__
    return fixture
