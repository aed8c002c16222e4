"""Imports of binary files of other tools: `python tests/benchmarks/importing_files.py [POINTS]`.

One run of ten metrics: a W&B file, an MLflow database, a TensorBoard event file. Each import runs in a process of its
own, three times; shown is the median of points a second, of wall time and of CPU. The target is 300,000.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

import numpy as np

import tracklake as tl

METRICS, TRIES, BLOCK = 10, 3, 32 << 10
NAMES = ("wandb", "mlflow", "tensorboard")


def varint(number: int) -> bytes:
    """Return a number as a varint."""
    digits = []
    while number >= 128:
        digits.append(number & 127 | 128)
        number >>= 7
    return bytes([*digits, number])


def field(number: int, data: bytes) -> bytes:
    """Return a field of bytes."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def values(n_rows: int) -> np.ndarray:
    """Return what is logged: one row a step."""
    return np.random.default_rng(0).standard_normal((n_rows, METRICS))


def write_wandb(path: Path, n_rows: int) -> None:
    """Write rows as wandb 0.31 does: nested keys, JSON texts, the step behind, a record of the summary after each."""
    log = bytearray(b":W&B\xe1\xbe\x00")
    log_record(log, varint(1 << 3) + varint(1) + field(17, field(1, b"r") + field(3, b"p") + field(17, b"\x08\x01")))
    for step, row in enumerate(values(n_rows).tolist()):
        own = (("_step", str(step)), ("_timestamp", str(1.7e9 + step / 8)), ("_runtime", str(step / 8)))
        texts = [*own, *((f"metric{j}", repr(value)) for j, value in enumerate(row))]
        items = [field(1, field(2, name.encode()) + field(16, text.encode())) for name, text in texts]
        log_record(log, b"\x08" + varint(2 * step + 2) + field(2, b"".join(items) + field(2, b"\x08" + varint(step))))
        log_record(log, b"\x08" + varint(2 * step + 3) + field(3, b"".join(items)))
    path.write_bytes(log)


def log_record(log: bytearray, data: bytes) -> None:
    """Append a record in chunks that end with blocks."""
    is_first = True
    while True:
        room = BLOCK - len(log) % BLOCK
        if room < 7:
            log += bytes(room)
            continue
        part, data = data[: room - 7], data[room - 7 :]
        kind = (1 if not data else 2) if is_first else (4 if not data else 3)
        log += zlib.crc32(bytes([kind]) + part).to_bytes(4, "little") + len(part).to_bytes(2, "little")
        log += bytes([kind]) + part
        is_first = False
        if not data:
            return


def write_mlflow(path: Path, n_rows: int) -> None:
    """Write a database of MLflow's schema."""
    connection = sqlite3.connect(path)
    connection.executescript(
        "CREATE TABLE experiments (experiment_id INTEGER, name TEXT, lifecycle_stage TEXT);"
        "CREATE TABLE runs (run_uuid TEXT, name TEXT, status TEXT, start_time INTEGER, end_time INTEGER,"
        " lifecycle_stage TEXT, experiment_id INTEGER);"
        "CREATE TABLE metrics (key TEXT, value FLOAT, timestamp INTEGER, run_uuid TEXT, step INTEGER, is_nan BOOLEAN,"
        " PRIMARY KEY (key, timestamp, step, run_uuid, value, is_nan));"
        "CREATE TABLE params (key TEXT, value TEXT, run_uuid TEXT);"
        "CREATE TABLE tags (key TEXT, value TEXT, run_uuid TEXT);"
        "CREATE TABLE latest_metrics (key TEXT, value FLOAT, timestamp INTEGER, step INTEGER,"
        " is_nan BOOLEAN, run_uuid TEXT);"
        "INSERT INTO experiments VALUES (1, 'p', 'active');"
        "INSERT INTO runs VALUES ('r', 'first', 'FINISHED', 1700000000000, 1700000009000, 'active', 1);"
    )
    rows = (
        (f"metric{j}", value, 1_700_000_000_000 + step, "r", step, 0)
        for step, row in enumerate(values(n_rows).tolist())
        for j, value in enumerate(row)
    )
    connection.executemany("INSERT INTO metrics VALUES (?, ?, ?, ?, ?, ?)", rows)
    connection.commit()
    connection.close()


def write_tensorboard(path: Path, n_rows: int) -> None:
    """Write events of one scalar each, as torch does."""
    from tracklake.importers.readers import tfrecord

    path.mkdir()
    events = []
    for step, row in enumerate(values(n_rows).tolist()):
        head = b"\x09" + np.float64(1.7e9 + step / 8).tobytes() + b"\x10" + varint(step)
        for j, value in enumerate(row):
            scalar = field(1, f"metric{j}".encode()) + b"\x15" + np.float32(value).tobytes()
            events.append(head + field(5, field(1, scalar)))
    (path / "events.out.tfevents.1700000000.host.1.0").write_bytes(b"".join(tfrecord.framed_many(events)))


WRITE = {"wandb": write_wandb, "mlflow": write_mlflow, "tensorboard": write_tensorboard}
FILES = {"wandb": "run-r.wandb", "mlflow": "mlflow.db", "tensorboard": "r"}


def measure(path: Path, into: Path) -> tuple[float, float, int]:
    """Return seconds, CPU seconds and points of one import, without loading the library."""
    lake = tl.open(into, create=True)
    began, cpu = time.perf_counter(), time.process_time()
    report = lake.import_from(path)
    return time.perf_counter() - began, time.process_time() - cpu, report.points


def main(n_points: int) -> None:
    """Print points a second of each format."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        for name in NAMES:
            path = Path(folder, FILES[name])
            WRITE[name](path, n_points // METRICS)
            taken = []
            for n in range(TRIES):
                command = [sys.executable, __file__, "one", str(path), str(Path(folder, f"{name}-lake{n}"))]
                done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
                taken.append([float(text) for text in done.stdout.split()])
            wall, cpu, points = (statistics.median(column) for column in zip(*taken, strict=True))
            rates = f"{points / wall / 1e3:7.0f}k/s wall {points / cpu / 1e3:7.0f}k/s CPU"
            print(f"{name:<12}{int(points):>10,} points {rates}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["one"]:
        print(*measure(Path(sys.argv[2]), Path(sys.argv[3])))
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 1_000_000)
