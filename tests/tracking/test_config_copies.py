"""What is nested in a config is copied as a plain value by whatever copies it."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import tracklake as tl


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
