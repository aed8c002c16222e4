"""Each format beside the owner's own reader, as a Markdown table: `python tests/importers/owners_table.py [PYTHON...]`.

Each PYTHON is an interpreter with tracklake and some of the owners' packages (.ci/requirements-owners.txt,
.ci/requirements-heavy.txt); without one it is this one. Read are the samples of ../shared/data, and files that the
packages write on the spot. A difference is a point (metric, step, value) that only one of the two readers has.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import owner_readers
import owner_writers
from samples import FOLDER

import tracklake as tl


def ours(path: Path, lake: Path, **options: object) -> tuple[Counter[tuple[str, int, str]], int, list[str]]:
    """Return the points that an import brings in, how many runs, and what could not be read."""
    lake_of = tl.open(lake, create=True)
    report = lake_of.import_from(path, **options)  # type: ignore[arg-type]
    history = lake_of.history(raw=True)
    values = history["value"] if history.height else []
    points = zip(history["metric"], history["step"], values, strict=True)
    return Counter((m, s, repr(float(v))) for m, s, v in points if v is not None), report.runs, [
        one.reason for one in report.unread
    ]  # fmt: skip


def compared(name: str, path: Path, theirs: owner_readers.Points | None, note: str = "") -> dict[str, object]:
    """Return a row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        points, runs, unread = ours(path, Path(folder, "lake"))
    row: dict[str, object] = {"format": name, "files": note or path.name, "runs": runs, "points": points.total()}
    if theirs is not None:
        expected = Counter((metric, step, repr(float(value))) for metric, step, value in theirs)
        only = (points - expected).total(), (expected - points).total()
        row |= {
            "owner": expected.total(),
            "differences": sum(only),
            "example": str((points - expected) or (expected - points))[:120],
        }
    row["told"] = "; ".join(unread)
    return row


def beside(name: str, file: str, reader: owner_readers.Reader, folder: Path) -> dict[str, object]:
    """Return the row of a sample; an owner that cannot read its own old files is told as such."""
    try:
        path, theirs = reader.read(FOLDER / file, folder)
    except Exception as error:  # noqa: BLE001 - whatever another library raises
        return compared(name, FOLDER / file, None, note=file) | {"owner": f"cannot read it: {type(error).__name__}"}
    return compared(name, path, theirs, note=file)


def rows() -> list[dict[str, object]]:
    """Return the rows for which this interpreter has the owner's package."""
    table = []
    for name, file, reader in owner_readers.SAMPLES:
        if importlib.util.find_spec(reader.package) and (FOLDER / file).exists():
            with tempfile.TemporaryDirectory() as folder:
                table.append(beside(name, file, reader, Path(folder)))
    for writer in owner_writers.ALL:
        if all(importlib.util.find_spec(package) for package in writer.packages):
            with tempfile.TemporaryDirectory() as folder:
                points = writer.write(Path(folder))
                versions = ", ".join(f"{p} {importlib.metadata.version(p)}" for p in writer.packages[:1])
                table.append(compared(writer.format, Path(folder), points, note=f"written by {versions}"))
    return table


def main(pythons: list[str]) -> int:
    """Print the table of all interpreters, each row once; return how many points differ."""
    every: dict[tuple[object, object], dict[str, object]] = {}
    for python in pythons or [sys.executable]:
        environment = {**os.environ, "OWNERS_TABLE": "rows"}
        done = subprocess.run([python, __file__], env=environment, stdout=subprocess.PIPE, text=True, check=True)
        every |= {(row["format"], row["files"]): row for row in json.loads(done.stdout.splitlines()[-1])}
    print("| format | files | runs | points | owner's points | differences | told |\n|---|---|---|---|---|---|---|")
    for row in sorted(every.values(), key=lambda row: (str(row["format"]), str(row["files"]))):
        cells = [row.get(key, "") for key in ("format", "files", "runs", "points", "owner", "differences", "told")]
        print(f"| {' | '.join(map(str, cells))} |")
    return sum(int(str(row.get("differences", 0))) for row in every.values())


if __name__ == "__main__":
    if os.environ.get("OWNERS_TABLE"):
        print(json.dumps(rows()))
    else:
        sys.exit(main(sys.argv[1:]) > 0)
