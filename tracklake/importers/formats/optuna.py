"""Optuna's database of studies, of every schema, and its journal file; a study is a sweep, a trial a run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tracklake.importers.readers import bytestream, sqlite
from tracklake.importers.readers import optuna_trials as optuna
from tracklake.importers.readers.optuna_trials import Study, Trial
from tracklake.importers.readers.records import ImportOptions, Remark, Source, Yielded

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from tracklake.importers.readers.sqlite import Database

PRIORITY = 20
_TRIAL_STATES = ("RUNNING", "COMPLETE", "PRUNED", "FAIL", "WAITING")
_DIRECTIONS = ("NOT_SET", "MINIMIZE", "MAXIMIZE")


def recognise(folder: Path, names: Collection[str]) -> Iterator[Source]:
    r"""Yield the databases that have Optuna's tables, and the logs whose first line is an operation of its journal.

    >>> from pathlib import Path
    >>> _ = Path("j.log").write_text('{"op_code": 0, "worker_id": "w", "study_name": "s", "directions": [1]}\n')
    >>> [source.path.name for source in recognise(Path(), ["j.log"])]
    ['j.log']
    """
    for name in names:
        path = folder / name
        if {"studies", "trials", "trial_params"} <= sqlite.tables_of(path).keys() or (
            path.suffix.lower() in (".log", ".journal", ".jsonl") and bytestream.head(path, 12) == b'{"op_code": '
        ):
            yield Source("optuna", path)


def read(source: Source, options: ImportOptions) -> Iterator[Yielded]:
    r"""Yield the trials of all studies.

    >>> from pathlib import Path
    >>> from tracklake.importers.readers.records import ImportOptions
    >>> lines = '{"op_code": 0, "study_name": "s", "directions": [1]}\n{"op_code": 4, "study_id": 0}\n'
    >>> _ = Path("j.log").write_text(lines)
    >>> next(read(Source("optuna", Path("j.log")), ImportOptions())).run_id
    's-0'
    """
    if sqlite.is_database(source.path):
        with sqlite.opened(source.path) as database:
            trials = _from_database(database)
    else:
        journal = _Journal(source.path)
        trials = journal.trials()
        if journal.torn:
            yield Remark(source.path, journal.torn, is_loss=True)
    yield from optuna.read(trials, options)


def _from_database(database: Database) -> list[Trial]:
    studies = {row[0]: Study(str(row[1])) for row in database.rows("studies", ["study_id", "study_name"])}
    for study, direction in database.rows("studies", ["study_id", "direction"]):
        if direction:  # of one objective, up to schema 2.3
            studies[study].directions.append(str(direction))
    order = ["study_id", "objective"]
    for study, direction, _ in database.rows("study_directions", ["study_id", "direction", "objective"], order=order):
        if study in studies:
            studies[study].directions.append(str(direction))
    for study, key, value in database.rows("study_system_attributes", ["study_id", "key", "value_json"]):
        if study in studies:
            studies[study].system_attributes[key] = optuna.parsed(value)
    trials = _trials(database, studies)
    _details(database, trials)
    return list(trials.values())


def _trials(database: Database, studies: dict[int, Study]) -> dict[int, Trial]:
    columns = ["trial_id", "study_id", "number", "state", "datetime_start", "datetime_complete", "value"]
    trials = {}
    counts: dict[int, int] = {}
    for trial, study, number, state, start, end, value in database.rows("trials", columns, order=["trial_id"]):
        if study in studies:
            counts[study] = counts.get(study, -1) + 1
            trials[trial] = Trial(studies[study], counts[study] if number is None else number, str(state), start, end)
            if value is not None:  # up to schema 2.3
                trials[trial].values[0] = float(value)
    return trials


def _details(database: Database, trials: dict[int, Trial]) -> None:
    columns = ["trial_id", "param_name", "param_value", "distribution_json"]
    for trial, name, value, distribution in database.rows("trial_params", columns):
        if trial in trials:
            trials[trial].params[name] = optuna.suggested(value, distribution)
    for trial, key, value in database.rows("trial_user_attributes", ["trial_id", "key", "value_json"]):
        if trial in trials:
            trials[trial].attributes[key] = optuna.parsed(value)
    for trial, key, value in database.rows("trial_system_attributes", ["trial_id", "key", "value_json"]):
        if trial in trials and key == "_number":  # up to schema 1.0
            trials[trial].number = int(optuna.parsed(value))
    columns = ["trial_id", "objective", "step", "value", "value_type"]
    for trial, objective, step, value, kind in database.rows("trial_values", columns):
        number = optuna.number(value, kind)
        if trial in trials and number is not None:
            is_final = "objective" in database.tables["trial_values"]  # before 2.4 the table held intermediate values
            (trials[trial].values if is_final else trials[trial].intermediate)[objective if is_final else step] = number
    columns = ["trial_id", "step", "intermediate_value", "intermediate_value_type"]
    for trial, step, value, kind in database.rows("trial_intermediate_values", columns):
        number = optuna.number(value, kind)
        if trial in trials and number is not None:
            trials[trial].intermediate[step] = number


class _Journal:
    """Replays the operations of a journal file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.torn: str | None = None
        self._studies: dict[int, Study] = {}
        self._trials: dict[int, Trial] = {}
        self._counts: dict[int, int] = {}
        self._study_of: dict[int, int] = {}

    def trials(self) -> list[Trial]:
        """Return the trials of the studies that were not deleted."""
        n_lines = 0
        for chunk in bytestream.chunks(self.path):
            for line in chunk.split(b"\n"):
                n_lines += 1
                if line.strip():
                    try:
                        self._apply(json.loads(line))
                    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
                        self.torn = f"line {n_lines} is no operation ({error}); it was left out"
        return [trial for number, trial in self._trials.items() if self._study_of[number] in self._studies]

    def _apply(self, operation: dict[str, Any]) -> None:
        code = operation["op_code"]
        if code == 0:
            directions = [_DIRECTIONS[direction] for direction in operation["directions"]]
            self._studies[len(self._counts)] = Study(str(operation["study_name"]), directions)
            self._counts[len(self._counts)] = 0
        elif code == 1:
            self._studies.pop(operation["study_id"], None)
        elif code == 3:  # noqa: PLR2004 - system attribute of a study
            self._studies[operation["study_id"]].system_attributes |= operation["system_attr"]
        elif code == 4:  # noqa: PLR2004 - a new trial
            self._create(operation)
        elif code in (5, 6, 7, 8):
            self._change(self._trials[operation["trial_id"]], code, operation)

    def _create(self, operation: dict[str, Any]) -> None:
        study, number = operation["study_id"], len(self._trials)
        trial = Trial(self._studies.get(study, Study("deleted")), self._counts[study])
        self._counts[study] += 1
        self._trials[number], self._study_of[number] = trial, study
        self._change(trial, 6, operation)
        for name, internal in (operation.get("params") or {}).items():
            trial.params[name] = optuna.suggested(internal, operation["distributions"][name])
        intermediate = operation.get("intermediate_values") or {}
        trial.intermediate |= {int(step): float(value) for step, value in intermediate.items()}
        trial.attributes |= operation.get("user_attrs") or {}

    def _change(self, trial: Trial, code: int, operation: dict[str, Any]) -> None:
        if code == 5:  # noqa: PLR2004 - a parameter
            value = optuna.suggested(operation["param_value_internal"], operation["distribution"])
            trial.params[operation["param_name"]] = value
        elif code == 7:  # noqa: PLR2004 - an intermediate value
            trial.intermediate[int(operation["step"])] = float(operation["intermediate_value"])
        elif code == 8:  # noqa: PLR2004 - a user attribute
            trial.attributes |= operation["user_attr"]
        else:
            trial.state = _TRIAL_STATES[operation["state"]] if operation.get("state") is not None else trial.state
            trial.start = operation.get("datetime_start") or trial.start
            trial.end = operation.get("datetime_complete") or trial.end
            values = operation.get("values") or ([] if operation.get("value") is None else [operation["value"]])
            trial.values |= {i: float(value) for i, value in enumerate(values)}
