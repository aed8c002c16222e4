"""Partitions: the stored tables, read by this package and by any other."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import deltalake
import duckdb
import polars as pl
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from processes import output

import tracklake as tl
from tracklake.common import threads
from tracklake.errors import LakeError
from tracklake.schema.tables import POINTS, SESSIONS, STATES
from tracklake.storage.journal import statements
from tracklake.storage.local import LocalStorage
from tracklake.storage.table import delta_log, parquet_file, partitions, recomputation, verified_files
from tracklake.storage.table.delta_actions import Partition

NAN = math.nan
TABLES = {"history": POINTS, "states": STATES, "runs": SESSIONS}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of two partitions: two runs with values of every kind, three NaN, edits and definitions."""
    root = tmp_path_factory.mktemp("partitions")
    for run_id in ("b", "a"):
        with tl.init("p", id=run_id, dir=root, config={"lr": 0.1, "never": NAN}) as run:
            run.define_metric("loss", summary="min")
            run.log({"loss": NAN, "n": 2**60, "note": "x", "flag": True, "l": [1], "none": None})
            run.log({"loss": 1.5 if run_id == "a" else NAN})
            run.summary["edit"] = NAN
        tl.open(root).refresh()
    return root


def files(root: Path, table: str) -> list[str]:
    return sorted(map(str, (root / table).glob("part-*.parquet")))


@pytest.mark.parametrize("table", TABLES)
def test_every_table_opens_in_polars_duckdb_and_pyarrow(root, table):
    """Three engines read the same columns and the same number of rows."""
    found = pl.read_parquet(files(root, table))
    assert found.schema == pl.Schema(TABLES[table])
    assert len(files(root, table)) == 2
    read = duckdb.sql(f"select * from read_parquet({files(root, table)})")
    assert (read.columns, len(read)) == (found.columns, found.height)
    arrow = ds.dataset(root / table, format="parquet").to_table()
    assert (arrow.column_names, arrow.num_rows) == (found.columns, found.height)


def test_duckdb_does_not_lose_nan(root):
    """No statistics stand in the way of rows that hold NaN, in any table."""
    counts = {
        f"from read_parquet({files(root, 'history')}) where isnan(value)": 3,
        f"from read_parquet({files(root, 'history')}) where metric = 'loss' and isnan(value) and run_id = 'b'": 2,
        f"from read_parquet({files(root, 'states')}) where isnan(last_value) and metric = 'loss'": 1,
        f"from read_parquet({files(root, 'runs')}) where isnan(value)": 4,
    }
    assert {text: duckdb.sql(f"select count(*) {text}").fetchall()[0][0] for text in counts} == counts


def test_delta_readers_read_the_history(root):
    """polars.scan_delta and deltalake see the committed points."""
    table = deltalake.DeltaTable(root / "history")
    assert pl.scan_delta(str(root / "history")).select(pl.len()).collect().item() == 14
    assert pl.DataFrame(table.to_pyarrow_table()).select("run_id", "metric", "step").sort(pl.all()).rows()[:2] == [
        ("a", "flag", 0),
        ("a", "l", 0),
    ]


def test_points_and_states_are_sorted_and_lean(root):
    """Points stand in order of run, metric and step, states in order of metric and run, floats without statistics."""
    points, states = (pl.read_parquet(files(root, table)[0]) for table in ("history", "states"))
    assert points.equals(points.sort("project", "run_id", "metric", "step", "ts", "session"))
    assert states.equals(states.sort("metric", "run_id", "session"))
    meta = pq.ParquetFile(files(root, "history")[0]).metadata
    column = {meta.row_group(0).column(i).path_in_schema: meta.row_group(0).column(i) for i in range(meta.num_columns)}
    assert not column["value"].is_stats_set
    assert column["step"].is_stats_set
    assert "BYTE_STREAM_SPLIT" in column["value"].encodings
    assert (column["step"].compression, column["metric"].has_dictionary_page) == ("ZSTD", True)


def test_values_of_every_kind_are_stored_in_their_column(root):
    """Numbers in value, exact integers and bools in ival, text and JSON in text, None nowhere."""
    points = pl.read_parquet(files(root, "history")).filter((pl.col("run_id") == "a") & (pl.col("step") == 0))
    stored = {
        metric: tuple(row) for metric, *row in points.select("metric", "value", "ival", "text", "kind").iter_rows()
    }
    assert str(stored.pop("loss")) == "(nan, None, None, 0)"
    assert stored == {
        "n": (2.0**60, 2**60, None, 1),
        "flag": (1.0, 1, None, 2),
        "note": (None, None, "x", 3),
        "l": (None, None, "[1]", 4),
        "none": (None, None, None, 5),
    }


def test_states_hold_the_series_that_every_run_has(root):
    """_step, _timestamp and _runtime have states, and no points."""
    states = pl.read_parquet(files(root, "states")).filter(pl.col("run_id") == "a")
    assert states.filter(pl.col("metric").str.starts_with("_")).select("metric", "n_points").rows() == [
        ("_runtime", 2),
        ("_step", 2),
        ("_timestamp", 2),
    ]
    assert pl.read_parquet(files(root, "history"))["metric"].unique().sort().to_list() == [
        "flag",
        "l",
        "loss",
        "n",
        "none",
        "note",
    ]


def test_what_sessions_said_comes_back_as_it_was(root):
    """The statements of a partition are the flat ones again, with their stamps in order."""
    storage = tl.open(root)._storage
    version = delta_log.DeltaLog(storage).read()
    said = [partitions.read_sessions(storage, p) for p in version.partitions.values()]
    assert [s.files["run_id"].to_list() for s in said] == [["b"], ["a"]]
    statements = said[1].statements
    assert statements["ts"].is_sorted()
    assert statements.filter(~pl.col("op").is_in(["session", "metadata"])).select("op", "key").rows() == [
        ("config", "lr"),
        ("config", "never"),
        ("define", "loss"),
        ("edit", "edit"),
        ("finish", "state"),
        ("finish", "exit_code"),
    ]
    assert said[1].files.select("n", "complete").rows() == [(0, True)]


