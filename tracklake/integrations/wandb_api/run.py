"""One run as W&B's public API shows it: read together with its neighbours, written when `update` says so."""

from __future__ import annotations

import math
from collections.abc import Mapping
from copy import deepcopy
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import polars as pl

from tracklake.common import arguments
from tracklake.common.lazy_numpy import np
from tracklake.compute.points import PSEUDO
from tracklake.errors import QueryError, UnknownNameError
from tracklake.integrations.wandb_api.page import BASE, Page, Row
from tracklake.integrations.wandb_api.run_files import ApiRunFiles
from tracklake.integrations.wandb_api.summary import ApiSummary, Held
from tracklake.schema import naming, run_fields, values
from tracklake.schema.values import STORED
from tracklake.tracking.run_config import Config

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tracklake.lake.recorded_run import RecordedRun
    from tracklake.tracking.run_mappings import Change

Stream = Literal["default", "system", "events"]
"""system are the system metrics; events is W&B's word for them."""

ENTITY = "local"
"""There are no accounts: every entity is accepted, and this one shown."""
_SETTABLE = ("name", "group", "job_type", "notes", "tags")
"""The fields that `update` stores."""


class User(NamedTuple):
    """Who started a run."""

    name: str = ENTITY
    username: str = ENTITY


class ApiRun(ApiRunFiles):
    """A run of a lake by W&B's names: id, name, state, config, summary, history, and more.

    What is set in `summary` is stored by `summary.update()`; changes of `config`, `tags`, `notes`, `group`, `job_type`
    and `name` (which is `display_name`) by `update()`. Anything else cannot be set. `load(force=True)` reads it anew.

    >>> run = tl.Api(example().dir).run("slow")
    >>> run.name, run.state, run.config["lr"]
    ('slow', 'finished', 0.01)
    """

    id: str
    name: str
    project: str
    group: str | None
    job_type: str | None
    state: str
    tags: list[str]
    notes: str | None
    created_at: str
    entity = ENTITY
    user = User()
    read_only = False
    _page: Page

    def __init__(self, run_id: str, page: Page) -> None:
        vars(self).update(id=run_id, _page=page)
        self._read()

    def __setattr__(self, name: str, value: object) -> None:
        """Set what `update` stores; refuse all else, which would be lost. Raises AttributeError, TypeError."""
        if name not in (*_SETTABLE, "display_name", "config"):
            raise AttributeError(f"{name!r} of run {self.id!r} cannot be set; {', '.join(_SETTABLE)} and config can")
        if name == "config" and not isinstance(value, Mapping):
            raise arguments.refused("config", "a mapping such as {'lr': 0.1}", value)
        needs_check = name == "tags" or (name != "config" and value is not None)
        super().__setattr__(name, run_fields.check(name, value) if needs_check else value)

    @property
    def display_name(self) -> str:
        """The name, by another of W&B's words.

        >>> tl.Api(example().dir).run("slow").display_name
        'slow'
        """
        return self.name

    @display_name.setter
    def display_name(self, name: str) -> None:
        """Set the name; `update` stores it."""
        self.name = name

    @cached_property
    def config(self) -> dict[str, Any]:
        """The config as a nested dict.

        >>> tl.Api(example().dir).run("slow").config
        {'lr': 0.01}
        """
        return deepcopy(self._page.configs[self.id])

    @cached_property
    def summary(self) -> ApiSummary:
        """The summary as a mapping; what is set in it is stored by its `update`.

        >>> tl.Api(example().dir).run("slow").summary["loss"]
        0.5
        """
        pending = Held(self._page.entries[self.id], self._say)
        return ApiSummary(pending, storage=self._recorded.storage)

    @property
    def summary_metrics(self) -> dict[str, Any]:
        """The summary as a plain nested dict.

        >>> sorted(tl.Api(example().dir).run("slow").summary_metrics)
        ['_runtime', '_step', '_timestamp', 'acc', 'loss']
        """
        return self.summary._json_dict  # noqa: SLF001 - W&B's own name

    @property
    def system_metrics(self) -> dict[str, float]:
        """The newest sample of each system metric, its name after `system.`.

        >>> tl.Api(example().dir).run("slow").system_metrics  # it began without system_metrics=True
        {}
        """
        last = self._samples().sort("time").unique("metric", keep="last", maintain_order=True).sort("metric")
        return dict(last.select("metric", "value").iter_rows())

    @property
    def metadata(self) -> dict[str, Any]:
        """What the run noted of host, python, command line and git.

        >>> tl.Api(example().dir).run("slow").metadata["tracklake"] == tl.__version__
        True
        """
        return self._recorded.metadata

    @property
    def history_keys(self) -> dict[str, Any]:
        """Its metrics under "keys", and its last step under "lastStep".

        >>> tl.Api(example().dir).run("slow").history_keys
        {'keys': {'acc': {}, 'loss': {}}, 'lastStep': 2}
        """
        return {"keys": {name: {} for name in self._recorded.metrics}, "lastStep": self.lastHistoryStep}

    @property
    def lastHistoryStep(self) -> int:  # noqa: N802 - as W&B
        """The last step; -1 if there is none.

        >>> tl.Api(example().dir).run("slow").lastHistoryStep
        2
        """
        steps = self._recorded.history([])["_step"]
        return int(steps.max()) if len(steps) else -1  # type: ignore[arg-type] # an Int64 column

    @property
    def path(self) -> list[str]:
        """[entity, project, id].

        >>> tl.Api(example().dir).run("slow").path
        ['local', 'example', 'slow']
        """
        return [self.entity, self.project, self.id]

    @property
    def url(self) -> str:
        """Where the run lies.

        >>> tl.Api(example().dir).run("slow").url
        'file:///.../lake#slow'
        """
        return f"{self._recorded.storage.uri()}#{self.id}"

    def history(
        self,
        samples: int | None = None,
        keys: Sequence[str] | None = None,
        x_axis: str = "_step",
        pandas: bool = True,
        stream: Stream = "default",
    ) -> Any:
        """Return the rows, complete by default: a pandas.DataFrame, or with `pandas=False` a list of dicts.

        `samples` keeps as many, evenly, the first and the last among them. With `keys` only rows that have all of these
        (as W&B; `Lake.history` keeps the others too). `x_axis` orders the rows, and leaves out those without it.
        `stream="system"` gives the system metrics instead, one row a sample. Raises UnknownNameError for a metric that
        is not there, QueryError and TypeError for other arguments.

        >>> tl.Api(example().dir).run("slow").history(keys=["loss"], pandas=False)[0]
        {'_step': 0, 'loss': 2.0}
        """
        arguments.check_word("stream", stream, Stream)
        most = None if samples is None else arguments.whole("samples", samples, least=0, error=QueryError)
        names = None if keys is None else arguments.texts("keys", keys)
        arguments.metric("x_axis", x_axis)
        rows = list(self._rows(names, also=x_axis) if stream == "default" else self._sampled(names, also=x_axis))
        if x_axis != "_step":
            rows = sorted((row for row in rows if row.get(x_axis) is not None), key=itemgetter(x_axis))
        if most is not None and most < len(rows):
            positions = np.linspace(0, len(rows) - 1, most).round().astype(int).tolist()
            rows = [rows[i] for i in positions]
        if not pandas:
            return rows
        import pandas as pd

        return pd.DataFrame(rows)

    def scan_history(
        self,
        keys: Sequence[str] | None = None,
        page_size: int = 1000,  # noqa: ARG002 - all of a run is read at once
        min_step: int = 0,
        max_step: int | None = None,
    ) -> Iterator[Row]:
        """Yield each row as a dict, from `min_step` up to but without `max_step`; with `keys` rows that have them all.

        >>> [row["loss"] for row in tl.Api(example().dir).run("slow").scan_history(keys=["loss"], min_step=1)]
        [1.0, 0.5]
        """
        first = arguments.number("min_step", min_step)
        end = math.inf if max_step is None else arguments.number("max_step", max_step)
        rows = self._rows(None if keys is None else arguments.texts("keys", keys))
        return (row for row in rows if first <= row["_step"] < end)

    def update(self) -> None:
        """Store what was changed of config and of the fields that can be set, and what was set in the summary.

        >>> lake = example()
        >>> run = tl.Api(lake.dir).run("slow")
        >>> run.config["lr"], run.notes = 0.02, "relabelled"
        >>> run.update()
        >>> lake.runs(runs="slow", columns=["config.lr", "notes"]).rows()
        [('slow', 0.02, 'relabelled')]
        """
        before = self._page.base[self.id] | {"tags": list(self._page.base[self.id]["tags"] or [])}
        current = {name: getattr(self, name) for name in _SETTABLE} | {"tags": list(self.tags)}
        fields = {name: value for name, value in current.items() if value != before[name]}
        changes = run_fields.statements(fields, tags=before["tags"])
        config = self._page.configs[self.id]
        Config(deepcopy(config), store=changes.extend).update(_changed(config, self.config), allow_val_change=True)
        if changes:
            self._say(changes)
        self.summary.update()
        self.load(force=True)

    def load(self, *, force: bool = False) -> None:
        """Read the run anew.

        >>> lake = example()
        >>> run = tl.Api(lake.dir).run("slow")
        >>> lake.run("slow").tags = ["late"]
        >>> run.tags, run.load(force=True), run.tags
        ([], None, ['late'])
        """
        if force:
            vars(self)["_page"] = Page(self._page.lake, [self.id])
            for name in ("config", "summary"):
                self.__dict__.pop(name, None)
            self._read()

    def __repr__(self) -> str:
        return f"<ApiRun {'/'.join(self.path)} ({self.state})>"

    @property
    def _recorded(self) -> RecordedRun:
        return self._page.lake.run(self.id)

    def _say(self, changes: list[Change]) -> None:
        self._recorded.say(changes)

    def _read(self) -> None:
        base = self._page.base[self.id]
        shaped = {"tags": list(base["tags"] or []), "created_at": base["created_at"].strftime("%Y-%m-%dT%H:%M:%SZ")}
        vars(self).update({name: base[name] for name in BASE} | shaped)

    def _rows(self, wanted: Sequence[str] | None, *, also: str = "_step") -> Iterator[Row]:
        """Yield the rows, `_step` first; with names those that have all of them, and nothing else but `also`."""
        needed = [naming.metric_name(name) for name in wanted or ()]
        names = [*self._recorded.metrics, *PSEUDO, also] if wanted is None else [*needed, also]
        wanted_names = list(dict.fromkeys(name for name in names if name != "_step"))
        points = self._page.lake.scan_history([*wanted_names, "_step"], runs=self.id).select("step", "metric", *STORED)
        ordered = points.sort("step", "metric").collect()
        for step, items in groupby(ordered.iter_rows(), key=itemgetter(0)):
            row = {metric: values.restore(*stored) for _, metric, *stored in items}
            if all(name in row for name in needed):
                yield {"_step": step} | {name: row[name] for name in wanted_names if name in row}

    def _samples(self) -> pl.DataFrame:
        """Return the samples of the system metrics, their names as W&B has them: after `system.`."""
        samples = self._page.lake.history(runs=self.id, stream="system")
        return samples.with_columns(("system." + pl.col("metric")).alias("metric"))

    def _sampled(self, wanted: Sequence[str] | None, *, also: str) -> Iterator[Row]:
        """Yield the samples, `_timestamp` first; with names those that have all of them, and just these."""
        samples, needed = self._samples(), [*(wanted or ())]
        available = [*samples["metric"].unique(), "_timestamp", "_step"]
        for name in (*needed, also):
            if name not in available:
                raise UnknownNameError.nearest("system metric", name, available)
        ordered = samples.sort("time", "metric").select("time", "metric", "value")
        for time, items in groupby(ordered.iter_rows(), key=itemgetter(0)):
            row = {"_timestamp": time.timestamp()} | {metric: value for _, metric, value in items}
            if all(name in row for name in needed if name != "_step"):
                columns = row if wanted is None else ("_timestamp", *needed, also)
                yield {name: row[name] for name in dict.fromkeys(columns) if name in row}


def _changed(before: Row, after: Row) -> Row:
    return {key: value for key, value in after.items() if key not in before or before[key] != value}
