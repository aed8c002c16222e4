"""What the lake holds of a sweep: its config, claims, ends and changes of state.

`sweeps/<id>.json` is the config. Below `sweeps/<id>/` lie `claim.<number>.<attempt>.json`,
`end.<number>.<attempt>.json` and `change.<number>.json`, each put there if it is absent and never changed, and under
`agents/` a file of each agent, locked as long as it lives.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

from tracklake.errors import SweepError
from tracklake.storage import checked_json
from tracklake.storage.journal import file_names
from tracklake.sweeping.config import SweepConfig

if TYPE_CHECKING:
    from tracklake.storage.backend import Entry, Storage
    from tracklake.sweeping.space import Point

FOLDER = "sweeps"
State = Literal["RUNNING", "PAUSED", "CANCELED", "FINISHED"]
Outcome = Literal["finished", "failed", "stopped", "killed", "preempted"]
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


class Claim(NamedTuple):
    """A trial that an agent has taken: its number, which attempt it is, and what is tried."""

    number: int
    attempt: int
    point: Point
    run_id: str
    agent: str
    node: str
    time: float
    """Seconds since the epoch."""


class SweepRecords:
    """The records of one sweep.

    >>> records = SweepRecords.create(example()._storage, SweepConfig({"parameters": {"lr": {"values": [1, 2]}}}))
    >>> records.claim(Claim(0, 0, {"lr": 1}, "r", "agent", "node", 0.0)), records.claim(
    ...     Claim(0, 0, {"lr": 2}, "r", "other", "node", 0.0)
    ... )
    (True, False)
    >>> [claim.point for claim in records.claims()]
    [{'lr': 1}]
    """

    def __init__(self, storage: Storage, sweep_id: str) -> None:
        self.storage = storage
        self.id = sweep_id
        self._folder = f"{FOLDER}/{sweep_id}"
        self._entries: dict[str, Entry] = {}
        """The files that were read."""
        self._claims: dict[int, Claim] = {}
        """The newest claim of each trial, by its number."""
        self._outcomes: dict[tuple[int, int], Outcome] = {}
        self._changes: dict[int, dict[str, Any]] = {}
        self._config: tuple[int, SweepConfig] | None = None
        """The config after so many changes."""
        self.refresh()

    def refresh(self) -> Self:
        """Read what is new in the lake, by one listing; each file is read once, since none changes.

        >>> records = SweepRecords.create(example()._storage, SweepConfig({"parameters": {"lr": {"values": [1, 2]}}}))
        >>> SweepRecords(records.storage, records.id).claim(Claim(0, 0, {"lr": 1}, "r", "agent", "node", 0.0))
        True
        >>> len(records.claims()), len(records.refresh().claims())
        (0, 1)
        """
        kinds = ("claim.", "end.", "change.")
        for entry in self.storage.list(self._folder, prefix=kinds, suffix=".json", cached=self._entries):
            if entry.name not in self._entries:
                self._add(entry.name, checked_json.read(self.storage, f"{self._folder}/{entry.name}"))
                self._entries[entry.name] = entry
        return self

    @classmethod
    def create(cls, storage: Storage, config: SweepConfig, *, warm_start: list[str] | None = None) -> SweepRecords:
        """Store a config under a new id of eight letters and digits. See the class for an example.

        >>> config = SweepConfig({"parameters": {"lr": {"values": [1, 2]}}})
        >>> len(SweepRecords.create(example()._storage, config).id)
        8
        """
        content = checked_json.dumps({"config": config.to_json(), "warm_start": warm_start or []})
        while True:
            sweep_id = "".join(secrets.choice(_LETTERS) for _ in range(8))
            if storage.put_if_absent(f"{FOLDER}/{sweep_id}.json", content):
                return cls(storage, sweep_id)

    @classmethod
    def open(cls, storage: Storage, path: str) -> SweepRecords:
        """Return the records of a sweep by "id" or "entity/project/id". Raises SweepError where the lake has none such.

        >>> SweepRecords.open(example()._storage, "me/p/nowhere1")
        Traceback (most recent call last):
        tracklake.errors.SweepError: there is no sweep 'nowhere1' in .../lake; it has none: ...
        """
        sweep_id = str(path).rpartition("/")[2]
        ids = sweeps_of(storage)
        if sweep_id not in ids:
            choice = f"it has {', '.join(ids)}" if ids else "it has none: tracklake.sweep(...) makes one"
            raise SweepError(f"there is no sweep {sweep_id!r} in {storage.describe()}; {choice}")
        return cls(storage, sweep_id)

    @property
    def config(self) -> SweepConfig:
        """The config, with what extensions changed of it; the same object until it changes.

        >>> config = SweepConfig({"parameters": {"lr": {"values": [1, 2]}}})
        >>> SweepRecords.create(example()._storage, config).config.method
        'grid'
        """
        if self._config is None or self._config[0] != len(self._changes):
            content = dict(self._stored["config"])
            for _, change in sorted(self._changes.items()):
                content |= change.get("config", {})
            self._config = len(self._changes), SweepConfig(content)
        return self._config[1]

    @property
    def warm_start(self) -> list[str]:
        """The ids of the runs from which the search begins.

        >>> config = SweepConfig({"parameters": {"lr": {"values": [1, 2]}}})
        >>> SweepRecords.create(example()._storage, config, warm_start=["slow"]).warm_start
        ['slow']
        """
        return list(self._stored["warm_start"])

    @property
    def state(self) -> State:
        """What was decided of it last: RUNNING, PAUSED, CANCELED or FINISHED.

        >>> records = SweepRecords.create(example()._storage, SweepConfig({"parameters": {"lr": {"values": [1, 2]}}}))
        >>> records.change("PAUSED")
        >>> records.state
        'PAUSED'
        """
        states = [change["state"] for _, change in sorted(self._changes.items()) if "state" in change]
        return states[-1] if states else "RUNNING"

    def change(self, state: State, **config: Any) -> None:
        """Change the state, and keys of the config that are given, from now on: `change("RUNNING", run_cap=200)`.

        >>> records = SweepRecords.create(example()._storage, SweepConfig({"parameters": {"lr": {"values": [1, 2]}}}))
        >>> records.change("RUNNING", run_cap=1)
        >>> records.config.run_cap
        1
        """
        SweepConfig({**self.config.to_json(), **config})  # refused before anything is written
        content = {"state": state, **({"config": config} if config else {})}
        while not self._put(f"change.{len(self._changes):06d}.json", content):
            self.refresh()  # another one changed it meanwhile

    def claim(self, claim: Claim) -> bool:
        """Take a trial; False if another agent has it. See the class for an example.

        >>> records = SweepRecords.create(example()._storage, SweepConfig({"parameters": {"lr": {"values": [1, 2]}}}))
        >>> records.claim(Claim(0, 0, {"lr": 1}, "r", "agent", "node", 0.0))
        True
        """
        return self._put(f"claim.{claim.number:06d}.{claim.attempt}.json", claim._asdict())

    def end(self, claim: Claim, outcome: Outcome, *, error: str = "") -> None:
        """Note how a trial ended; what was noted first counts.

        >>> records = SweepRecords.create(example()._storage, SweepConfig({"parameters": {"lr": {"values": [1, 2]}}}))
        >>> claim = Claim(0, 0, {"lr": 1}, "r", "agent", "node", 0.0)
        >>> records.end(claim, "failed", error="no memory")
        >>> records.outcomes()
        {(0, 0): 'failed'}
        """
        self._put(f"end.{claim.number:06d}.{claim.attempt}.json", {"outcome": outcome, "error": error})

    def claims(self) -> list[Claim]:
        """Return the newest claim of each trial, by number.

        >>> SweepRecords.create(example()._storage, SweepConfig({"parameters": {"lr": {"values": [1, 2]}}})).claims()
        []
        """
        return [claim for _, claim in sorted(self._claims.items())]

    def outcomes(self) -> dict[tuple[int, int], Outcome]:
        """Return how each (number, attempt) that has ended did so.

        >>> SweepRecords.create(example()._storage, SweepConfig({"parameters": {"lr": {"values": [1, 2]}}})).outcomes()
        {}
        """
        return dict(self._outcomes)

    def agents(self) -> dict[str, float]:
        """Return when each agent gave its last sign of life, by its name: seconds since the epoch.

        >>> SweepRecords.create(example()._storage, SweepConfig({"parameters": {"lr": {"values": [1, 2]}}})).agents()
        {}
        """
        files = self.storage.list(f"{self._folder}/agents", suffix=".lock")
        return {file.name.removesuffix(".lock"): file.mtime for file in files}

    def lives(self, claim: Claim, agents: dict[str, float]) -> bool:
        """Tell whether the agent that took a trial is alive.

        >>> records = SweepRecords.create(example()._storage, SweepConfig({"parameters": {"lr": {"values": [1, 2]}}}))
        >>> records.lives(Claim(0, 0, {"lr": 1}, "r", "agent", "node", 0.0), records.agents())
        False
        """
        path = self.storage.lock_path(f"{self._folder}/agents/{claim.agent}.lock")
        beat = agents.get(claim.agent, claim.time)
        if path is not None and not path.exists():
            return False
        return file_names.shows_life(path, node=claim.node, beat=beat)

    def run_id(self, number: int) -> str:
        """Return the id of the run of a trial.

        >>> SweepRecords(example()._storage, "abcd1234").run_id(7)
        'abcd1234-7'
        """
        return f"{self.id}-{number}"

    def run_ids(self) -> list[str]:
        """Return the ids of the runs of all trials, by number.

        >>> SweepRecords.create(example()._storage, SweepConfig({"parameters": {"lr": {"values": [1, 2]}}})).run_ids()
        []
        """
        return [claim.run_id for claim in self.claims()]

    @property
    def agents_folder(self) -> str:
        """The folder of the files of its agents.

        >>> SweepRecords(example()._storage, "abcd1234").agents_folder
        'sweeps/abcd1234/agents'
        """
        return f"{self._folder}/agents"

    @property
    def _stored(self) -> dict[str, Any]:
        return checked_json.read(self.storage, f"{FOLDER}/{self.id}.json")

    def _put(self, name: str, content: dict[str, Any]) -> bool:
        """Write a file of the sweep; False if it is there."""
        if not self.storage.put_if_absent(f"{self._folder}/{name}", checked_json.dumps(content)):
            return False
        self._add(name, content)
        return True

    def _add(self, name: str, content: dict[str, Any]) -> None:
        """Take up what a file says."""
        kind, *numbers = name.removesuffix(".json").split(".")
        number, attempt = int(numbers[0]), int(numbers[-1])
        if kind == "change":
            self._changes[number] = content
        elif kind == "end":
            self._outcomes[number, attempt] = content["outcome"]
        elif number not in self._claims or self._claims[number].attempt <= attempt:
            self._claims[number] = Claim(**content)


def sweeps_of(storage: Storage) -> list[str]:
    """Return the ids of the sweeps of a lake, sorted.

    >>> sweeps_of(example()._storage)
    []
    """
    return [entry.name.removesuffix(".json") for entry in storage.list(FOLDER, suffix=".json")]
