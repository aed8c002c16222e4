"""How a run starts: where its lake is, which id it has, and whether it goes on with sessions that were there."""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tracklake.common import arguments
from tracklake.common.warnings import warn
from tracklake.errors import RunError, RunExistsError, RunNotFoundError
from tracklake.schema import nesting, run_fields
from tracklake.schema.tables import LAKE_RUN
from tracklake.storage import layout
from tracklake.storage.journal import host, upload
from tracklake.storage.journal.clock import Clock
from tracklake.storage.journal.writer import Durability
from tracklake.tracking import init_arguments, origins, tensorboard_sync
from tracklake.tracking import trial as current_trial
from tracklake.tracking.checked_row import checked_step
from tracklake.tracking.exit_status import is_interactive
from tracklake.tracking.init_arguments import InitArguments
from tracklake.tracking.open_runs import open_runs
from tracklake.tracking.run import Run, Start
from tracklake.tracking.run_config import stored_leaves
from tracklake.tracking.run_conveniences import Beginning
from tracklake.tracking.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tracklake.schema.definition_statement import Statement
    from tracklake.storage.backend import Storage
    from tracklake.storage.layout import Location
    from tracklake.tracking.origins import Before, Parent
    from tracklake.tracking.trial import Trial

Resume = Literal["allow", "must", "never", "auto"] | bool | None
Mode = Literal["online", "offline", "disabled", "shared"] | None
Reinit = Literal["default", "create_new", "finish_previous", "return_previous"] | bool | None
_SYLLABLES = [a + b for a in "bdfghjklmnprstvz" for b in "aeiou"]


def init(
    project: str | None = None,
    *,
    config: object = None,
    name: str | None = None,
    group: str | None = None,
    job_type: str | None = None,
    tags: Iterable[str] | None = (),
    notes: str | None = None,
    id: str | None = None,  # noqa: A002 - the name that W&B users know
    entity: str | None = None,
    resume: Resume = None,
    from_step: int | None = None,
    fork_from: tuple[str, int] | str | None = None,
    resume_from: str | None = None,
    dir: str | os.PathLike[str] | None = None,  # noqa: A002 - as W&B
    mode: Mode = None,
    reinit: Reinit = None,
    settings: Mapping[str, object] | None = None,
    config_include_keys: Iterable[str] | None = None,
    config_exclude_keys: Iterable[str] | None = None,
    allow_val_change: bool | None = None,
    save_code: bool | None = None,
    sync_tensorboard: bool | None = None,
    tensorboard: bool | None = None,
    monitor_gym: bool | None = None,
    force: bool | None = None,
    anonymous: str | None = None,
    magic: object = None,
    system_metrics: bool | None = False,
    durability: Durability = "write",
) -> Run:
    """Start a run and make it the current one; its values are logged with `run.log` or `tracklake.log`.

    The lake is `dir`, else $TRACKLAKE_DIR, else ./lake; it is made if it is not there. `id` is unique in the lake and
    random if not given. An id that has a live session is joined; one that has ended needs `resume="allow"` (or "must",
    which wants it to be there; "never" wants it not to be) and goes on after its last step, or with `from_step=k` from
    there, masking what it had logged from that step on (`resume_from="id?_step=k"` is W&B's form of it).
    `fork_from=(run_id, step)` begins with a copy of another run's rows below that step. `config` may be the path of a
    JSON or YAML file; `config_include_keys` and `config_exclude_keys` choose of it. `save_code` stores the script.
    `sync_tensorboard` (or `tensorboard`) logs the scalars that a SummaryWriter of torch or tensorboardX writes.
    `system_metrics` samples processor, memory and graphics cards every 15 seconds into a stream of their own.
    `settings={"metadata": False}` leaves out what is noted of host, command line and git; {"quiet": True}, as
    TRACKLAKE_QUIET=1 does, the line on standard error that says where the run goes. `durability`: "write"
    survives the death of the process, "fsync" that of the machine, "buffered" neither, for up to a second.
    `mode="disabled"` logs into a folder that is thrown away. `reinit` says what becomes of a run that is current:
    "finish_previous" (or True; the default in a notebook, where a cell is run again), "return_previous" (or False; as
    in W&B the default in a script, unless an id, a dir or fork_from asks for another run), or "create_new".

    What is not given is taken from `settings` by W&B's names (run_name, run_group, ...), then from WANDB_PROJECT,
    WANDB_NAME, WANDB_RUN_ID, WANDB_RUN_GROUP, WANDB_JOB_TYPE, WANDB_TAGS, WANDB_NOTES, WANDB_ENTITY, WANDB_RESUME and
    WANDB_MODE. In a trial of a sweep the sweep decides on project, id and lake, and its values are locked in the
    config. `monitor_gym`, `force`, `anonymous` and `magic` mean nothing. Raises RunError, RunExistsError,
    RunNotFoundError, LakeError, ConfigError, TypeError, all before the run is there.

    >>> import tempfile
    >>> with init("quickstart", config={"lr": 0.1}, dir=tempfile.mkdtemp()) as run:
    ...     run.log({"loss": 0.5})
    >>> run.summary["loss"]
    0.5
    """
    trial = current_trial.assigned()
    call = init_arguments.resolve(
        InitArguments(
            project=project,
            name=name,
            group=group,
            job_type=job_type,
            tags=tags,
            notes=notes,
            id=id,
            entity=entity,
            resume=resume,
            from_step=from_step,
            fork_from=fork_from,
            resume_from=resume_from,
            mode=mode,
            reinit=reinit,
            save_code=save_code,
            sync_tensorboard=sync_tensorboard or tensorboard,
        ),
        settings=settings,
    )
    if call.mode == "disabled":
        trial = None
    call = call if trial is None else init_arguments.of_trial(call, trial)
    arguments.check_word("durability", durability, Durability, error=RunError)
    sampled = bool(arguments.word("system_metrics", system_metrics, bool | None, error=RunError))
    fields, going_on, again, first_step = _checked(call)
    values = init_arguments.read_config(config, include=config_include_keys, exclude=config_exclude_keys)
    _check_storable(values)
    root = _root(call, trial.lake if trial else dir)
    run_id = run_fields.check_run_id(call.id) if call.id is not None else _random_id()
    init_arguments.tell_ignored(monitor_gym=monitor_gym, force=force, anonymous=anonymous, magic=magic)
    if (previous := _previous(again, call, root)) is not None:
        return previous
    plan = _Plan(run_id, fields, going_on, first_step, durability, Settings(settings or {}))
    storage = layout.create(root)
    upload.recover_spool(storage)
    run = _begin(storage, call, plan, trial)
    if trial is not None:
        run.config.lock(trial.config, by=f"sweep {trial.sweep_id}")
    if values:
        run.config.update(values, allow_val_change=run.resumed or bool(allow_val_change))
    run.start_background_tasks(sample_system=sampled, metadata=init_arguments.notes_surroundings(settings))
    _attach(run, call, trial)
    if call.mode != "disabled":
        init_arguments.announce(run.id, run.lake_dir, settings)
    return run


