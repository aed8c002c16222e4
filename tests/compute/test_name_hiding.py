"""Hiding of names above and under each other: the form of frames, the form of one name, and the rule read literally."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from tracklake.compute import name_hiding
from tracklake.compute.name_hiding import NameFamilies, Stamps

NAMES = ["", "a", "a.", "a.b", "a.b.c", ".a", "..", "x", "a.d"]
EVENTS = st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 6), st.sampled_from(["edit", "erase", "view"])))
Event = tuple[str, int, str]


def by_the_rule(events: list[Event], name: str, at: int) -> bool:
    """Return whether an entry is hidden: a name above written or erased later, or one under it written later."""
    return any(
        ts > at and (name.startswith(f"{key}.") or (key.startswith(f"{name}.") and op != "erase"))
        for key, ts, op in events
    )


def frame(events: list[Event]) -> pl.DataFrame:
    """Return events of one run as a frame."""
    rows = [("r", key, ts, op) for key, ts, op in events]
    return pl.DataFrame(
        rows, schema={"run_id": pl.String, "key": pl.String, "ts": pl.Int64, "op": pl.String}, orient="row"
    )


@given(EVENTS)
def test_frames_and_single_names_follow_the_rule(events):
    """Whatever was written and erased, with names of empty parts too, both forms leave what the rule leaves."""
    written = [(key, ts) for key, ts, op in events if op != "erase"]
    standing = [entry for entry in written if not by_the_rule(events, *entry)]
    shown = name_hiding.unhidden(frame([event for event in events if event[2] != "erase"]), frame(events))
    assert shown.select("key", "ts").rows() == standing
    latest = {
        key: Stamps(
            max((ts for name, ts, op in events if name == key and op != "erase"), default=-1),
            max((ts for name, ts, op in events if name == key and op == "erase"), default=-1),
        )
        for key, _, _ in events
    }
    families = NameFamilies(latest)
    assert [entry for entry in written if not name_hiding.is_hidden(*entry, latest, families)] == standing


def test_names_of_one_call_do_not_hide_each_other():
    """Equal stamps are one call: all of its names stand."""
    events = frame([("lat.p99", 3, "edit"), ("lat.p99.9", 3, "edit"), ("lat", 3, "erase"), ("lat", 2, "edit")])
    assert name_hiding.unhidden(events.filter(op="edit"), events)["key"].to_list() == ["lat.p99", "lat.p99.9"]
