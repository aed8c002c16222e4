"""A run as a reader sees it: its config, its summary (writable), its history."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl

from tracklake import display, tracking
from tracklake.common.interrupts import raised_again, raised_again_by_methods
from tracklake.compute.points import PSEUDO
from tracklake.errors import FileMissingError
from tracklake.query.column_names import BASE
from tracklake.query.history import SeriesTable
from tracklake.schema import naming, run_fields, values
from tracklake.schema.statement_kind import StatementKind
from tracklake.schema.values import STORED
from tracklake.storage import content_files
from tracklake.storage.journal.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from tracklake.query.run_table import RunTable
    from tracklake.storage.backend import Storage
    from tracklake.tracking.artifacts.media.content import StoredFile
    from tracklake.tracking.run_mappings import Change, Summary


@raised_again_by_methods
class RecordedRun:
    """One run of a lake; each look takes the newest snapshot. Made by `Lake.run`.

    >>> run = example().run("fast")
    >>> run.state, run.config, run.summary["loss"]
    ('finished', {'lr': 0.1}, 0.75)
    """

    def __init__(
        self, run_id: str, *, storage: Storage, table: Callable[[], RunTable], stored_id: str | None = None
    ) -> None:
        self.id = run_id
        self._stored_id = stored_id or run_id
        self.storage = storage
        """Where the lake lies."""
        self._table = table  # last: from here on nothing is set that would not be stored

    @cached_property
    def summary(self) -> Summary:
        """The summary as a mapping; what is set in it is stored at once.

        >>> run = example().run("slow")
        >>> run.summary["loss"] = 0.4
        >>> run.summary["loss"], run.summary["acc"]
        (0.4, 0.6)
        """
        entries = raised_again(lambda _: self._table().summaries.of_run(self.id))
        return tracking.run_mappings.Summary(entries=entries, store=self.say, storage=self.storage)

    @property
    def config(self) -> dict[str, Any]:
        """The config as a nested dict; what is set in it, at any depth, is stored at once.

        >>> run = example().run("slow")
        >>> run.config["seed"] = 3
        >>> run.config
        {'lr': 0.01, 'seed': 3}
        """
        return tracking.config_values.NestedDict(
            self._table().config.nested([self.id])[self.id], path=(), change=self._set_config
        )

    def _set_config(self, path: tuple[str, ...], value: Any) -> None:
        """Store a value at a path of the config, beside what others have stored."""
        current = self._table().config.nested([self.id])[self.id]
        tracking.run_config.Config(current, store=self.say).change(path, value, allow_val_change=True)

    @property
    def dir(self) -> Path | str:
        """The folder of the lake; its URL where it lies on an object store.

        >>> example().run("slow").dir.name
        'lake'
        """
        return self.storage.root

    @property
    def state(self) -> str:
        """Say running, finished, failed, killed or crashed.

        >>> example().run("slow").state
        'finished'
        """
        return str(self._base("state"))

    @property
    def project(self) -> str:
        """The project it belongs to.

        >>> example().run("slow").project
        'example'
        """
        return str(self._base("project"))

    @property
    def name(self) -> str:
        """The display name.

        >>> example().run("slow").name  # the id, if none was given
        'slow'
        """
        return str(self._base("name"))

    @property
    def tags(self) -> list[str]:
        """Its tags; assign to change them.

        >>> run = example().run("slow")
        >>> run.tags = ["baseline"]
        >>> run.tags
        ['baseline']
        """
        tags = self._base("tags")
        vars(self)["_seen_tags"] = [] if tags is None else list(tags)
        return list(vars(self)["_seen_tags"])

    @tags.setter
    def tags(self, tags: Sequence[str]) -> None:
        """Add those that are new and remove those that are missing, at once: compared with what was read last."""
        new = run_fields.check_tags(tags)
        seen = vars(self).get("_seen_tags")
        self.say(run_fields.statements({"tags": new}, tags=self.tags if seen is None else seen))
        vars(self)["_seen_tags"] = new

    @property
    def facts(self) -> dict[str, Any]:
        """What `Lake.runs` tells of it: project, name, group, job_type, state, created_at, runtime, tags, notes.

        >>> facts = example().run("slow").facts
        >>> facts["project"], facts["state"], facts["group"]
        ('example', 'finished', None)
        """
        row = self._table().select(runs=[self.id], wanted=[c for c in BASE if c != "run_id"])
        return row.drop("run_id").row(0, named=True)

    @property
    def parent(self) -> tuple[str, int] | None:
        """The run it was forked from, and the step below which it has that one's rows; None if it was not forked.

        >>> lake = example()
        >>> with tl.init(fork_from=("slow", 2), dir=lake.dir, id="branch") as run:
        ...     run.log({"loss": 0.7})
        >>> lake.run("branch").parent, lake.run("slow").parent
        (('slow', 2), None)
        """
        snapshot = self._table().snapshot
        parent, step = (snapshot.facts(name).filter(pl.col("run_id") == self.id) for name in ("parent", "fork_step"))
        return (parent["text"][0], step["ival"][0]) if parent.height and step.height else None

    @property
    def sweep_id(self) -> str | None:
        """The launched sweep that it is a trial of; None if it is of none.

        >>> example().run("slow").sweep_id
        """
        ids = self._table().snapshot.facts("sweep_id").filter(pl.col("run_id") == self.id)["text"]
        return ids[0] if len(ids) else None

    @property
    def metadata(self) -> dict[str, Any]:
        """What it noted of its surroundings, nested: host, os, python, pid, argv, git, ... (see `init`).

        >>> import os
        >>> example().run("slow").metadata["pid"] == os.getpid()
        True
        """
        statements = self._table().snapshot.statements_of(StatementKind.METADATA, run_id=self.id)
        items = statements.select("key", *STORED).iter_rows()
        return naming.nest((key.split("."), values.restore(*stored)) for key, *stored in items)

    @property
    def metrics(self) -> list[str]:
        """The names of the metrics that it logged, sorted.

        >>> example().run("slow").metrics
        ['acc', 'loss']
        """
        merged = self._table().snapshot.states(runs=[self.id], columns=["n_points"])
        return sorted(set(merged.filter(pl.col("n_points") > 0)["metric"]) - set(PSEUDO))

    @property
    def files(self) -> list[str]:
        """The names of the files that it saved, sorted; see `file`.

        >>> example().run("slow").files
        []
        """
        return sorted(self._files)

    def file(self, name: str) -> Path:
        """Return where the content of a saved file lies; it is not to be changed. Raises FileMissingError.

        >>> with tl.init(id="r1") as run:
        ...     _ = open(run.dir + "/notes.txt", "w").write("hello")
        >>> tl.open().run("r1").file("notes.txt").read_text()
        'hello'
        """
        if name not in self._files:
            raise FileMissingError.nearest("file", name, self._files)
        return content_files.verified(self.storage, self._files[name].path)

    @property
    def _files(self) -> Mapping[str, StoredFile]:

        saved = self._table().snapshot.statements_of(StatementKind.FILE, run_id=self.id)
        return tracking.run_files.saved_files(saved.select("key", "text").iter_rows())

    def history(self, metrics: Sequence[str] | None = None) -> pl.DataFrame:
        """Return its rows: _step, one typed column a metric, _timestamp (epoch seconds), _runtime (seconds).

        >>> example().run("slow").history(["loss"]).select("_step", "loss").rows()
        [(0, 2.0), (1, 1.0), (2, 0.5)]
        """
        table = SeriesTable(self._table())
        return table.of_run(self.id, None if metrics is None else table.known(metrics))

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse to set what would not be stored."""
        if name != "tags" and "_table" in vars(self):
            raise AttributeError(
                f"{name!r} of run {self.id!r} cannot be set; .tags and .summary[...] can, and more of "
                "tracklake.Api(dir).run(id), stored by its update()"
            )
        super().__setattr__(name, value)

    def __repr__(self) -> str:
        """Return its state, config and metrics in at most 80 columns."""
        return display.labels.printable_lines(display.reprs.run_text(SeriesTable(self._table()), self.id))

    def _repr_html_(self) -> str:
        return display.reprs.run_html(SeriesTable(self._table()), self.id)

    def _base(self, name: str) -> Any:
        return self._table().select(runs=[self.id], wanted=[name])[name][0]

    def say(self, changes: list[Change]) -> None:
        """Write statements about the run at once, as a small session of it.

        >>> run = example().run("slow")
        >>> run.say([("field", "notes", values.store("rerun", name="notes"))])
        >>> run.facts["notes"]
        'rerun'
        """
        newest = self._table().snapshot.files.filter(pl.col("run_id") == self.id)["last"].dt.epoch("us").max()
        tracking.edit_session.write_session(
            self.storage,
            run_id=self._stored_id,
            project=self.project,
            changes=changes,
            clock=Clock(after=int(newest or 0)),  # type: ignore[arg-type]
        )
