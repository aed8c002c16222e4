"""Commands that keep a lake: compact, vacuum, versions, delete, restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

import tracklake as tl
from tracklake.cli import main

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def place(tmp_path: Path) -> str:
    for name in ("a", "b", "c"):
        with tl.init("p", id=name, dir=tmp_path) as run:
            run.log({"loss": 0.5})
        tl.open(tmp_path).refresh()
    return str(tmp_path)


def tell(place: str, *arguments: str, answer: str = "") -> str:
    result = CliRunner().invoke(main, [*arguments, "--dir", place], input=answer)
    return result.output.replace(place, "LAKE")


def ids(place: str) -> list[str]:
    return tl.open(place).runs(order_by="run_id")["run_id"].to_list()


def test_compact(place: str):
    """It says what became of the partitions, and that there is nothing to do the second time."""
    assert tell(place, "compact") == "LAKE: 3 partitions became 1; 3 points were written\n"
    assert tell(place, "compact") == "LAKE: nothing to merge\n"
    assert ids(place) == ["a", "b", "c"]


def test_vacuum(place: str):
    """What was replaced within a day stays."""
    tell(place, "compact")
    assert tell(place, "vacuum", "--older-than", "0") == "LAKE: 0 files (0 bytes) were deleted\n"


def test_versions(place: str):
    """The newest version comes first."""
    tell(place, "compact")
    lines = tell(place, "versions", "--csv").splitlines()
    assert lines[0] == "version,time,operation,added,removed,partitions,points"
    assert [line.split(",")[0::2][:2] for line in lines[1:3]] == [["4", "OPTIMIZE"], ["3", "SEAL"]]


def test_delete_asks(place: str):
    """Nothing happens without a yes; then runs are hidden until they are restored."""
    assert tell(place, "delete", "a", "b", answer="n\n") == "Delete 2 runs (a, b)? [y/N]: n\nAborted!\n"
    assert ids(place) == ["a", "b", "c"]
    assert tell(place, "delete", "a", "b", answer="y\n").endswith("LAKE: 2 runs deleted\n")
    assert ids(place) == ["c"]
    assert tell(place, "restore", "b") == "LAKE: 1 run restored\n"
    assert ids(place) == ["b", "c"]


def test_delete_by_condition(place: str):
    """A condition chooses; ids and a condition at once are refused, as is neither."""
    assert tell(place, "delete", "--where", "run_id > 'a'", "--yes") == "LAKE: 2 runs deleted\n"
    assert ids(place) == ["a"]
    assert "give ids of runs, or --where; one of the two" in tell(place, "delete")


def test_what_is_not_there(place: str):
    """Unknown runs, and runs that are not deleted, are named with the nearest."""
    assert "did you mean 'a'" in tell(place, "delete", "aa", "--yes")
    assert "unknown deleted run 'a'" in tell(place, "restore", "a")
