"""Tasks on Ray: on this machine, or on the cluster at an address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")
R = TypeVar("R")


class RayTasks:
    """Ray runs tasks; of a worker that dies it runs them again, up to `retries` times (-1: without end).

    `address` is that of a cluster ("auto": the one of this machine); a Ray that is running already is taken as it is.
    """

    def __init__(self, address: str | None = None, *, retries: int = 3) -> None:
        import ray

        if not ray.is_initialized():
            ray.init(address=address, include_dashboard=False, log_to_driver=False)
        self._run = ray.remote(max_retries=retries)(_run)

    def map(self, task: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
        """Yield what the task makes of each item, in order."""
        import ray

        results = [self._run.remote(task, item) for item in items]
        while results:
            yield ray.get(results.pop(0))


def _run(task: Callable[[Any], R], item: Any) -> R:
    return task(item)
