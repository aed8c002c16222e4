"""What is nested in a config is copied as a plain value by whatever copies it."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import pytest

import tracklake as tl
from tracklake.errors import ConfigError


@dataclasses.dataclass
class State:
    """Holds what a config holds, as a trainer's state does."""

    params: Any


def test_dataclasses_copy_what_a_config_holds(run: tl.Run):
    """`asdict` and `deepcopy` give values of their own, whose changes do not reach the config."""
    run.config.update({"opt": {"betas": [0.9, 0.99], "name": "adam"}})
    as_dict = dataclasses.asdict(State(run.config["opt"]))["params"]
    deep = copy.deepcopy(run.config["opt"])
    assert as_dict == deep == {"betas": [0.9, 0.99], "name": "adam"}
    as_dict["betas"].append(1.0)
    as_dict["name"] = deep["name"] = "sgd"
    assert run.config.as_dict() == {"opt": {"betas": [0.9, 0.99], "name": "adam"}}


def test_a_dict_in_a_list_is_stored_or_refused(run: tl.Run):
    """What is added inside of a list's element reaches the lake; what would change another value is refused."""
    run.config.update({"layers": [{"size": 8}, [1, {"k": 2}]]})
    for change in (
        lambda layers: layers[0].update(size=16),
        lambda layers: layers[1][1].update(k=3),
        lambda layers: layers[0].update(bias=True),
        lambda layers: layers[1].append(5),
    ):
        with pytest.raises(ConfigError, match=r"config\['layers'\] is .* say run.config.update"):
            change(run.config["layers"])
    assert run.config.as_dict() == {"layers": [{"size": 8}, [1, {"k": 2}]]}


def test_yaml_writes_what_a_config_holds(run: tl.Run):
    """`yaml.safe_dump` takes nested values of `dict(run.config)` as the dicts and lists that they are."""
    yaml = pytest.importorskip("yaml")
    run.config.update({"opt": {"betas": [0.9, {"k": 1}]}})
    assert yaml.safe_load(yaml.safe_dump(dict(run.config))) == {"opt": {"betas": [0.9, {"k": 1}]}}
