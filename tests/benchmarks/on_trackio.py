"""The workloads on trackio: its `log`, and SQL on its file, as its command `query` does it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sqlite3

SQL_OF_EACH = "SELECT run_name, step, json_extract(metrics, '$.\"metric/007\"') AS value FROM metrics"


def start(folder, *, number, config):
    os.environ["TRACKIO_DIR"] = str(folder)
    import trackio

    with contextlib.redirect_stdout(io.StringIO()):
        options = {"auto_log_gpu": False, "auto_log_cpu": False, "embed": False}
        return trackio.init(project="bench", name=f"run-{number:04d}", config=config, **options)


def log(run, row):
    run.log(row)


def finish(run):
    with contextlib.redirect_stdout(io.StringIO()):
        run.finish()


def settle(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def opened(folder):
    return sqlite3.connect(folder / "bench.db")


def table(lake):
    """W3."""
    sql = """SELECT run_name, key, min(value), max(value), max(step), value
             FROM metrics, json_each(metrics.metrics) GROUP BY run_name, key"""
    rows = {}
    for name, key, *found in lake.execute(sql):
        rows.setdefault(name, {})[key] = found
    configs = {name: json.loads(text) for name, text in lake.execute("SELECT run_name, config FROM configs")}
    return [(name, configs[name], found) for name, found in rows.items()]


def one_metric(lake):
    """W4."""
    return lake.execute(SQL_OF_EACH).fetchall()


def best(lake):
    """W5."""
    sql = f"SELECT run_name, max(value), step FROM ({SQL_OF_EACH}) GROUP BY run_name ORDER BY 2 DESC LIMIT 10"
    return lake.execute(sql).fetchall()


def one_run(lake):
    """W6."""
    rows = lake.execute("SELECT step, metrics FROM metrics WHERE run_name = 'run-0001' ORDER BY step")
    return [(step, json.loads(text)) for step, text in rows]
