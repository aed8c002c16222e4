"""Faults at scale: real processes killed at random, clocks that step back, disks that fail (see tests/soak.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import soak

if TYPE_CHECKING:
    from pathlib import Path


def test_a_moment_of_it(tmp_path: Path):
    """Three writers, a sealer, a compactor, a vacuum and a reader: nothing is lost, nothing is there twice."""
    few = {"writer": 3, "sealer": 1, "compactor": 1, "vacuum": 1, "reader": 1}
    run = soak.Soak(tmp_path, seed=1, processes=few)
    run.run(2, kills_a_second=5)
    assert run.kills["writer"]


@pytest.mark.long
def test_two_minutes_of_it(tmp_path: Path):
    """All of them, with some five kills a second."""
    run = soak.Soak(tmp_path, seed=1, processes=soak.PROCESSES)
    run.run(120, kills_a_second=5)
    print(run.report())
    assert set(run.kills) == set(soak.PROCESSES)
