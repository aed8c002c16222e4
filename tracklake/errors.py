"""Every error tracklake raises on purpose.

TracklakeError
├── LakeError                  the place: it is missing, not a lake, read-only, or written by a newer version
├── RunError                   a run: its id, its life
│   ├── RunNotFoundError       (also a KeyError)
│   ├── RunExistsError
│   └── RunFinishedError
├── UnknownNameError           a metric, column, statistic or query that is not there (also a KeyError)
│   └── AmbiguousNameError     a name that is a metric and a value of config
├── ConfigError                a config value that would change without allow_val_change (also a ValueError)
├── DefinitionError            a metric definition that cannot be (also a ValueError)
├── UnstorableValueError       a value that has no stored form (also a TypeError)
├── SourceError                something to import that is not what it should be (also a ValueError)
├── HistoryTooLargeError       more points than the caller's limit
├── ReportError                a report whose text cannot be read, or that cannot be printed (also a ValueError)
├── QueryError                 a SQL text or filter that is wrong, or does more than read (also a ValueError)
├── FileMissingError           a file that is to be stored, or was stored, and is not there (also a FileNotFoundError)
├── ArtifactError              an artifact: its name, its version, its files (also a ValueError)
├── SweepError                 a sweep: its config, its id, its state (also a ValueError)
├── EarlyStopped               a trial that is not worth going on with; raised by `log` in a sweep with early_terminate
├── UnsavedRowsError           the disk stayed full until the memory bound was reached (also an OSError)
└── CommitError                a commit that could not be made
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable


class TracklakeError(Exception):
    """Base of every error that tracklake raises on purpose."""

    def __str__(self) -> str:
        """Return the message as written (a KeyError would quote it)."""
        return str(self.args[0]) if self.args else ""

    @classmethod
    def nearest(cls, what: str, name: str, available: Iterable[str]) -> Self:
        """Build the error that names the nearest of the available names, first those of which it is the last part.

        >>> print(UnknownNameError.nearest("metric", "val_loss", ["val/loss", "lr"]))
        unknown metric 'val_loss'; did you mean 'val/loss'?
        >>> print(UnknownNameError.nearest("column", "lr", ["config.lr", "name"]))
        unknown column 'lr'; did you mean 'config.lr'?
        """
        names = sorted(set(available))
        alike = [k for k in names if k.casefold() == name.casefold()]
        ending = [k for k in names if k.endswith((f".{name}", f"/{name}"))]
        similar = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        close = alike or list(dict.fromkeys([*ending, *similar]))[:3]
        if close:
            hint = "did you mean " + " or ".join(repr(c) for c in close) + "?"
        elif names:
            examples = ", ".join(repr(k) for k in names[:8]) + (", ..." if len(names) > 8 else "")  # noqa: PLR2004 - a line's worth
            hint = f"there are {examples}"
        else:
            hint = "there are none yet"
        return cls(f"unknown {what} {name!r}; {hint}")


class LakeError(TracklakeError):
    """The place is missing, not a lake, read-only, or written by a newer version."""


class RunError(TracklakeError):
    """Something about one run."""


class RunNotFoundError(RunError, KeyError):
    """No run has this id."""


class RunExistsError(RunError):
    """The run id is taken and `resume` does not allow to go on with it."""


class RunFinishedError(RunError):
    """The run object was finished and takes no more statements."""


class UnknownNameError(TracklakeError, KeyError):
    """A metric, column, statistic or query that is not there."""

    @classmethod
    def of_one_value(cls, name: str, *, is_derived: bool = True) -> Self:
        """Build the error for who asks for the history or a statistic of what is one value a run.

        >>> print(UnknownNameError.of_one_value("cost"))
        'cost' is derived as one value a run, so it has no history and no statistics; it is the column 'summary.cost'
        """
        origin = "is derived as one value a run" if is_derived else "was set by hand as one value a run"
        return cls(f"{name!r} {origin}, so it has no history and no statistics; it is the column {f'summary.{name}'!r}")


class AmbiguousNameError(UnknownNameError):
    """A name that means several things; the error lists what to say for each."""


class ConfigError(TracklakeError, ValueError):
    """A config value that would change without `allow_val_change=True`, or a config that is no mapping."""


class DefinitionError(TracklakeError, ValueError):
    """A metric definition that cannot be."""


class UnstorableValueError(TracklakeError, TypeError):
    """A value that has no stored form."""


class SourceError(TracklakeError, ValueError):
    """Something to import that is not there, cannot be read, or is not what it should be."""


class HistoryTooLargeError(TracklakeError):
    """A history read would return more points than its limit."""


class ReportError(TracklakeError, ValueError):
    """A report whose text cannot be read, or that cannot be printed."""


class QueryError(TracklakeError, ValueError):
    """A SQL text that is wrong or does more than read, or parameters that do not fit it."""


class FileMissingError(TracklakeError, FileNotFoundError):
    """A file that is to be stored, or was stored, is not there."""


class ArtifactError(TracklakeError, ValueError):
    """An artifact cannot be made, found or used as asked."""


class SweepError(TracklakeError, ValueError):
    """A sweep's config is wrong, its id is unknown, or it is not in a state for what is asked."""


class EarlyStopped(TracklakeError):  # noqa: N818 - nothing went wrong
    """A trial is behind the others at a band of hyperband: its agent goes on with the next one."""


class UnsavedRowsError(TracklakeError, OSError):
    """The disk stayed full until the bound of rows held in memory was reached."""


class CommitError(TracklakeError):
    """A commit that could not be made."""


Error = CommError = UsageError = TracklakeError
"""W&B's names for it."""
