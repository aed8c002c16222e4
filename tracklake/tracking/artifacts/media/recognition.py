"""Which logged values are media: our own, and figures and pictures of matplotlib, plotly and PIL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracklake.tracking.artifacts.media.documents import Plotly
from tracklake.tracking.artifacts.media.image import Image
from tracklake.tracking.artifacts.media.media import Media, list_entry

if TYPE_CHECKING:
    from tracklake.storage.backend import Storage


_SCALARS = frozenset((float, int, bool, str, type(None)))
"""Types of most logged values, none of which is a medium."""


def entry_of(value: object, *, lake: Storage) -> Any:
    """Return the JSON entry of a media value, or of a list of such, after storing its bytes; any other value as it is.

    >>> lake = tl.open("lake", create=True)._storage
    >>> entry_of(0.5, lake=lake), entry_of(tl.Html("a"), lake=lake)["_type"]
    (0.5, 'html-file')
    """
    if type(value) in _SCALARS:
        return value
    if isinstance(value, list | tuple) and value and all(isinstance(item, Media) for item in value):
        return list_entry(list(value), lake)
    media = as_media(value)
    return value if media is None else media.to_entry(lake)


def as_media(value: object) -> Media | None:
    """Return a media value for one, and for a figure or picture of another library; None for anything else.

    >>> as_media(0.5)
    """
    if isinstance(value, Media):
        return value
    module, name = type(value).__module__, type(value).__name__
    if module.startswith("PIL.") or (module.startswith("matplotlib.") and hasattr(value, "savefig")):
        return Image(value)
    if module.startswith("plotly.") and name == "Figure":
        return Plotly(value)
    return Image(value) if getattr(value, "__name__", "") == "matplotlib.pyplot" else None
