"""What becomes of recorded runs: deleted and restored, renamed, moved to another project; a part of `Lake`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from tracklake import tracking
from tracklake.common import arguments
from tracklake.common.interrupts import raised_again_by_methods
from tracklake.errors import RunError, RunNotFoundError, UnknownNameError
from tracklake.lake.base import LakeBase
from tracklake.query import run_filter
from tracklake.schema import run_fields
from tracklake.schema.statement_kind import StatementKind
from tracklake.schema.tables import LAKE_RUN
from tracklake.schema.values import Stored, store
from tracklake.storage.journal.clock import Clock
from tracklake.tracking import artifacts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracklake.query.run_filter import Runs


@raised_again_by_methods
class RunMethods(LakeBase):
    """Deleting, restoring, renaming and moving runs; a part of `Lake`."""

    def delete(self, runs: Runs) -> int:
        """Hide runs from every answer at once, and return how many that were; `restore` takes it back.

        Their ids stay taken. `vacuum` takes their rows out of the files, a week after. Raises RunNotFoundError for runs
        that are not there, RunError for those that are still running.

        >>> lake = example()
        >>> lake.delete("slow"), lake.runs()["run_id"].to_list()
        (1, ['fast'])
        """
        ids = self._ended(runs, "deleted")
        return self._say_of_runs([(StatementKind.DELETE, run_id, store(None, name=run_id)) for run_id in ids])

    def restore(self, runs: Runs) -> int:
        """Take the deletion of runs back, and return how many that were; what vacuum has taken out stays out.

        Raises RunNotFoundError for runs that are not deleted.

        >>> lake = example()
        >>> lake.delete(["slow", "fast"]), lake.restore("slow"), lake.runs()["run_id"].to_list()
        (2, 1, ['slow'])
        """
        ids = list(dict.fromkeys(run_filter.ids(runs)))
        deleted = self._view.logged.deleted
        for run_id in ids:
            if run_id not in deleted:
                raise RunNotFoundError.nearest("deleted run", run_id, sorted(deleted))
        return self._say_of_runs([(StatementKind.RESTORE, run_id, store(None, name=run_id)) for run_id in ids])

    def rename(self, run: str, name: str) -> None:
        """Give a run another display name; its id stays.

        Raises RunNotFoundError, ConfigError for a name that cannot be.

        >>> lake = example()
        >>> lake.rename("slow", "baseline")
        >>> lake.run("slow").name
        'baseline'
        """
        self.run(run).say(run_fields.statements({"name": arguments.text("name", name)}, tags=()))

    def move(self, runs: Runs, project: str) -> int:
        """Move runs to another project, at once and together, and return how many that were.

        Their points stay where they are stored; every answer has them in the new project, with its definitions. Runs
        that are resumed go on there. Raises RunNotFoundError, and RunError for those that are still running.

        >>> lake = example()
        >>> lake.move("slow", "archive"), lake.runs(project="archive")["run_id"].to_list()
        (1, ['slow'])
        """
        run_fields.check_project(project)
        return self._say_of_runs(self._moves(self._ended(runs, "moved"), project))

    def rename_project(self, project: str, name: str) -> int:
        """Give a project another name, and return how many runs it has; what the lake says of it goes along.

        Where there is a project of that name the runs join it, and versions of artifacts come behind those of the same
        artifact there. Runs that begin under the old name later stay there. Raises UnknownNameError, RunError where
        some of its runs are still running, ArtifactError where artifacts of one name have different types.

        >>> lake = example()
        >>> lake.rename_project("example", "demo"), lake.runs(project="demo").height
        (2, 2)
        """
        run_fields.check_project(name)
        all_runs = self._view.runs.summaries.runs
        own = all_runs.filter(pl.col("project") == arguments.text("project", project))["run_id"].to_list()
        if not own:
            raise UnknownNameError.nearest("project", project, all_runs["project"].unique())
        moves = self._moves(self._ended(own, "moved"), name)
        left_behind = (
            artifacts.repository.Repository(self._storage).copy_project(project, name) if name != project else []
        )
        self._say_of_runs([*moves, (StatementKind.RENAME_PROJECT, project, store(name, name="name"))])
        for file in left_behind:
            self._storage.delete(file)
        return len(own)

    def _moves(self, run_ids: Sequence[str], project: str) -> list[tuple[StatementKind, str, Stored]]:
        return [(StatementKind.MOVE, run_id, store(project, name="project")) for run_id in run_ids]

    def _ended(self, runs: Runs, change: str) -> list[str]:
        """Return the ids of runs that are there and have ended."""
        ids = list(dict.fromkeys(run_filter.ids(runs)))
        states = dict(self._view.runs.select(wanted=["state"]).select("run_id", "state").iter_rows())
        for run_id in ids:
            if run_id not in states:
                raise RunNotFoundError.nearest("run", run_id, states)
            if states[run_id] == "running":
                raise RunError(f"run {run_id!r} is running: finish it before it is {change}")
        return ids

    def _say_of_runs(self, changes: list[tuple[StatementKind, str, Stored]]) -> int:
        """Write statements about runs, together and later than all that there are; return how many."""
        if not changes:
            return 0
        newest = self._view.logged.files["last"].dt.epoch("us").max()
        clock = Clock(after=int(newest or 0))  # type: ignore[arg-type] # an Int64 column
        tracking.edit_session.write_session(self._storage, run_id=LAKE_RUN, project="", changes=changes, clock=clock)
        return len(changes)