class _Plan(NamedTuple):
    """What was checked of the arguments."""

    run_id: str
    fields: dict[str, Any]
    resume: Resume
    from_step: int | None
    durability: Durability
    settings: Settings


def _begin(storage: Storage, call: InitArguments, plan: _Plan, trial: Trial | None) -> Run:
    """Begin the session, after what is there of the run has been looked at."""
    possible = origins.possible_runs(storage, plan.run_id if call.id is not None else None)
    before = origins.find_run(storage, plan.run_id) if plan.run_id in possible else None
    from_step = plan.from_step
    if trial is not None and current_trial.is_new_attempt(trial) and before is not None:
        from_step = 0  # what the attempt that died has logged is masked
    project = run_fields.UNCATEGORIZED if call.project is None else call.project
    _check_resume(plan.run_id, before, plan.resume, from_step, project)
    parent = None if call.fork_from is None else origins.find_parent(storage, call.fork_from, before, from_step)
    start = _start(
        before,
        parent,
        from_step,
        resumed=plan.resume not in (None, False, "never"),
        defined=origins.lake_definitions(storage, project) if before is None and LAKE_RUN in possible else (),
    )
    sweep_id = trial.sweep_id if trial else None
    return Run(
        run_id=before.run_id if before else plan.run_id,
        project=before.project if before else project,
        storage=storage,
        clock=Clock(after=before.last if before else 0),
        durability=plan.durability,
        header=_header(storage, before, parent, from_step) | ({"sweep_id": sweep_id} if sweep_id else {}),
        start=start,
        fields=plan.fields,
        entity=call.entity,
        beginning=Beginning(
            before is not None, start.step, call.mode or "online", sweep_id, plan.settings, time.time()
        ),
    )


def _checked(call: InitArguments) -> tuple[dict[str, Any], Resume, Reinit, int | None]:
    """Check the arguments that are words or fields: return fields, resume, reinit and from_step."""
    arguments.check_word("mode", call.mode, Mode, error=RunError)
    going_on: Resume = arguments.word("resume", call.resume, Resume, error=RunError)
    again: Reinit = arguments.word("reinit", call.reinit, Reinit, error=RunError)
    if call.project is not None:
        run_fields.check_project(call.project)
    names = ("name", "group", "job_type", "tags", "notes")
    fields = {name: run_fields.check(name, value) for name in names if (value := getattr(call, name))}
    return fields, going_on, again, checked_step(call.from_step, "from_step")


def _root(call: InitArguments, directory: str | os.PathLike[str] | None) -> Location:
    """Return the place of the lake."""
    if call.mode != "disabled":
        return layout.root_of(directory)
    folder = Path(tempfile.mkdtemp(prefix="tracklake-"))
    atexit.register(_throw_away, folder, os.getpid())
    return folder


