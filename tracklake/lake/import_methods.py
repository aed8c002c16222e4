"""What a lake brings in of other tools; a part of `Lake`.

The importers load when the first import is asked for.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Self

from tracklake import importers, lake
from tracklake.common import arguments
from tracklake.common.interrupts import raised_again_by_methods
from tracklake.importers import readers
from tracklake.lake.base import LakeBase
from tracklake.schema import run_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import polars as pl

    from tracklake.importers.publish import Imported
    from tracklake.importers.readers.records import Restart
    from tracklake.importers.run_import import ImportReport
    from tracklake.importers.sources import Table


@raised_again_by_methods
class ImportMethods(LakeBase):
    """Imports: tables, and whatever the formats recognise."""

    def import_table(
        self,
        table: Table,
        *,
        run_columns: str | Iterable[str],
        step: str,
        metrics: Mapping[str, str],
        config_columns: str | Iterable[str] | None = None,
        project: str = run_fields.UNCATEGORIZED,
        restart: Restart | None = None,
    ) -> Imported:
        """Bring in a table that holds one row a (run, step): CSV, TSV, Parquet or JSONL, or a frame.

        `run_columns` tell runs apart and give them their ids (`model=svc,seed=3`; of a single column the value itself).
        `config_columns` (by default the run columns) become config, `metrics` maps metric names to columns. Null is not
        logged; of rows with the same run and step the last that has a value wins, the others stay in `raw=True`. A step
        that falls within a run is an error, unless `restart` says what it means ("new-run", "continue", "last-wins").
        The runs are finished, and without time; all of them come in or, after an error, none. The same table again adds
        nothing, one that grew what is new; a run of another source that has such an id gets a suffix.
        Frames: polars, pandas (NaN is null there), anything that hands out arrow.
        Returns how many runs, points and partitions that were. Raises SourceError, which names the row or column,
        UnknownNameError for a column that is not there.

        >>> import polars as pl
        >>> curves = pl.DataFrame({"seed": [0, 0, 1], "epoch": [1, 2, 1], "err": [0.5, 0.25, 0.75]})
        >>> example().import_table(curves, run_columns=["seed"], step="epoch", metrics={"val/err": "err"})
        Imported(runs=2, points=3, partitions=1)
        """
        id_columns = arguments.texts("run_columns", run_columns)
        config = id_columns if config_columns is None else arguments.texts("config_columns", config_columns)
        if restart is not None:
            arguments.check_word("restart", restart, readers.records.Restart)
        layout = importers.table.Layout(id_columns, config, step, metrics, project, restart)
        return importers.table.import_table(self._reader, table, layout)

    def merge(self, other: Self | str | os.PathLike[str]) -> Imported:
        """Copy the runs of another lake into this one, by one commit, with arrays and system metrics.

        What is here already, told by its session, is not copied again; of a run that grew there comes what is new. A
        run whose id another run has here gets a suffix. Lake-level definitions and deleted runs stay where they are.
        Raises LakeError for a run that is still running there.

        >>> lake, other = example(), tl.open("other", create=True)
        >>> other.merge(lake), other.merge(lake)[:2]
        (Imported(runs=2, points=12, partitions=1), (0, 0))
        """
        theirs = other if isinstance(other, LakeBase) else LakeBase(other)
        snapshot, storage = theirs._reader.snapshot(), theirs._storage  # noqa: SLF001 - of its own class
        return lake.transfer.merge(self._reader, self._storage, other=snapshot, other_storage=storage)

    def diff(self, other: Self | str | os.PathLike[str]) -> pl.DataFrame:
        """In which runs do two lakes differ? One row a run: run_id, change, metrics.

        `change` is "only here", "only there" or "differs", for which `metrics` names those whose points differ.

        >>> lake, other = example(), tl.open("other", create=True)
        >>> lake.diff(other).select("run_id", "change").rows()
        [('fast', 'only here'), ('slow', 'only here')]
        """
        theirs = other if isinstance(other, LakeBase) else LakeBase(other)
        return lake.transfer.difference(self._reader.snapshot(), theirs._reader.snapshot())  # noqa: SLF001

    def import_from(
        self,
        path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        format: str | None = None,  # noqa: A002 - the word for it
        *,
        project: str | None = None,
        step: str | None = None,
        run_columns: str | Iterable[str] = (),
        metrics: str | Iterable[str] = (),
        restart: Restart | None = None,
        pattern: str | None = None,
        paths: str | None = None,
        dry_run: bool = False,
        verify: bool = False,
        replace: bool = False,
    ) -> ImportReport:
        r"""Bring in what other tools left at a path: a file, a folder and all below it, a glob, or several of them.

        The files are recognised by what they hold (`format` insists on one): `tracklake import --help` lists the
        formats. Runs keep the ids, projects and times of their source; a table without a run column is one run, named
        after its path, in the project of the folder that was given. The same source again adds nothing, one that grew
        what is new; of a source that cannot be read, the report says why, and the others come in. All comes in at once
        or, after an error that is raised, nothing.

        For tables: `step` is the column of the step ("": rows are counted), `run_columns` tell runs apart, `metrics`
        must be numbers; `restart` says what a falling step means ("new-run", "continue", "last-wins"; by default it is
        an error); `pattern` is a regular expression with named groups for text logs; `paths` names parts of paths as
        config, "{model}/seed{seed}/metrics.csv". `dry_run` writes nothing; `verify` compares the
        summaries with those that the sources hold; with `replace` what was imported of these runs before counts no
        longer (it stays in `raw=True`), and the report says which. Raises SourceError for a path that is not
        there, UnknownNameError for a format that there is not.

        >>> from pathlib import Path
        >>> _ = Path("training.log").write_text("epoch,loss\n0,1.5\n1,0.5\n")
        >>> print(example().import_from("training.log"))
        keras            training.log: 1 run, 2 new points
        1 run with 2 points came in; projects: 'uncategorized' (1)
        """
        if restart is not None:
            arguments.check_word("restart", restart, readers.records.Restart)
        options = readers.records.ImportOptions(
            project=None if project is None else run_fields.check_project(project),
            step=step,
            run_columns=tuple(arguments.texts("run_columns", run_columns)),
            metrics=tuple(arguments.texts("metrics", metrics)),
            restart=restart,
            pattern=pattern,
            path=paths,
        )
        several = [path] if isinstance(path, str | os.PathLike) else list(path)
        return importers.run_import.import_paths(
            self._reader, several, format=format, options=options, dry_run=dry_run, verify=verify, replace=replace
        )
