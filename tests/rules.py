"""What the tests of the 30 rules ask a lake."""

from __future__ import annotations

from typing import Any

import tracklake as tl
from tracklake.schema import values

PSEUDO = {"_step", "_runtime", "_timestamp"}


def rows(run: tl.Run) -> dict[int, dict[str, Any]]:
    """Return the rows in the lake by step, None included."""
    lake = tl.open(run.lake_dir)
    found: dict[int, dict[str, Any]] = {step: {} for step in lake.run(run.id).history([])["_step"]}
    points = lake.scan_history(runs=run.id).select("step", "metric", "kind", "value", "ival", "text").collect()
    for step, metric, *stored in points.sort("step", "metric").iter_rows():
        found[step][metric] = values.restore(*stored)
    return found


def summary(run: tl.Run) -> dict[str, Any]:
    """Return the summary without what every run has; the live one and the lake's are the same."""
    live = run.summary._json_dict
    stored = tl.open(run.lake_dir).run(run.id).summary._json_dict
    assert repr(dict(sorted(live.items()))) == repr(dict(sorted(stored.items())))
    return {key: value for key, value in live.items() if key not in PSEUDO}
