"""A sweep's config is W&B's, checked before anything is written."""

from __future__ import annotations

import math
import statistics
from pathlib import Path

import pytest

import tracklake as tl
from tracklake.sweeping import command, hyperband, search, space
from tracklake.sweeping.config import SweepConfig
from tracklake.sweeping.distributions import describe

LR = {"lr": {"values": [0.1, 0.01]}}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"parameters": {}}, "parameters is missing"),
        ({"method": "gird", "parameters": LR}, "unknown method 'gird'; did you mean 'grid'"),
        ({"metod": "grid", "parameters": LR}, "unknown key of a sweep's config: 'metod'; did you mean 'method'"),
        ({"method": "bayes", "parameters": LR}, "'bayes' needs a metric"),
        ({"method": "grid", "parameters": {"lr": {"min": 0.0, "max": 1.0}}}, "lr has no end"),
        ({"parameters": {"lr": {"min": 2, "max": 1}}}, "parameter 'lr': min 2 is above max 1"),
        ({"parameters": {"lr": {"distribution": "unifrom", "min": 0, "max": 1}}}, "did you mean 'uniform'"),
        ({"parameters": {"lr": {"value": 1, "mim": 2}}}, "unknown key of parameter 'lr': 'mim'; did you mean 'min'"),
        ({"parameters": {"lr": {"distribution": "log_uniform_values", "min": 0, "max": 1}}}, "min above 0"),
        ({"parameters": {"lr": {"values": []}}}, "one value at least"),
        ({"parameters": {"lr": {"values": [1, 2], "probabilities": [1]}}}, "1 probabilities for 2 values"),
        ({"parameters": {"lr": 0.1}}, r"parameter 'lr' is 0.1; a mapping such as {'value': 0.1}"),
        ({"parameters": LR, "run_cap": 0}, "run_cap is 0"),
        ({"parameters": LR, "metric": {"name": "a", "goal": "up"}}, "unknown goal 'up'"),
        ({"parameters": LR, "metric": {"name": "a"}, "early_terminate": {"type": "hyperband"}}, "min_iter, or max"),
        (
            {"parameters": LR, "metric": {"name": "a", "impute_while_running": "lates"}},
            "impute_while_running 'lates'; did",
        ),
        ({"parameters": LR, "metric": {"name": "a", "target": "0.9"}}, "target of metric is '0.9'; a number is meant"),
        ({"parameters": LR, "metric": {"nam": "a"}}, "metric is {'nam': 'a'}; {'name': 'val/loss'"),
        (
            {"parameters": LR, "metric": {"name": "a", "gaol": "max"}},
            "key of metric: .gaol.; did you mean .goal",
        ),
        ({"parameters": LR, "early_terminate": {"type": "hyperband", "min_itr": 3}}, "did you mean 'min_iter'"),
        ({"parameters": LR, "job": "j"}, "job of a sweep's config means nothing here; name the program"),
    ],
)
def test_a_wrong_config_is_refused(config: dict, message: str, tmp_path: Path):
    """The error names the thing, what was given, and the nearest; the lake is not even made."""
    with pytest.raises(tl.TracklakeError, match=message):
        tl.sweep(config, dir=tmp_path / "lake")
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize(
    ("about", "kind"),
    [
        ({"value": 1}, "constant"),
        ({"values": [1]}, "categorical"),
        ({"values": [1], "probabilities": [1]}, "categorical_w_probabilities"),
        ({"min": 1, "max": 3}, "int_uniform"),
        ({"min": 1, "max": 3.0}, "uniform"),
        ({"distribution": "normal"}, "normal"),
    ],
)
def test_the_distribution_that_keys_mean(about: dict, kind: str):
    """Without a distribution the keys say which one it is."""
    assert space.read({"x": about})[0].kind == kind


@pytest.mark.parametrize(
    ("about", "at_half"),
    [
        ({"distribution": "uniform", "min": 0, "max": 4}, 2),
        ({"distribution": "log_uniform", "min": math.log(0.01), "max": 0}, 0.1),
        ({"distribution": "log_uniform_values", "min": 0.01, "max": 1}, 0.1),
        ({"distribution": "inv_log_uniform_values", "min": 0.01, "max": 1}, 0.1),
        ({"distribution": "inv_log_uniform", "min": math.log(1), "max": math.log(100)}, 0.1),
        ({"distribution": "normal", "mu": 3, "sigma": 2}, 3),
        ({"distribution": "log_normal", "mu": 0}, 1),
        ({"distribution": "beta", "a": 2, "b": 2}, 0.5),
        ({"distribution": "q_uniform", "min": 0, "max": 100, "q": 8}, 48),
        ({"distribution": "q_log_uniform_values", "min": 16, "max": 256, "q": 8}, 64),
        ({"distribution": "q_normal", "mu": 10, "q": 4}, 8),
        ({"distribution": "q_beta", "q": 0.25}, 0.5),
    ],
)
def test_the_median_of_a_distribution(about: dict, at_half: float):
    """Half of a distribution lies below its median; whole multiples stay whole numbers."""
    (distribution,) = space.read({"x": about})
    value = distribution.quantile(0.5)
    assert value == pytest.approx(at_half)
    assert isinstance(value, int) == isinstance(about.get("q"), int)


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [
        ("uniform", 0.1, 0.7),
        ("log_uniform_values", 1e-5, 0.1),
        ("log_uniform_values", 3e-4, 3.0),
        ("inv_log_uniform_values", 1e-4, 0.3),
        ("int_uniform", 1, 9),
    ],
)
def test_the_ends_of_a_range_are_drawn_and_never_left(kind: str, low: float, high: float):
    """Rounding on a logarithmic scale makes no value that is below min or above max."""
    distribution = describe("x", kind, {"min": low, "max": high})
    ends = [distribution.quantile(u) for u in (0.0, 1.0)]
    assert sorted(ends) == pytest.approx([low, high], rel=1e-12)
    assert all(low <= end <= high for end in ends)
    assert all(distribution.latent(end) is not None for end in ends)


