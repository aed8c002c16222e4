"""The least code that does the work of each workload: struct and write, polars over Parquet files of its own.

It knows the answer's form beforehand, checks nothing, and takes no live data, no second session and no late row.
"""

from __future__ import annotations

import json
import os
import struct
import time
from zlib import crc32

import polars as pl


class Log:
    """Rows of floats in one file: packed, with a checksum, handed to the operating system one by one."""

    def __init__(self, folder, number, config):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"run-{number:04d}.json").write_text(json.dumps(config))
        self.file = os.open(folder / f"run-{number:04d}.rows", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        self.names, self.pack, self.step = None, None, 0


def start(folder, *, number, config):
    return Log(folder, number, config)


def log(run, row):
    if run.names is None:
        run.names = list(row)
        run.pack = struct.Struct(f"<qq{len(row)}d").pack
        os.write(run.file, json.dumps(run.names).encode() + b"\n")
    frame = run.pack(time.time_ns() // 1000, run.step, *row.values())
    os.write(run.file, frame + crc32(frame).to_bytes(4, "little"))
    run.step += 1


def finish(run):
    os.close(run.file)


def settle(folder):
    """Write all rows as one Parquet file of points, and the config as another."""
    parts = [_points(path) for path in sorted(folder.glob("*.rows"))]
    pl.concat(parts).write_parquet(folder / "points.parquet", compression="zstd", compression_level=1)
    configs = [{"run_id": p.stem} | json.loads(p.read_text()) for p in sorted(folder.glob("*.json"))]
    pl.DataFrame(configs).write_parquet(folder / "runs.parquet")
    return sum(path.stat().st_size for path in folder.glob("*.parquet"))


def _points(path):
    head, _, data = path.read_bytes().partition(b"\n")
    import numpy as np

    names = json.loads(head)
    kind = np.dtype([("ts", "<i8"), ("step", "<i8"), ("values", "<f8", (len(names),)), ("crc", "<u4")])
    rows = np.frombuffer(data, dtype=kind)
    size = len(rows)
    return pl.DataFrame(
        {
            "run_id": pl.Series([path.stem]).new_from_index(0, size * len(names)),
            "metric": pl.Series(names).gather(np.repeat(np.arange(len(names)), size)),
            "step": np.tile(rows["step"], len(names)),
            "ts": np.tile(rows["ts"], len(names)),
            "value": np.ascontiguousarray(rows["values"].T).ravel(),
        }
    )


def opened(folder):
    return pl.scan_parquet(folder / "points.parquet"), pl.scan_parquet(folder / "runs.parquet")


def table(lake):
    """W3."""
    points, runs = lake
    value = pl.col("value")
    stats = points.group_by("run_id", "metric").agg(last=value.last(), min=value.min(), max=value.max()).collect()
    wide = stats.pivot("metric", index="run_id", values=["last", "min", "max"])
    return runs.collect().join(wide, on="run_id", maintain_order="left")


def one_metric(lake):
    """W4."""
    return lake[0].filter(pl.col("metric") == "metric/007").select("run_id", "step", "value").collect()


def best(lake):
    """W5."""
    found = lake[0].filter(pl.col("metric") == "metric/007").group_by("run_id")
    step = pl.col("step").get(pl.col("value").arg_max())
    return found.agg(max=pl.col("value").max(), step=step).top_k(10, by="max").sort("max", descending=True).collect()


def one_run(lake):
    """W6."""
    points = lake[0].filter(pl.col("run_id") == "run-0001").select("metric", "step", "value").collect()
    return points.pivot("metric", index="step", values="value")
