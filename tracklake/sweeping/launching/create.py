"""Makes sweeps, and opens those that are there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tracklake.common import documents
from tracklake.common.warnings import warn, warn_once
from tracklake.lake.lake import Lake
from tracklake.query import run_filter
from tracklake.storage import layout
from tracklake.sweeping.config import ACCEPTED, SweepConfig
from tracklake.sweeping.records import SweepRecords

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracklake.query.run_filter import Runs


def sweep(
    sweep: Mapping[str, Any] | str | os.PathLike[str] | Callable[[], Mapping[str, Any]],
    entity: str | None = None,
    project: str | None = None,
    prior_runs: Runs = None,
    *,
    warm_start: Runs = None,
    dir: str | os.PathLike[str] | None = None,  # noqa: A002 - as in init
) -> str:
    """Make a sweep in the lake and return its id, eight letters and digits; `tracklake.agent(id, function)` runs it.

    The config is W&B's: method (grid, random, bayes), metric, parameters, run_cap, early_terminate, program, command;
    a mapping, the path of a YAML or JSON file, or a function that returns it. Without a method one is chosen, and told.
    `warm_start` (or `prior_runs`) are runs from which the search begins, launched in a sweep or not: grid leaves out
    their points, bayes knows their numbers. `entity` means nothing. Raises SweepError, which names what is wrong, all
    before anything is written.

    >>> sweep_id = sweep({"method": "grid", "parameters": {"lr": {"values": [0.1, 0.01]}}}, project="walk")
    >>> tl.agent(sweep_id, lambda: tl.init().finish())
    >>> tl.open().runs(columns=["config.lr"])["config.lr"].to_list()
    [0.1, 0.01]
    """
    del entity
    content = sweep() if callable(sweep) else sweep
    if isinstance(content, str | os.PathLike):
        content = documents.read_mapping(content)
    named = {} if project is None else {"project": project}
    config = SweepConfig({**content, **named} if isinstance(content, Mapping) else content)
    if config.chose_method:
        warn(f"tracklake: the sweep's config names no method: {config.method} is taken; method: says otherwise")
    if meaningless := [key for key in ACCEPTED if key in content]:
        keys = ", ".join(meaningless)
        warn_once(keys, f"tracklake: {keys} of a sweep's config means nothing here: agents ask the lake what to try")
    storage = layout.create(layout.root_of(dir))
    chosen = warm_start if warm_start is not None else prior_runs
    ids: list[str] = []
    if chosen is not None:
        ids = Lake(dir).runs(runs=run_filter.plain_frame(chosen), columns=["run_id"])["run_id"].to_list()
    return SweepRecords.create(storage, config, warm_start=ids).id


def open_sweep(sweep_id: str, dir: str | os.PathLike[str] | None = None) -> SweepRecords:  # noqa: A002 - as in init
    """Return the records of a sweep of a lake. Raises SweepError, LakeError.

    >>> open_sweep(sweep({"parameters": {"lr": {"value": 1}}})).state
    'RUNNING'
    """
    return SweepRecords.open(layout.open_existing(layout.root_of(dir)), sweep_id)
