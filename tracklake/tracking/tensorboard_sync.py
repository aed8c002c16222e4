"""Scalars that a SummaryWriter writes for TensorBoard, logged as metrics of the current run as well."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

WRITERS = ("torch.utils.tensorboard.writer", "tensorboardX.writer")
"""Modules with a class SummaryWriter; they are looked at only where the script may have them."""


def sync(log: Callable[[str, Any, int | None], None]) -> None:
    """Call `log(tag, value, step)` with each scalar that a SummaryWriter of torch or tensorboardX writes from now on.

    >>> sync(lambda tag, value, step: None)  # nothing happens where neither is installed
    """
    _target.log = log
    for name in WRITERS:
        writer = getattr(_module(name), "SummaryWriter", None)
        if writer is not None and not hasattr(writer, "_tracklake"):
            writer.add_scalar = _both(writer.add_scalar)
            writer._tracklake = True  # noqa: SLF001 - the mark is ours


class _Target:
    log: Callable[[str, Any, int | None], None] | None = None


_target = _Target()


def _module(name: str) -> Any:
    try:
        return sys.modules.get(name) or importlib.import_module(name)
    except ImportError:
        return None


def _both(write: Callable[..., None]) -> Callable[..., None]:
    def add_scalar(
        self: Any, tag: str, scalar_value: Any, global_step: int | None = None, *args: Any, **kw: Any
    ) -> None:
        """Write a scalar for TensorBoard, and log it."""
        write(self, tag, scalar_value, global_step, *args, **kw)
        if _target.log is not None:
            _target.log(tag, scalar_value, global_step)

    return add_scalar
