"""Flipped bits and cuts in every kind of file: each reader, init and check tell it or answer as before; none aborts.

A child process does the asking, since a decoder that is given damaged bytes may end its process.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from processes import output, start

import tracklake as tl
from tracklake.common.warnings import _warned

Case = tuple[str, int, str]
"""File, bit, and whether it is flipped or the file cut there."""

KINDS = {
    "journal of a finished run": "journal/done-*.tlj",
    "journal of a killed run": "journal/killed-*.tlj",
    "journal of the lake": "journal/_lake-*.tlj",
    "history": "history/part-*.parquet",
    "states": "states/part-*.parquet",
    "runs": "runs/part-*.parquet",
    "commit": "history/_delta_log/*.json",
    "checkpoint": "history/_delta_log/*.parquet",
    "checksum of a checkpoint": "history/_delta_log/*.crc32",
    "mark of the lake": "tracklake.json",
    "array": "files/*.npy",
    "file of a run": "files/*.txt",
    "artifact": "artifacts/p-*/*/v*.json",
    "name of an artifact": "artifacts/names/*.json",
    "sweep": "sweeps/*.json",
    "system metrics": "system/*.tlj",
}


MAKE = """
import random
import numpy as np
from pathlib import Path
from tracklake.storage.table import checkpoint

