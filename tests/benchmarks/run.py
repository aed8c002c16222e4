"""All benchmarks by one command: `python tests/benchmarks/run.py` prints a table, `--json FILE` writes it as JSON.

Each measurement runs in a process of its own. The subjects take turns, so that a busy machine is busy for all of them;
a figure is the median of the repeats. README.md beside this file tells what the workloads are.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import asking
import data
from measure import QUESTIONS

HERE = Path(__file__).parent
ASKS = dict(zip(QUESTIONS, ("W3 table of runs", "W4 one metric", "W5 top 10", "W6 one run"), strict=True))
PEERS = ("trackio", "wandb", "mlflow")
READERS = ("tracklake", "floor", "trackio", "mlflow")
TARGETS = {
    ("W1 10 metrics", "log p50 us"): 6,
    ("W1 10 metrics", "log p99 us"): 40,
    ("W1 1,000 metrics", "log p50 us"): 80,
    ("W1 10 metrics", "points/s"): 900_000,
    ("W1 1,000 metrics", "points/s"): 1_200_000,
    ("W1 50 metrics", "points/s"): 1_500_000,
    **{(f"W1 {name}", "bytes/point"): 8.5 for name in data.ONE_RUN},
    ("W2 many runs", "runs/s"): 150,
    ("W3 table of runs", "cold ms"): 350,
    ("W3 table of runs", "warm ms"): 6,
    ("W4 one metric", "warm ms"): 10,
    ("W5 top 10", "warm ms"): 6,
    ("W6 one run", "warm ms"): 12,
    ("LCDB import", "import s"): 30,
    ("LCDB import", "import peak GB"): 3,
    ("LCDB table", "warm ms"): 200,
    ("LCDB one_metric", "warm ms"): 200,
    ("LCDB compare", "compare s"): 10,
    ("importance", "with intervals s"): 2,
    ("import", "beyond polars ms"): 150,
    **asking.TARGETS,
}
"""What is to be reached; of rates (figures with a slash and s) at least, of all others at most."""

Figure = tuple[str, str]
Found = dict[Figure, dict[str, list[float]]]


def measured(script: str, *arguments: object, timeout: float = 3600) -> dict[str, float]:
    """Run one of the scripts beside this one and return its figures."""
    command = [sys.executable, str(HERE / script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[1:])} failed:\n{done.stderr}")
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]  # a peer may have the last word
    return json.loads(lines[-1])


def cold(code: str) -> float:
    """Milliseconds of a fresh process that runs this code."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import sys; sys.path.insert(0, {str(HERE)!r}); {code}"], check=True)
    return (time.perf_counter() - began) * 1e3


def imports() -> dict[str, float]:
    """Milliseconds of `import tracklake` beyond those of `import polars`."""
    code = "import time; a = time.perf_counter(); import polars; b = time.perf_counter(); import tracklake; "
    code += "c = time.perf_counter(); print((b - a) * 1e3, (c - b) * 1e3)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    polars, beyond = map(float, done.stdout.split())
    return {"polars ms": polars, "beyond polars ms": beyond}


def one_run(subjects: list[str], place: Path, size: float) -> Iterator[tuple[str, str, dict[str, float]]]:
    """W1."""
    for name, full in data.ONE_RUN.items():
        for subject in subjects:
            shape = full.scaled(size if subject not in PEERS else size / 10)  # a peer's rate shows soon
            folder = place / f"w1-{subject}"
            yield f"W1 {name}", subject, measured("measure.py", f"on_{subject}", "write", folder, *shape)
            shutil.rmtree(folder)


