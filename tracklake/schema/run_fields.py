"""What a run is called: its id and project, and the fields that are for people: name, group, job type, notes, tags."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping

from tracklake.errors import RunError
from tracklake.schema.statement_kind import StatementKind
from tracklake.schema.tables import LAKE_RUN
from tracklake.schema.values import NOTHING, Stored, store_exact

UNCATEGORIZED = "uncategorized"
"""The project of runs that were given none."""
TEXTS = ("name", "group", "job_type", "notes")
"""The fields that are texts."""

LONGEST_RUN_ID = 128
_UNFIT = ("Cc", "Cs", "Zl", "Zp")  # control characters, halves of surrogate pairs, line and paragraph separators


def check(name: str, value: object) -> str | list[str]:
    """Return the value of a field if it can be one, a single tag as a list of one; raise TypeError if it cannot.

    >>> check("group", "sweep 3"), check("tags", "baseline")
    ('sweep 3', ['baseline'])
    """
    if name == "tags":
        return check_tags(value)
    if not isinstance(value, str):
        raise TypeError(f"{name} is a text; got {value!r} ({type(value).__name__}); use {name}={str(value)!r}")
    return value


def check_tags(tags: object) -> list[str]:
    """Return tags as a list; TypeError unless they are texts that are not empty.

    >>> check_tags(("a", "b"))
    ['a', 'b']
    """
    items = [tags] if isinstance(tags, str) else tags
    if isinstance(items, Iterable) and not isinstance(items, Mapping | bytes):
        items = list(items)
        if all(isinstance(tag, str) and tag for tag in items):
            return items
    raise TypeError(f"tags are texts that are not empty, such as tags=['baseline', 'v2']; got {tags!r}")


def statements(
    fields: Mapping[str, str | list[str] | None], *, tags: Iterable[str]
) -> list[tuple[StatementKind, str, Stored]]:
    """Return the statements that set checked fields of a run which has these tags.

    Of tags only the difference: what is new is added, what is missing is removed. So several processes lose nothing.

    >>> [(str(op), key, stored.text) for op, key, stored in statements({"notes": "hot", "tags": ["b"]}, tags=["a"])]
    [('field', 'notes', 'hot'), ('untag', 'a', None), ('tag', 'b', None)]
    """
    changes = []
    for name, value in fields.items():
        if isinstance(value, list):
            changes += [(StatementKind.UNTAG, tag, NOTHING) for tag in tags if tag not in value]
            changes += [(StatementKind.TAG, tag, NOTHING) for tag in dict.fromkeys(value) if tag not in tags]
        else:
            changes.append((StatementKind.FIELD, name, store_exact(value, name=name)))
    return changes


def check_run_id(run_id: str) -> str:
    """Return the run id if it can be one; raise RunError (TypeError if it is no text) if it cannot.

    >>> check_run_id("resnet50 seed=3")
    'resnet50 seed=3'
    """
    if not isinstance(run_id, str):
        raise TypeError(f"a run id is a text; got {run_id!r} ({type(run_id).__name__}); use id={str(run_id)!r}")
    wrong = _wrong_in_run_id(run_id)
    if wrong:
        raise RunError(
            f"the run id {run_id[:200]!r} {wrong}; a run id has 1 to {LONGEST_RUN_ID} characters, no '/', no '\\', "
            "no control characters, no leading dot and no blanks around it; leave id out to get a random one, "
            "and put free text into name"
        )
    return run_id


def _wrong_in_run_id(run_id: str) -> str | None:
    if not run_id:
        return "is empty"
    if len(run_id) > LONGEST_RUN_ID:
        return f"has {len(run_id)} characters"
    if run_id.startswith("."):
        return "starts with a dot"
    if run_id != run_id.strip():
        return "has blanks around it"
    if run_id.casefold() == LAKE_RUN:
        return "is reserved for the lake itself"
    bad = next((char for char in run_id if char in "/\\" or unicodedata.category(char) in _UNFIT), None)
    return None if bad is None else f"contains {bad!r}"


def check_project(name: str) -> str:
    """Return the project name: any text that is not empty and can be stored. Raises RunError (or TypeError).

    >>> check_project("llm / ablations")
    'llm / ablations'
    """
    if not isinstance(name, str):
        raise TypeError(f"a project name is a text; got {name!r} ({type(name).__name__}); use project={str(name)!r}")
    if not name or any(char == "\0" or unicodedata.category(char) == "Cs" for char in name):
        raise RunError(
            f"the project name {name!r} is empty or has NUL or half a surrogate pair; any other text will do"
        )
    return name
