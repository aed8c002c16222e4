"""The 90 recorded scenarios of the real W&B client: the same answers, but where a rule of semantics.md says better."""

from __future__ import annotations

import builtins
import datetime as dt
import decimal
import enum
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import tracklake as tl
from tracklake.errors import DefinitionError
from tracklake.schema import values

FOLDER = Path(__file__).resolve().parents[4] / "shared" / "wandb-scenarios"
NAMES = sorted(path.stem for path in (FOLDER / "scenarios").glob("*.json"))
UNSEEN = {"_runtime", "_timestamp", "_wandb"}
WHERE = (".path", ".sha256")
"""Entries of a saved array that tell where it is."""


class Outcome(NamedTuple):
    """What a scenario gave: every part with nested dicts flattened."""

    summary: dict[str, Any]
    history: list[dict[str, Any]]
    errors: dict[int, Any]
    reads: list[Any]


class Thing:
    """An object that nobody can store."""


DECODERS = {
    "$float": float,
    "$int": int,
    "$np": lambda x: np.dtype(x["dtype"]).type(decoded(x["value"])),
    "$ndarray": lambda x: array(x),  # noqa: PLW0108 - it is defined below
    "$torch": lambda x: pytest.importorskip("torch").from_numpy(array({"dtype": "float32", **x})),
    "$tuple": lambda x: tuple(decoded(x)),
    "$set": lambda x: set(decoded(x)),
    "$bytes": str.encode,
    "$datetime": dt.datetime.fromisoformat,
    "$decimal": decimal.Decimal,
    "$complex": lambda x: complex(*x),
    "$enum": lambda x: enum.Enum("Colour", {x: x.lower()})[x],
    "$object": lambda _: Thing(),
    "$pairs": lambda x: {decoded(key): decoded(value) for key, value in x},
    "$histogram": lambda x: tl.Histogram(**decoded(x)),
    "$series": lambda x: pytest.importorskip("pandas").Series(decoded(x)),
    "$dataframe": lambda x: pytest.importorskip("pandas").DataFrame(decoded(x)),
}


