"""What a newer version or garbage wrote costs itself alone: every other answer is given, and `check` tells it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import tracklake as tl
from tracklake.schema.statement_kind import StatementKind
from tracklake.schema.values import Kind, Stored
from tracklake.storage.journal import frame_format

TEXTS = [
    "garbage",
    "{broken",
    "[1,2]",
    "null",
    "{}",
    '{"name":"a","summary":["newer"]}',
    '{"name":"a","summary":["min"],"newer":true}',
    '{"name":"a","step_metric":5,"goal":"sideways"}',
    '{"expression":7}',
    '{"path":"../../etc/passwd","sha256":"0","size":1}',
]


@pytest.fixture(scope="module")
def sound_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake in which everything is understood; it is only copied."""
    folder = tmp_path_factory.mktemp("sound") / "lake"
    for run_id in ("sound", "touched"):
        with tl.init("p", id=run_id, config={"lr": 0.1}, dir=folder, settings={"metadata": False}) as run:
            run.log({"a": 1.0})
            run.log({"a": 2.0})
    tl.open(folder).define_metric("a", summary="max")
    return folder


@pytest.fixture(scope="module")
def expected(sound_lake: Path) -> list[object]:
    return answers(tl.open(sound_lake))


@pytest.fixture
def lake(sound_lake: Path, tmp_path: Path) -> tl.Lake:
    return tl.open(shutil.copytree(sound_lake, tmp_path / "lake"))


def insert(lake: tl.Lake, run_id: str, frames: bytes) -> None:
    """Put sound frames before the last one of a run's journal."""
    (path,) = Path(lake.dir, "journal").glob(f"{run_id}*")
    path.chmod(0o644)
    data = path.read_bytes()
    *_, last = frame_format.iter_frames(data)
    path.write_bytes(data[: last.start] + frames + data[last.start :])
    path.chmod(0o444)


def answers(lake: tl.Lake) -> list[object]:
    """The core questions about what is sound."""
    sound = lake.run("sound")
    return [
        lake.runs(runs="sound", columns=["run_id", "config.lr", "summary.a.max", "state"]).rows(),
        lake.summaries(["a.max"]).sort("run_id").rows(),
        lake.history("a").select("run_id", "step", "value").rows(),
        lake.sql("SELECT count(*) AS n FROM runs").rows(),
        lake.sql("SELECT name FROM definitions").height > 0,
        dict(sound.config),
        sound.summary["a"]["max"],
        lake.run("touched").files,
    ]


@pytest.mark.filterwarnings("ignore:tracklake. the (definition|derivation|value)", "ignore:tracklake. where file")
@pytest.mark.filterwarnings("ignore:tracklake. .* is damaged")
@pytest.mark.parametrize("op", [*StatementKind, "newer"])
def test_a_statement_that_nobody_understands(lake: tl.Lake, expected: list[object], op: str):
    """Live and sealed alike it is set aside, a run can be taken up, and `check` names run and statement."""
    stamp = 2_000_000_000_000_000
    extra = {"step": 9} if op == StatementKind.ROW else {}
    values = [Stored(Kind.JSON, None, None, text) for text in TEXTS]
    if op != StatementKind.DELETE:
        values += [Stored(Kind.NULL, None, None, None), Stored(Kind.INT, 7.0, 7, None)]
    keys = ["other", "node", "from_step"] if op != StatementKind.ROW else ["note"]
    items = [(key, value) for value in values for key in keys]
    frames = [frame_format.statement(stamp + i, op, [item], **extra) for i, item in enumerate(items)]
    for target in ("touched", "_lake"):
        insert(lake, target, b"".join(frames))
    lake = tl.open(lake.dir)
    assert answers(lake) == expected
    assert untold(op, lake.check().findings) == []
    tl.init("p", id="sound", resume="must", dir=lake.dir).finish()
    lake.refresh()
    assert answers(tl.open(lake.dir)) == expected
    assert untold(op, lake.check(full=True).findings) == []


def untold(op: str, findings: list[str]) -> list[str]:
    """Return in whose statements of a kind something cannot be understood, and no finding names it."""
    told = {StatementKind.DEFINE, StatementKind.DERIVE, StatementKind.ALIAS, StatementKind.FILE, "newer"}
    targets = ["touched", *(["_lake"] if op != StatementKind.FILE else [])] if op in told else []
    return [target for target in targets if not any(op in text and target in text for text in findings)]
