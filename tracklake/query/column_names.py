"""Column names of the table of runs: which there are, which are shown, and what a name or a glob means."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple

import polars as pl

from tracklake.compute import typed_columns
from tracklake.compute.points import PSEUDO
from tracklake.errors import AmbiguousNameError, UnknownNameError
from tracklake.query import quality
from tracklake.query.summaries import shows_last
from tracklake.schema import naming, statistics
from tracklake.schema.statement_kind import StatementKind

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from tracklake.query.config_values import ConfigValues
    from tracklake.query.summaries import Summaries
    from tracklake.schema.definitions import MetricDefinition
    from tracklake.schema.statistics import Statistic

_ALWAYS = frozenset(("count", "first", "last"))
"""Kinds of summaries that every series with a value has."""
BASE = ("run_id", "project", "name", "group", "job_type", "state", "created_at", "runtime", "tags", "notes")
LAKE = "lake"
"""The field that tells the lakes of runs apart, where several are read as one."""
IS_NAN = ".is_nan"
"""What follows a column's name in that of the column which tells where it is NaN."""
_TEXT = ".text"
_PREFIXES = ("config.", "summary.", quality.PREFIX)


class ColumnRef(NamedTuple):
    """What a column's name means: a field of the run (both None), a value of config, or an entry or statistic."""

    name: str
    config: str | None = None
    path: Statistic | None = None
    part: Literal["text", "is_nan"] | None = None
    """Of a column `x`: `x.text`, what of its values is text, or `x.is_nan`, where it is NaN."""


