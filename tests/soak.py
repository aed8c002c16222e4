"""The soak: `python tests/soak.py FOLDER --seconds 3600 --seed 1` runs a lake under faults and counts kills by kind.

16 writers, 2 sealers, 2 compactors, 1 vacuum and 4 readers, of which one keeps old snapshots and one asks for old
versions, on one lake. Each is killed with kill -9 at random and started anew; their clocks step backwards, their disks
are slow, full, or fail, also after the deed. At every look of a reader each acknowledged row is there exactly once, no
count goes back, and states are those of the rows. At the end all that was acknowledged is there, and `check --full` has
no findings. `test_soak.py` runs it for two minutes with --long, and for a moment always.
"""

from __future__ import annotations

import argparse
import random
import shutil
import time
from collections import Counter
from pathlib import Path

import polars as pl
from processes import Child, output, start

import tracklake as tl

PROCESSES = {"writer": 16, "sealer": 2, "compactor": 2, "vacuum": 1, "reader": 4}
KILLED = {"writer": 12, "sealer": 3, "compactor": 3, "vacuum": 1, "reader": 2}
"""How often one of each kind is chosen."""
ACTOR = "sys.path.insert(0, sys.argv[1]); import soak_actors; soak_actors.main(*sys.argv[2:])"
END = """
from tracklake.cli import main
lake = tl.open(sys.argv[1])
lake.refresh()
lake.compact()
lake.vacuum()
sys.exit(main(["check", "--full", "--dir", sys.argv[1]]))
"""


class Soak:
    """A lake and the processes that work on it; the same seed gives the same kills, as far as time lets it."""

    def __init__(self, folder: Path, *, seed: int, processes: dict[str, int]) -> None:
        self.folder = folder
        self.lake = tl.open(folder / "lake", create=True)
        for name in ("failures", "acknowledged"):
            (folder / name).mkdir()
        self.seed, self.rng = seed, random.Random(seed)
        self.starts: Counter[str] = Counter()
        self.kills: Counter[str] = Counter()
        self.children = {(kind, i): self._start(kind, i) for kind, n in processes.items() for i in range(n)}

    def _start(self, kind: str, number: int) -> Child:
        self.starts[kind] += 1
        arguments = (self.folder, kind, number, f"{self.seed} {self.starts[kind]}")
        return start(ACTOR, Path(__file__).parent, *arguments)

    def run(self, seconds: float, *, kills_a_second: float) -> None:
        """Kill and start anew for so long, then let all end."""
        try:
            self._run(seconds, kills_a_second)
        finally:
            for child in self.children.values():
                with child:  # leaving it kills what still runs
                    pass

    def _run(self, seconds: float, kills_a_second: float) -> None:
        while not any((self.folder / "acknowledged").iterdir()):  # processes take a moment to begin
            self._check()
            time.sleep(0.05)
        end = time.monotonic() + seconds
        with (self.folder / "kills.log").open("w") as log:
            while time.monotonic() < end or not self.kills["writer"]:
                time.sleep(self.rng.expovariate(kills_a_second))
                self._check()
                kind, number = self._victim()
                with self.children[kind, number]:  # leaving it kills
                    pass
                self.kills[kind] += 1
                print(f"{seconds - end + time.monotonic():8.2f} s  kill -9 {kind} {number}", file=log, flush=True)
                self.children[kind, number] = self._start(kind, number)
        self._end()

    def _victim(self) -> tuple[str, int]:
        kinds = [kind for kind, _ in self.children]
        kind = self.rng.choices(list(KILLED), [w if k in kinds else 0 for k, w in KILLED.items()])[0]
        return self.rng.choice([child for child in self.children if child[0] == kind])

    def _check(self) -> None:
        failures = [file.read_text() for file in (self.folder / "failures").iterdir()]
        assert not failures, "\n".join(failures)
        ended = [child for child, process in self.children.items() if process.poll() is not None]
        assert not ended, f"{ended} ended"

    def _end(self) -> None:
        """Let writers finish what they have begun, then the others end."""
        for kind in PROCESSES:
            (self.folder / f"stop-{kind}").touch()
            for child, process in self.children.items():
                if child[0] == kind:
                    assert process.wait() == 0, process.communicate()[1]
        self._check_failures()
        output(END, self.folder / "lake")
        self._check_rows()

    def _check_failures(self) -> None:
        failures = [file.read_text() for file in (self.folder / "failures").iterdir()]
        assert not failures, "\n".join(failures)

    def _check_rows(self) -> None:
        """All that was acknowledged is there, once."""
        import soak_actors

        acknowledged = soak_actors.Ledger(self.folder).read()
        rows = tl.open(self.folder / "lake").history("a", raw=True).group_by("run_id").agg(pl.len())
        assert all(is_finished for _, is_finished in acknowledged.values())
        assert dict(rows.iter_rows()) == {run_id: count for run_id, (count, _) in acknowledged.items() if count}

    def report(self) -> str:
        """What it came to, in lines."""
        lake = tl.open(self.folder / "lake")
        operations = dict(lake.versions().group_by("operation").len().sort("operation").iter_rows())
        rows = lake.history("a", raw=True).height
        return "\n".join([
            f"kills: {self.kills.total()} ({', '.join(f'{kind} {n}' for kind, n in sorted(self.kills.items()))})",
            f"acknowledged rows: {rows:,} in {lake.runs(columns=[]).height:,} runs, none lost, none twice",
            f"commits: {operations}; partitions at the end: {lake.describe().partitions}",
        ])  # fmt: skip


def main() -> None:
    """Run a soak and print what it came to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=float, default=5, help="a second")
    arguments = parser.parse_args()
    shutil.rmtree(arguments.folder, ignore_errors=True)
    arguments.folder.mkdir(parents=True)
    soak = Soak(arguments.folder, seed=arguments.seed, processes=PROCESSES)
    soak.run(arguments.seconds, kills_a_second=arguments.kills)
    print(soak.report())


if __name__ == "__main__":
    main()
