"""Tasks on Dask: on processes of this machine, or on the cluster at an address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")
R = TypeVar("R")


class DaskTasks:
    """Dask runs tasks; of a worker that dies it runs them again, up to `retries` times.

    `address` is that of a scheduler, or a `distributed.Client`; without one, processes of this machine do the work.
    """

    def __init__(self, address: Any = None, *, retries: int = 3) -> None:
        from distributed import Client

        local = {"dashboard_address": None} if address is None else {}
        self._client = address if isinstance(address, Client) else Client(address, **local)
        self._retries = retries

    def map(self, task: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
        """Yield what the task makes of each item, in order."""
        results = self._client.map(task, list(items), pure=False, retries=self._retries)
        while results:
            yield results.pop(0).result()
