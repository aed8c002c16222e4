"""Progress of long work: a bar on a terminal and in a notebook, nothing elsewhere."""

from __future__ import annotations

import importlib.util
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def progress(what: str, *, total: float | None) -> Iterator[Callable[[float], object]]:
    """Show how far work is while the block runs, on stderr; call what it gives with each amount that is done.

    >>> with progress("sealing", total=2) as advance:
    ...     advance(1)
    """
    if not _is_watched():
        yield lambda _: None
        return
    from rich.console import Console  # 0.1 s that only a terminal needs
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task(what, total=total)
        yield lambda amount: bars.advance(bar, amount)


def _is_watched() -> bool:
    """Tell whether somebody sees a bar: stderr is a terminal, or the cell of a notebook that can redraw one."""
    in_notebook = "ipykernel" in sys.modules and importlib.util.find_spec("ipywidgets") is not None
    return in_notebook or sys.stderr.isatty()
