"""LCDB, 124,029 real learning curves of 20 learners on 248 data sets: import, and questions over all of them.

`python lcdb.py SUBJECT import CSV FOLDER` and `python lcdb.py SUBJECT ask QUESTION FOLDER TIMES` print figures as JSON.
The subjects are tracklake and floor.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time
from pathlib import Path

import polars as pl

RUN = ["openmlid", "learner", "outer_seed", "inner_seed"]
CONFIG = [*RUN, "size_test"]
METRICS = {"train/acc": "score_train", "valid/acc": "score_valid", "test/acc": "score_test", "traintime": "traintime"}
STATISTICS = [f"{metric}.{stat}" for metric in METRICS for stat in ("max", "last")]
ASKED = "valid/acc"


class Tracklake:
    """The same questions to a lake."""

    @staticmethod
    def load(csv, folder):
        import tracklake as tl

        lake = tl.open(folder, create=True)
        lake.import_table(
            csv, run_columns=RUN, config_columns=CONFIG, step="size_train", metrics=METRICS, project="lcdb"
        )

    @staticmethod
    def opened(folder):
        import tracklake as tl

        return tl.open(folder)

    @staticmethod
    def table(lake):
        config, summary = [f"config.{name}" for name in CONFIG], [f"summary.{path}" for path in STATISTICS]
        return lake.runs(columns=["run_id", *config, *summary])

    @staticmethod
    def one_metric(lake):
        return lake.history(ASKED)

    @staticmethod
    def best(lake):
        asked = ["run_id", f"summary.{ASKED}.max", f"summary.{ASKED}.argmax"]
        return lake.runs(columns=asked, order_by=f"-summary.{ASKED}.max", limit=10)


class Floor:
    """Polars over three Parquet files laid out for just these questions."""

    @staticmethod
    def load(csv, folder):
        folder.mkdir(parents=True)
        table = pl.read_csv(csv, infer_schema_length=10_000)
        runs = table.group_by(RUN, maintain_order=True).agg(pl.col("size_test").first())
        runs = runs.with_columns(pl.concat_str(RUN, separator=",").alias("run_id"))
        runs.write_parquet(folder / "runs.parquet")
        whose = table.join(runs.select("run_id", *RUN), on=RUN, maintain_order="left")
        wide = whose.select(
            "run_id", pl.col("size_train").alias("step"), *(pl.col(c).alias(m) for m, c in METRICS.items())
        )
        points = wide.unpivot(index=["run_id", "step"], variable_name="metric").sort("run_id", "metric", "step")
        points.write_parquet(folder / "points.parquet", compression="zstd", compression_level=1)
        at = pl.col("step").get(pl.col("value").arg_max())
        states = points.group_by("metric", "run_id", maintain_order=True).agg(
            max=pl.col("value").max(), argmax=at, last=pl.col("value").last()
        )
        states.sort("metric", "run_id").write_parquet(folder / "states.parquet")

    @staticmethod
    def opened(folder):
        return {name: pl.scan_parquet(folder / f"{name}.parquet") for name in ("points", "states", "runs")}

    @staticmethod
    def table(lake):
        states = lake["states"].select("run_id", "metric", "max", "last").collect().partition_by("metric", as_dict=True)
        found = lake["runs"].collect()
        for (metric,), part in states.items():
            named = part.select("run_id", pl.col("max", "last").name.prefix(f"{metric}."))
            found = found.join(named, on="run_id", how="left")
        return found

    @staticmethod
    def one_metric(lake):
        return lake["points"].filter(pl.col("metric") == ASKED).select("run_id", "step", "value").collect()

    @staticmethod
    def best(lake):
        return lake["states"].filter(pl.col("metric") == ASKED).top_k(10, by="max").collect()


def load(subject, csv: Path, folder: Path) -> dict[str, float]:
    """Seconds and gigabytes of an import."""
    began = time.perf_counter()
    subject.load(csv, folder)
    took = time.perf_counter() - began
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"import s": took, "import peak GB": kilobytes / 1e6}


def ask(subject, folder: Path, question: str, *, times: int) -> dict[str, float]:
    """Milliseconds of the first question to a lake just opened, and of the next ones."""
    answer, took = getattr(subject, question), []
    began = time.perf_counter()
    lake = subject.opened(folder)
    for _ in range(times + 1):
        answer(lake)
        ended = time.perf_counter()
        took.append((ended - began) * 1e3)
        began = ended
    return {"first ms": took[0], "warm ms": statistics.median(took[1:])}


def main(name: str, what: str, *rest: str) -> None:
    subject = {"tracklake": Tracklake, "floor": Floor}[name]
    if what == "import":
        figures = load(subject, Path(rest[0]), Path(rest[1]))
    else:
        figures = ask(subject, Path(rest[1]), rest[0], times=int(rest[2]))
    print(json.dumps(figures))


if __name__ == "__main__":
    main(*sys.argv[1:])
