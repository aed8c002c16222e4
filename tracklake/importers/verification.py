"""Our summaries beside those that a source holds: where they differ, by the rule that explains it."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, NamedTuple

from tracklake.schema import naming

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_RELATIVE = 1e-12
_RULES = {
    "nan": "NaN and infinities never poison min, max or mean, and are counted apart (semantics, rule 22)",
    "empty": "where no number was logged there is no min, max or mean (rule 22)",
    "glob": "exactly one definition serves a metric, the most literal one, and counts for all rows (rules 18 and 19)",
    "order": "an edit and a row: what was said last holds (rule 24)",
    "absent": "the source says it, and no row or edit of it could be read",
}


class Difference(NamedTuple):
    """One entry of a summary that is not as the source has it."""

    run_id: str
    key: str
    ours: Any
    theirs: Any
    rule: str

    def __str__(self) -> str:
        """Return it as a line."""
        return f"{self.run_id} {self.key}: {_short(self.ours)} here, {_short(self.theirs)} there; {self.rule}"


def differences(run_id: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[Difference]:
    """Yield where the summary of a run differs from that of its source; numbers within rounding are equal.

    >>> list(differences("a", {"loss": {"min": 1.0}}, {"loss": {"min": float("nan")}}))[0].rule[:21]
    'NaN and infinities ne'
    >>> list(differences("a", {"loss": 0.5}, {"loss": 0.5, "_step": 3}))
    []
    """
    flat_ours, flat_theirs = (naming.flatten(dict(entries)) for entries in (ours, theirs))
    for key, value in flat_theirs.items():
        if key.startswith("_"):
            continue
        own = flat_ours.get(key)
        if not _equal(own, value):
            yield Difference(run_id, key, own, value, _RULES[_rule(key, own, value, flat_ours)])


def _rule(key: str, ours: Any, theirs: Any, entries: Mapping[str, Any]) -> str:
    if isinstance(theirs, float) and not math.isfinite(theirs):
        return "nan" if ours is not None else "empty"
    if ours is None and theirs == 0 and key.rsplit(".", 1)[-1] in ("min", "max", "mean"):
        return "empty"
    base = key.rsplit(".", 1)[0]
    if ours is None:
        return "glob" if any(name == base or name.startswith((f"{base}.", f"{key}.")) for name in entries) else "absent"
    return "order"


def _equal(one: Any, other: Any) -> bool:
    numbers = [value for value in (one, other) if isinstance(value, int | float)]
    if len(numbers) == 2:  # noqa: PLR2004 - both
        return one == other or (one != one and other != other) or math.isclose(one, other, rel_tol=_RELATIVE)  # noqa: PLR0124 - NaN
    return bool(one == other) or json.dumps(one, default=str) == json.dumps(other, default=str)


def _short(value: Any) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 - what fits a line
