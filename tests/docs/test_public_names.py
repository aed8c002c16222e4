"""The public surface is one sorted list."""

from __future__ import annotations

import inspect
import types
import typing
from pathlib import Path

import pytest

import tracklake as tl
from tracklake.integrations.wandb_standin import names

CURRENT = {"run", "config", "summary"}
"""They change with the current run, so the module answers for them when they are asked for."""


def test_all_is_sorted():
    """`__all__` is in the order of the alphabet, each name once."""
    assert list(tl.__all__) == sorted(set(tl.__all__))


def test_all_is_what_can_be_imported():
    """`__all__` names every public name, and nothing leaks beside it but what typing brings."""
    inner = (types.ModuleType, type(annotations))
    exposed = {name for name, thing in vars(tl).items() if name[0] != "_" and not isinstance(thing, inner)}
    lazy = (set(tl.__all__) & set(names.MODULE)) | {"Lake", "open"}
    """All that is heavy is loaded when it is first used."""
    assert (exposed - set(vars(typing))) | CURRENT | lazy == set(tl.__all__)
    assert all(hasattr(tl, name) for name in lazy)
    assert set(tl.__all__) <= set(dir(tl))


def test_names_of_the_current_run(tmp_path: Path):
    """`tl.run`, `tl.config` and `tl.summary` are those of the run that was begun last."""
    with tl.init(dir=tmp_path) as run:
        assert (tl.run, tl.config, tl.summary) == (run, run.config, run.summary)
    assert tl.run is None


@pytest.mark.parametrize("name", sorted(set(tl.__all__) - CURRENT))
def test_public_name_has_a_docstring(name: str):
    """Every public function and class says what it is, and so does every public method."""
    thing = getattr(tl, name)
    assert thing.__doc__
    members = vars(thing).items() if inspect.isclass(thing) else ()
    methods = [(n, m) for n, m in members if n[0] != "_" and isinstance(m, types.FunctionType | property)]
    assert [n for n, method in methods if not method.__doc__] == []


def test_config_and_summary_before_init():
    """Before there is a run, config and summary can be looked at, and any use says what to call."""
    assert hasattr(tl, "summary")
    with pytest.raises(tl.TracklakeError, match="call tracklake"):
        tl.summary["a"] = 1
    with pytest.raises(tl.TracklakeError, match="call tracklake"):
        _ = tl.config.lr