place, checkpoint.EVERY = sys.argv[1], 2
for run_id in ("sealed", "merged", "done"):
    with tl.init("p", id=run_id, config={"lr": 0.1, "name": run_id}, dir=place, system_metrics=run_id == "done") as run:
        for step in range(20):
            run.log({"loss": 1 / (step + 1), "epoch": step // 5, "note": f"{run_id} {step}"})
        run.define_metric("loss", summary="min", goal="min")
        run.summary["weights"] = np.arange(200.0)
        Path(run.dir, "notes.txt").write_text("hello" * 20)
        artifact = tl.Artifact("data", type="set", metadata={"rows": 3})
        with artifact.new_file("a.txt") as file:
            file.write(run_id * 9)
        run.log_artifact(artifact, aliases=["best"])
    if run_id != "done":
        tl.open(place).refresh()
tl.open(place).define_metric("epoch", summary="max")
tl.sweep({"parameters": {"lr": {"values": [0.1, 0.2]}}, "method": "grid"}, dir=place)
"""
KILL = """
run = tl.init("p", id="killed", dir=sys.argv[1])
for step in range(9):
    run.log({"loss": float(step)})
os._exit(9)
"""


def questions(place: Path) -> dict[str, Callable[[], object]]:
    """What is asked: every reader, init, and the check."""

    def fresh() -> tl.Lake:
        return tl.open(place)

    columns = ["run_id", "config.lr", "config.name", "summary.loss.min", "summary.epoch", "state"]
    return {
        "runs": lambda: fresh().runs(columns=columns, order_by="run_id").rows(),
        "summaries": lambda: fresh().summaries(["loss.min", "loss.mean", "epoch.max"]).sort("run_id").rows(),
        "history": lambda: fresh().history(["loss", "epoch", "note"]).drop("time").rows(),
        "raw": lambda: sorted(fresh().history(["loss"], raw=True).select("run_id", "step", "value").rows()),
        "sql": lambda: fresh().sql("SELECT run_id, count(*) FROM history GROUP BY 1 ORDER BY 1").rows(),
        "versions": lambda: fresh().versions().rows(),
        "array": lambda: fresh().run("sealed").summary.array("weights").tolist(),
        "file": lambda: fresh().run("sealed").file("notes.txt").read_text(),
        "artifact": lambda: [_artifact(place, version) for version in ("v0", "v1", "v2", "best")],
        "sweep": lambda: _sweeps(place),
        "system": lambda: fresh()._system_samples(["done"]).drop("time", strict=False).rows(),
        "init": lambda: tl.init("p", id="new", dir=place, reinit="create_new", settings={"metadata": False}).finish(),
        "resume": lambda: _resume(place),
    }


def _artifact(place: Path, version: str) -> tuple[object, ...]:
    artifact = tl.Api(place).artifact(f"p/data:{version}")
    return artifact.metadata, artifact.version, Path(artifact.file()).read_text()


def _sweeps(place: Path) -> list[object]:
    from tracklake.sweeping.records import SweepRecords, sweeps_of

    storage = tl.open(place)._storage
    return [SweepRecords(storage, sweep_id).config.to_json() for sweep_id in sweeps_of(storage)]


def _resume(place: Path) -> tuple[object, ...]:
    run = tl.init("p", id="sealed", resume="must", dir=place, reinit="create_new", settings={"metadata": False})
    first = run.step, dict(run.config), run.summary["loss"]["min"]
    run.finish()
    return first


def ask(question: Callable[[], object]) -> tuple[str, object]:
    """Return what became of a question: an answer, one with a warning, or an error; raw is what we did not raise."""
    with warnings.catch_warnings(record=True, action="always") as warned:
        try:
            answer = json.loads(json.dumps(question(), default=str))
        except tl.errors.TracklakeError as error:
            return "refused", str(error)
        except Exception as error:  # noqa: BLE001 - what the test looks for
            return "raw", f"{type(error).__name__}: {error}"
    return ("told" if any("tracklake" in str(w.message) for w in warned) else "answered"), answer


def ask_all(place: Path) -> dict[str, tuple[str, object]]:
    """Return what becomes of every question, the check first: it is asked of what nobody has written to since."""
    check = ask(lambda: tl.open(place).check(full=True).ok)
    return {"check": check, **{name: ask(question) for name, question in questions(place).items()}}


def damage(lake: Path, place: Path, case: Case) -> None:
    """Copy a lake and flip a bit of a file of it, or cut it."""
    name, at, how = case
    shutil.copytree(lake, place, copy_function=shutil.copy2)
    path = place / name
    mode = path.stat().st_mode
    data = bytearray(path.read_bytes())
    path.chmod(0o644)
    if how == "flip":
        data[at // 8] ^= 1 << at % 8
    path.write_bytes(data if how == "flip" else data[: at // 8])
    path.chmod(mode)


def serve(lake: Path, scratch: Path, cases: list[Case]) -> Iterator[dict[str, object]]:
    """Yield what each case gives, in a folder of its own; nothing is remembered from one to the next."""
    for number, case in enumerate(cases):
        place = scratch / f"{os.getpid()}-{number}"
        damage(lake, place, case) if case[0] else shutil.copytree(lake, place, copy_function=shutil.copy2)
        _warned.clear()
        yield ask_all(place)
        shutil.rmtree(place, ignore_errors=True)  # something may still write beside the run


def asked(lake: Path, scratch: Path, cases: list[Case], *, whole: int) -> Iterator[dict[str, object] | None]:
    """Yield what each case gives; None where the process that asks ends by itself, and the next one goes on.

    `whole` is how large a file is read whole at most; of others the columns that are read are verified.
    """
    script = f"""
    sys.path[:0] = {[str(folder) for folder in Path(__file__).parents[:2]]!r}
    from test_damage import *
    from tracklake.storage.table import verified_files
    verified_files._WHOLE = {whole}
    for answers in serve(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(Path(sys.argv[3]).read_text())):
        print(json.dumps(answers, default=str), flush=True)
    """
    left = cases
    while left:
        (scratch / "cases.json").write_text(json.dumps(left))
        with start(script, lake, scratch, scratch / "cases.json") as child:
            for line in child.stdout:
                left = left[1:]
                yield json.loads(line)
        if left:
            print(f"{left[0]}: {child.wait()} {child.stderr.read()[-400:]}")
            left = left[1:]
            yield None


def fate(case: Case, answers: dict[str, object] | None, sound: dict[str, object]) -> list[str]:
    """Return what is wrong with the answers that a damaged lake gave."""
    if answers is None:
        return [f"{case}: the process ended by itself"]
    wrong, is_told = [], False
    for question, (outcome, answer) in answers.items():
        is_told |= outcome == "told"  # once a process
        if outcome == "raw":
            wrong.append(f"{case}: {question} raised {answer}")
        elif question != "check" and outcome == "answered" and answer != sound[question][1] and not is_told:
            wrong.append(f"{case}: {question} silently gave another answer")
    return wrong if answers["check"][1] is not True else [*wrong, f"{case}: check calls it sound"]


KINDS_AND_NUMBERS = [
    pytest.param([*KINDS], 2, 1 << 18, id="2"),
    pytest.param([*KINDS], 250, 1 << 18, marks=pytest.mark.long, id="250"),
    pytest.param(["history", "states", "runs"], 2, 0, id="2 of columns"),
    pytest.param(["history", "states", "runs"], 250, 0, marks=pytest.mark.long, id="250 of columns"),
]


@pytest.mark.parametrize(("kinds", "a_kind", "whole"), KINDS_AND_NUMBERS)
def test_flips_and_cuts_of_every_kind_of_file(tmp_path: Path, kinds: list[str], a_kind: int, whole: int):
    """No reader gives another answer without a word, none raises what is not ours, none aborts, and check tells it."""
    lake = tmp_path / "lake"
    output(MAKE, lake)
    output(KILL, lake, code=9)
    random_ = random.Random(a_kind)
    cases: list[Case] = [("", 0, "")]
    for pattern in map(KINDS.__getitem__, kinds):
        paths = sorted(lake.glob(pattern))
        assert paths, pattern
        for i in range(a_kind):
            path = random_.choice(paths)
            how = "cut" if i % 4 == 3 or (a_kind < 4 and i) else "flip"
            if how == "cut" and pattern.startswith(("journal/killed", "journal/_lake", "system")):
                how = "flip"  # the end of a journal that nobody closed is where its writer died
            cases.append((str(path.relative_to(lake)), random_.randrange(8 * path.stat().st_size), how))
    answers_of_all = asked(lake, tmp_path, cases, whole=whole)
    sound = next(answers_of_all)
    assert {outcome for outcome, _ in sound.values()} == {"answered"}
    log, results = Path(os.environ.get("DAMAGE_LOG", tmp_path / "damage.log")), []
    for answers in answers_of_all:
        results.append(answers)
        if len(results) % 50 == 0 or len(results) == len(cases) - 1:  # as it goes: this may take half an hour
            wrong = [line for case, a in zip(cases[1:], results, strict=False) for line in fate(case, a, sound)]
            log.write_text(table(cases[1:], results, sound, wrong))
    assert len(results) == len(cases) - 1
    assert wrong == []


def table(cases, results, sound, wrong: list[str]) -> str:
    """What each reader, init and check said, counted by kind of file; then what is wrong."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for (name, _, how), answers in zip(cases, results, strict=False):
        kind = next(kind for kind, pattern in KINDS.items() if Path(name).match(pattern))
        for question, (outcome, answer) in (answers or {"process": ("aborted", "")}).items():
            said = "as before" if outcome == "answered" and answer == sound.get(question, ("", ""))[1] else outcome
            if question == "check":
                said = "sound" if answer is True else "told"
            counts.setdefault((f"{kind}, {how}", question), Counter())[said] += 1
    lines = [f"{kind} | {question} | {dict(sorted(c.items()))}" for (kind, question), c in counts.items()]
    return "\n".join([f"{len(results)} cases, {len(wrong)} wrong", *lines, *wrong]) + "\n"
