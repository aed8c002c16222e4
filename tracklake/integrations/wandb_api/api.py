"""The lake behind W&B's public API: runs by filter and order, each with config, summary and history."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

import polars as pl

from tracklake.common import arguments
from tracklake.errors import QueryError, RunNotFoundError, UnknownNameError
from tracklake.integrations.wandb_api import mongo_filters
from tracklake.integrations.wandb_api.artifacts import ApiArtifacts
from tracklake.integrations.wandb_api.page import Page
from tracklake.integrations.wandb_api.run import ENTITY, ApiRun, User
from tracklake.integrations.wandb_api.sweep import ApiSweep
from tracklake.lake import opening
from tracklake.schema import naming
from tracklake.schema.values import Kind

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping, Sequence

    from tracklake.lake.lake import Lake
    from tracklake.query.run_table import RunTable

AT_ONCE = 4096
"""Runs that are read together at least: of a large lake, one takes as long as these."""

_ACCOUNTS = "the lake knows projects and runs, no accounts: Api.projects(), Api.runs()"
_QUEUES = "start the command yourself, or `tracklake agent` for a sweep"
OF_A_SERVER = {
    **dict.fromkeys(("create_team", "create_user", "organization", "team", "user", "users"), _ACCOUNTS),
    **dict.fromkeys(("create_run_queue", "job", "list_jobs", "queued_run", "run_queue", "upsert_run_queue"), _QUEUES),
    **dict.fromkeys(("create_registry", "registries", "registry"), "run.link_artifact(artifact, 'registry/name')"),
    **dict.fromkeys(
        ("automation", "automations", "create_automation", "delete_automation", "update_automation"),
        "nothing runs while no one asks",
    ),
    **dict.fromkeys(("integrations", "slack_integrations", "webhook_integrations"), "nothing is sent anywhere"),
    "artifact_collection": "Api.artifacts(type, 'project/name') has its versions",
    "artifact_collection_exists": "Api.artifact_exists('project/name') tells",
    "artifact_collections": "Api.artifacts(type, 'project/name') has the versions of one",
    "artifact_type": "an artifact has its .type",
    "artifact_types": "an artifact has its .type",
    "create_custom_chart": "lake.plot draws",
    "create_project": "a project is there as soon as a run logs to it: tracklake.init(project=...)",
    "create_run": "tracklake.init(project=...) starts one",
    "from_path": "Api.run(path), Api.runs(path), Api.artifact(path) say what is meant",
    "reports": "lake.report(file) writes one",
    "sync_tensorboard": "lake.import_from(path) takes event files",
    "user_agent": "nothing is requested from anyone",
}
"""Names of W&B's Api that mean nothing without a server, and the way out of each."""
_PATH = "a text such as 'entity/project/run_id' or 'project'"


