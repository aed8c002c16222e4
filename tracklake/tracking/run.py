"""The writing side of a run: the calls of training code become statements in a journal."""

from __future__ import annotations

import os
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from tracklake import tracking
from tracklake.common import interrupts
from tracklake.schema import naming, values
from tracklake.schema.definition_statement import Statement, statement
from tracklake.schema.definitions import Definitions
from tracklake.schema.statement_kind import StatementKind
from tracklake.schema.tables import LAKE_RUN
from tracklake.schema.values import Kind, Stored
from tracklake.storage import layout
from tracklake.storage.journal import host
from tracklake.tracking.exit_status import KILLED, TERMINATED, code_of
from tracklake.tracking.open_runs import open_runs
from tracklake.tracking.read_your_writes import ReadYourWrites
from tracklake.tracking.row_writer import RowWriter
from tracklake.tracking.run_config import Config
from tracklake.tracking.run_conveniences import Beginning, RunConveniences
from tracklake.tracking.run_files import RunFiles
from tracklake.tracking.run_mappings import Summary
from tracklake.tracking.run_metadata import Metadata
from tracklake.tracking.session import Session
from tracklake.tracking.system_metrics import SystemLog
from tracklake.tracking.turn import NOTHING_WRITTEN
from tracklake.tracking.written_fields import WrittenFields

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType

    from tracklake.schema.definitions import MetricDefinition
    from tracklake.storage.backend import Storage
    from tracklake.storage.journal.clock import Clock
    from tracklake.storage.journal.writer import Durability
    from tracklake.tracking.artifacts.media.content import StoredFile
    from tracklake.tracking.distant_writers import DistantWriters, Marks


class Start(NamedTuple):
    """How a session begins: where the run stands, and what its earlier sessions have set."""

    step: int = 0
    config: dict[str, Any] | None = None
    definitions: tuple[Statement, ...] = ()
    fields: Mapping[str, Any] = MappingProxyType({})
    rows: Iterable[tuple[int, dict[str, Stored]]] = ()
    """Rows to begin with: those of the run that this one is forked from."""
    files: Mapping[str, StoredFile] = MappingProxyType({})
    """What was saved of files."""
    contested: int = 0
    """Other sessions have logged below this step."""
    names: tuple[str, ...] = ()
    """The metrics that they have logged."""
    inherited: tuple[Statement, ...] = ()
    """Definitions to begin with: those of the run that this one is forked from."""


