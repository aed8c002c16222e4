"""Tables to look at and to paste: plain text of a given width, Markdown, LaTeX, HTML."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING, NamedTuple

from tracklake.common import arguments
from tracklake.common.interrupts import raised_again_by_methods
from tracklake.common.text import number_of
from tracklake.display.labels import in_html, middle_out, printable, printable_lines, shortened
from tracklake.errors import UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

WIDTH = 80
_NARROW = 6
"""Characters below which a column is not shortened but left out."""
_STYLE = (
    "<style>.tracklake{font-size:13px;line-height:1.5}"
    ".tracklake table{border-collapse:collapse;margin:4px 0;font-size:inherit}"
    ".tracklake td,.tracklake th{text-align:left;padding:1px 14px 1px 0;font-variant-numeric:tabular-nums;border:0;"
    "font-weight:normal;white-space:nowrap}.tracklake th,.tracklake .quiet{opacity:.65}"
    ".tracklake .sheet td,.tracklake .sheet th{text-align:right}.tracklake .sheet .best td{font-weight:bold}"
    ".tracklake ul{margin:2px 0;padding-left:18px}</style>"
)
_MARKS = re.compile(r"[\\|`*\[\]<]|~~|(?<![^\W_])_|_(?![^\W_])")
"""What Markdown takes for markup; an underscore within a word is none."""
_PICTURES = re.compile("[\u2400-\u243f\ufffd]")
"""The signs of what cannot be shown, which LaTeX's fonts lack."""
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "…": r"\dots{}", "<": r"$<$", ">": r"$>$",
}  # fmt: skip


class Column(NamedTuple):
    """A heading and its cells. Of what does not fit, the column with the highest `rank` is left out first."""

    heading: str
    cells: list[str]
    right: bool = True
    rank: int = 0
    is_key: bool = False
    """Whether it says which row this is: shortened where the columns of rank 0 do not fit."""


class Sheet(NamedTuple):
    """A table that is ready to be shown: a title, columns, the rows that stand out, and notes below."""

    title: str
    columns: list[Column]
    bold: frozenset[int] = frozenset()
    notes: tuple[str, ...] = ()
    whole: str = ".table"
    """Where all of it is."""
    more: Sequence[Column] = ()
    """Columns that are there only for whoever names them."""

    def rows(self) -> list[list[str]]:
        """Return the cells row by row.

        >>> Sheet("", [Column("lr", ["0.1", "0.03"]), Column("n", ["5", "12"])]).rows()
        [['0.1', '5'], ['0.03', '12']]
        """
        return [list(row) for row in zip(*(column.cells for column in self.columns), strict=True)]


@raised_again_by_methods
class Tabulated:
    """A result that shows itself as a sheet: as text, in a notebook, in Markdown and in LaTeX.

    What a signal handler raises in a method of a result comes through.
    """

    def __init_subclass__(cls) -> None:
        raised_again_by_methods(cls)

    def _sheet(self) -> Sheet:
        raise NotImplementedError

    def to_markdown(self, *, columns: Sequence[str] | None = None) -> str:
        """Return the essence as a Markdown table; what stands out is bold. `columns` are headings of it, in order.

        Of a comparison also "mean ± std" (or the center that it has). Raises UnknownNameError, which names the nearest.

        >>> print(example().compare("acc", by="lr", goal="max").to_markdown(columns=["lr", "mean"]).splitlines()[2])
        | **0.1** | **0.9000** |
        """
        return markdown(chosen(self._sheet(), columns))

    def to_latex(
        self, *, columns: Sequence[str] | None = None, caption: str | None = None, label: str | None = None
    ) -> str:
        r"""Return the essence as a LaTeX tabular (package booktabs), with a caption as a table of it.

        `columns` as in `to_markdown`.

        >>> found = example().compare("acc", by="lr", goal="max")
        >>> print(found.to_latex(columns=["lr", "mean ± std"]).splitlines()[2])
        lr & mean $\pm$ std \\
        """
        return latex(chosen(self._sheet(), columns), caption=caption, label=label)

    def to_text(
        self,
        *,
        width: int = WIDTH,
        rows: int | None = 20,
        places: tuple[str, str] | None = None,
        words: Callable[[str], str] = str,
    ) -> str:
        """Return the essence as lines of at most `width`; `places` says where more rows, and more columns, are found.

        `words` puts a note into the words of where it is shown.

        >>> found = example().compare("acc", by="lr", goal="max")
        >>> print(found.to_text(width=46, places=("", "with --csv")).splitlines()[5])
        (2 more columns with --csv)
        """
        sheet = self._sheet()
        notes = tuple(words(note) for note in sheet.notes)
        return printable_lines(text(sheet._replace(notes=notes), width=width, rows=rows, places=places))

    def _repr_html_(self) -> str:
        return html(self._sheet())

    def __repr__(self) -> str:
        """Return the essence, at most 80 characters wide."""
        return printable_lines(text(self._sheet()))


