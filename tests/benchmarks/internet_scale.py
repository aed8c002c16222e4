"""A lake of a million runs a day on an object store, on paper: `python tests/benchmarks/internet_scale.py`.

The protocol is replayed event by event with the library's own plans (which partitions are merged, when a checkpoint is
written, how often a journal is uploaded) over partitions that are only numbers. Sizes are those measured of a lake of
1.05e9 points (100,000 runs x 20 metrics x 500 steps), prices those of S3 in us-east-1. Nothing is stored or sent.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field

from tracklake.storage.journal import upload
from tracklake.storage.table import checkpoint, compaction, housekeeping, rewriting
from tracklake.storage.table.delta_actions import Partition
from tracklake.tracking import distant_writers

HISTORY, STATES = 4.51, 0.25
"""Bytes a point, measured."""
RUNS = 35
"""Bytes a run in the runs files, measured with 40 values of config each."""
JOURNAL = 10
"""Bytes a point in a journal: a double, and the frame of a row of 20."""
ACTION = 332
"""Bytes of a partition in a commit or a checkpoint, measured."""
PAGE = 1000
"""Names that a listing gives at once."""
PRICES = {"PUT": 5e-6, "LIST": 5e-6, "GET": 4e-7, "DELETE": 0.0}
"""Dollars a request."""


@dataclass
class Day:
    """A day of the lake, counted."""

    runs: int
    points: int
    """Of a run."""
    live: int
    """Runs that are written at any moment."""
    partitions: dict[str, Partition] = field(default_factory=dict)
    requests: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PRICES, 0))
    commits: int = 0
    rewritten: int = 0
    """Points that were written again by compaction."""

    def replay(self) -> None:
        """Upload, seal and compact as the library does."""
        self._upload()
        seals = self.runs // housekeeping.GATHERED_FILES
        for seal in range(seals):
            self._seal(seal)
            step = compaction.plan_step(self.partitions.values())
            if step is not None:
                self._merge(list(step.inputs), step.level)
            if seal % max(1, seals // 24) == 0:  # once an hour a process compacts all
                self._compact()
        self._compact()

    def _upload(self) -> None:
        """Each live run puts its journal each interval, from its first hour to its last."""
        seconds = 86400 * self.live / self.runs
        first, rest = min(seconds, upload.FIRST_HOUR), max(0.0, seconds - upload.FIRST_HOUR)
        puts = first / upload.INTERVAL + rest / upload.LATER_INTERVAL + 1
        rotations = self.points * JOURNAL / upload.ROTATE_AT
        self.requests["PUT"] += round(self.runs * (puts + rotations))
        # at init, at finish and now and then between the journals are listed, and the next commit is asked for
        looks = self.runs * (2 + int(seconds / distant_writers.INTERVAL))
        self.requests["LIST"] += looks * -(-self.live // PAGE)
        self.requests["GET"] += looks

    def _add(self, name: str, points: int, *, level: int, runs: int) -> None:
        sizes = (round(points * HISTORY), round(points * STATES), runs * RUNS)
        self.partitions[name] = Partition(name, n_points=points, created=0, sizes=sizes, crcs=(0, 0, 0), level=level)
        self.requests["PUT"] += 3

    def _commit(self) -> None:
        self.commits += 1
        self.requests["PUT"] += 1 + (2 if self.commits % checkpoint.EVERY == 0 else 0)
        self.requests["GET"] += 1

    def _seal(self, number: int) -> None:
        journals = housekeeping.GATHERED_FILES
        self.requests["GET"] += journals
        self.requests["DELETE"] += journals
        self._add(f"seal{number}", journals * self.points, level=0, runs=journals)
        self._commit()

    def _merge(self, inputs: list[Partition], level: int) -> None:
        points, runs = sum(part.n_points for part in inputs), sum(part.sizes[2] for part in inputs) // RUNS
        self.requests["GET"] += 3 * len(inputs)
        for part in inputs:
            del self.partitions[part.id]
        most = min(rewriting.MAX_POINTS, int(rewriting.MAX_BYTES / HISTORY))
        n_outputs = -(-points // most)
        for i in range(n_outputs):
            self._add(f"c{self.commits}.{i}", points // n_outputs, level=level, runs=runs // n_outputs)
        self.rewritten += points
        self._commit()

    def _compact(self) -> None:
        while plan := compaction.plan_all(self.partitions.values()):
            before = len(self.partitions)
            self._merge(list(plan.inputs), plan.level)
            if len(self.partitions) >= before:
                return

    @property
    def dollars_an_hour(self) -> float:
        """What the requests of the day cost an hour."""
        return sum(PRICES[kind] * n for kind, n in self.requests.items()) / 24


def table(day: Day, *, days: float) -> dict[str, str]:
    """Return what is told of a lake that has had so many such days."""
    count = len(day.partitions)
    total = day.runs * day.points
    entries = ACTION * count
    return {
        "points a day / held": f"{total:.1e} / {total * days:.1e}",
        "commits a day": f"{day.commits:,}",
        "log a day": f"{(day.commits * ACTION + entries) / 1e6:.1f} MB",
        "partitions after a day / held": f"{count:,} / {count * days:,.0f}",
        "checkpoint at the end": f"{entries * days / 1e6:.2f} MB",
        "history held": f"{total * days * HISTORY / 1e12:.2f} TB",
        "states held": f"{total * days * STATES / 1e9:.0f} GB",
        "points written again": f"{day.rewritten / total:.2f} times",
        "requests an hour": ", ".join(f"{n / 24:,.0f} {kind}" for kind, n in day.requests.items()),
        "requests cost": f"${day.dollars_an_hour:.2f} an hour",
        "storage cost": f"${total * days * (HISTORY + STATES) / 1e9 * 0.023 / 30 / 24:.2f} an hour",
        "a cold table of one metric": f"{2 * count * days + checkpoint.EVERY + 4:,.0f} requests at most",
    }


def main() -> None:
    """Print a lake of a day, and one of as many days as the points take."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--runs", type=int, default=1_000_000, help="a day")
    arguments.add_argument("--points", type=int, default=10_000, help="of a run")
    arguments.add_argument("--live", type=int, default=10_000)
    arguments.add_argument("--held", type=float, default=1e12, help="points in all")
    options = arguments.parse_args()
    day = Day(options.runs, options.points, options.live)
    day.replay()
    for name, value in table(day, days=options.held / (options.runs * options.points)).items():
        print(f"{name:32}{value}")


if __name__ == "__main__":
    main()
