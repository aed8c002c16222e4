"""Several runs that are read together, for W&B's public API."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracklake.lake.lake import Lake

Row = dict[str, Any]

BASE = ("name", "project", "group", "job_type", "state", "created_at", "tags", "notes")
"""The columns of the runs that a run of the API shows by names of its own."""


class Page:
    """Several runs, of which everything is read together when it is first looked at."""

    def __init__(self, lake: Lake, ids: Sequence[str]) -> None:
        self.lake = lake
        self.ids = list(ids)
        self._table = lake._view.runs  # noqa: SLF001 - the Api is another face of the lake

    @cached_property
    def base(self) -> dict[str, Row]:
        """The columns of each run that have a name of their own.

        >>> Page(example(), ["slow"]).base["slow"]["state"]
        'finished'
        """
        rows = self._table.select(runs=self.ids, wanted=["run_id", *BASE])
        return {row["run_id"]: row for row in rows.iter_rows(named=True)}

    @cached_property
    def configs(self) -> dict[str, Row]:
        """The nested config of each run.

        >>> Page(example(), ["slow"]).configs
        {'slow': {'lr': 0.01}}
        """
        return self._table.config.nested(self.ids)

    @cached_property
    def entries(self) -> dict[str, Row]:
        """The entries of each run's summary, by full name.

        >>> Page(example(), ["slow"]).entries["slow"]["loss"]
        0.5
        """
        return self._table.summaries.of_runs(self.ids)