def chosen(sheet: Sheet, names: Sequence[str] | None) -> Sheet:
    """Return the sheet with the columns of these headings in this order, None: with all; UnknownNameError for others.

    >>> sheet = Sheet("", [Column("lr", ["0.1"]), Column("n", ["5"])], more=[Column("std", ["0.2"])])
    >>> [column.heading for column in chosen(sheet, ["std", "lr"]).columns]
    ['std', 'lr']
    """
    if names is None:
        return sheet
    columns = {column.heading: column for column in (*sheet.more, *sheet.columns)}
    unknown = [name for name in arguments.texts("columns", names) if name not in columns]
    if unknown:
        raise UnknownNameError.nearest("column of the table", unknown[0], columns)
    return sheet._replace(columns=[columns[name] for name in arguments.texts("columns", names)])


def text(sheet: Sheet, *, width: int = WIDTH, rows: int | None = 20, places: tuple[str, str] | None = None) -> str:
    """Return the sheet as plain lines of at most this width; columns and rows that do not fit are counted.

    `places` says where those rows and those columns are to be found, by default both in `sheet.whole`.

    >>> print(text(Sheet("", [Column("lr", ["0.1", "0.03"], right=False), Column("n", ["5", "12"])])))
    lr     n
    0.1    5
    0.03  12
    """
    fitting = _fitted([c._replace(cells=c.cells[:rows]) for c in sheet.columns], width)
    lines = _wrapped(sheet.title, width) if sheet.title else []
    lines += [_line([c.heading for c in fitting], fitting)]
    lines += [_line(row, fitting) for row in zip(*(c.cells for c in fitting), strict=True)]
    lines += _wrapped(_hidden(sheet, fitting, places or (f"in {sheet.whole}",) * 2), width)
    for note in sheet.notes:
        lines += _wrapped(f"- {note}", width)
    return "\n".join(line.rstrip() for line in lines)


