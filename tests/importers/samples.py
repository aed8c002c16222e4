"""Sample files that this project did not write, where they are; tests that need them are skipped elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[3] / "shared" / "data"


def sample(name: str) -> Path:
    """Return the path of a sample, or skip the test that asks for it."""
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"the sample file {name} is not here")
    return path
