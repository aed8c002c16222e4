"""Front matter: what stands between two lines of `---` at the head of a report, a name and a text a line."""

from __future__ import annotations

from typing import NamedTuple

from tracklake.errors import ReportError, UnknownNameError

FIELDS = ("title", "run", "project", "filter", "order")
_FENCE = "---"


class FrontMatter(NamedTuple):
    """What a report is about: one run, or those of a filter, of which the first by `order` is quoted."""

    title: str = ""
    run: str = ""
    project: str = ""
    filter: str = ""
    order: str = ""


def split(text: str) -> tuple[FrontMatter, str]:
    r"""Return the front matter of a report and the rest; ReportError for a line that is none.

    >>> split("---\ntitle: Digits\nrun: 'a: b'\n---\nHello")
    (FrontMatter(title='Digits', run='a: b', project='', filter='', order=''), 'Hello')
    >>> split("Hello")[1]
    'Hello'
    """
    lines = text.removeprefix("\ufeff").splitlines()
    if not lines or lines[0].strip() != _FENCE:
        return FrontMatter(), text
    end = next((i for i, line in enumerate(lines[1:], 1) if line.strip() == _FENCE), None)
    if end is None:
        raise ReportError("the front matter begins with --- and has no --- at its end")
    pairs = [_pair(line, number) for number, line in enumerate(lines[1:end], 2) if line.strip() and line[0] != "#"]
    return FrontMatter(**dict(pairs)), "\n".join(lines[end + 1 :])


def _pair(line: str, number: int) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    name, value = name.strip(), value.strip()
    if not colon:
        raise ReportError(f"line {number} of the front matter is no NAME: TEXT: {line!r}")
    if name not in FIELDS:
        raise ReportError(f"line {number} of the front matter: {UnknownNameError.nearest('field', name, FIELDS)}")
    is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    return name, value[1:-1] if is_quoted else value
