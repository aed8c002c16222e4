"""Progress of long work: a bar on a terminal and in a notebook, nothing elsewhere."""

from __future__ import annotations

import importlib.util
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LONGEST = 32
"""Characters of a name beside a bar."""


@contextmanager
def progress(what: str, *, total: float | None) -> Iterator[Callable[..., object]]:
    """Show how far work is while the block runs, on stderr; call what it gives with each amount that is done.

    `name=` says what is being worked on from then on.

    >>> with progress("sealing", total=2) as advance:
    ...     advance(1), advance(1, name="part-7f3a")
    (None, None)
    """
    if not _is_watched():
        yield lambda _amount, **_: None
        return
    from rich.console import Console  # 0.1 s that only a terminal needs
    from rich.progress import Progress, TimeElapsedColumn

    columns = (*Progress.get_default_columns(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task(what, total=total)

        def advance(amount: float, name: str = "") -> None:
            bars.update(bar, advance=amount, description=f"{what} {_shortened(name)}" if name else None)

        yield advance


def _shortened(name: str) -> str:
    """Return the end of a name, as much of it as leaves room for the bar."""
    return name if len(name) <= _LONGEST else f"...{name[3 - _LONGEST :]}"


def _is_watched() -> bool:
    """Tell whether somebody sees a bar: stderr is a terminal, or the cell of a notebook that can redraw one."""
    in_notebook = "ipykernel" in sys.modules and importlib.util.find_spec("ipywidgets") is not None
    return in_notebook or sys.stderr.isatty()
