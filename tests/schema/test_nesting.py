"""Nested mappings: what counts as one, its leaves by path, and what stands under a dotted name."""

from __future__ import annotations

import argparse
from collections import OrderedDict
from dataclasses import dataclass
from types import MappingProxyType

import pytest

from tracklake.errors import ConfigError, UnstorableValueError
from tracklake.schema import nesting


@dataclass
class Settings:
    """Settings as many a script has them."""

    lr: float = 0.1


class Model:
    """As a pydantic model: its class knows how to dump it."""

    def model_dump(self) -> dict:
        return {"lr": 0.1}


class AnswersToAll:
    """As a mock or a remote object: it has every attribute, and its class none of them."""

    def __getattr__(self, name: str):
        return lambda: {"lr": 0.1}


@pytest.mark.parametrize("given", [{"lr": 0.1}, argparse.Namespace(lr=0.1), Settings(), Model()])
def test_four_kinds_of_config_are_mappings(given):
    """A mapping, an argparse Namespace, a dataclass and a pydantic model say the same."""
    assert nesting.as_mapping(given) == {"lr": 0.1}


def test_no_config_is_an_empty_one():
    """None stands for nothing said."""
    assert nesting.as_mapping(None) == {}


@pytest.mark.parametrize(
    ("given", "name"), [([("lr", 0.1)], "list"), ("lr", "str"), (Settings, "type"), (AnswersToAll(), "AnswersToAll")]
)
def test_anything_else_is_no_config(given, name):
    """It is refused by its type: pairs, a text, a class of settings, an object that only seems to be a model."""
    with pytest.raises(ConfigError, match=f"config must be a mapping, .*, not {name}$"):
        nesting.as_mapping(given)


@pytest.mark.parametrize("key", ["", 1, None, ("a",)])
def test_keys_of_a_config_are_texts(key):
    """An empty key or one that is no text is refused as it was given."""
    with pytest.raises(ConfigError, match="a config key must be a non-empty str"):
        nesting.as_mapping({"lr": 0.1, key: 1})


def test_leaves_have_paths():
    """Mappings of every kind are gone into, in their order; a list is a leaf, and so is an empty mapping."""
    given = {"a": OrderedDict(b=1, c={"d": [2]}), "e": {}, "f": argparse.Namespace(g=3)}
    expected = [(("a", "b"), 1), (("a", "c", "d"), [2]), (("e",), {}), (("f", "g"), 3)]
    assert list(nesting.leaves(given, name="x")) == expected


def test_a_mapping_with_a_type_is_a_leaf():
    """So that a histogram stays whole; where parts are asked for, it is gone into as well."""
    histogram = {"_type": "histogram", "values": [1]}
    assert list(nesting.leaves({"h": histogram}, name="x")) == [(("h",), histogram)]
    parts = nesting.leaves({"h": histogram}, name="x", whole=False)
    assert list(parts) == [(("h", "_type"), "histogram"), (("h", "values"), [1])]


def test_a_dataclass_that_is_a_leaf_is_told_as_a_mapping():
    """What is yielded can be stored: an empty dataclass is an empty dict."""
    empty = dataclass(type("Empty", (), {}))
    assert list(nesting.leaves(empty(), name="x")) == [((), {})]


def test_a_deep_key_that_is_no_text_is_told_with_the_name():
    """Keys below the first level are checked like those at the top."""
    with pytest.raises(UnstorableValueError, match="layers: the keys of a nested dict must be str, not 3"):
        list(nesting.leaves({"a": {"b": {3: 1}}}, name="layers"))


ENTRIES = {"loss": {"min": 0.5, "a.b": 1, "deep": {"x": 2}}, "train.acc": 0.9, "train.loss.ce": 0.1, "note": "text"}


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("note", "text"),
        ("loss", {"min": 0.5, "a.b": 1, "deep": {"x": 2}}),
        ("loss.min", 0.5),
        ("loss.a.b", 1),
        ("loss.deep.x", 2),
        ("train", {"acc": 0.9, "loss": {"ce": 0.1}}),
        ("train.loss", {"ce": 0.1}),
    ],
)
def test_what_stands_under_a_name(name, found):
    """An entry, a part of one (whose own keys may have dots), or all that is below the name, nested."""
    assert nesting.find(ENTRIES, name) == found


@pytest.mark.parametrize(
    "name", ["los", "loss.max", "loss.min.x", "loss.deep.y", "note.t", "note.text", "tr", "train.a"]
)
def test_nothing_stands_under_another_name(name):
    """A beginning of a name, a part of a number or of a text, and a key that is not there: the error names it whole."""
    with pytest.raises(KeyError, match=f"^'{name}'$"):
        nesting.find(ENTRIES, name)


def test_a_letter_of_a_text_is_no_part():
    """A text inside a dict has no parts, though it has letters."""
    with pytest.raises(KeyError):
        nesting.find({"a": {"b": "text"}}, "a.b.t")


def test_an_entry_hides_what_is_below_its_name():
    """The name itself comes first, then what is below it, then the parts of what is above."""
    assert nesting.find({"a": 1, "a.b": 2}, "a") == 1
    assert nesting.find({"a": {"b": {"c": 1}}, "a.b.d": 2}, "a.b") == {"d": 2}


def test_plain_goes_all_the_way_down():
    """Mappings of any kind become dicts at every level; what is no mapping stays the object that it is."""
    values = [1]
    found = nesting.plain(MappingProxyType({"a": OrderedDict(b=values)}))
    assert (found, type(found["a"])) == ({"a": {"b": [1]}}, dict)
    assert found["a"]["b"] is values
