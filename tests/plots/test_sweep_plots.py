"""Plots of comparisons and sweeps: what they draw, and what they say is left out."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import tracklake as tl
from tracklake.analysis import comparison
from tracklake.errors import DefinitionError, UnknownNameError
from tracklake.plots import binning, png, sweep_figures, sweep_marks

LONG = f"{'deep_' * 12}name"


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> tl.Lake:
    """60 runs: acc follows lr (0.1, 0.01, 0.001), size is 1, 10, 100 or 1000; those of adam with lr 0.1 failed."""
    folder = tmp_path_factory.mktemp("sweep")
    for i in range(60):
        lr, opt = (0.1, 0.01, 0.001)[i % 3], "sgd" if i < 30 else "adam"
        config = {"lr": lr, "opt": opt, "seed": i, LONG: i % 7, **({"momentum": i / 60} if opt == "sgd" else {})}
        run = tl.init("p", id=f"r{i:02}", config=config, dir=folder)
        run.log({"acc": 0.5 + 0.1 * (i % 3) + i / 1000, "size": 10 ** (i % 4)})
        run.finish(exit_code=1 if lr == 0.1 and opt == "adam" else 0)
    return tl.open(folder)


@pytest.fixture(scope="module")
def sweep(lake: tl.Lake):
    """The sweep of these runs."""
    return lake.sweep(metric="acc", goal="max")


def test_leaderboard_has_the_best_group_on_top(lake: tl.Lake):
    """A row a group: its runs, its center and interval, and the verdict of its test."""
    found = lake.compare("acc", by="lr", goal="max")
    data = lake.plot.leaderboard(found).data
    assert data.select("group", "row", "n").rows() == [
        ("0.001 (20 runs)", 0, 20), ("0.01 (20 runs)", 1, 20), ("0.1 (10 runs)", 2, 10),
    ]  # fmt: skip
    assert data["value"].to_list() == found.table["mean"].to_list()
    assert data["verdict"].to_list() == ["baseline", "worse", "worse"]


def test_leaderboard_draws_groups_of_every_verdict():
    """No group is left out for what its test said: each verdict has a colour."""
    assert set(sweep_marks.VERDICTS) == set(comparison.VERDICTS)


def test_leaderboard_tells_what_is_left_out(lake: tl.Lake):
    """Failed runs, and the groups beyond the limit, are counted."""
    plot = lake.plot.leaderboard(lake.compare("acc", by="lr", goal="max"), limit=2)
    assert plot.notes == (
        "Bars: 95% bootstrap interval. Grey: single runs.",
        "Shown: the best 2 of 3 groups.",
        "Not drawn: 10 runs of 60, failed or without a finite acc.",
    )


def test_leaderboard_axis_is_not_stretched_by_a_stray_run(tmp_path: Path):
    """A run far beyond the intervals is counted, not drawn: else all others would look alike."""
    for seed in range(30):
        for lr in (0.1, 0.2):
            with tl.init("p", config={"lr": lr, "seed": seed}, dir=tmp_path) as run:
                run.log({"loss": -1e9 if (seed, lr) == (0, 0.1) else lr + seed / 1000})
    lake = tl.open(tmp_path)
    plot = lake.plot.leaderboard(lake.compare("loss", by="lr", goal="min", center="median"))
    assert "Beyond the axis: 1 run." in plot.notes


def test_leaderboard_without_groups(lake: tl.Lake):
    """All runs may be one group; it is named so."""
    data = lake.plot.leaderboard(lake.compare("acc", by=[], goal="max")).data
    assert data.select("group", "n").rows() == [("all (50 runs)", 50)]


def test_importance_names_what_failed_runs_have_in_common(lake: tl.Lake, sweep):
    """A bar a parameter, the most important first; and which one tells the failed runs."""
    plot = lake.plot.importance(sweep)
    assert plot.data["name"][0] == "config.lr"
    assert plot.data["importance"].is_sorted(descending=True)
    assert plot.notes[1].startswith("From 50 runs.")


def test_importance_is_of_as_many_best_runs_as_the_table_takes(lake: tl.Lake, sweep):
    """Of 50 runs the ten best, as in the table; of a quantile that is given, as many."""
    assert lake.plot.importance(sweep).notes[0] == "PED-ANOVA: what tells the best 20% of the runs from all."
    assert lake.plot.importance(sweep).data["importance"].to_list() == sweep.importance()["importance"].to_list()
    assert "the best 10%" in lake.plot.importance(sweep, quantile=0.1).notes[0]


def test_marginal_of_a_number(lake: tl.Lake, sweep):
    """Few numbers are places of their own, with the failed runs counted."""
    data = lake.plot.marginal(sweep, "lr").data
    assert data.select("x", "n", "n_failed").rows() == [(0.001, 20, 0), (0.01, 20, 0), (0.1, 10, 10)]


def test_marginal_of_a_text(lake: tl.Lake, sweep):
    """Texts are places in their order."""
    assert lake.plot.marginal(sweep, "opt").data.select("x", "n").rows() == [("adam", 20), ("sgd", 30)]


def test_marginal_of_many_texts_keeps_those_of_most_runs(tmp_path: Path):
    """Beyond twenty texts those of most runs are shown, and it is told."""
    for i in range(50):
        with tl.init("p", config={"kind": f"k{min(i, 24):02}"}, dir=tmp_path) as run:
            run.log({"acc": i / 50})
    lake = tl.open(tmp_path)
    plot = lake.plot.marginal(lake.sweep(metric="acc", goal="max"), "kind")
    assert (plot.data.height, plot.data["x"][-1]) == (20, "k24")
    assert "Shown: the 20 of 25 values with most runs." in plot.notes


@pytest.mark.parametrize(("name", "drawn"), [("lr", False), ("note", True)])
def test_marginal_draws_adjusted_means_beside_other_parameters(tmp_path: Path, name: str, drawn: bool):
    """They are drawn where another parameter may be evened out; a text that differs in each run is none."""
    for i in range(12):
        with tl.init("p", config={"note": f"n{i}", "lr": i % 2}, dir=tmp_path) as run:
            run.log({"acc": float(i)})
    lake = tl.open(tmp_path)
    spec = lake.plot.marginal(lake.sweep(metric="acc", goal="max"), name).spec
    assert ("adjusted" in {layer["encoding"]["y"]["field"] for layer in spec["layer"]}) == drawn


def test_marginal_of_a_conditional_parameter(lake: tl.Lake, sweep):
    """Runs without the parameter are not drawn; each stretch of a number has some runs."""
    data = lake.plot.marginal(sweep, "momentum").data
    assert data["n"].sum() == 30
    assert data.height == 4


def test_pareto_keeps_the_runs_behind(lake: tl.Lake, sweep):
    """The front is marked, the other runs have none; a metric whose goal is given needs no definition."""
    plot = lake.plot.pareto(sweep, {"acc": "max", "size": "min"})
    front = plot.data.filter(pl.col("front") == 1)
    assert front["run"].to_list() == sweep.pareto({"acc": "max", "size": "min"})["run_id"].to_list()
    assert plot.data.height == 50
    assert plot.notes[-1] == "Not drawn: 10 runs of 60, failed or without both."


def test_pareto_with_the_others(sweep):
    """`others` keeps the runs behind the front, after it."""
    found = sweep.pareto({"acc": "max", "size": "min"}, others=True)
    assert found.height == 50
    assert found["front"].is_sorted(nulls_last=True)


@pytest.mark.parametrize("metrics", [{"acc": "max"}, {"acc": "max", "size": "min", "seed": "min"}, "acc"])
def test_pareto_of_more_than_two_is_refused(lake: tl.Lake, sweep, metrics):
    """A picture has two axes."""
    with pytest.raises(DefinitionError, match=r"needs two metrics, not .*; sweep\.pareto answers for more"):
        lake.plot.pareto(sweep, metrics)


def test_parallel_of_a_sweep(lake: tl.Lake, sweep):
    """A sweep brings its parameters and its metric: an axis each."""
    plot = lake.plot.parallel(sweep)
    assert plot.data["axis"].n_unique() == 5
    assert plot.data.height == 5 * 50
    with pytest.raises(DefinitionError, match="name a metric, or give a sweep"):
        lake.plot.parallel(["lr"])


def test_many_runs_are_thinned_to_places():
    """Of more points than can be drawn one is kept of each place, where there are any."""
    points = pl.DataFrame({"x": np.tile(np.arange(100.0), 50), "y": np.repeat(np.arange(50.0), 100)})
    assert sweep_figures._thinned(points, "x", "y").height == 60 * 30
    assert sweep_figures._thinned(points.head(2000), "x", "y").height == 2000


@pytest.mark.parametrize(
    ("draw", "says"),
    [
        (lambda lake: lake.plot.leaderboard(lake.compare("acc", by="lr", goal="max", runs=[])), "no run matches"),
        (lambda lake: lake.plot.leaderboard(lake.compare("acc", by="lr", goal="max", runs=["r30"])), "of it"),
        (lambda lake: lake.plot.importance(lake.sweep(metric="acc", goal="max", runs=[])), "no run matches"),
        (lambda lake: lake.plot.importance(lake.sweep(metric="acc", goal="max", runs=["r01"])), "no parameter varies"),
        (lambda lake: lake.plot.marginal(lake.sweep(metric="acc", goal="max", runs=["r30", "r33"]), LONG), "of it"),
        (lambda lake: lake.plot.parallel(lake.sweep(metric="acc", goal="max", runs=["r01"])), "no parameter varies"),
        (
            lambda lake: lake.plot.pareto(
                lake.sweep(metric="acc", goal="max", runs=["r30"]), {"acc": "max", "size": "min"}
            ),
            "no run has both",
        ),
    ],
)
def test_nothing_to_draw_is_said_in_the_picture(lake: tl.Lake, tmp_path: Path, draw, says: str):
    """Without anything to draw, the picture says why."""
    plot = draw(lake)
    assert plot.data.is_empty()
    assert says in plot.save(tmp_path / "empty.svg").read_text()


@pytest.mark.parametrize(
    "draw",
    [
        lambda lake, _: lake.plot.leaderboard(lake.compare("acc", by=["lr", LONG], goal="max")),
        lambda lake, sweep: lake.plot.importance(sweep),
        lambda lake, sweep: lake.plot.marginal(sweep, LONG),
        lambda lake, sweep: lake.plot.marginal(sweep, "opt"),
        lambda lake, sweep: lake.plot.pareto(sweep, {"acc": "max", "size": "min"}),
        lambda lake, sweep: lake.plot.parallel(sweep),
        lambda lake, _: lake.plot.marginal(lake.sweep(metric="acc", goal="max", runs=["r01", "r02"]), "lr"),
    ],
)
def test_all_are_drawn(lake: tl.Lake, sweep, tmp_path: Path, draw):
    """Each is a sound chart, saved as a picture that loads nothing; long names and few runs are no trouble."""
    plot = draw(lake, sweep)
    assert plot.chart.to_dict(validate=True)
    content = plot.save(tmp_path / "x.svg").read_text()
    assert content.startswith("<svg")
    assert "href=" not in content


def test_unknown_parameter_names_the_nearest(lake: tl.Lake, sweep):
    """A parameter that does not vary is refused with the nearest that does."""
    with pytest.raises(UnknownNameError, match="did you mean 'lr'"):
        lake.plot.marginal(sweep, "lrr")


@pytest.mark.parametrize(
    ("low", "high", "log", "bounds"), [(1.0, 1.0, False, (0.5, 1.5)), (4.0, 4.0, True, (2.0, 8.0))]
)
def test_an_axis_of_one_value_has_room(low: float, high: float, log, bounds):
    """A single value stands in the middle of its axis."""
    assert binning.around(pl.Series([low, high]), log=log) == bounds


# PNG


def rgba(pixels: np.ndarray) -> bytes:
    """Return a PNG as vl-convert writes it: RGBA, each row as differences to the left."""
    height, width, _ = pixels.shape
    left = np.diff(pixels, axis=1, prepend=np.zeros((height, 1, 4), np.uint8))
    rows = np.hstack([np.ones((height, 1), np.uint8), left.reshape(height, -1)])
    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b"")]
    return png._SIGNATURE + b"".join(png._chunk(*chunk) for chunk in chunks)


@pytest.mark.parametrize("colours", [3, 5000])
def test_a_smaller_png_is_the_same_picture(colours: int):
    """With a palette or without, every pixel keeps its colour, and each chunk its checksum."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (colours, 4), np.uint8)[rng.integers(0, colours, (80, 90))]
    pixels[..., 3] = 255
    made = png.smaller(rgba(pixels))
    assert png.size(made) == (90, 80)
    assert (decoded(made) == pixels[..., :3]).all()


def decoded(made: bytes) -> np.ndarray:
    """Read a PNG of plain rows: RGB, or places in a palette."""
    chunks = dict(png._chunks(made))
    assert made == png._SIGNATURE + b"".join(png._chunk(*chunk) for chunk in png._chunks(made))
    width, height = png.size(made)
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, -1)
    if b"PLTE" in chunks:
        return np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(-1, 3)[rows[:, 1:]]
    return rows[:, 1:].reshape(height, width, 3)


def test_a_translucent_png_stays_as_it_is():
    """What could not be the same without alpha is not touched."""
    given = rgba(np.full((4, 5, 4), 7, np.uint8))
    assert png.smaller(given) == given