class Api(ApiArtifacts):
    """W&B's `wandb.Api` over a lake: `dir`, else $TRACKLAKE_DIR, else ./lake; over several, if `dir` names several.

    `overrides`, `timeout` and `api_key` are accepted and mean nothing. Raises LakeError if there is no lake.

    >>> Api(example().dir).runs("example")
    <ApiRuns example: 2 runs>
    """

    def __init__(
        self,
        dir: os.PathLike[str] | str | Sequence[os.PathLike[str] | str] | None = None,  # noqa: A002 - as in init
        *,
        overrides: Mapping[str, object] | None = None,  # noqa: ARG002
        timeout: float | None = None,  # noqa: ARG002
        api_key: str | None = None,  # noqa: ARG002
    ) -> None:
        self._lake = opening.open(dir)

    @property
    def default_entity(self) -> str:
        """The entity that is shown where W&B has one.

        >>> Api(example().dir).default_entity
        'local'
        """
        return ENTITY

    @property
    def viewer(self) -> User:
        """Who asks: there are no accounts.

        >>> Api(example().dir).viewer.username
        'local'
        """
        return User()

    def flush(self) -> None:
        """Do nothing: each read takes the newest snapshot.

        >>> Api(example().dir).flush()
        """

    def sweep(self, path: str) -> ApiSweep:
        """Return a launched sweep by "entity/project/id" or "id". Raises SweepError.

        >>> Api(example().dir).sweep("nowhere1")
        Traceback (most recent call last):
        tracklake.errors.SweepError: there is no sweep 'nowhere1' in ...
        """
        return ApiSweep(self._lake, path)

    def __getattr__(self, name: str) -> Any:
        """Refuse what needs a server, with the way out; W&B's Api has these names."""
        if name not in OF_A_SERVER:
            raise AttributeError(f"Api has no {name!r}; names of W&B's that need a server: {', '.join(OF_A_SERVER)}")
        raise QueryError(f"Api.{name} needs a server, and there is none; {OF_A_SERVER[name]}")

    def runs(
        self,
        path: str | None = None,
        filters: Mapping[str, Any] | None = None,
        order: str | None = "+created_at",
        per_page: int = 50,
    ) -> ApiRuns:
        """Which runs match? A lazy sequence: nothing is read before it is looked at.

        `path` is "entity/project" or "project" (None: all). `filters` in MongoDB's style ($and $or $nor $not $eq $ne
        $gt $gte $lt $lte $in $nin $all $exists $regex) over config.<path>, summary_metrics.<path>, state, group, tags,
        jobType, createdAt, displayName and name, which is the id. `order` is one of these after "+" or "-", nulls and
        NaN last. What a run holds is read together with its neighbours: `per_page` of them, or some thousands, as that
        takes hardly longer. Raises UnknownNameError and QueryError when looked at.

        >>> api = Api(example().dir)
        >>> [run.id for run in api.runs("me/example", {"config.lr": {"$gt": 0.05}})]
        ['fast']
        """
        if path is not None:
            arguments.text("path", path, takes=_PATH)
        if order is not None:
            arguments.text("order", order, takes="the name of a field after '+' or '-'")
        size = arguments.whole("per_page", per_page, least=1, error=QueryError)
        return ApiRuns(self._lake, path, filters or {}, order or "+created_at", per_page=size)

    def run(self, path: str) -> ApiRun:
        """Return one run by "entity/project/run_id", "project/run_id" or "run_id".

        Raises RunNotFoundError, which names the nearest id, or the project that the run is in.

        >>> Api(example().dir).run("me/example/fast").summary["loss"]
        0.75
        """
        before, _, name = arguments.text("path", path, takes=_PATH).strip("/").rpartition("/")
        projects = dict(self._lake.runs(columns=["run_id", "project"]).iter_rows())
        ids_by_safe_name = {naming.safe_name(run_id): run_id for run_id in projects}
        run_id = ids_by_safe_name.get(naming.safe_name(name))
        if run_id is None:
            raise RunNotFoundError.nearest("run", name, projects)
        prefix = before.removesuffix("/runs")
        if prefix and not f"/{prefix}".endswith(f"/{projects[run_id]}"):
            raise RunNotFoundError(f"the run {run_id!r} is in project {projects[run_id]!r}, not in {prefix!r}")
        return ApiRun(run_id, Page(self._lake, [run_id]))