def decoded(value: Any) -> Any:
    """Return what a value of a scenario file stands for."""
    if isinstance(value, list):
        return [decoded(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1 and (name := next(iter(value))) in DECODERS:
        return DECODERS[name](value[name])
    return {key: decoded(item) for key, item in value.items()}


def array(said: dict[str, Any]) -> np.ndarray:
    found = np.arange(said["arange"]) if "arange" in said else np.array(decoded(said["data"]))
    found = found.astype(said["dtype"]) if "dtype" in said else found
    return found.reshape(said["shape"]) if "shape" in said else found


def flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Flatten nested dicts with dots."""
    items: dict[str, Any] = {}
    for key, inner in value.items():
        if isinstance(inner, Mapping) and inner:
            items |= flat(inner, f"{prefix}{key}.")
        else:
            items[prefix + key] = inner
    return {key: inner for key, inner in items.items() if key not in UNSEEN and not key.endswith(WHERE)}


def same(a: Any, b: Any) -> bool:
    """Compare by kind and value: 2 is 2.0 but not True, NaN is NaN, an int beyond int64 is its float."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if is_number(a) and is_number(b):
        return a == b or (math.isnan(a) and math.isnan(b))
    return type(a) is type(b) and bool(a == b)


def is_number(value: Any) -> bool:
    """Return whether a value is an int or a float, and no boolean."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def step_into(mapping: Any, path: Any) -> tuple[Any, Any]:
    """Follow all keys of a path but the last."""
    *parents, key = path if isinstance(path, list) else [path]
    for parent in parents:
        mapping = mapping[parent]
    return mapping, key


READS = {
    "summary": lambda run: dict(run.summary),
    "keys": lambda run: sorted(run.summary.keys()),
    "get": lambda run, arg: run.summary.get(*arg) if isinstance(arg, list) else run.summary.get(arg),
    "getitem": lambda run, arg: getitem(run.summary, arg),
    "getattr": lambda run, arg: getattr(run.summary, arg),
    "contains": lambda run, arg: arg in run.summary,
    "dict": lambda run: dict(run.summary),
    "json_dict": lambda run: run.summary._json_dict,
    "metrics": lambda run: run._metrics,
    "len": lambda run: len(run.summary),
    "iter": lambda run: sorted(run.summary),
    "items": lambda run: sorted(run.summary.items()),
    "step": lambda run: run.step,
    "config": lambda run: dict(run.config),
}


def getitem(mapping: Any, path: Any) -> Any:
    inner, key = step_into(mapping, path)
    return inner[key]


def perform(run: tl.Run, op: str, args: list[Any]) -> None:
    """Do one operation that answers nothing."""
    first = decoded(args[0]) if args else None
    more = decoded(args[1]) if len(args) > 1 else {}
    if op == "define_metric":
        run.define_metric(**first)
    elif op == "log":
        run.log(first, **more)
    elif op == "summary_set":
        inner, key = step_into(run.summary, first)
        inner[key] = more
    elif op == "summary_setattr":
        setattr(run.summary, first, more)
    elif op == "summary_update":
        getitem(run.summary, more["path"]).update(first) if "path" in more else run.summary.update(first)
    elif op == "summary_del":
        inner, key = step_into(run.summary, first)
        del inner[key]
    elif op == "config_update":
        run.config.update(first, **more)
    else:
        run.finish(**(first or {}))


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> tl.Lake:
    return tl.open(tmp_path_factory.mktemp("scenarios"), create=True)


def play(scenario: dict[str, Any], lake: tl.Lake) -> Outcome:
    """Run a scenario and read everything from the lake; the live summary must be the same."""
    run = tl.init("scenarios", id=scenario["name"], dir=lake.dir, config=decoded(scenario.get("config")))
    errors: dict[int, Any] = {}
    reads: list[Any] = []
    for number, (op, *args) in enumerate(scenario["ops"]):
        try:
            if op == "read":
                reads.append(READS[args[0]](run, *(decoded(arg) for arg in args[1:])))
            else:
                perform(run, op, args)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the result
            errors[number] = error
    live = run.summary._json_dict
    run.finish()
    stored = lake.run(run.id).summary._json_dict
    assert same(live, stored)
    reads = [flat(read) if isinstance(read, Mapping) else read for read in reads]
    return Outcome(flat(stored), history(lake, run.id), errors, reads)


def history(lake: tl.Lake, run_id: str) -> list[dict[str, Any]]:
    """Return the rows, without the keys that a row lacks."""
    rows = {step: {"_step": step} for step in lake.run(run_id).history()["_step"]}
    points = lake.scan_history(runs=run_id).select("step", "metric", "kind", "value", "ival", "text").collect()
    for step, metric, *stored in points.iter_rows():
        rows[step][metric] = values.restore(*stored)
    return [flat(rows[step]) for step in sorted(rows)]


def recorded(name: str) -> Outcome:
    """Return what W&B gave; its own error class stands for ours."""
    told = json.loads((FOLDER / "expected" / f"{name}.json").read_text())
    errors = {error["op"]: getattr(builtins, error["type"], DefinitionError) for error in told["errors"]}
    reads = [decoded(read["value"]) for read in told["reads"]]
    return Outcome(
        summary=flat(decoded(told["summary"])),
        history=[flat(decoded(row)) for row in told["history"]],
        errors=errors,
        reads=[flat(read) if isinstance(read, Mapping) else read for read in reads],
    )


def differences(got: Outcome, wanted: Outcome) -> set[str]:
    """Name the parts that are not the same; an error may be of a class derived from the one wanted."""
    found = {part for part in ("summary", "history", "reads") if not same(getattr(got, part), getattr(wanted, part))}
    right = got.errors.keys() == wanted.errors.keys() and all(
        isinstance(error, wanted.errors[number]) for number, error in got.errors.items()
    )
    return found if right else found | {"errors"}


ROW = [{"_step": 0, "a.b": 2}]
# fmt: off
DEVIATIONS: dict[str, tuple[int, dict[str, Any]]] = {
    "agg_space_after_comma": (14, {"errors": {}, "summary": {"_step": 2, "loss.min": 1, "loss.max": 3}}),
    "exact_after_glob_expansion_merges": (18, {"summary": {"_step": 1, "t1.max": 5}}),
    "glob_dotted_key_beside_its_prefix_random": (9, {"summary": {"_step": 1, "a.min": 5, "a.b.min": 2}}),
    "key_empty": (7, {"errors": {0: ValueError}, "history": [], "summary": {}}),
    "key_flat_dot_and_nested_both": (8, {"history": ROW, "summary": ROW[0]}),
    "key_glob_flat_dot": (8, {"summary": {"_step": 1, "a.b.min": 2}}),
    "late_glob_redefinition_ignored": (
        18,
        {"summary": {"_step": 2, "train/loss.min": 1, "train/loss.max": 5, "train/new.min": 7, "train/new.max": 7}},
    ),
    "late_none_no_more_logs": (19, {"summary": {"_step": 1}}),
    "log_step_after_implicit_commit": (3, {"history": [{"_step": 0, "a": 2}, {"_step": 1, "a": 4}]}),
    "max_inf_then_nan": (22, {"summary": {"_step": 2, "a.min": 1, "a.max": math.inf}}),
    "step_metric_dotted_flat_key": (
        8,
        {"history": [{"_step": 0, "t.epoch": 3}, {"_step": 1, "loss": 5, "t.epoch": 3}]},
    ),
    "sum_commit_false_then_set_then_finish": (24, {"summary": {"_step": 0, "x": 100}}),
    "sum_del_min_then_log": (24, {"summary": {"_step": 2, "a.min": 1, "a.mean": 8 / 3, "a.last": 5, "a.first": 1}}),
    "sum_dotted_key": (8, {"summary": {"_step": 0, "a.b": 2}}),
    "sum_glob_min_set_then_log": (24, {"summary": {"_step": 2, "x1.min": 1}}),
    "sum_min_update_dict": (24, {"summary": {"_step": 1, "x.min": 5}}),
    "sum_set_nan_over_logged": (26, {"summary": {"_step": 0, "x": math.nan}}),
    "val_bool": (22, {"summary": {"_step": 1, "x": False, "y.min": 0, "y.max": 1, "y.mean": 0.5, "y.last": False}}),
    "val_misc_types_summary": (
        10,
        {
            "summary": {
                "after": 1, "by": "abc", "co": "1+2j", "de": "1.5", "dt": "2024-01-02T03:04:05", "en": "red",
                "se": [3], "t": [1, 2],
            }
        },
    ),
    "val_nan_min_middle": (
        22,
        {"summary": {"_step": 2, "x.min": 1, "x.max": 2, "x.mean": 1.5, "x.last": 2, "x.first": 1}},
    ),
    "val_ndarray_bool_int8_summary": (
        11,
        {
            "errors": {},
            "summary": {
                "b": {
                    "_type": "numpy.ndarray", "size": 40, "shape": [40], "dtype": "bool", "nonfinite": 0,
                    "min": 0, "max": 1, "mean": 0.5, "var": 0.25, "std": 0.5,
                    "10%": 0, "25%": 0, "50%": 0.5, "75%": 1, "90%": 1,
                },
                "i": {
                    "_type": "numpy.ndarray", "size": 100, "shape": [100], "dtype": "int8", "nonfinite": 0,
                    "min": 0, "max": 99, "mean": 49.5, "var": 833.25, "std": 28.86607004772212,
                    "10%": 9.9, "25%": 24.75, "50%": 49.5, "75%": 74.25, "90%": 89.10000000000001,
                },
            },
        },
    ),
    "val_ndarray_nan_summary": (
        11,
        {
            "summary": {
                "a": {
                    "_type": "numpy.ndarray", "size": 41, "shape": [41], "dtype": "float64", "nonfinite": 1,
                    "min": 1, "max": 1, "mean": 1, "var": 0, "std": 0,
                    "10%": 1, "25%": 1, "50%": 1, "75%": 1, "90%": 1,
                },
            }
        },
    ),
    "val_numpy_scalars_summary_set": (
        26,
        {
            "summary": {
                "b": True,
                "f32": 0.10000000149011612,
                "i8": -5,
                "inf32": math.inf,
                "nan32": math.nan,
                "nan64": math.nan,
            }
        },
    ),
    "val_torch_33_summary": (
        11,
        {
            "summary": {
                "a": {
                    "_type": "torch.Tensor", "size": 33, "shape": [33], "dtype": "float32", "nonfinite": 0,
                    "min": 0, "max": 32, "mean": 16, "var": 90.66666666666667, "std": 9.521904571390467,
                    "10%": 3.2, "25%": 8, "50%": 16, "75%": 24, "90%": 28.8,
                },
                "s": list(range(32)),
                "z": 1.5,
            }
        },
    ),
    "val_string_all": (22, {"summary": {"_step": 1, "s.last": "a", "s.first": "b"}}),
}
# fmt: on
"""What tracklake gives where it does better: the rule of semantics.md that says so, and the parts that differ."""

needs_the_scenarios = pytest.mark.skipif(not NAMES, reason="the recorded scenarios do not lie beside this checkout")


@pytest.mark.filterwarnings("ignore:tracklake")
@pytest.mark.parametrize("name", NAMES)
def test_scenario(name: str, lake: tl.Lake):
    """A scenario gives what W&B gave, or where a better rule holds, what that rule says."""
    got = play(json.loads((FOLDER / "scenarios" / f"{name}.json").read_text()), lake)
    wanted = recorded(name)
    _, better = DEVIATIONS.get(name, (0, {}))
    better = {part: flat(told) if part == "summary" else told for part, told in better.items()}
    assert differences(got, wanted._replace(**better)) == set(), got
    assert differences(got, wanted) == better.keys()


@needs_the_scenarios
def test_deviations_are_scenarios():
    """Every deviation that is listed belongs to a scenario, and names one of the 33 rules."""
    assert DEVIATIONS.keys() <= set(NAMES)
    assert {rule for rule, _ in DEVIATIONS.values()} <= set(range(1, 34))


@needs_the_scenarios
def test_there_are_ninety_scenarios():
    """All the scenarios that were recorded are played."""
    assert len(NAMES) == 90
