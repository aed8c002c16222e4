"""Numbers as a person reads them: as many decimals as mean something, and p values as they are written."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def decimals(spans: Iterable[float | None]) -> int:
    """Return how many decimals show two digits of the typical span (such as an interval's width).

    >>> decimals([0.012, 0.02, None]), decimals([35.0])
    (3, 0)
    """
    widths = sorted(s for s in spans if s is not None and math.isfinite(s) and s > 0)
    return min(max(1 - math.floor(math.log10(widths[len(widths) // 2])), 0), 8) if widths else 4


def number(value: float | None, places: int) -> str:
    """Return a number with these decimals, in powers of ten where that would be unreadable; empty for none.

    >>> number(0.91234, 3), number(1.5e9, 2), number(None, 2)
    ('0.912', '1.5e+09', '')
    """
    if value is None or math.isnan(value):
        return ""
    huge = abs(value) >= 1e7 or (value != 0 and abs(value) < 10.0**-places / 2 and places >= 8)  # noqa: PLR2004
    return f"{value:.4g}" if huge else f"{value:.{places}f}"


def chance(p: float | None) -> str:
    """Return a p value as it is written: 0.042, <0.001; empty for none.

    >>> chance(0.0421), chance(1e-9), chance(None)
    ('0.042', '<0.001', '')
    """
    return "" if p is None or math.isnan(p) else "<0.001" if p < 0.001 else f"{p:.3f}"  # noqa: PLR2004 - as is usual


def p_equals(p: float) -> str:
    """Return a p value as a sentence has it.

    >>> p_equals(0.0421), p_equals(1e-9)
    ('p = 0.042', 'p < 0.001')
    """
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"  # noqa: PLR2004 - as is usual
