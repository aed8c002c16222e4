"""The processes of the soak: writers, sealers, compactors, a vacuum and readers, on disks and clocks that fail.

Each is killed and started anew again and again. What a writer's `log` has returned for it notes outside of the lake
(`Ledger`), and readers hold every look against that.
"""

from __future__ import annotations

import errno
import functools
import io
import os
import random
import struct
import sys
import time
import traceback
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

import tracklake as tl
from tracklake.errors import LakeError, TracklakeError, UnsavedRowsError
from tracklake.storage.journal import open_file
from tracklake.storage.journal import writer as journal
from tracklake.storage.local import LocalStorage
from tracklake.storage.table import checkpoint, compaction, housekeeping, rewriting, run_ranges, sealing, vacuum
from tracklake.storage.table.catalog import Catalog
from tracklake.storage.table.snapshot_reader import SnapshotReader

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

KINDS = ("writer", "sealer", "compactor", "vacuum", "reader")
AGE, ABANDON = 30.0, 12.0
"""Seconds that replaced files stay, and after which a seal or merge gives up: a day and an hour, cut short."""
HOLD = 10.0
"""Seconds for which a reader keeps a snapshot or a version."""
METRICS = ["a", "b", "late"]
LATE_EVERY = 20
"""Each so many rows a value is logged for a step that lies behind."""


class InjectedError(OSError):
    """A fault of the disk that the soak has made."""


class Ledger:
    """How many rows of each run were acknowledged, and whether its end was: one small file a run."""

    ROW = struct.Struct("<q?")

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "acknowledged"
        self.folder.mkdir(exist_ok=True)

    def note(self, run_id: str, rows: int, *, is_finished: bool = False) -> None:
        """Say that so many rows of a run are safe; the bytes are the operating system's when it returns."""
        file = os.open(self.folder / run_id, os.O_WRONLY | os.O_CREAT)
        os.pwrite(file, self.ROW.pack(rows, is_finished), 0)
        os.close(file)

    def read(self, prefix: str = "") -> dict[str, tuple[int, bool]]:
        """Return rows and end of each run."""
        files = [file for file in self.folder.iterdir() if file.name.startswith(prefix)]
        contents = {file.name: file.read_bytes() for file in files}
        return {name: self.ROW.unpack(content) for name, content in contents.items() if content}


class Faults(NamedTuple):
    """How often, of a call to the disk, it takes long, it fails, and it fails although it was done."""

    slow: float = 0.0
    failing: float = 0.0
    late: float = 0.0

    def wrap(self, call: Callable[..., Any], rng: random.Random) -> Callable[..., Any]:
        """Return the call on such a disk."""

        @functools.wraps(call)
        def faulty(*args: Any, **options: Any) -> Any:
            chance = rng.random()
            if chance < self.slow:
                time.sleep(rng.uniform(0, 0.2))
            elif chance < self.slow + self.failing:
                raise InjectedError(rng.choice([errno.EIO, errno.ENOSPC]), "injected")
            answer = call(*args, **options)
            if rng.random() < self.late:
                raise InjectedError(errno.EIO, "injected, after the deed")
            return answer

        return faulty


SLOW = Faults(slow=0.02)
FAILING = Faults(slow=0.02, failing=0.02, late=0.01)
CALLS = ("read", "list", "put_if_absent", "stage", "publish", "delete")


def on_faulty_disk(faults: Faults, rng: random.Random) -> None:
    """Give this process such a disk below the lake."""
    for name in CALLS:
        setattr(LocalStorage, name, faults.wrap(getattr(LocalStorage, name), rng))


def on_full_disk(rng: random.Random) -> None:
    """Give this process a disk on which journals find no room now and then, for a moment, or for a part of a write."""
    full_until = 0.0

    class FullFile(io.FileIO):
        def write(self, data: Any) -> int:
            nonlocal full_until
            if rng.random() < 0.0005:
                full_until = time.monotonic() + rng.uniform(0, 0.2)
            if time.monotonic() > full_until:
                return super().write(data)
            if rng.random() < 0.5:
                return super().write(bytes(data)[: rng.randrange(len(data))])
            raise InjectedError(errno.ENOSPC, "injected")

    open_file.io = type("io", (), {"FileIO": FullFile})


def on_unsteady_clock(rng: random.Random, most: float) -> None:
    """Let the wall clock of this process step back, by up to so many seconds, and on again."""
    offset, real = 0, time.time_ns

    def now() -> int:
        nonlocal offset
        if rng.random() < 0.002:
            offset = int(rng.uniform(0, most) * 1e9)
        return real() - offset

    time.time_ns, time.time = now, lambda: now() / 1e9