class ColumnNames:
    """The columns that the runs of one snapshot have."""

    def __init__(self, summaries: Summaries, config: ConfigValues) -> None:
        self.summaries = summaries
        self._config = config
        self._config_names = config.columns
        self.base = ("run_id", LAKE, *BASE[1:]) if summaries.snapshot.lake_of_run else BASE
        """The fields that every run has."""

    @cached_property
    def available(self) -> list[str]:
        """Every column that exists without naming a statistic.

        >>> names = example()._view.runs.names.available
        >>> names[0], [name for name in names if "." in name]
        ('run_id', ['config.lr', 'summary.acc', 'summary.loss', ...])
        """
        entries = [f"summary.{key}" for key in self.summaries.entry_keys if not key.startswith("_")]
        return [*self.base, *self._config_names, *entries, *self._defined(None)]

    @cached_property
    def taken(self) -> set[str]:
        """Every name that is a column of its own, and so not the text part of another.

        >>> sorted(example()._view.runs.names.taken)[-3:]
        ['summary._timestamp', 'summary.acc', 'summary.loss']
        """
        return {*self._config_names, *(f"summary.{key}" for key in self._keys)}

    def resolve(self, name: str, *, any_case: bool = False) -> ColumnRef:
        """Return the column that a name means, whoever names it: in Python, in a condition, in SQL or in a shell.

        A full name is that column alone ("config.lr", "summary.loss.min", a field such as "state"). Else it is a metric
        (or a statistic of one) or an entry set by hand, or a value of config; AmbiguousNameError if it is both,
        UnknownNameError if none.

        >>> names = example()._view.runs.names
        >>> names.resolve("lr").name, names.resolve("loss.min").name, names.resolve("state").name
        ('config.lr', 'summary.loss.min', 'state')
        >>> names.resolve("config.lrr")
        Traceback (most recent call last):
        tracklake.errors.UnknownNameError: unknown column 'config.lrr'...
        """
        exact = self.find(name)
        if exact is not None:
            return exact
        candidates = [ref for full in (f"summary.{name}", f"config.{name}") if (ref := self.find(full)) is not None]
        if len(candidates) > 1:
            raise AmbiguousNameError(f"{name!r} is ambiguous; say {' or '.join(repr(ref.name) for ref in candidates)}")
        if candidates:
            return candidates[0]
        if any_case and (alike := self._by_folded_name.get(name.casefold())):
            return self.resolve(alike)
        raise UnknownNameError.nearest("column", name, self.spellings(like=name))

    def spellings(self, *, like: str) -> list[str]:
        """Return the names of all columns; without their prefixes too, where a name without any dot is looked for.

        >>> example()._view.runs.names.spellings(like="lrr")[-3:]
        ['lr', 'acc', 'loss']
        """
        plain = [full.partition(".")[2] for full in self.available if full.startswith(_PREFIXES)]
        return self.available if "." in like else [*self.available, *dict.fromkeys(plain)]

    @cached_property
    def _by_folded_name(self) -> dict[str, str]:
        """Names by what SQL, which does not see their case, takes them for; of two alike neither."""
        folded: dict[str, list[str]] = {}
        for full in self.available:
            for name in {full, full.removeprefix("config."), full.removeprefix("summary.")}:
                folded.setdefault(name.casefold(), []).append(name)
        return {name: several[0] for name, several in folded.items() if len(set(several)) == 1}

    def find(self, name: str) -> ColumnRef | None:
        """Return the column of which this is the full name, None if there is none.

        >>> names = example()._view.runs.names
        >>> names.find("config.lr").config, names.find("lr"), names.find("config.lr.is_nan").part
        ('config.lr', None, 'is_nan')
        """
        if name in self.base or name.startswith(quality.PREFIX):
            return ColumnRef(name)
        for part, suffix in ((None, ""), ("text", _TEXT), ("is_nan", IS_NAN)):
            if not name.endswith(suffix):
                continue
            full = name.removesuffix(suffix)
            if full in self._config_names:
                return ColumnRef(name, config=full, part=part)  # type: ignore[arg-type] # just these
            path = self._summary(full)
            if path is not None:
                return ColumnRef(name, path=path, part=part)  # type: ignore[arg-type]
        return None

    def is_dotted(self, name: str) -> bool:
        """Say whether a text can only be the name of a column: such as config.lr, with nothing around it.

        >>> names = example()._view.runs.names
        >>> names.is_dotted("config.lrr"), names.is_dotted("abs(config.lr)")
        (True, False)
        """
        return name.startswith(_PREFIXES) and not any(char in name for char in "()+*' <>=")

    def text_part(self, name: str, built: pl.DataFrame) -> str | None:
        """Return the column of a table that holds what of a mixed column is text, None for one that is not mixed.

        >>> table = example()._view.runs
        >>> table.names.text_part("config.lr", table.select(wanted=["config.lr"])) is None
        True
        """
        text = typed_columns.text_name(name, self.taken)
        return text if text in built.columns and built[name].dtype != pl.String else None

    def expand(self, wanted: Sequence[str]) -> list[str]:
        """Put the matching columns in the place of each glob.

        >>> example()._view.runs.names.expand(["state", "config.*", "summary.*.max"])
        ['state', 'config.lr', 'summary.acc.max', 'summary.loss.max']
        """
        names: list[str] = []
        for name in wanted:
            names += self._matches(name) if self._is_glob(name) else [name]
        return list(dict.fromkeys(names))

    def may_be_metric(self, name: str) -> bool:
        """Say whether a name is that of no column, so that a metric must be meant.

        >>> names = example()._view.runs.names
        >>> names.may_be_metric("los"), names.may_be_metric("lr")
        (True, False)
        """
        try:
            self.resolve(name)
        except AmbiguousNameError:
            return False
        except UnknownNameError:
            return True
        return False

    def _is_glob(self, name: str) -> bool:
        """Say whether a name is a glob; one that is the name of a column means that column, whatever its stars."""
        return naming.is_glob(name) and name not in self.taken and f"config.{name}" not in self.taken

    def defaults(self, run_ids: pl.Series) -> list[str]:
        """Return the columns shown when none are named: what these runs hold, as their definitions say.

        >>> example()._view.runs.names.defaults(pl.Series(["fast"]))[-3:]
        ['config.lr', 'summary.acc', 'summary.loss']
        """
        configured = self._configured(run_ids)
        return [*self.base, *(name for name in self._config_names if name in configured), *self._defined(run_ids)]

    def _configured(self, run_ids: pl.Series) -> Collection[str]:
        """Return the config columns of which some of these runs have a value."""
        if len(run_ids) == self.summaries.runs.height:
            return self._config_names
        return set(self._config.of_runs(run_ids.to_list())["column"].unique())

    def is_better_high(self, name: str) -> bool:
        """Tell whether a column shows a measure of which every definition says that more of it is better.

        >>> lake = example()
        >>> lake.define_metric("acc", goal="max")
        >>> [lake._view.runs.names.is_better_high(f"summary.acc.{stat}") for stat in ("max", "count")]
        [True, False]
        """
        path = self._summary(name)
        if path is None or not (path.stat is None or statistics.spec(path.stat).is_measure):
            return False
        return self.summaries.goals(path.metric) == {"max"}

    def _summary(self, name: str) -> Statistic | None:
        """Read a summary column's name: a metric, else a metric and a statistic, else a key that was set by hand.

        In this order, so that the key `loss.max` of one run does not take the column of all runs.
        """
        if not name.startswith("summary."):
            return None
        key = naming.metric_name(name.removeprefix("summary."))
        statistic = statistics.split_statistic(key)
        if key not in self._metrics and statistic is not None and statistic.metric in self._metrics:
            return statistic
        return statistics.Statistic(key, None) if key in self._keys else None

    @cached_property
    def _keys(self) -> set[str]:
        return {*self.summaries.entry_keys, *PSEUDO}

    @cached_property
    def _metrics(self) -> set[str]:
        return {*self.summaries.snapshot.metrics, *PSEUDO}

    def _matches(self, glob: str) -> list[str]:
        matches = [column for column in self.available if naming.glob_matches(glob, column)]
        if glob.startswith(quality.PREFIX):  # only then: "*" takes what is cheap
            matches += [name for name in map(quality.PREFIX.__add__, quality.FLAGS) if naming.glob_matches(glob, name)]
        pattern = statistics.split_statistic(glob)
        if pattern is not None:
            named = [f"summary.{m}" for m in self.summaries.snapshot.metrics if not m.startswith("_")]
            matches += [f"{column}.{pattern.stat}" for column in named if naming.glob_matches(pattern.metric, column)]
        if not matches:
            raise UnknownNameError.nearest("column", glob, self.available)
        return matches

    def _defined(self, run_ids: pl.Series | None) -> list[str]:
        """Return the summary columns that these runs (None: all) show by definition, and the keys set by hand."""
        groups = self.summaries.defined.groups
        edits = self.summaries.edits.filter(pl.col("op") == StatementKind.EDIT)
        metrics = self.summaries.snapshot.metrics
        if run_ids is not None and len(run_ids) < groups.height:
            groups = groups.filter(pl.col("run_id").is_in(run_ids.implode()))
            edits = edits.filter(pl.col("run_id").is_in(run_ids.implode()))
            metrics = self.summaries.snapshot.metrics_of(run_ids.to_list())
        shown_groups, by_hand, logged = set(groups["group"].unique()), set(edits["key"]), set(metrics)
        logged -= self.summaries.replaced_wholly(logged, runs=None if run_ids is None else run_ids.to_list())
        groups_shown = {
            key: [d for i, d in self.summaries.definition(key).items() if i in shown_groups] for key in logged
        }
        plain = self._shown_plain(groups_shown, run_ids)
        names = []
        for key in sorted(by_hand | logged):
            served = groups_shown.get(key, [])
            explicit = [d for d in served if d is not None] or served[:1]  # who says nothing of it follows those who do
            if key in self.summaries.snapshot.derived.metrics and explicit == [None]:
                continue
            parts = list(dict.fromkeys(part for d in explicit for part in _parts(key, d)))
            names += [f"summary.{key}{'.' + part if part else ''}" for part in parts]
            if (key in by_hand or key in plain) and "" not in parts:
                names.append(f"summary.{key}")
        return names

    def _shown_plain(
        self, definitions: Mapping[str, list[MetricDefinition | None]], run_ids: pl.Series | None
    ) -> Collection[str]:
        """Return the metrics that have no number in some run, and show their last value there: see `shows_last`."""
        globbed = [
            key
            for key, served in definitions.items()
            if any(d and shows_last(d) and not d.hidden and _ALWAYS.isdisjoint(d.kinds) for d in served)
        ]
        if not globbed:
            return ()
        series = self.summaries.without_number(globbed)
        if run_ids is not None:
            series = series.filter(pl.col("run_id").is_in(run_ids.implode()))
        return set(series["metric"])


def _parts(key: str, definition: MetricDefinition | None) -> list[str]:
    """Return the statistics that a definition shows of a metric; "" is the bare value."""
    if definition is None:
        return [] if key.startswith("_") else [""]
    if definition.none or definition.hidden:
        return []
    return list(definition.parts) or ([] if key.startswith("_") else [""])
