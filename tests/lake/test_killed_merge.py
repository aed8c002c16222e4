"""kill -9 of a merge, at several moments: all of the other lake's runs are here then, or none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from processes import Child

import tracklake as tl

RUNS = 20
MERGE = """
import os, signal, sys
sys.path.append(sys.argv[5])
from interrupter import Interrupter
import tracklake as tl

here, moment, of = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
lake, there = tl.open(here), tl.open(sys.argv[4])
at = 10**9 if not of else of * moment // 5
dying = Interrupter(at, lambda: os.kill(os.getpid(), signal.SIGKILL))
with dying:
    lake.merge(there)
print(at - dying.left)
"""


def _logged(folder: Path, run_ids: list[str]) -> tl.Lake:
    for run_id in run_ids:
        with tl.init("p", id=run_id, dir=folder, config={"lr": 0.1}) as run:
            run.log({"loss": 1.0})
            run.summary["weights"] = np.arange(100.0)
    return tl.open(folder)


def _merged(*arguments: object) -> tuple[int | None, str]:
    with Child(MERGE, *arguments, Path(__file__).parents[1]) as child:
        printed, errors = child.communicate()
        assert errors == ""
        return child.wait(), printed


@pytest.mark.long
@pytest.mark.parametrize("moment", [1, 2, 3, 4])
def test_a_killed_merge_is_whole_or_nothing(tmp_path: Path, moment: int) -> None:
    """After it the lake is sound, has all of the runs or none, and the next merge brings what is missing, once."""
    there = _logged(tmp_path / "there", [f"r{i}" for i in range(RUNS)])
    for name in ("counted", "here"):
        _logged(tmp_path / name, ["own"])
    _, n_lines = _merged(tmp_path / "counted", 0, 0, there.dir)
    code, _ = _merged(tmp_path / "here", moment, int(n_lines), there.dir)
    here = tl.open(tmp_path / "here")
    assert code == -9
    assert here.runs().height in (1, 1 + RUNS)
    assert here.check(full=True).ok
    here.merge(there)
    assert here.runs().height == 1 + RUNS
    assert here.diff(there)["run_id"].to_list() == ["own"]
    assert here.run("r7").summary.array("weights")[99] == 99.0
    assert here.history("loss").height == 1 + RUNS
    assert here.merge(there)[:2] == (0, 0)
    assert here.check(full=True).ok