def small_scale() -> None:
    """Cut sizes and ages, so that seconds show what days and millions do."""
    journal.ROTATE_AT = 60_000
    housekeeping.GATHERED_FILES = 16
    compaction.FAN_IN, compaction.SMALL_STEP = 4, 100_000
    run_ranges.CHUNK_POINTS, rewriting.MAX_POINTS = 5_000, 60_000
    checkpoint.EVERY = 10
    sealing.ABANDON_SECONDS = ABANDON
    vacuum.MIN_AGE, vacuum.ORPHAN_SECONDS = timedelta(seconds=AGE), AGE


class Actor:
    """One process of the soak."""

    def __init__(self, folder: Path, number: int, rng: random.Random) -> None:
        self.folder, self.number, self.rng = folder, number, rng
        self.place = folder / "lake"
        self.ledger = Ledger(folder)

    def is_over(self, kind: str) -> bool:
        """Tell whether processes of this kind are to end."""
        return (self.folder / f"stop-{kind}").exists()

    def write(self) -> None:
        """Log runs of many lengths one after the other, and take up those that a kill has cut off."""
        on_faulty_disk(SLOW, self.rng)
        on_full_disk(self.rng)
        on_unsteady_clock(self.rng, most=3600)
        while True:
            unfinished = [run for run, (_, ended) in self.ledger.read(f"w{self.number}-").items() if not ended]
            if not unfinished and self.is_over("writer"):
                return
            run_id = min(unfinished, default=f"w{self.number}-{time.monotonic_ns():x}")
            try:
                self._write_run(run_id)
            except LakeError as error:  # its first file found no room
                if not _is_injected(error):
                    raise

    def _write_run(self, run_id: str) -> None:
        acknowledged, _ = self.ledger.read(run_id).get(run_id, (0, False))
        self.ledger.note(run_id, acknowledged)
        run = tl.init("p", id=run_id, resume="allow", dir=self.place, settings={"metadata": False})
        assert acknowledged <= run.step, f"{run_id}: {acknowledged} rows, but it is at {run.step}"
        length = self.rng.choice([3, 30, 300, 1500])
        pause = self.rng.choice([0.001, 0.01, 0.05])
        if run.step:
            self._log_late(run, run.step - 1)
        while run.step < length and not (run.step and self.is_over("writer")):
            step = run.step
            run.log({"a": float(step), "b": step} | ({"note": f"s{step}"} if step % 50 == 0 else {}))
            self._log_late(run, step)
            if not run.unsaved:
                self.ledger.note(run_id, step + 1)
            time.sleep(self.rng.uniform(0, 2 * pause))
        while True:
            try:
                run.finish()
            except UnsavedRowsError:
                time.sleep(0.05)
            else:
                break
        self.ledger.note(run_id, run.step, is_finished=True)

    @staticmethod
    def _log_late(run: tl.Run, step: int) -> None:
        if step and step % LATE_EVERY == 0:
            run.log({"late": float(step)}, step=step // 2)

    def seal(self) -> None:
        """Seal, live journals too, again and again."""
        self._again_and_again("sealer", lambda: tl.open(self.place).refresh(), pause=0.2)

    def compact(self) -> None:
        """Merge a step, or all."""
        self._again_and_again("compactor", self._compact, pause=0.2)

    def _compact(self) -> None:
        catalog = Catalog(tl.open(self.place)._storage)
        if self.rng.random() < 0.8:
            compaction.compact_a_step(catalog)
        else:
            compaction.compact(catalog)

    def vacuum(self) -> None:
        """Delete what nobody needs any more."""
        older_than = timedelta(seconds=AGE)
        self._again_and_again("vacuum", lambda: tl.open(self.place).vacuum(older_than=older_than), pause=0.5)

    def _again_and_again(self, kind: str, act: Callable[[], object], pause: float) -> None:
        on_faulty_disk(FAILING, self.rng)
        on_unsteady_clock(self.rng, most=2)
        while not self.is_over(kind):
            try:
                act()
            except (TracklakeError, OSError) as error:
                if not _is_injected(error):
                    raise
            time.sleep(self.rng.uniform(0, 2 * pause))

    def read(self) -> None:
        """Look at everything all the time; one reader keeps old snapshots, one asks for old versions."""
        on_faulty_disk(SLOW, self.rng)
        lake, counts = tl.open(self.place), dict[str, int]()
        kept: tuple[float, Any, pl.DataFrame] | None = None
        while not self.is_over("reader"):
            if self.rng.random() < 0.3:
                lake = tl.open(self.place)
            counts = look(lake, self.ledger.read, counts)
            if self.number % 4 == 2:
                kept = self._see_again(kept, SnapshotReader(lake._storage).snapshot)
            elif self.number % 4 == 3:
                kept = self._see_again(kept, functools.partial(self._past, lake))
            time.sleep(self.rng.uniform(0, 0.4))

    def _see_again(self, kept: Any, take: Callable[[], Any]) -> tuple[float, Any, pl.DataFrame] | None:
        """Take a snapshot and keep it for a while: it always shows the same rows, and their states."""
        if kept is None or time.monotonic() - kept[0] > HOLD:
            began, snapshot = time.monotonic(), take()
            return None if snapshot is None else (began, snapshot, verified_rows(snapshot))
        assert verified_rows(kept[1]).equals(kept[2]), "an old snapshot shows other rows"
        return kept

    def _past(self, lake: tl.Lake) -> Any:
        """The snapshot of a version that nobody may have vacuumed yet."""
        since = datetime.now(UTC) - timedelta(seconds=AGE - HOLD - 5)
        recent = lake.versions().filter((pl.col("time") > since) & pl.col("partitions").is_not_null())["version"]
        if recent.is_empty():
            return None
        return lake.at(self.rng.choice(recent.to_list()))._view.snapshot


def look(
    lake: tl.Lake, ledger: Callable[[], Mapping[str, tuple[int, bool]]], before: Mapping[str, int]
) -> dict[str, int]:
    """Hold what a reader sees against what was acknowledged and what was seen before; return the rows of each run."""
    acknowledged = ledger()
    snapshot = lake._view.snapshot
    rows = verified_rows(snapshot)
    of_runs = rows.filter(metric="a").group_by("run_id").agg(pl.len(), pl.col("step").max(), pl.col("value").max())
    counts = {}
    for run_id, count, last, largest in of_runs.iter_rows():
        assert count == last + 1 == largest + 1, f"{run_id}: {count} rows up to step {last}"
        counts[run_id] = count
    for run_id, count in before.items():
        assert counts.get(run_id, 0) >= count, f"{run_id} had {count} rows, and has {counts.get(run_id, 0)}"
    n_late = dict(rows.filter(metric="late").group_by("run_id").agg(pl.len()).iter_rows())
    for run_id, (count, _) in acknowledged.items():
        assert counts.get(run_id, 0) >= count, f"{run_id}: {count} acknowledged, {counts.get(run_id, 0)} seen"
        assert n_late.get(run_id, 0) >= max(0, count - 1) // LATE_EVERY, f"{run_id}: late rows are missing"
    shown = lake.summaries(["a.count", "a.max"]) if counts else pl.DataFrame(schema=["run_id", "count", "max"])
    for run_id, count, largest in shown.iter_rows():
        assert (count or 0) >= counts.get(run_id, 0), f"{run_id}: {count} in the summary"
        assert not count or largest == count - 1, f"{run_id}: {count} rows up to {largest} in the summary"
    return counts


def verified_rows(snapshot: Any) -> pl.DataFrame:
    """The rows of a snapshot; each is stored once, holds its own value, and the states are those of the rows."""
    stored = snapshot.points(["a", "b"]).select("run_id", "metric", "step").collect()
    assert stored.is_unique().all(), "a row is there twice"
    rows = snapshot.resolved(METRICS).select("run_id", "metric", "step", "value").sort("run_id", "metric", "step")
    expected = pl.when(pl.col("metric") == "late").then(2 * pl.col("step")).otherwise(pl.col("step"))
    assert rows.filter(pl.col("value") != expected).is_empty(), "a row holds another's value"
    value, step = pl.col("value"), pl.col("step")
    computed = rows.group_by("run_id", "metric").agg(
        n=pl.len(), sum=value.sum(), min=value.min(), max=value.max(), lo=step.min(), hi=step.max()
    )
    states = snapshot.states(METRICS, columns=["n", "sum", "sum_low", "mean", "min", "max", "lo", "hi"])
    others = set(states.select(computed.columns).iter_rows()) ^ set(computed.iter_rows())
    assert not others, f"states are not those of the rows: {sorted(others)}"
    return rows


def _is_injected(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, InjectedError):
            return True
        error = error.__cause__ or error.__context__
    return False


ACTS = dict(zip(KINDS, (Actor.write, Actor.seal, Actor.compact, Actor.vacuum, Actor.read), strict=True))


def main(folder: str, kind: str, number: str, seed: str) -> None:
    """Be one process of the soak; an error that none should meet is left in `failures/`."""
    small_scale()
    warnings.simplefilter("ignore")
    try:
        ACTS[kind](Actor(Path(folder), int(number), random.Random(f"{seed} {kind} {number}")))
    except BaseException:
        Path(folder, "failures", f"{kind}-{number}-{os.getpid()}.txt").write_text(traceback.format_exc())
        raise


if __name__ == "__main__":
    main(*sys.argv[1:])