def _throw_away(folder: Path, process: int) -> None:
    """Delete the folder of a disabled run at the end of the process that made it."""
    if os.getpid() == process:
        open_runs.finish_all()
        shutil.rmtree(folder, ignore_errors=True)


def _attach(run: Run, call: InitArguments, trial: Trial | None) -> None:
    """Do beside the training what the arguments ask for."""
    if call.save_code:
        script = Path(sys.argv[0])
        if script.is_file():
            run.save(script, policy="now")
    if call.sync_tensorboard:
        tensorboard_sync.sync(_log_scalar)
    if trial is not None and current_trial.current.on_begin is not None:
        current_trial.current.on_begin(run, trial)


def _log_scalar(tag: str, value: object, step: int | None) -> None:
    """Log a scalar of TensorBoard in the run that is current then, with its step as a metric: writers begin anew."""
    current: Run | None = open_runs.current
    if current is not None:
        current.log({tag: value, **({} if step is None else {"global_step": step})})


def _start(
    before: Before | None,
    parent: Parent | None,
    from_step: int | None,
    *,
    resumed: bool,
    defined: tuple[Statement, ...],
) -> Start:
    """Return where the run goes on; a new one begins with what the lake has `defined`."""
    start = before.start if before else Start(definitions=defined)
    if before is not None and before.live and not resumed:
        start = start._replace(step=0, contested=start.step)
    if from_step is not None:
        start = start._replace(step=from_step)
    if parent is not None:
        start = start._replace(step=parent.step, rows=parent.rows, inherited=parent.definitions)
    return start


def _header(storage: Storage, before: Before | None, parent: Parent | None, from_step: int | None) -> dict[str, object]:
    """Return what the session tells of itself at its beginning."""
    header: dict[str, object] = {"lake": layout.read_id(storage), "node": host.NODE}
    if before is not None:
        header["runtime_base"] = before.runtime
    if parent is not None:
        header |= {"parent": parent.run_id, "fork_step": parent.step, "runtime_base": parent.runtime}
    if from_step is not None:
        header["from_step"] = from_step
    return header


def _check_resume(run_id: str, before: Before | None, resume: Resume, from_step: int | None, project: str) -> None:
    """Refuse a start that `resume` does not allow, before anything is written."""
    if before is None:
        if resume == "must":
            raise RunNotFoundError(
                f"resume='must', but there is no run {run_id!r}; resume='allow' starts it if need be"
            )
        if from_step is not None:
            raise RunNotFoundError(f"from_step={from_step} rewinds a run that is there; there is no run {run_id!r}")
        return
    if resume == "never":
        raise RunExistsError(f"resume='never', but there is a run {before.run_id!r}; choose another id")
    if resume in (None, False) and from_step is None and not before.live:
        raise RunExistsError(
            f"there is a run {before.run_id!r} already, and it has ended; go on with it by resume='allow', "
            "rewind it by from_step=k, or choose another id"
        )
    if from_step is not None and not 0 <= from_step <= before.start.step:
        raise RunError(
            f"from_step={from_step}: run {before.run_id!r} can be rewound to a step from 0 to {before.start.step}, "
            "one more than its last"
        )
    if project not in (run_fields.UNCATEGORIZED, before.project):
        raise RunError(f"run {before.run_id!r} belongs to project {before.project!r}, not to {project!r}")


def _check_storable(config: dict[str, Any]) -> None:
    """Refuse a config that cannot be stored, before the run is there."""
    for key, value in nesting.as_mapping(config).items():
        stored_leaves(key, value, warns=False)


def _random_id() -> str:
    """Return a short id that can be read aloud, one of 4e11."""
    word = "".join(secrets.choice(_SYLLABLES) for _ in range(2))
    other = "".join(secrets.choice(_SYLLABLES) for _ in range(2))
    return f"{word}-{other}-{secrets.randbelow(10_000):04d}"


def _previous(reinit: Reinit, call: InitArguments, root: Location) -> Run | None:
    """Return the current run if no other is to begin; finish it if it is to be over then."""
    current: Run | None = open_runs.current
    by_default = reinit in (None, "default")
    if current is None or (by_default and current in open_runs.inherited):  # in the child of a fork
        return None
    if reinit in (True, "finish_previous") or (by_default and is_interactive()):  # most likely a cell is run again
        current.finish()
        return None
    if reinit == "create_new" or (by_default and _is_another(current, call, root)):
        return None
    if by_default:
        warn(
            f"tracklake: run {current.id} is current: init() returns it, as W&B's does; "
            "finish it first, or say reinit='create_new'"
        )
    return current


def _is_another(current: Run, call: InitArguments, root: Location) -> bool:
    """Tell whether the call names a run that is not the current one."""
    return (
        call.id not in (None, current.id)
        or call.fork_from is not None
        or call.mode == "disabled"
        or str(layout.connect(root).root) != current.sync_dir
    )
