"""A report: Markdown about the runs of a lake, resolved to one HTML file that needs nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from tracklake._version import VERSION
from tracklake.common import arguments
from tracklake.display.labels import in_html, printable
from tracklake.errors import ReportError
from tracklake.ui.reports import blocks, front_matter, pdf, references
from tracklake.ui.reports.markup import Markup
from tracklake.ui.reports.style import STYLE

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from tracklake.lake.lake import Lake
    from tracklake.ui.reports.front_matter import FrontMatter

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""What the file may load or run: its own style and pictures, and no script, whatever a lake holds."""


class Report(NamedTuple):
    """A report as HTML, with what of it could not be resolved."""

    title: str
    html: str
    problems: tuple[str, ...]

    def save(self, path: os.PathLike[str] | str) -> Path:
        """Write it to one file and return its path: HTML that opens without a network, or a .pdf where a browser is.

        ReportError where there is none to print it.

        >>> render(example(), "# ${run:fast:name}").save("report.html").name
        'report.html'
        """
        target = arguments.path("path", path)
        if target.suffix.lower() == ".pdf":
            return pdf.write(self.html, target)
        target.write_text(self.html, encoding="utf-8")
        return target

    def __repr__(self) -> str:
        """Return its title and how much is unresolved."""
        return f"Report({self.title!r}, {len(self.problems)} unresolved)"

    def _repr_html_(self) -> str:
        return self.html


def render(lake: Lake, text: str, *, title: str = "") -> Report:
    """Resolve a report against a lake; what cannot be resolved is red in it, and listed in `problems`.

    Raises ReportError for front matter that is none, or that names a run or filter without any run.

    >>> report = render(example(), "Reached ${run:fast:summary.acc.max} with ${run:fast:config.depth}.")
    >>> report.problems
    ("${run:fast:config.depth}: unknown column 'config.depth'; did you mean 'config.lr'?",)
    """
    about, body = front_matter.split(text)
    where = _condition(about)
    run = _run_of(lake, about, where)
    markup = Markup(
        quote=lambda inside: references.quote(lake, inside, run=run),
        answer=lambda kind, block: blocks.BLOCKS[kind](lake, block, where),
    )
    content = markup.html(body)
    name = about.title or title or "Report"
    heading = f"<h1>{in_html(about.title)}</h1>\n" if about.title else ""
    return Report(name, _document(name, heading + content, _source(lake)), tuple(markup.problems))


def _condition(about: FrontMatter) -> str | None:
    """Return the condition that chooses the report's runs, None for all."""
    project = "project = '" + about.project.replace("'", "''") + "'" if about.project else ""
    both = [f"({condition})" for condition in (project, about.filter) if condition]
    return " AND ".join(both) or None


def _run_of(lake: Lake, about: FrontMatter, where: str | None) -> str:
    """Return the id of the run that is quoted where none is named: `run`, else the first of the filter."""
    if about.run:
        return lake.run(about.run).id
    if where is None and not about.order:
        return ""
    first = lake.runs(where=where, order_by=about.order or None, columns=["run_id"], limit=1)
    if first.is_empty():
        raise ReportError(f"no run meets the report's filter: {where}")
    return str(first["run_id"][0])


def _source(lake: Lake) -> str:
    described = lake.describe()
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    version = f"version {described.version}" if described.version >= 0 else "not sealed yet"
    return f"{printable(lake.dir)} ({described.runs:,} runs, {version}), tracklake {VERSION}, {now}"


def _document(title: str, content: str, source: str) -> str:
    head = (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f'<meta name="viewport" content="width=device-width">\n<title>{in_html(title)}</title>\n'
        f"<style>{STYLE}</style>\n"
    )
    return f"{head}</head>\n<body>\n{content}<footer>{in_html(source)}</footer>\n</body>\n</html>\n"