def test_a_discarded_partition_leaves_no_file(tmp_path):
    """A partition that lost its commit is deleted whole."""
    storage = tl.open(tmp_path, create=True)._storage
    nothing = statements.SessionRecords(
        pl.DataFrame(schema=statements.FILES), pl.DataFrame(schema=statements.STATEMENTS)
    )
    written = partitions.write(storage, partitions.Contents(pl.DataFrame(schema=POINTS), nothing))
    assert [storage.path(f).exists() for f in (written.history, written.states, written.runs)] == [True] * 3
    assert verified_files.checksum(storage.path(written.history)) == (written.sizes[0], written.crcs[0])
    partitions.discard(storage, written)
    assert [f for table in TABLES for f in files(tmp_path, table)] == []


def test_a_partition_is_written_where_no_thread_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A process that may have no more threads, or that ends, writes the three files one after the other."""
    refused = []

    def start(work: Callable[[], object], **_: object) -> NoReturn:
        refused.append(work)
        raise RuntimeError("can't start new thread")

    storage = LocalStorage(tmp_path)
    monkeypatch.setattr(threads, "start", start)
    part = partitions.write(storage, partitions.Contents(pl.DataFrame(schema=POINTS), statements.concat([])))
    assert refused
    assert [verified_files.checksum(tmp_path / file) for file in (part.history, part.states, part.runs)] == list(
        zip(part.sizes, part.crcs, strict=True)
    )


def test_steps_are_a_dictionary_where_few_recur(root, tmp_path: Path):
    """So one metric of all runs is read sooner; of many steps the differences are kept, which take fewer bytes."""
    with tl.init(dir=tmp_path) as run:
        for step in range(1_025):
            run.log({"loss": float(step)})
    tl.open(tmp_path).refresh()
    for lake, encoding in ((root, "RLE_DICTIONARY"), (tmp_path, "DELTA_BINARY_PACKED")):
        group = pq.read_metadata(files(lake, "history")[0]).row_group(0)
        (step,) = [c for c in map(group.column, range(group.num_columns)) if c.path_in_schema == "step"]
        assert encoding in step.encodings, lake


@pytest.mark.parametrize(  # of 64 points, 16 a run
    ("row_group", "n_parts"), [(7, (4, 4, 2)), (16, (4, 4, 2)), (40, (3, 2, 2)), (1_000, (2, 2, 2))]
)
def test_states_are_computed_again_some_runs_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row_group: int, n_parts: tuple[int, ...]
):
    """However few points a row group has, they are those that sealing wrote."""
    monkeypatch.setattr(parquet_file, "ROW_GROUP", row_group)
    for name in "abcd":
        with tl.init("p", id=name, dir=tmp_path) as run:
            for step in range(10):
                run.log({"loss": step / 7, "note": "x"} if step % 3 else {"loss": step / 7})
    lake = tl.open(tmp_path)
    lake.refresh()
    (part,) = lake._view.snapshot.version.partitions.values()
    stored = pl.read_parquet(tmp_path / part.states)
    monkeypatch.setattr(recomputation, "EDGE_POINTS", 1)
    for at_once, n in zip((1, 2, 100), n_parts, strict=True):
        monkeypatch.setattr(recomputation, "READ_ROW_GROUPS", at_once)
        again = list(recomputation.states_of(lake._storage, part))
        assert len(again) == n, at_once
        assert pl.concat(again).sort("metric", "run_id", "session").equals(stored), at_once


@pytest.mark.parametrize("size", [0, 3, 1_000])
def test_a_file_that_is_cut_short_once_it_was_verified_is_told(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
):
    """As any damage is, whichever reader meets it."""
    lake = tl.open(root)
    part = next(iter(lake._view.snapshot.version.partitions.values()))
    cut = tmp_path / "cut.parquet"
    cut.write_bytes((root / part.history).read_bytes()[:size])
    monkeypatch.setattr(recomputation, "verified", lambda *_: cut)
    with pytest.raises(LakeError, match="a partition cannot be read"):
        list(recomputation.states_of(lake._storage, part))


def test_partitions_of_most_states_are_recomputed_first():
    """Short series take longest, point by point: begun last, one of them would keep a single worker busy."""
    sizes = {"first": 5, "wide": 700, "second": 5}  # bytes of states
    parts = [
        Partition(name, n_points=16, created=0, sizes=(9, size, 3), crcs=(1, 2, 3)) for name, size in sizes.items()
    ]
    assert [part.id for part in recomputation.most_states_first(parts)] == ["wide", "first", "second"]


def test_a_partition_file_that_is_left_while_a_thread_writes_it(tmp_path: Path):
    """As by a second Ctrl-C while the first waits for the threads: neither of them ends the process."""
    script = """
    import threading
    from pathlib import Path
    import numpy as np, polars as pl
    from tracklake.storage.table.parquet_file import ParquetFile

    frame = pl.DataFrame({"value": np.random.default_rng(0).random(400_000)})
    for _ in range(3):
        try:
            with ParquetFile(Path(sys.argv[1], "a.parquet"), frame.schema) as file:
                thread = threading.Thread(target=file.append, args=[frame])
                thread.start()
                while file._sink.size < 50_000:
                    time.sleep(1e-4)
                raise KeyboardInterrupt
        except KeyboardInterrupt:
            thread.join()
    print("alive")
    """
    assert output(script, tmp_path) == "alive"
