"""Half a surrogate pair, which is no text: nothing that a run took stops a seal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import tracklake as tl

HALF = "a\ud800b"
TAKEN: dict[str, Callable[[tl.Run], object]] = {
    "metric": lambda run: run.log({HALF: 1.0, "x": {HALF: 2.0}}),
    "value": lambda run: run.log({"text": HALF, "list": [HALF], "dict": {"_type": "x", "v": HALF}}),
    "definition": lambda run: run.define_metric(HALF, summary="min"),
    "step metric": lambda run: (run.define_metric("ok", step_metric=HALF), run.log({"ok": 2.0})),
    "summary": lambda run: run.summary.update({HALF: 1, "text": HALF, "list": [HALF]}),
    "config": lambda run: run.config.update({HALF: 1, "text": HALF, "list": [HALF]}),
    "tag": lambda run: setattr(run, "tags", [HALF]),
    "notes": lambda run: setattr(run, "notes", HALF),
}


@pytest.mark.parametrize("what", TAKEN)
def test_half_a_surrogate_pair_is_stored_escaped(tmp_path: Path, what: str):
    """It is taken, sealed, and every table can be read."""
    with tl.init("p", id="r", dir=tmp_path) as run:
        run.log({"ok": 1.0})
        TAKEN[what](run)
    lake = tl.open(tmp_path)
    lake.refresh()
    assert lake.check(full=True).ok
    assert lake.summaries("ok.first")["ok.first"].to_list() == [1.0]
    assert lake.run("r").summary["ok"] is not None
    assert lake.sql("SELECT count(*) AS n FROM definitions")["n"].to_list() == [what in ("definition", "step metric")]


def test_a_definition_is_that_of_the_escaped_name(tmp_path: Path):
    """A metric and its definition are escaped alike."""
    with tl.init("p", id="r", dir=tmp_path) as run:
        run.define_metric(HALF, summary="max")
        for value in (1.0, 3.0, 2.0):
            run.log({HALF: value})
        assert run.summary[r"a\ud800b"] == {"max": 3.0}
