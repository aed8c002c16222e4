"""What a public call is given is checked at the door: an error names the parameter, what came, and what is accepted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tracklake as tl
from tracklake.errors import TracklakeError

LOSS = {"by": "lr", "goal": "min", "draws": 10}
"""What `compare` needs beside the metric."""


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> tl.Lake:
    """A lake with four runs of project p: lr 0.1 and 0.2 by seed 0 and 1, with loss, acc and a text."""
    folder = tmp_path_factory.mktemp("lake")
    for lr in (0.1, 0.2):
        for seed in range(2):
            with tl.init("p", id=f"r{lr}-{seed}", config={"lr": lr, "seed": seed}, dir=folder) as run:
                for step in range(5):
                    run.log({"loss": 1 / (step + 1) + lr + seed / 100, "acc": step * lr, "note": "x"})
    return tl.open(folder)


def sweep(lake: tl.Lake) -> Any:
    return lake.sweep(metric="loss", goal="min")


def run(lake: tl.Lake) -> Any:
    return tl.Api(lake.dir).run("r0.1-0")


Ask = Callable[[tl.Lake, Any], Any]

GOALS = "'min', 'max', 'minimize', 'maximize'"
METHODS = "'ped-anova', 'fanova', 'permutation'"
WORDS: dict[str, tuple[Ask, str, str]] = {
    "summaries": (lambda lake, w: lake.summaries("loss", shape=w), "shape", "'long', 'wide'"),
    "history": (lambda lake, w: lake.history("loss", shape=w), "shape", "'long', 'wide'"),
    "stream": (lambda lake, w: lake.history("loss", stream=w), "stream", "'metrics', 'system'"),
    "system shape": (lambda lake, w: lake.history(stream="system", shape=w), "shape", "'long', 'wide'"),
    "at_best": (lambda lake, w: lake.at_best("loss", goal=w), "goal", GOALS),
    "export": (lambda lake, w: lake.export("out", form=w), "form", "'parquet', 'csv', 'jsonl'"),
    "export run": (lambda lake, w: lake.export("out", run="r0.1-0", form=w), "form", "'parquet', 'csv', 'jsonl'"),
    "compare goal": (lambda lake, w: lake.compare("loss", by="lr", goal=w), "goal", GOALS),
    "center": (lambda lake, w: lake.compare("loss", **LOSS, center=w), "center", "'mean', 'median', 'iqm'"),
    "unit": (lambda lake, w: lake.compare("loss", **LOSS, unit=w), "unit", "'run', 'task'"),
    "test": (lambda lake, w: lake.compare("loss", **LOSS, test=w), "test", "'auto', 't', 'rank'"),
    "failed": (lambda lake, w: lake.compare("loss", **LOSS, failed=w), "failed", "'exclude', 'include'"),
    "sweep": (lambda lake, w: lake.sweep(metric="loss", goal="min", failed=w), "failed", "'exclude', 'include'"),
    "sweep goal": (lambda lake, w: lake.sweep(metric="loss", goal=w), "goal", GOALS),
    "at_budget": (lambda lake, w: lake.at_budget({"step": 1}, metric="loss", goal=w), "goal", GOALS),
    "time_to": (lambda lake, w: lake.time_to("loss", 0.3, goal=w), "goal", GOALS),
    "area_under": (lambda lake, w: lake.area_under("loss", best_so_far=True, goal=w), "goal", GOALS),
    "learning_curves": (lambda lake, w: lake.learning_curves("loss", best_so_far=True, goal=w), "goal", GOALS),
    "quality": (lambda lake, w: lake.quality("loss", goal=w), "goal", GOALS),
    "importance": (lambda lake, w: sweep(lake).importance(method=w), "method", METHODS),
    "pareto": (lambda lake, w: sweep(lake).pareto({"acc": w, "loss": "min"}), "goal", GOALS),
    "replay": (lambda lake, w: sweep(lake).replay([w]), "early_stopping", "'asha', 'hyperband', 'median'"),
    "curves": (lambda lake, w: lake.plot.curves("loss", band=w), "band", "'range', 'deciles', 'std', 'none', None"),
    "heatmap": (lambda lake, w: lake.plot.heatmap("lr", "seed", "loss", goal=w), "goal", GOALS),
    "ecdf": (lambda lake, w: lake.plot.ecdf("loss", goal=w), "goal", GOALS),
    "parallel": (lambda lake, w: lake.plot.parallel(["lr"], "loss", goal=w), "goal", GOALS),
    "plot importance": (lambda lake, w: lake.plot.importance(sweep(lake), method=w), "method", METHODS),
    "plot pareto": (lambda lake, w: lake.plot.pareto(sweep(lake), {"acc": w, "loss": "min"}), "goal", GOALS),
    "api history": (lambda lake, w: run(lake).history(stream=w), "stream", "'default', 'system', 'events'"),
    "resume": (
        lambda lake, w: tl.init(dir=lake.dir, resume=w),
        "resume",
        "'allow', 'must', 'never', 'auto', True, False, None",
    ),
    "mode": (
        lambda lake, w: tl.init(dir=lake.dir, mode=w),
        "mode",
        "'online', 'offline', 'disabled', 'shared', None",
    ),
    "reinit": (
        lambda lake, w: tl.init(dir=lake.dir, reinit=w),
        "reinit",
        "'default', 'create_new', 'finish_previous', 'return_previous', True, False, None",
    ),
    "durability": (lambda lake, w: tl.init(dir=lake.dir, durability=w), "durability", "'write', 'fsync', 'buffered'"),
}


@pytest.mark.parametrize("call", WORDS)
def test_a_word_that_is_none_of_those_accepted(lake: tl.Lake, call: str):
    """Where one of several words is wanted, anything else is refused with the list of them."""
    ask, name, accepted = WORDS[call]
    with pytest.raises(TracklakeError) as raised:
        ask(lake, "exlude")
    assert str(raised.value) == f"{name}='exlude'; accepted are {accepted}"


def test_a_word_of_an_odd_type(lake: tl.Lake):
    """A list with the right word is not the word."""
    with pytest.raises(TracklakeError, match=r"shape=\['wide'\]; accepted are 'long', 'wide'"):
        lake.history("loss", shape=["wide"])  # type: ignore[arg-type]
    with pytest.raises(TracklakeError, match=r"resume=1; accepted are 'allow', 'must', 'never', 'auto', True, False"):
        tl.init(dir=lake.dir, resume=1)  # type: ignore[arg-type]


def test_refused_before_anything_is_written(lake: tl.Lake):
    """An export into a form that is not there makes no folder."""
    with pytest.raises(TracklakeError, match="form='xml'"):
        lake.export(Path(lake.dir) / "out", form="xml")  # type: ignore[arg-type]
    assert not (Path(lake.dir) / "out").exists()