def test_probabilities_are_followed():
    """Values come as often as they are to."""
    (distribution,) = space.read({"x": {"values": ["a", "b"], "probabilities": [0.9, 0.1]}})
    generator = search.generator_of("seed")
    drawn = [distribution.quantile(generator.random()) for _ in range(2000)]
    assert statistics.mean(value == "a" for value in drawn) == pytest.approx(0.9, abs=0.03)


def test_nested_parameters_become_nested_config():
    """`parameters` below a parameter nest, and dotted names do not clash with them."""
    config = SweepConfig({"method": "random", "parameters": {"opt": {"parameters": {"lr": {"value": 0.1}}}}})
    assert space.nest({p.name: p.quantile(0) for p in config.parameters}) == {"opt": {"lr": 0.1}}


def test_a_config_without_a_method_gets_a_sensible_one(tmp_path: Path):
    """Few points are a grid, a metric asks for bayes, else it is random; it is told."""
    metric = {"metric": {"name": "loss"}}
    ranges = {"parameters": {"lr": {"min": 0.0, "max": 1.0}}}
    assert [SweepConfig(c).method for c in ({"parameters": LR}, ranges, ranges | metric)] == ["grid", "random", "bayes"]
    with pytest.warns(UserWarning, match="names no method: grid is taken"):
        tl.sweep({"parameters": LR}, dir=tmp_path)


def test_keys_that_mean_nothing_are_told(tmp_path: Path):
    """What W&B's schema has for its own machinery is accepted, and said to mean nothing."""
    with pytest.warns(UserWarning, match="apiVersion, kind of a sweep's config means nothing here"):
        tl.sweep({"apiVersion": "1", "kind": "sweep", "method": "grid", "parameters": LR}, dir=tmp_path)


def test_grid_of_every_point():
    """The points of a grid are the product of the values, the last parameter varying fastest."""
    parameters = space.read({"a": {"values": [1, 2]}, "b": {"min": 0, "max": 2}, "c": {"value": "x"}})
    points = [tuple(search.grid_point(parameters, n).values()) for n in range(6)]
    assert points == [(1, 0, "x"), (1, 1, "x"), (1, 2, "x"), (2, 0, "x"), (2, 1, "x"), (2, 2, "x")]


def test_hyperband_as_wandb_has_it():
    """The example of W&B's own sweeps: of five trials, b is behind at the second band, c passes the first alone."""
    bands = hyperband.read({"type": "hyperband", "max_iter": 5, "eta": 2, "s": 2})
    assert bands is not None
    losses = [[10, 9], [10, 10], [10, 8, 8], [10, 7, 7], [10, 6, 6]]
    assert [hyperband.should_stop(values, losses, bands) for values in losses] == [True, True, False, False, False]


@pytest.mark.parametrize(
    ("macro", "words"),
    [
        ("${args}", ["--lr=0.1", "--fast=True"]),
        ("${args_no_equals}", ["--lr", "0.1", "--fast", "True"]),
        ("${args_no_hyphens}", ["lr=0.1", "fast=True"]),
        ("${args_no_boolean_flags}", ["--lr=0.1", "--fast"]),
        ("${args_json}", ['{"lr": 0.1, "fast": true}']),
        ("${args_append_hydra}", ["+lr=0.1", "+fast=True"]),
        ("${args_override_hydra}", ["++lr=0.1", "++fast=True"]),
        ("${envvar:SEED}", ["7"]),
        ("${program}", ["train.py"]),
    ],
)
def test_macros(macro: str, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Each macro of a command becomes the words that W&B makes of it."""
    monkeypatch.setenv("SEED", "7")
    config = SweepConfig({"program": "train.py", "command": ["run", macro], "parameters": LR})
    assert command.of_trial(config, {"lr": 0.1, "fast": True}, folder=tmp_path) == ["run", *words]


def test_names_with_dots_in_a_command():
    """A parameter whose name has dots is a word with dots, as Hydra takes it, and one name in the config."""
    parameters = {"optimizer.config.lr": {"value": 0.1}, "data": {"parameters": {"size": {"value": 8}}}}
    config = SweepConfig({"program": "main.py", "command": ["${args_no_hyphens}"], "parameters": parameters})
    point = search.grid_point(config.parameters, 0)
    assert command.of_trial(config, point, folder=Path()) == ["optimizer.config.lr=0.1", "data.size=8"]
    assert space.nest(point) == {"optimizer.config.lr": 0.1, "data": {"size": 8}}


def test_an_unknown_macro_names_the_nearest(tmp_path: Path):
    """A macro that is none is refused."""
    config = SweepConfig({"program": "train.py", "command": ["${args_jsn}"], "parameters": LR})
    with pytest.raises(tl.TracklakeError, match=r"args_jsn.*did you mean.*args_json"):
        command.of_trial(config, {}, folder=tmp_path)