def many_runs(subjects: list[str], place: Path, size: float) -> Iterator[tuple[str, str, dict[str, float]]]:
    """W2; what it wrote last stays for W3 to W6."""
    for subject in subjects:
        shape = data.MANY_RUNS.scaled(size)
        if subject in ("wandb", "mlflow"):
            shape = shape._replace(runs=max(3, shape.runs // 20))
        folder = place / f"w2-{subject}"
        shutil.rmtree(folder, ignore_errors=True)
        yield "W2 many runs", subject, measured("measure.py", f"on_{subject}", "write", folder, *shape)


def asked(subjects: list[str], place: Path, times: int) -> Iterator[tuple[str, str, dict[str, float]]]:
    """W3 to W6."""
    for question, name in ASKS.items():
        for subject in [s for s in subjects if s in READERS]:
            folder = place / f"w2-{subject}"
            call = f"from pathlib import Path; import on_{subject} as s; s.{question}(s.opened(Path({str(folder)!r})))"
            figures = measured("measure.py", f"on_{subject}", "ask", folder, question, times)
            yield name, subject, {"cold ms": cold(call), **figures}


def lcdb(csv: Path, place: Path) -> Iterator[tuple[str, str, dict[str, float]]]:
    """The import of a table of LCDB, and questions over all of its runs."""
    for subject in ("tracklake", "floor"):
        folder = place / f"lcdb-{subject}"
        shutil.rmtree(folder, ignore_errors=True)
        yield "LCDB import", subject, measured("lcdb.py", subject, "import", csv, folder)
    for question in ("table", "one_metric", "best"):
        for subject in ("tracklake", "floor"):
            yield (
                f"LCDB {question}",
                subject,
                measured("lcdb.py", subject, "ask", question, place / f"lcdb-{subject}", 5),
            )
    for subject in ("tracklake", "floor"):
        yield "LCDB compare", subject, measured("comparing.py", subject, "compare", place / f"lcdb-{subject}")


def importance() -> Iterator[tuple[str, str, dict[str, float]]]:
    """What mattered in a sweep of 10,000 runs; the floor is optuna."""
    for subject in ("tracklake", *(["floor"] if importlib.util.find_spec("optuna") else [])):
        yield "importance", subject, measured("comparing.py", subject, "importance")


def sql(place: Path, size: float, lcdb_lake: Path | None) -> Iterator[tuple[str, str, dict[str, float]]]:
    """Questions in SQL and in a shell; those to LCDB where it was imported."""
    for question, name in asking.QUESTIONS.items():
        is_cold = question in ("shell", "live")
        folder = place / f"sql-{question}" if is_cold else lcdb_lake
        if is_cold and not folder.exists():
            command = [sys.executable, HERE / "asking.py", "make", question, folder, str(size)]
            subprocess.run(command, check=True, capture_output=True)
        for subject in ("tracklake", "floor") if folder else ():
            if is_cold:
                call = f"import asking; asking.main({subject!r}, {question!r}, {str(folder)!r})"
                yield name, subject, {"cold ms": cold(call)}
            else:
                yield name, subject, measured("asking.py", subject, question, folder, 9)


def all_of(options: argparse.Namespace, place: Path) -> Iterator[tuple[str, str, dict[str, float]]]:
    """Run what was asked for once."""
    subjects = ["tracklake", "floor", *(p for p in options.peers if importlib.util.find_spec(p))]
    if "W1" in options.only:
        yield from one_run(subjects, place, options.size)
    if "W2" in options.only:
        yield from many_runs(subjects, place, options.size)
        yield from asked(subjects, place, max(3, round(20 * options.size)))
    if "import" in options.only:
        yield "import", "tracklake", imports()
    if "importance" in options.only:
        yield from importance()
    if options.lcdb:
        yield from lcdb(options.lcdb, place)
    if "SQL" in options.only:
        yield from sql(place, options.size, place / "lcdb-tracklake" if options.lcdb else None)


def collect(options: argparse.Namespace) -> Found:
    found: Found = {}
    with tempfile.TemporaryDirectory() as place:
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed is compiled, and so is what is measured
        os.environ["PYTHONPYCACHEPREFIX"] = f"{place}/bytecode"
        imports()
        for turn in range(options.repeat):
            for workload, subject, figures in all_of(options, Path(place)):
                for figure, value in figures.items():
                    found.setdefault((workload, figure), {}).setdefault(subject, []).append(value)
                print(f"{turn + 1}/{options.repeat}  {workload}  {subject}", file=sys.stderr)
    return found


def rows_of(found: Found) -> list[dict[str, object]]:
    """One row a figure: the median of each subject, the ratio to the floor, the target and whether it is reached.

    `best` is the least disturbed repeat of tracklake: on a machine that others use, it tells most of the code.
    """
    rows = []
    for (workload, figure), values in found.items():
        medians = {subject: statistics.median(of) for subject, of in values.items()}
        row: dict[str, object] = {"workload": workload, "figure": figure, **medians}
        if medians.get("floor"):
            row["ratio"] = medians["tracklake"] / medians["floor"]
        is_rate = figure.endswith("/s")
        row["best"] = (max if is_rate else min)(values["tracklake"])
        target = TARGETS.get((workload, figure))
        if target is not None:
            better = medians["tracklake"] >= target if is_rate else medians["tracklake"] <= target
            row |= {"target": target, "reached": better}
        rows.append(row)
    return rows


def printed(rows: list[dict[str, object]]) -> str:
    """The rows as a table."""
    heads = ["workload", "figure", "tracklake", "floor", "ratio", "best", "target", "reached", *PEERS]
    shown = [head for head in heads if any(head in row for row in rows)]
    cells = [shown, *([_cell(row.get(head)) for head in shown] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(shown))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float | int):
        return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=float, default=1.0, help="share of the runs and steps (default: 1)")
    parser.add_argument("--repeat", type=int, default=3, help="how often each measurement is made (default: 3)")
    parts = ["W1", "W2", "import", "importance", "SQL"]
    parser.add_argument("--only", nargs="+", default=parts, choices=parts)
    parser.add_argument(
        "--peers", nargs="*", default=list(PEERS), choices=PEERS, help="those not installed are left out"
    )
    parser.add_argument("--lcdb", type=Path, help="LCDB's database-accuracy.csv")
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    options = parser.parse_args()
    rows = rows_of(collect(options))
    print(printed(rows))
    if options.json:
        options.json.write_text(json.dumps({"size": options.size, "repeat": options.repeat, "figures": rows}, indent=1))


if __name__ == "__main__":
    main()
