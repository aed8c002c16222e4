"""A plot: aggregated data, what was left out of it, and its picture as PNG, SVG, PDF or HTML, all offline."""

from __future__ import annotations

import importlib
import importlib.util
import json
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import polars as pl

from tracklake.common import arguments, threads
from tracklake.common.interrupts import raised_again_by_methods
from tracklake.display.labels import printable
from tracklake.errors import TracklakeError
from tracklake.plots import marks, png

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from tracklake.plots.marks import Chart

SCALE = 2
"""Pixels a point in PNG, so that text is sharp on today's screens."""
HEAVY = 400_000
"""Bytes of a PNG above which a notebook gets it with a pixel a point: some hundred lines are no clearer for more."""


@cache
def start_engine() -> None:
    """Start what turns charts into pictures, in a thread: half a second that the reading of a first plot's data hides.

    Once a process; without vl-convert nothing. It ends soon, and by itself.
    """
    if importlib.util.find_spec("vl_convert"):
        threads.start(_draw_nothing, name="tracklake-engine")


def _draw_nothing() -> None:
    import vl_convert

    vl_convert.vegalite_to_svg({"data": {"values": []}, "mark": "point"})


def in_sentences(notes: Iterable[str]) -> list[str]:
    """Return notes as sentences.

    >>> in_sentences(["runs of 2 projects together"])
    ['Runs of 2 projects together.']
    """
    return [f"{note[:1].upper()}{note[1:]}." for note in notes]


@raised_again_by_methods
class Plot:
    """A picture of aggregated data. A notebook shows it, `save` writes it, `data` is the frame that it draws.

    `spec` is the picture as Vega-Lite has it, and `chart` the same for altair, for whoever wants to change or combine
    it; `notes` say how to read it and what is left out.

    >>> plot = example().plot.curves("loss")
    >>> plot
    Plot('loss', 6 rows)
    >>> plot.data.columns
    ['metric', 'group', 'x', 'n', 'middle', 'low', 'high']
    >>> plot.save("loss.png").stat().st_size > 10_000
    True
    """

    def __init__(
        self, title: str, *, data: pl.DataFrame, draw: Callable[[pl.DataFrame], Chart], notes: Sequence[str] = ()
    ) -> None:
        self.title = title
        self.data = data
        self.notes = tuple(notes)
        self._draw = draw

    @cached_property
    def spec(self) -> Chart:
        """The picture in the language of Vega-Lite, with its data.

        >>> example().plot.curves("loss").spec["title"]["text"]
        ['loss']
        """
        spec: Chart = _printable(marks.finished(self._draw(self.data), title=self.title, notes=self.notes))
        return spec

    @property
    def chart(self) -> Any:
        """The picture as a chart of altair, made anew each time: to change what `save` writes, change `spec`.

        Raises TracklakeError without altair.

        >>> example().plot.scatter("lr", "loss.min").chart.properties(width=200).to_dict()["width"]
        200
        """
        return _needed("altair").Chart.from_dict(self.spec)

    def save(self, path: os.PathLike[str] | str) -> Path:
        """Write the picture as .png, .svg, .pdf or .html (interactive, opens offline), and return the path.

        Raises TracklakeError for another suffix, and without vl-convert.

        >>> example().plot.scatter("lr", "loss.min").save("lr.gif")
        Traceback (most recent call last):
        tracklake.errors.TracklakeError: cannot save a plot as 'lr.gif', but as .png, .svg, .pdf or .html
        """
        target = arguments.path("path", path)
        suffix = target.suffix.lower()
        makers = {".png": self._png, ".svg": self._svg, ".pdf": self._pdf, ".html": self._html}
        if suffix not in makers:
            msg = f"cannot save a plot as {target.name!r}, but as .png, .svg, .pdf or .html"
            raise TracklakeError(msg)
        target.write_bytes(makers[suffix]())
        return target

    def _png(self, *, scale: int = SCALE) -> bytes:
        return png.smaller(_needed("vl_convert").vegalite_to_png(self.spec, scale=scale))

    def _svg(self) -> bytes:
        return str(_needed("vl_convert").vegalite_to_svg(self.spec)).encode()

    def _pdf(self) -> bytes:
        return bytes(_needed("vl_convert").vegalite_to_pdf(self.spec))

    def _html(self) -> bytes:
        return _page(str(_needed("vl_convert").vegalite_to_html({"mark": "point"}, bundle=True)), self.spec).encode()

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, Any], dict[str, Any]]:
        """Show a notebook the PNG: readable wherever the notebook is read, and small; without vl-convert, the text."""
        try:
            picture, scale = self._png(), SCALE
        except TracklakeError as error:
            return {"text/plain": f"{self!r}: {error}"}, {}
        if len(picture) > HEAVY:
            picture, scale = self._png(scale=1), 1
        width, height = (side // scale for side in png.size(picture))
        return {"image/png": picture, "text/plain": repr(self)}, {"image/png": {"width": width, "height": height}}

    def __repr__(self) -> str:
        return f"Plot({self.title!r}, {self.data.height:,} rows)"


def _page(page: str, spec: Chart) -> str:
    """Put a spec into the page of an empty one; written so that no name can end the script, or start one."""
    head, _, after = page.rpartition("const spec = ")
    _, _, tail = after.partition(";\n")
    literal = json.dumps(spec).replace("<", "\\u003c").replace(">", "\\u003e")
    return f"{head}const spec = {literal};\n{tail}"


def _printable(part: Any) -> Any:
    """Return a part of a spec in which every text can be shown; a control character ends vl-convert's process."""
    if isinstance(part, str):
        return printable(part)
    if isinstance(part, list):
        return [_printable(item) for item in part]
    return {key: _printable(value) for key, value in part.items()} if isinstance(part, dict) else part


def _needed(package: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        msg = f"this needs {error.name}, which is not installed: pip install 'tracklake[plots]'"
        raise TracklakeError(msg) from error


def empty(title: str, *, because: str, notes: Sequence[str] = ()) -> Plot:
    """Return the picture of nothing, which says why there is nothing.

    >>> empty("loss", because="no run has it")
    Plot('loss', 0 rows)
    """
    return Plot(title, data=pl.DataFrame(), draw=lambda _: marks.message(f"Nothing to draw: {because}."), notes=notes)
