"""Fields of a run, which say what it is for people: name, group, job type, notes, tags."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

TEXTS = ("name", "group", "job_type", "notes")


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
    found = [tags] if isinstance(tags, str) else tags
    if isinstance(found, Iterable) and not isinstance(found, Mapping | bytes):
        found = list(found)
        if all(isinstance(tag, str) and tag for tag in found):
            return found
    raise TypeError(f"tags are texts that are not empty, such as tags=['baseline', 'v2']; got {tags!r}")


def tags_of(text: str | None) -> list[str] | None:
    """Return the tags that a stored text holds; what is no list of texts holds none.

    >>> tags_of('["a", "b"]'), tags_of('{"a": 1}'), tags_of(None)
    (['a', 'b'], [], None)
    """
    if text is None:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return []
    return [tag for tag in found if isinstance(tag, str)] if isinstance(found, list) else []
