"""The engine that a word or an object means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

from tracklake.common.task_engine import LocalThreads
from tracklake.engines.dask import DaskTasks
from tracklake.engines.ray import RayTasks
from tracklake.engines.spark import SparkTasks
from tracklake.errors import LakeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracklake.common.task_engine import TaskEngine

EngineName = Literal["threads", "ray", "dask", "spark"]
_ENGINES: dict[str, Callable[..., TaskEngine]] = {
    "threads": LocalThreads,
    "ray": RayTasks,
    "dask": DaskTasks,
    "spark": SparkTasks,
}


def engine_of(engine: EngineName | TaskEngine, **options: Any) -> TaskEngine:
    """Return an engine by its name, made with `options`, or the object that is one.

    Raises LakeError for another word, options that it does not take, and where its library is not installed.

    >>> engine_of("threads", workers=3).workers
    3
    >>> engine_of("slurm")
    Traceback (most recent call last):
    tracklake.errors.LakeError: on='slurm' is no engine; accepted are 'threads', 'ray', 'dask', 'spark', or ...
    """
    if not isinstance(engine, str):
        if callable(getattr(engine, "map", None)) and not options:
            return engine
        raise LakeError(f"on={engine!r} is no engine: one has a method map(task, items), and takes no options here")
    if engine not in _ENGINES:
        words = ", ".join(map(repr, get_args(EngineName)))
        raise LakeError(f"on={engine!r} is no engine; accepted are {words}, or an object with map(task, items)")
    try:
        return _ENGINES[engine](**options)
    except ImportError as error:
        raise LakeError(f"{engine} is not installed ({error}): pip install 'tracklake[{engine}]'") from None
    except TypeError as error:
        raise LakeError(f"on={engine!r} does not take these options: {error}") from None
