"""The workloads on tracklake. It is imported in cold processes, so nothing else is imported here."""

from __future__ import annotations

import tracklake as tl


def start(folder, *, number, config):
    return tl.init("bench", id=f"run-{number:04d}", config=config, dir=folder)


def log(run, row):
    run.log(row)


def finish(run):
    run.finish()


def settle(folder):
    """Bring what was logged into its final form; return the bytes that it takes then."""
    tl.open(folder).refresh()
    kept = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".tlj"]
    return sum(path.stat().st_size for path in kept)


def opened(folder):
    return tl.open(folder)


def table(lake):
    """W3."""
    return lake.runs(columns=["run_id", "config.*", "summary.*.last", "summary.*.min", "summary.*.max"])


def one_metric(lake):
    """W4."""
    return lake.history("metric/007").select("run_id", "step", "value")


def best(lake):
    """W5."""
    asked = ["run_id", "summary.metric/007.max", "summary.metric/007.argmax"]
    return lake.runs(columns=asked, order_by="-summary.metric/007.max", limit=10)


def one_run(lake):
    """W6."""
    return lake.run("run-0001").history()