def _fitted(columns: list[Column], width: int) -> list[Column]:
    """Leave out the columns of the highest ranks, then shorten keys, then leave out keys; the first one stays."""
    fitting = [_narrowed(c, width // 2) for c in columns]
    while _width(fitting) > width and any(c.rank for c in fitting):
        fitting.remove(max(reversed(fitting), key=lambda c: c.rank))
    while _width(fitting) > width and (keys := [c for c in fitting if c.is_key]):
        widest = max(keys, key=_widest)
        narrower = _narrowed(widest, max(_widest(widest) - 1, _NARROW))
        fitting[fitting.index(widest)] = (
            narrower if _widest(narrower) < _widest(widest) else widest._replace(is_key=False)
        )
    while _width(fitting) > width and len(fitting) > 1:
        droppable = [c for c in fitting[1:] if c.heading in _keys_of(columns)] or fitting[1:]
        fitting.remove(droppable[-1])
    return fitting


def _keys_of(columns: list[Column]) -> set[str]:
    return {c.heading for c in columns if c.is_key}


def _width(columns: list[Column]) -> int:
    return sum(_widest(c) + 2 for c in columns) - 2


def _narrowed(column: Column, width: int) -> Column:
    """Shorten texts and a key's heading; numbers stay as they are, and what differs goes on to differ."""
    heading = middle_out(column.heading, width=width) if column.is_key else column.heading
    cells = column.cells if column.right else shortened(column.cells, width=width)
    return column._replace(heading=heading, cells=cells)


def _hidden(sheet: Sheet, columns: list[Column], places: tuple[str, str]) -> str:
    """Say how many rows and columns are not shown, and where they are."""
    rows = len(sheet.columns[0].cells) - len(columns[0].cells) if columns else 0
    hidden: dict[str, list[str]] = {}
    for n, what, place in ((rows, "row", places[0]), (len(sheet.columns) - len(columns), "column", places[1])):
        if n:
            hidden.setdefault(place, []).append(number_of(n, f"more {what}"))
    parts = (f"{' and '.join(counts)} {place}" for place, counts in hidden.items())
    return f"({'; '.join(parts)})" if hidden else ""


def markdown(sheet: Sheet) -> str:
    """Return the sheet as a Markdown table, the rows that stand out in bold.

    >>> print(markdown(Sheet("", [Column("lr", ["0.1"], right=False), Column("n", ["5"])])))
    | lr | n |
    |:---|---:|
    | 0.1 | 5 |
    """
    cells = [[_in_markdown(cell) for cell in row] for row in sheet.rows()]
    rows = [[f"**{cell}**" if i in sheet.bold and cell else cell for cell in row] for i, row in enumerate(cells)]
    head = [
        _piped(_in_markdown(c.heading) for c in sheet.columns),
        "|" + "|".join("---:" if c.right else ":---" for c in sheet.columns) + "|",
    ]
    notes = ["", *(f"- {_in_markdown(note)}" for note in sheet.notes)] if sheet.notes else []
    return "\n".join([*head, *(_piped(row) for row in rows), *notes])


def latex(sheet: Sheet, *, caption: str | None = None, label: str | None = None) -> str:
    r"""Return the sheet as a LaTeX tabular for the package booktabs; a caption puts it into a table.

    >>> print(latex(Sheet("", [Column("lr_max", ["0.1"], right=False), Column("n", ["5"])])))
    \begin{tabular}{lr}
    \toprule
    lr\_max & n \\
    \midrule
    0.1 & 5 \\
    \bottomrule
    \end{tabular}
    """
    cells = [[_escaped(cell) for cell in row] for row in sheet.rows()]
    rows = [[rf"\textbf{{{c}}}" if i in sheet.bold and c else c for c in row] for i, row in enumerate(cells)]
    lines = [
        rf"\begin{{tabular}}{{{''.join('r' if c.right else 'l' for c in sheet.columns)}}}",
        r"\toprule",
        " & ".join(_escaped(c.heading) for c in sheet.columns) + r" \\",
        r"\midrule",
        *(" & ".join(row) + r" \\" for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    if caption is None:
        return "\n".join(lines)
    named = [rf"\label{{{label}}}"] if label else []
    return "\n".join(
        [r"\begin{table}", r"\centering", rf"\caption{{{_escaped(caption)}}}", *named, *lines, r"\end{table}"]
    )


def html(sheet: Sheet, *, rows: int = 100) -> str:
    """Return the sheet as HTML that needs nothing else, with at most this many rows.

    >>> "<tbody><tr><td>5</td></tr></tbody>" in html(Sheet("", [Column("n", ["5"])]))
    True
    """

    def cell(column: Column, text: str, tag: str = "td") -> str:
        side = "" if column.right else ' style="text-align:left"'
        return f"<{tag}{side}>{in_html(text)}</{tag}>"

    head = "".join(cell(c, c.heading, "th") for c in sheet.columns)
    body = [
        ('<tr class="best">' if i in sheet.bold else "<tr>")
        + "".join(cell(c, t) for c, t in zip(sheet.columns, row, strict=True)) + "</tr>"
        for i, row in enumerate(sheet.rows()[:rows])
    ]  # fmt: skip
    hidden = len(sheet.rows()) - rows
    notes = [f"{hidden:,} more rows in {sheet.whole}"] if hidden > 0 else []
    below = "".join(f"<li>{in_html(note)}</li>" for note in [*notes, *sheet.notes])
    title = f"<b>{in_html(sheet.title)}</b>" if sheet.title else ""
    listed = f'<ul class="quiet">{below}</ul>' if below else ""
    table = f'<table class="sheet"><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table>'
    return card(f"{title}{table}{listed}")


def card(inner: str) -> str:
    """Put HTML into the frame and the style that everything shown in a notebook shares.

    >>> card("<b>lake</b>")[-25:]
    '</style><b>lake</b></div>'
    """
    return f'<div class="tracklake">{_STYLE}{inner}</div>'


def _in_markdown(text: str) -> str:
    """Return a text as Markdown shows it: none of it is a link, markup, or the end of a cell."""
    shown = printable(text.replace("\n", " "))
    return _MARKS.sub(lambda mark: "&lt;" if mark[0] == "<" else f"\\{mark[0]}", shown)


def _piped(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    shown = _PICTURES.sub("?", printable(text.replace("\n", " ")))
    escaped = re.sub("[" + re.escape("".join(_LATEX)) + "]", lambda found: _LATEX[found[0]], shown)
    return f"{{}}{escaped}" if escaped.startswith(("[", "*")) else escaped  # else the end of the row before takes it


def _widest(column: Column) -> int:
    return max(map(len, [column.heading, *column.cells]))


def _line(cells: Iterable[str], columns: Sequence[Column]) -> str:
    sides = (
        cell.rjust(_widest(c)) if c.right else cell.ljust(_widest(c)) for cell, c in zip(cells, columns, strict=True)
    )
    return "  ".join(sides).rstrip()


def _wrapped(text: str, width: int) -> list[str]:
    """Break a text between words; a word that is longer than a line loses its middle."""
    words = " ".join(middle_out(word, width=max(width - 2, 1)) for word in text.split(" "))
    return textwrap.wrap(words, width, subsequent_indent="  ", break_on_hyphens=False)
