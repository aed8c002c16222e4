"""What groups of runs are called, and the colour that each has in every page and picture of a lake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracklake.plots import binning
from tracklake.plots.encodings import Legend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracklake.ui.parameters import Parameters
    from tracklake.ui.sources import Source

MOST = 2_000
"""Values that are named; those beyond have no colour of their own."""


def labels(source: Source, parameters: Parameters) -> dict[str, Any]:
    """Return the values of some columns over the whole lake, and the colour that each has in every picture of it.

    By its place a value also has its dash and marker.

    >>> from tracklake.ui.parameters import Parameters
    >>> from tracklake.ui.sources import Source
    >>> labels(Source(example(), name="lake"), Parameters([("by", "config.lr")]))
    {'labels': ['0.01', '0.1'], 'colors': ['#440154', '#5ec962']}
    """
    names = parameters.texts("by")

    def read() -> dict[str, Any]:
        with source.reading() as lake:
            frame = lake.runs(columns=names).select(names)
        every = binning.placed(frame, names)
        words = [label(values) for *values, _ in every.head(MOST).iter_rows()]
        legend = Legend("", words, binning.are_ordered(frame, names), every["place"].head(MOST).to_list(), every.height)
        return {"labels": words, "colors": legend.colours}

    return source.cached(("labels", tuple(names)), read)  # type: ignore[no-any-return]


def label(values: Sequence[Any]) -> str:
    """Write the values of a group.

    >>> label((0.1, None))
    '0.1, null'
    """
    return ", ".join("null" if v is None else ", ".join(v) if isinstance(v, list) else str(v) for v in values)
