"""References: `${run:summary.acc.max|.3f}` or `${run:ID:config.lr}`: a value of a run in the text of a report."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from tracklake.errors import ReportError, TracklakeError

if TYPE_CHECKING:
    from tracklake.lake.lake import Lake

REFERENCE = re.compile(r"\$\{run:([^{}\n]*)\}")
_FIELDS = "run_id|project|name|group|job_type|state|created_at|runtime|tags|notes"
_INSIDE = re.compile(
    rf"(?:(?P<run>.+?):)?(?P<path>(?:summary|config|quality)\.[^|]+|{_FIELDS})(?:\|(?P<spec>.*))?", re.DOTALL
)
_SPEC = re.compile(r"[-+ ]?0?\d{0,2}[,_]?(?:\.\d{1,2})?[eEfFgGd%]?")
_DIGITS = 6


class Reference(NamedTuple):
    """A reference as it is written: whose value (empty: that of the report's run), which, and in which form."""

    run: str
    path: str
    spec: str


class Quoted(NamedTuple):
    """What a reference gives: a text, or why there is none."""

    text: str
    about: str
    is_resolved: bool = True


def read(inside: str) -> Reference:
    """Read what stands in a reference after `run:`; ReportError if it is none.

    >>> read("summary.acc.max|.3f"), read("seed 3:config.lr")
    (Reference(run='', path='summary.acc.max', spec='.3f'), Reference(run='seed 3', path='config.lr', spec=''))
    """
    match = _INSIDE.fullmatch(inside.strip())
    if match is None:
        raise ReportError(f"{inside!r} names no value: write summary.<metric>, config.<name> or a field such as name")
    spec = (match["spec"] or "").strip()
    if not _SPEC.fullmatch(spec):
        raise ReportError(f"{spec!r} is no form of a number, such as .3f, .2e or .1%")
    return Reference(match["run"] or "", match["path"].strip(), spec)


def quote(lake: Lake, inside: str, *, run: str) -> Quoted:
    """Return the value of a reference; `run` is the id of the report's run, empty if it is about none.

    >>> lake = example()
    >>> quote(lake, "summary.loss.min|.1e", run="fast")
    Quoted(text='2.5e-01', about='run fast: summary.loss.min', is_resolved=True)
    >>> quote(lake, "summary.loss.min", run="").about
    "no run is named, and the report's front matter has neither run: nor filter:"
    """
    try:
        reference = read(inside)
        run_id = reference.run or run
        if not run_id:
            raise ReportError("no run is named, and the report's front matter has neither run: nor filter:")
        value = lake.runs(runs=lake.run(run_id).id, columns=[reference.path])[reference.path][0]
        if value is None:
            raise ReportError(f"run {run_id!r} has no {reference.path}")
        return Quoted(_written(value, reference.spec), f"run {run_id}: {reference.path}")
    except TracklakeError as error:
        return Quoted(f"${{run:{inside}}}", str(error), is_resolved=False)


def _written(value: Any, spec: str) -> str:
    if hasattr(value, "to_list"):
        value = value.to_list()
    if not spec:
        if isinstance(value, float):
            return f"{value:.{_DIGITS}g}"
        return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, list | dict) else str(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ReportError(f"the form {spec!r} is of numbers, and the value is {value!r}")
    try:
        return format(value, spec)
    except ValueError as error:
        raise ReportError(f"the form {spec!r} does not fit {value!r}: {error}") from error