class Run(WrittenFields, RunFiles, RunConveniences):
    """A run that is being written: log rows, define metrics, read and set the summary and the config.

    Made by `tracklake.init`. A context manager: leaving it finishes the run, an exception marks it failed. `summary` is
    what the run has logged and set itself, as the definitions shape it; what the lake derives from it, and aliases, may
    need the other runs, and are in `Lake.run(id).summary` alone.

    >>> with tl.init("walk", config={"lr": 0.1}) as run:
    ...     run.log({"loss": 0.5})
    >>> run.summary["loss"], run.config.lr
    (0.5, 0.1)
    """

    _is_whole = False
    """Whether it was made to its end, which an interrupt may prevent."""

    def __init__(
        self,
        *,
        run_id: str,
        project: str,
        storage: Storage,
        clock: Clock,
        durability: Durability,
        header: Mapping[str, object],
        start: Start,
        fields: Mapping[str, Any],
        entity: str | None = None,
        beginning: Beginning = Beginning(),  # noqa: B008 - it is not changed
    ) -> None:
        self._session = Session(
            storage,
            run_id=run_id,
            project=project,
            clock=clock,
            durability=durability,
            header=header,
            listener=self,
        )
        super().__init__(self._session, start.fields, entity)
        self.beginning = beginning
        self._watches = []
        self._saved, self._to_save = dict(start.files), {}
        self._statements = list(start.definitions)
        self._definitions = Definitions(self._statements)
        self._lake_journals: frozenset[str] = frozenset()
        self._listed_at = 0
        """When the folder of journals had changed last (ns), as it was listed for those of the lake."""
        self._distant: DistantWriters | None = None
        self._defined_at_look = self._definitions
        self._logged = ReadYourWrites(self._session)
        self._rows = RowWriter(
            self._session,
            self._logged,
            step=start.step,
            definitions=self._definitions,
            contested=start.contested,
            names=start.names,
        )
        self.config = Config(start.config or {}, store=self._session.append_statements)
        self.summary = Summary(
            entries=interrupts.raised_again(self._logged.entries),
            store=self._session.append_statements,
            storage=storage,
        )
        for inherited in start.inherited:
            self._define(inherited)
        self._rows.replay(start.rows)
        self._set_fields(fields)
        self._is_whole = True
        open_runs.add(self)

    @property
    def step(self) -> int:
        """The current step: that of the next row.

        >>> with tl.init() as run:
        ...     run.log({"loss": 2.0}), run.log({"loss": 1.0}, step=10)
        ...     run.step
        (None, None)
        10
        """
        return self._rows.step

    @property
    def unsaved(self) -> int:
        """Rows held in memory because the disk is full; they are written as soon as there is room.

        >>> with tl.init() as run:
        ...     run.log({"loss": 0.5})
        ...     run.unsaved
        0
        """
        return self._session.journal.unsaved if self._session.journal else 0

    def log(self, data: Mapping[str, Any], step: int | None = None, commit: bool | None = None) -> None:  # noqa: FBT001 - as W&B
        """Log the values of one row.

        Without `step` the row is committed and the step advances by one. With it the row stays open for more values
        until a higher step comes, unless `commit=True`; `commit=False` keeps it open either way. A step below the
        current one is a late row: its values replace those of the same keys there. Nested dicts become dotted names.
        A value that cannot be stored is left out with one warning; keys that are no strings raise TypeError, as does a
        step that is no int; nothing is logged then. When `log` returns, the row survives the death of the process; one
        that an exception interrupts is there or not, whole. A signal handler may log: its row follows the one that it
        interrupts.

        >>> with tl.init() as run:
        ...     run.log({"loss": 2.0, "val": {"acc": 0.5}})
        ...     run.log({"loss": 1.0}, commit=False)
        ...     run.log({"lr": 0.1})
        >>> run.summary["val"], run.summary["lr"], run.summary["_step"]
        ({'acc': 0.5}, 0.1, 1)
        """
        turn = self._session.turn
        with turn.lock:
            if turn.recovery is not None and not turn.begin():
                turn.deferred.append(self._rows.checked(data, step, commit=commit))
                return
            turn.recovery = NOTHING_WRITTEN
            self._rows.log(data, step, commit=commit)
            turn.recovery = None
            if turn.deferred:
                turn.run_deferred()

    def define_metric(
        self,
        name: str | Definition,
        step_metric: str | Definition | None = None,
        step_sync: bool | None = None,  # noqa: FBT001 - as W&B
        hidden: bool | None = None,  # noqa: FBT001 - as W&B
        summary: str | Iterable[str] | None = None,
        goal: str | None = None,
        overwrite: bool | None = None,  # noqa: FBT001 - as W&B
        objective: str | None = None,
    ) -> Definition:
        """Define how a metric, or all that a glob matches, is summarized.

        `summary`: min, max, mean, best, last, first, none, std, sum, count or median, with commas; best needs `goal`
        (or `objective`), "min" or "max". It counts for points logged before as well. `step_metric` is the metric's x
        axis; with `step_sync` (the default beside it) rows that lack it get its latest number. `hidden` leaves the
        metric out of default columns. Calls for one name merge, `overwrite=True` starts afresh. Raises DefinitionError.

        >>> with tl.init() as run:
        ...     for acc in (0.5, 0.9, 0.8):
        ...         run.log({"acc": acc})
        ...     _ = run.define_metric("acc", summary="best,last", goal="max")
        >>> run.summary["acc"]
        {'best': 0.9, 'best_step': 1, 'last': 0.8}
        """
        text = getattr(name, "name", name)
        before = self._definitions.get(naming.metric_name(text)) if isinstance(text, str) else None
        defined = statement(
            name,
            step_metric=step_metric,
            step_sync=step_sync,
            hidden=hidden,
            summary=summary,
            goal=goal,
            objective=objective,
            overwrite=overwrite,
            known_goal=before.goal if before else None,
        )
        turn = self._session.turn
        with turn.lock:
            if turn.recovery is not None and not turn.begin():
                turn.deferred.append(partial(self._define, defined))
                return Definition(defined.name)
            turn.recovery = NOTHING_WRITTEN
            self._define(defined)
            turn.recovery = None
            turn.run_deferred()
        return Definition(defined.name)

    @property
    def _metrics(self) -> dict[str, dict[str, Any]]:
        """The definitions by name, as mappings: `run._metrics[name].get("summary")`."""
        return {name: _as_mapping(definition) for name, definition in self._definitions.items()}

    @interrupts.raised_again
    def finish(self, exit_code: int | None = None, quiet: bool | None = None) -> None:  # noqa: ARG002, FBT001 - as W&B
        """End the run: state finished (exit code 0), else failed, or killed (130 and 143, as signals give).

        Raises UnsavedRowsError if rows still wait for room on a full disk; the run stays open then. A call that was
        interrupted is completed by the next one.

        >>> run = tl.init(id="r1")
        >>> run.finish(exit_code=143)
        >>> run.log({"loss": 1.0})
        Traceback (most recent call last):
        tracklake.errors.RunFinishedError: run 'r1' is finished: it takes no more; ...
        """
        if self not in open_runs and self._session.is_over:
            return
        code = 0 if exit_code is None else int(exit_code)
        state = "finished" if code == 0 else "killed" if code in (KILLED, TERMINATED) else "failed"
        items = [("state", values.store(state, name="state")), ("exit_code", values.store(code, name="exit_code"))]
        if state != "killed" and not self._session.is_over:
            self.unwatch()
            self._save_at_end()
        self._session.finish(items, in_haste=state == "killed")
        self._rows.forget_plans()
        self._logged.forget()
        open_runs.drop(self)
        if state != "killed" and not host.engine.is_lost:  # else no time, or no means: the next who finishes seals
            self._session.seal_gathered()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish(exit_code=code_of(error))

    def __repr__(self) -> str:
        return f"Run(id={self.id!r}, project={self.project!r}, step={self.step})"

    def after_fork(self) -> None:
        """Leave the journal to the parent, in the child of a fork; a later `log` here opens a session of its own.

        >>> import os
        >>> with tl.init(id="r1") as run:
        ...     run.after_fork()
        ...     run.log({"loss": 0.5})
        >>> len(os.listdir("lake/journal"))
        2
        """
        self._session.after_fork()
        self._distant = None
        self._logged.forget()

    def keep_alive(self, *, beat: bool) -> None:
        """Write what is buffered, do what is due beside the training and, on a beat, give a sign of life.

        >>> with tl.init(durability="buffered") as run:
        ...     run.log({"loss": 0.5})
        ...     run.keep_alive(beat=False)
        ...     tl.open().history("loss")["value"].to_list()
        [0.5]
        """
        self._session.keep_alive(beat=beat)
        if self._lake_defines_anew() or (beat and not self._session.is_uploaded):
            self._session.carefully(self._refresh_definitions)
        elif beat:
            self._look_elsewhere()

    def _lake_defines_anew(self) -> bool:
        """Say whether there are other journals of definitions of the lake than when it was looked last."""
        prefix = f"{naming.safe_name(LAKE_RUN)}."
        try:
            folder = self._session.storage.journal_folder(layout.JOURNAL_FOLDER)
            changed_at = folder.stat().st_mtime_ns  # one call a second, however many runs are live
            if changed_at == self._listed_at:
                return False
            self._listed_at = changed_at
            with os.scandir(folder) as entries:
                journals = frozenset(entry.name for entry in entries if entry.name.startswith(prefix))
        except OSError as error:  # a lake that is away for a while: a training goes on
            interrupts.let_through(error)
            return False
        is_new, self._lake_journals = journals != self._lake_journals, journals
        return is_new

    def start_background_tasks(self, *, sample_system: bool, metadata: bool) -> None:
        """Note the run's surroundings, and sample the system, beside the training.

        >>> with tl.init(id="r1", settings={"metadata": False}) as run:
        ...     run.start_background_tasks(sample_system=False, metadata=True)
        >>> tl.open().run("r1").metadata["tracklake"] == tl.__version__
        True
        """
        session = self._session
        if metadata:
            session.tasks.append(Metadata(session.append_statements))
        if sample_system:
            session.tasks.append(SystemLog(session.new_journal(layout.SYSTEM_FOLDER), step=lambda: self.step))

    def session_begun(self) -> None:
        """Take part in the end of the process, which writes a journal of this run now.

        >>> with tl.init(id="a") as run:
        ...     run.session_begun()
        ...     tl.run.id
        'a'
        """
        if self._is_whole:  # else it is being made, and takes part when it is
            open_runs.add(self)

    def _refresh_definitions(self) -> None:
        """Take over what the lake has defined since: it may name step metrics."""
        turn = self._session.turn
        with turn.lock:
            if self._session.is_over or turn.recovery is not None:
                return
            self._take_definitions(self._logged.summaries().defined.of_run(self.id))

    def _take_definitions(self, definitions: Definitions) -> None:
        if definitions.statements != self._definitions.statements:
            self._statements = list(definitions.statements)
            self._definitions = definitions
            self._rows.define(definitions)

    def _look_elsewhere(self) -> None:
        """Ask the store in the background what writers on other machines have said."""
        journal = self._session.journal
        if journal is not None:
            self._distant = self._distant or tracking.distant_writers.DistantWriters(
                self._session.storage, self.id, journal.session, self._take_over
            )
            self._defined_at_look = self._definitions
            self._distant.look()

    def _take_over(self, definitions: Definitions, elsewhere: Marks) -> None:
        """Take over what was seen there; definitions only if this run has made none since the look began."""
        turn = self._session.turn
        with turn.lock:
            if self._session.is_over or turn.recovery is not None:
                return
            self._logged.elsewhere = elsewhere
            if self._definitions is self._defined_at_look:
                self._take_definitions(definitions)

    def _define(self, defined: Statement) -> None:
        self._session.open().append_changes(
            [(StatementKind.DEFINE, defined.name, Stored(Kind.JSON, None, None, defined.to_json()))]
        )
        self._statements.append(defined)
        self._definitions = Definitions(self._statements)
        self._rows.define(self._definitions)


class Definition(NamedTuple):
    """What `define_metric` returns; it may be given as `name` or `step_metric` of later calls."""

    name: str


def _as_mapping(definition: MetricDefinition) -> dict[str, Any]:
    """Return the parts of a definition that were given."""
    parts: dict[str, Any] = {"name": definition.name, "step_metric": definition.step_metric, "goal": definition.goal}
    parts["summary"] = "none" if definition.none else ",".join(definition.kinds)
    parts["hidden"] = definition.hidden
    return {key: value for key, value in parts.items() if value}
