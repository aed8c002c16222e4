"""The public surface is one sorted list."""

from __future__ import annotations

import inspect
import types

import pytest

import tracklake as tl


def test_all_is_sorted():
    """`__all__` is in the order of the alphabet, each name once."""
    assert list(tl.__all__) == sorted(set(tl.__all__))


def test_all_is_what_can_be_imported():
    """`__all__` names every public name, and nothing leaks beside it."""
    inner = (types.ModuleType, type(annotations))
    exposed = {name for name in dir(tl) if not name.startswith("_") and not isinstance(getattr(tl, name), inner)}
    assert exposed == set(tl.__all__)


@pytest.mark.parametrize("name", tl.__all__)
def test_public_name_has_a_docstring(name: str):
    """Every public function and class says what it is, and so does every public method."""
    thing = getattr(tl, name)
    if not (inspect.isclass(thing) or inspect.isfunction(thing)):
        return  # the current run, its config, its summary: objects, described by their classes
    assert thing.__doc__, name
    members = vars(thing).items() if inspect.isclass(thing) else ()
    undocumented = [
        n for n, m in members if not n.startswith("_") and (callable(m) or isinstance(m, property)) and not m.__doc__
    ]
    assert undocumented == []
