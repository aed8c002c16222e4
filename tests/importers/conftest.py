"""What the tests of importers share: an empty lake, and where the samples lie."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import tracklake as tl

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def lake(tmp_path):
    """An empty lake."""
    return tl.open(tmp_path / "lake", create=True)
