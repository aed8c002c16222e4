"""What is said of a lake as a whole: definitions of metrics, derived metrics, aliases; a part of `Lake`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tracklake import query, tracking
from tracklake.common import arguments
from tracklake.common.interrupts import raised_again_by_methods
from tracklake.errors import DefinitionError
from tracklake.lake.base import LakeBase
from tracklake.query import definitions_in_force
from tracklake.schema import definition_statement, naming, run_fields
from tracklake.schema.statement_kind import StatementKind
from tracklake.schema.tables import LAKE_RUN
from tracklake.schema.values import Kind, Stored
from tracklake.storage.journal.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracklake.query.derivations import Derivation
    from tracklake.tracking.run_mappings import Change


@raised_again_by_methods
class DefinitionMethods(LakeBase):
    """Definitions, derived metrics and aliases; a part of `Lake`."""

    def define_metric(
        self,
        name: str,
        *,
        summary: str | Sequence[str] | None = None,
        goal: str | None = None,
        step_metric: str | None = None,
        hidden: bool | None = None,
        project: str | None = None,
        overwrite: bool = False,
    ) -> None:
        """Say how a metric, or all that a glob matches, is summarized in every run of the lake, or of one project.

        It counts for past and future runs and costs no rescan. It merges with what a run said of the same name; with
        `overwrite` it replaces that. `goal` ("min" or "max") is the default of at_best, order_by and best.
        Raises DefinitionError.

        >>> lake = example()
        >>> lake.define_metric("loss", summary="min", goal="min")
        >>> lake.runs(columns=["summary.loss.best"]).rows()
        [('slow', 0.5), ('fast', 0.25)]
        """
        goal_of_lake, in_runs = self._goals_in_force(name, project)
        statement = definition_statement.statement(
            name,
            summary=summary,
            goal=goal,
            step_metric=step_metric,
            hidden=hidden,
            overwrite=overwrite,
            known_goal=goal_of_lake,
            is_goal_known=in_runs and not overwrite,
        )
        if name == LAKE_RUN:
            raise DefinitionError(f"{name!r} is reserved")
        self._say(
            (StatementKind.DEFINE, statement.name, Stored(Kind.JSON, None, None, statement.to_json())), project=project
        )

    def _goals_in_force(self, name: object, project: str | None) -> tuple[definition_statement.Goal | None, bool]:
        """Return the goal that the lake defines for just this name, and whether some run in scope has one for it."""
        if not isinstance(name, str):
            return None, False
        summaries, metric = self._view.runs.summaries, naming.metric_name(name)
        in_force = definitions_in_force.of_lake(summaries.snapshot, project or "").get(metric)
        in_runs = any(metric in defined and defined[metric].goal for defined in summaries.defined.sets)
        return (in_force.goal if in_force else None), in_runs

    def derive(
        self,
        name: str,
        expression: str | None,
        *,
        description: str | None = None,
        unit: str | None = None,
        project: str | None = None,
    ) -> None:
        """Say a metric that follows from others; it can be asked for wherever a metric can, of runs of any age.

        `expression` is SQL as in `lake.sql` and `where=`, names with a slash in double quotes. Over metrics it has a
        value at each step at which all of them have a number ("val/loss" - "train/loss"), and columns of the runs may
        stand in it (tokens / config.params); over such columns alone (val.acc.max / config.params) it is one value a
        run, "summary.<name>". A name means the metric, else the column of the runs. A column has the type that it has
        over all runs. Where a run says something under the
        name itself, that holds. Only in `project`, if one is given; None takes it back. Nothing is stored but the
        expression: if later it cannot be computed any more, it has no values, and a warning says why. It is in the
        summary of `Lake.run(id)`, not in that of the `Run` that is being written, which tells what it logged itself.
        Raises DefinitionError for what cannot be computed or would need itself, UnknownNameError for an unknown input.

        >>> lake = example()
        >>> lake.derive("error", '1 - "acc"', description="share of wrong answers")
        >>> lake.summaries(["error.max", "error.argmax"]).rows()
        [('slow', 0.6, 0), ('fast', 0.30000000000000004, 0)]
        """
        derivation = query.derivations.Derivation(name, expression, description=description, unit=unit)
        self._say_derivation(StatementKind.DERIVE, derivation, project)

    def alias(
        self, name: str, *others: str | Sequence[str], description: str | None = None, project: str | None = None
    ) -> None:
        """Say that metrics of other names are the same: `name` has the points of all, so that runs compare.

        The others stay what they are. At one step the value said last holds. Without others it is taken back. Like a
        derived metric it is in the summary of `Lake.run(id)`, not in that of the `Run` that is being written.
        Raises DefinitionError, and UnknownNameError for names that no run has logged.

        >>> lake = example()
        >>> lake.alias("accuracy", "acc")
        >>> lake.summaries("accuracy.max").rows()
        [('slow', 0.6), ('fast', 0.9)]
        """
        names = tuple(name for other in others for name in arguments.texts("others", other))
        self._say_derivation(
            StatementKind.ALIAS, query.derivations.Derivation(name, others=names, description=description), project
        )

    def _say_derivation(self, op: StatementKind, derivation: Derivation, project: str | None) -> None:

        arguments.text("name", derivation.name, takes="the name of a metric")
        derivation = replace(derivation, name=naming.encodable(derivation.name))
        for name in ("expression", "description", "unit"):
            if (text := getattr(derivation, name)) is not None:
                arguments.text(name, text, takes="an expression in SQL" if name == "expression" else "a text")
        project = self._project if project is None else run_fields.check_project(project)
        derivation = query.derivation_checks.checked(derivation, project=project, table=self._view.runs)
        change = (op, derivation.name, Stored(Kind.JSON, None, None, derivation.to_json()))
        self._say(change, project=project)

    def _say(self, change: Change, *, project: str | None) -> None:
        """Write a statement about the lake, or one project of it, later than all that was said before."""
        project = self._project if project is None else run_fields.check_project(project)
        newest = self._reader.snapshot().files["last"].dt.epoch("us").max()

        tracking.edit_session.write_session(
            self._storage,
            run_id=LAKE_RUN,
            project=project or "",
            changes=[change],
            clock=Clock(after=int(newest or 0)),  # type: ignore[arg-type] # an Int64 column
        )
        tracking.open_runs.open_runs.keep_alive()
