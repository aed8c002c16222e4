"""The workload SQL: questions in SQL and in a shell, and the least code that answers them.

`python asking.py SUBJECT QUESTION FOLDER [TIMES]` prints figures as JSON. The subjects, tracklake and floor,
read the same lake: that of LCDB (leaderboard, hundred), one of 10,000 runs (shell), one of 1,000 journals that
nobody has sealed (live). `python asking.py make shell|live FOLDER` makes the latter two.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import statistics
import sys
import time
from pathlib import Path

METRIC = "valid/acc"
QUESTIONS = {"leaderboard": "SQL leaderboard", "hundred": "SQL 100 runs", "shell": "SQL shell", "live": "SQL live"}
RUNS, LIVE = 10_000, 1_000
TARGETS = {
    ("SQL leaderboard", "warm ms"): 250,
    ("SQL 100 runs", "warm ms"): 50,
    ("SQL shell", "cold ms"): 600,
    ("SQL live", "cold ms"): 1500,
}


def make(what: str, folder: Path, *, size: float = 1.0) -> None:
    """Make the lake that a question is asked."""
    import polars as pl

    import tracklake as tl

    if what == "live":
        for i in range(round(LIVE * size)):
            run = tl.init("p", id=f"r{i}", config={"lr": i}, dir=folder, reinit="create_new")
            for step in range(20):
                run.log({"loss": float(step), "acc": step / 20})
        sys.stdout.flush()
        os._exit(0)  # as a killed process does: nothing is sealed
    runs, steps = round(RUNS * size), 10
    rows = pl.DataFrame({"run": range(runs)}).join(pl.DataFrame({"step": range(steps)}), how="cross")
    value = pl.col("run").hash(1) % 1000 / 1000
    table = rows.with_columns(lr=pl.col("run") / runs, loss=value / (1 + pl.col("step")), acc=value)
    named = {
        "run_columns": ["run"],
        "config_columns": ["lr"],
        "step": "step",
        "metrics": {"loss": "loss", "acc": "acc"},
    }
    tl.open(folder, create=True).import_table(table, **named, project="p")


def some(run_ids: list[str]) -> list[str]:
    """A hundred of the runs, from all over the lake."""
    return random.Random(0).sample(sorted(run_ids), min(100, len(run_ids)))


class Tracklake:
    """The questions to a lake."""

    def __init__(self, folder: Path) -> None:
        import tracklake as tl

        self.lake = tl.open(folder)
        self.asked: list[str] = []

    def leaderboard(self):
        return self.lake.query("leaderboard", metric=METRIC, goal="max", k=20)

    def hundred(self):
        self.asked = self.asked or some(self.lake.runs(columns=["run_id"])["run_id"].to_list())
        return self.lake.history(METRIC, runs=self.asked).select("run_id", "step", "value")

    def shell(self):
        from tracklake.cli import main

        with contextlib.redirect_stdout(io.StringIO()) as printed:
            main(["runs", "--dir", self.lake.dir], standalone_mode=False)
        return printed.getvalue()

    def live(self):
        return self.lake.sql('SELECT run_id, "summary.acc.max" AS acc FROM runs ORDER BY acc DESC, run_id LIMIT 20')


class Floor:
    """duckdb and polars by hand over the files of the same lake: they know what is in them, and check nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []

    def _files(self, name: str) -> str:
        return f"read_parquet('{self.folder}/{name}/*.parquet')"

    def leaderboard(self):
        import duckdb

        self.connection = getattr(self, "connection", None) or duckdb.connect()
        best = f"""SELECT run_id, project, max AS value, max_step AS step FROM {self._files("states")}
            WHERE metric = '{METRIC}' AND max IS NOT NULL ORDER BY max DESC, run_id LIMIT 20"""
        said = f"""SELECT run_id, key, text FROM {self._files("runs")}
            WHERE op = 'field' AND run_id IN (SELECT run_id FROM best)"""
        text = f"""WITH best AS MATERIALIZED ({best}), said AS ({said}),
            fields AS (SELECT run_id, max(text) FILTER (key = 'name') AS name,
                           max(text) FILTER (key = 'group') AS "group" FROM said GROUP BY run_id)
            SELECT rank() OVER (ORDER BY value DESC) AS rank, run_id, coalesce(name, run_id) AS name, project, "group",
                value, step::DOUBLE AS step FROM best LEFT JOIN fields USING (run_id) ORDER BY rank, run_id"""
        import polars as pl

        return pl.from_arrow(self.connection.sql(text).to_arrow_table())

    def hundred(self):
        import polars as pl

        points = pl.scan_parquet(f"{self.folder}/history/*.parquet")
        self.asked = self.asked or some(points.select(pl.col("run_id").unique()).collect()["run_id"].to_list())
        mine = points.filter(pl.col("metric") == METRIC, pl.col("run_id").is_in(self.asked))
        return mine.select("run_id", "step", "value").sort("run_id", "step").collect()

    def shell(self):
        import click
        import polars as pl

        rows = pl.scan_parquet(f"{self.folder}/runs/*.parquet").filter(op="header")
        runs = rows.select("run_id", "project", "start").collect()
        states = pl.read_parquet(f"{self.folder}/states/*.parquet", columns=["run_id", "metric", "last_value"])
        wide = states.filter(pl.col("metric").is_in(["loss", "acc"])).pivot(
            "metric", index="run_id", values="last_value"
        )
        found = runs.join(wide, on="run_id").sort("start", descending=True).head(30)
        return click.unstyle(str(found))

    def live(self):
        import duckdb
        import polars as pl

        sizes = {path.name: len(path.read_bytes()) for path in (self.folder / "journal").iterdir()}
        frame = pl.DataFrame({"name": list(sizes), "size": list(sizes.values())})
        connection = duckdb.connect()
        connection.register("journals", frame)
        return connection.sql("SELECT name FROM journals ORDER BY size DESC, name LIMIT 20").to_arrow_table()


SUBJECTS = {"tracklake": Tracklake, "floor": Floor}


def ask(name: str, question: str, folder: Path, *, times: int) -> dict[str, float]:
    """Milliseconds of the first answer and of the next ones."""
    began = time.perf_counter()
    subject = SUBJECTS[name](folder)
    took = []
    for _ in range(times + 1):
        getattr(subject, question)()
        ended = time.perf_counter()
        took.append((ended - began) * 1e3)
        began = ended
    return {"first ms": took[0], "warm ms": statistics.median(took[1:])}


def main(name: str, question: str, folder: str, times: str = "0") -> None:
    if name == "make":
        make(question, Path(folder), size=float(times) or 1.0)
    elif times == "0":
        getattr(SUBJECTS[name](Path(folder)), question)()
    else:
        print(json.dumps(ask(name, question, Path(folder), times=int(times))))


if __name__ == "__main__":
    main(*sys.argv[1:])
