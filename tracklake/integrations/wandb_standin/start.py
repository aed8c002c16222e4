"""`wandb.init` as W&B has it: its folder is not the lake, and a second call returns the current run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracklake.common.warnings import warn_once
from tracklake.errors import RunExistsError
from tracklake.tracking import start
from tracklake.tracking.open_runs import open_runs

if TYPE_CHECKING:
    from tracklake.tracking.run import Run


def init(entity: str | None = None, project: str | None = None, dir: object = None, **arguments: Any) -> Run:  # noqa: A002
    """Start a run as `wandb.init` does: the lake is $TRACKLAKE_DIR, else ./lake, whatever `dir` says.

    While a run is current it is returned, unless `reinit` asks for another one. An id that has ended is begun anew
    without `resume`: what it had logged is masked, and kept until vacuum. Everything else is as in `tracklake.init`.

    >>> with init(project="walk", id="r1", dir="elsewhere") as run, init(project="walk") as again:
    ...     run is again
    True
    """
    if dir not in (None, ".", "", "./"):
        warn_once(
            "dir", f"tracklake: dir={str(dir)!r} is W&B's folder for its files; the lake is where TRACKLAKE_DIR says"
        )
    reinit = arguments.pop("reinit", None)
    reinit = "return_previous" if reinit in (None, "default") and open_runs.current is not None else reinit
    if arguments.get("mode") == "disabled":
        reinit = "create_new"
    try:
        return start.init(project, entity=entity, reinit=reinit, **arguments)
    except RunExistsError:
        if arguments.get("resume") not in (None, False) or arguments.get("id") is None:
            raise
        return start.init(project, entity=entity, reinit=reinit, from_step=0, **arguments)