class ApiRuns:
    """The runs that match: len, iteration, indexing; `summaries` and `histories` give them as one frame, at once.

    >>> runs = Api(example().dir).runs("example")
    >>> len(runs), runs[0].id, [run.id for run in runs[1:]]
    (2, 'slow', ['fast'])
    """

    def __init__(self, lake: Lake, path: str | None, filters: Mapping[str, Any], order: str, *, per_page: int) -> None:
        self._lake = lake
        self._path = path
        self._filters = filters
        self._order = order
        self._at_once = max(per_page, AT_ONCE)
        self._pages: dict[int, Page] = {}
        """The page that was looked at last, by its number."""

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[ApiRun]:
        return (self[i] for i in range(len(self)))

    @overload
    def __getitem__(self, index: int) -> ApiRun: ...
    @overload
    def __getitem__(self, index: slice) -> list[ApiRun]: ...
    def __getitem__(self, index: int | slice) -> ApiRun | list[ApiRun]:
        if isinstance(index, slice):
            page = Page(self._lake, self._ids[index])
            return [ApiRun(run_id, page) for run_id in page.ids]
        at = range(len(self))[index]
        return ApiRun(self._ids[at], self._page(at // self._at_once))

    def __repr__(self) -> str:
        return f"<ApiRuns {self._path or 'of all projects'}: {len(self)} runs>"

    def summaries(self) -> pl.DataFrame:
        """Return one row a run in their order: run_id, name, and summary.<path> as the definitions choose.

        >>> Api(example().dir).runs(order="-summary_metrics.loss").summaries().select("run_id", "summary.loss").rows()
        [('fast', 0.75), ('slow', 0.5)]
        """
        table = self._lake.runs(runs=self._ids)
        return table.select("run_id", "name", *(c for c in table.columns if c.startswith("summary.")))

    def histories(self, keys: Sequence[str] | None = None) -> pl.DataFrame:
        """Return every row of every run, the runs in their order: run_id, _step, time (UTC), one typed column a metric.

        >>> Api(example().dir).runs(filters={"name": "slow"}).histories(["loss"]).select("_step", "loss").rows()
        [(0, 2.0), (1, 1.0), (2, 0.5)]
        """
        names = None if keys is None else arguments.texts("keys", keys)
        rows = self._lake.history(names, runs=self._ids, shape="wide").rename({"step": "_step"})
        order = pl.DataFrame({"run_id": self._ids}, schema={"run_id": pl.String}).with_row_index("place")
        placed = rows.join(order, on="run_id", how="left", maintain_order="left")
        return placed.sort("place", maintain_order=True).drop("place")

    def _page(self, number: int) -> Page:
        if number not in self._pages:
            start = number * self._at_once
            self._pages = {number: Page(self._lake, self._ids[start : start + self._at_once])}
        return self._pages[number]

    @cached_property
    def _ids(self) -> list[str]:
        """The ids of the runs: one table of the columns that are named, one expression over it."""
        table = self._lake._view.runs  # noqa: SLF001 - the Api is another face of the lake
        order = ("-" if self._order.startswith("-") else "+") + mongo_filters.column(self._order.lstrip("+-"))
        columns = [name for name in mongo_filters.columns(self._filters) if table.names.find(name) is not None]
        rows = table.select(project=self._project(), wanted=["run_id", *columns], order_by=order)
        rows = rows.hstack(_truths(table, rows))
        return rows.filter(mongo_filters.expression(self._filters, rows.schema))["run_id"].to_list()

    def _project(self) -> str | None:
        """Return the project that the path ends in; a project's name may have slashes itself."""
        if not self._path:
            return None
        projects = self._lake.runs(columns=["project"])["project"].unique().to_list()
        parts = self._path.strip("/").split("/")
        names = ["/".join(parts[i:]) for i in range(len(parts))]
        for name in names:
            if name in projects:
                return name
        raise UnknownNameError.nearest("project", names[-1], projects)


def _truths(table: RunTable, rows: pl.DataFrame) -> list[pl.Series]:
    """Return where the mixed columns of a table of runs have truths, which their texts show as words."""
    mixed = [name for name in rows.columns if f"{name}.text" in rows.columns and rows[name].dtype != pl.Boolean]
    return [_truths_of(table, rows["run_id"], name) for name in mixed]


def _truths_of(table: RunTable, run_ids: pl.Series, name: str) -> pl.Series:
    column = table.names.resolve(name)
    stored = table.config.of([name]) if column.path is None else table.summaries.entries([column.path.metric])
    booleans = stored.filter(pl.col("kind") == Kind.BOOL).select("run_id", pl.col("ival").cast(pl.Boolean))
    joined = run_ids.to_frame().join(booleans, on="run_id", how="left", maintain_order="left")
    return joined["ival"].alias(mongo_filters.truths(name))
