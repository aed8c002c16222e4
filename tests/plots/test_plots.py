"""Plots: what they draw, what they say, and that they can be saved offline."""

from __future__ import annotations

import struct
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import tracklake as tl
from tracklake.errors import TracklakeError, UnknownNameError
from tracklake.plots import bands, binning, curves, encodings, scatter
from tracklake.plots.binning import binned, wants_log
from tracklake.plots.parallel_axes import placed

NAN = float("nan")


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> tl.Lake:
    """Two learning rates, two seeds each; a diverged run of a third; one without the metric."""
    folder = tmp_path_factory.mktemp("plots")
    runs = {
        "a0": (0.1, [4.0, 2.0, 1.0]),
        "a1": (0.1, [6.0, 4.0]),
        "b0": (0.01, [8.0, 8.0, 8.0]),
        "b1": (0.01, [8.0, 4.0, 2.0]),
        "c0": (None, [9.0, NAN, float("inf")]),
        "none": (0.1, []),
    }
    for seed, (run_id, (lr, losses)) in enumerate(runs.items()):
        with tl.init("p", id=run_id, dir=folder, config={"seed": seed, **({"lr": lr} if lr else {})}) as run:
            run.log({"other": 1.0, "text": "t"})
            for loss in losses:
                run.log({"loss": loss, "tokens": 10 * loss})
    found = tl.open(folder)
    found.define_metric("loss", goal="min")
    return found


def test_curves_by_group_have_the_median_and_the_range(lake: tl.Lake):
    """A group's line is the median of its runs at each step, its band the lowest and the highest."""
    data = lake.plot.curves("loss", by="lr").data
    assert data.filter(pl.col("group") == "0.1 (2 runs)").select("x", "n", "middle", "low", "high").rows() == [
        (1.0, 2, 5.0, 4.0, 6.0), (2.0, 2, 3.0, 2.0, 4.0), (3.0, 1, 1.0, 1.0, 1.0),
    ]  # fmt: skip


def test_curves_name_groups_in_order_and_null_last(lake: tl.Lake):
    """Groups are ordered by their values, and a run without the config value has a group of its own."""
    names = lake.plot.curves("loss", by="lr").data["group"].unique(maintain_order=True)
    assert names.to_list() == ["0.01 (2 runs)", "0.1 (2 runs)", "null (1 run)"]


def test_curves_say_what_is_missing(lake: tl.Lake):
    """Runs without the metric, values that are not finite and runs that end early are told."""
    assert lake.plot.curves("loss", by="lr").notes == (
        "Lines: median of the runs. Bands: from the lowest run to the highest.",
        "Runs end at different places: a line goes on over fewer of them, and may jump.",
        "1 run of 6 without loss.",
        "Not drawn: 2 values of 1 run, NaN, infinite or no number.",
        "Diverged: 1 of 5 runs ended so.",
    )


def test_few_runs_have_a_line_each(lake: tl.Lake):
    """Without `by`, up to twelve runs are drawn one by one, under their names."""
    assert set(lake.plot.curves("loss").data["group"]) == {"a0", "a1", "b0", "b1", "c0"}


def test_many_runs_are_one_group(tmp_path: Path):
    """Without `by`, more than twelve runs become a median and the middle of them."""
    for i in range(13):
        with tl.init("p", dir=tmp_path) as run:
            run.log({"m": float(i)})
    plot = tl.open(tmp_path).plot.curves("m")
    ((*named, middle, low, high),) = plot.data.select("group", "n", "middle", "low", "high").rows()
    assert (named, (middle, low, high)) == (["all (13 runs)", 13], pytest.approx((6.0, 1.2, 10.8)))


def test_curves_over_another_metric(lake: tl.Lake):
    """`x` takes a metric as x axis, in its order."""
    data = lake.plot.curves("loss", x="tokens", runs=["a0"]).data
    assert data.select("x", "middle").rows() == [(10.0, 1.0), (20.0, 2.0), (40.0, 4.0)]


def test_several_metrics_are_several_pictures(lake: tl.Lake):
    """Each metric has its own rows and its own panel."""
    plot = lake.plot.curves(["loss", "tokens"], runs=["b0"])
    assert (plot.title, sorted(set(plot.data["metric"]))) == ("loss and tokens", ["loss", "tokens"])
    assert len(plot.chart.to_dict()["concat"]) == 2


def test_runs_are_aligned_by_their_last_value():
    """A run counts between its own points with the value before, and not beyond its end."""
    points = pl.DataFrame({"run_id": ["a", "a", "b", "b"], "x": [0, 4, 2, 3], "value": [1.0, 5.0, 3.0, 3.0]})
    groups = pl.DataFrame({"run_id": ["a", "b"], "group": ["g", "g"]})
    data = bands.follow(points, groups, at=np.array([0.0, 1, 2, 3, 4]), band="range")
    assert data.select("x", "n", "middle").rows() == [(0, 1, 1), (1, 1, 1), (2, 2, 2), (3, 2, 2), (4, 1, 5)]


def test_a_spike_stays_where_places_are_thinned():
    """Of a thousand places some are drawn, and a spike is among them."""
    values = [1.0] * 1000
    values[637] = 99.0
    points = pl.DataFrame({"run_id": "a", "x": range(1000), "value": values})
    group = pl.DataFrame({"run_id": ["a"], "group": ["g"]})
    curve = bands.follow(points, group, at=np.arange(1000.0), band="range")
    data = bands.thinned(curve, size=20, log=False)
    assert data.height <= 22
    assert data.filter(pl.col("high") == 99.0)["x"].to_list() == [637.0]


@pytest.mark.parametrize("band", ["range", "deciles", "std"])
def test_runs_that_are_the_same_have_no_band(band: bands.Band):
    """Two runs of the same 5,000 noisy values: the band has no width at any step, and only steps that were logged."""
    noisy = np.random.default_rng(0).normal(size=5000).cumsum()
    points = pl.DataFrame({"run_id": ["a"] * 5000 + ["b"] * 5000, "step": [*range(0, 50_000, 10)] * 2})
    points = points.with_columns(pl.lit("loss").alias("metric"), pl.Series("value", [*noisy, *noisy]))
    rows = pl.DataFrame({"run_id": ["a", "b"], "name": ["a", "b"], "config.lr": [0.1, 0.1]})
    asked = curves.Request(["loss"], ["config.lr"], "step", band, None, None)
    data = curves.plot(asked, rows=rows, points=points).data
    assert data.select((pl.col("high") - pl.col("low")).max()).item() == pytest.approx(0.0, abs=1e-12)
    assert set(data["x"]) <= set(range(0, 50_000, 10))
    assert data.height <= 240


def test_std_band_is_the_sample_standard_deviation():
    """The band "std" spans one sample standard deviation around the mean."""
    points = pl.DataFrame({"run_id": ["a", "b", "c"], "x": [0, 0, 0], "value": [1.0, 2.0, 6.0]})
    groups = pl.DataFrame({"run_id": ["a", "b", "c"], "group": ["g"] * 3})
    (row,) = bands.follow(points, groups, at=np.array([0.0]), band="std").rows()
    assert row[3:] == pytest.approx((3.0, 3 - 7**0.5, 3 + 7**0.5))


def test_places_are_thinned_evenly():
    """More x values than places are read at even places that end at the last; as they are where there are few."""
    assert bands.places(pl.Series(range(101)), log=False, size=5).tolist() == [0, 25, 50, 75, 100]
    assert bands.places(pl.Series([1, 4, 2]), log=True, size=5).tolist() == [1, 2, 4]


@pytest.mark.parametrize(
    ("values", "log"),
    [([0.001, 0.01, 0.1], True), ([16, 32, 64, 128, 256], True), (range(1000), False), (range(1, 1000), False),
     ([0.5, 0.9, 0.95, 0.97], False), ([-1.0, 10.0, 1000.0], False), ([NAN], False), ([5.0], False),
     ([2.3 * 0.9**i for i in range(50)], True)],
)  # fmt: skip
def test_axes_are_logarithmic_where_the_data_ask_for_it(values: list[float], log):
    """Learning rates, doubling sizes and falling losses are; steps, accuracies and negative numbers are not."""
    assert wants_log(pl.Series(values, dtype=pl.Float64)) is log


def test_scatter_draws_a_dot_a_run(lake: tl.Lake):
    """Each run with both numbers is a dot; the others are told."""
    plot = lake.plot.scatter("lr", "loss.min", color="seed")
    assert plot.data.rows() == [
        ("a0", 0.1, 1.0, True, 0.0), ("a1", 0.1, 4.0, True, 1.0),
        ("b0", 0.01, 8.0, True, 2.0), ("b1", 0.01, 2.0, True, 3.0),
    ]  # fmt: skip
    assert plot.notes == ("Not drawn: 2 runs of 6 without a finite lr or loss.min.",)


def test_scatter_counts_many_runs_in_tiles():
    """Beyond 2,000 runs the tiles count all of them, and a middle colour stands for each tile."""
    frame = pl.DataFrame({"x": np.arange(3000) % 50 / 50.0, "y": np.arange(3000) / 3000})
    cells = binning.cells(binned(frame["x"], size=10), binned(frame["y"], size=5), frame["x"])
    assert (cells.height, cells["n"].sum()) == (50, 3000)


def test_tiles_have_the_median_and_the_most_frequent():
    """A tile's value is the median of its numbers, or the most frequent of its texts."""
    x, y = binned(pl.Series(["a"] * 4), size=2), binned(pl.Series([1.0, 1.0, 1.0, 1.0]), size=2)
    assert binning.cells(x, y, pl.Series([1.0, 2.0, NAN, 6.0])).rows() == [("a", 1.0, 4, 2.0)]
    assert binning.cells(x, y, pl.Series(["u", "v", "v", "w"])).rows() == [("a", 1.0, 4, "v")]


def test_heatmap_takes_the_best_of_a_metric_with_a_goal(lake: tl.Lake):
    """A bare metric means its best value where its definition says which way is better."""
    plot = lake.plot.heatmap("lr", "seed", "loss")
    assert plot.title == "loss.min over lr and seed"
    assert plot.data.filter(pl.col("y") == 3).rows() == [(0.01, 3.0, 1, 2.0)]


def test_ecdf_is_the_share_that_reaches_a_value(lake: tl.Lake):
    """Each step is the share of a group's runs with a value at least as good."""
    data = lake.plot.ecdf("loss", by="lr", runs=["a0", "a1", "b0"]).data
    assert data.filter(pl.col("group") == "0.1 (2 runs)").select("x", "share").rows() == [(1.0, 0.5), (4.0, 1.0)]


def test_shares_of_ties_and_of_many():
    """Ties are one step, and a staircase has a bounded number of steps that ends at all runs."""
    tied = binning.shares(pl.DataFrame({"group": ["g"] * 3, "value": [1.0, 1.0, 2.0]}), reaching="min")
    assert tied["share"].round(3).to_list() == [0.667, 1.0]
    many = binning.shares(pl.DataFrame({"group": ["g"] * 9999, "value": np.arange(9999.0)}), reaching=None)
    assert (many.height, many["share"].max()) == (240, 1.0)


def test_parallel_puts_the_missing_below_the_axis(lake: tl.Lake):
    """A run without a value has its place below the axis, named missing."""
    plot = lake.plot.parallel(["lr"], "loss")
    assert plot.data.filter((pl.col("run") == "c0") & (pl.col("axis") == 0))["at"].to_list() == [-0.09]
    assert (-0.09, "missing") in placed(pl.Series([0.1, None])).ticks


def test_many_groups_keep_the_largest():
    """Beyond the groups that colours and dashes tell apart, the largest are kept, and it is told."""
    rows = pl.DataFrame({"run_id": [f"r{i}" for i in range(40)], "k": [f"k{min(i, 29):02}" for i in range(40)]})
    groups = binning.grouped(rows, ["k"])
    assert (len(groups.names), groups.names[-1]) == (14, "k29 (11 runs)")
    assert groups.notes == ["Shown: the 14 groups with most runs, of 30."]


def test_fourteen_groups_look_different():
    """No two groups of a legend have the same colour and dash."""
    legend = encodings.Legend("k", [f"k{i}" for i in range(14)])
    assert len(set(zip(legend.colours, map(tuple, legend.dashes), strict=True))) == 14


@pytest.mark.parametrize(
    "draw",
    [
        lambda plot: plot.curves(["loss", "tokens"], by="lr"),
        lambda plot: plot.curves("loss", runs=[]),
        lambda plot: plot.scatter("lr", "loss.min", color="seed"),
        lambda plot: plot.scatter("name", "created_at", color="state"),
        lambda plot: plot.heatmap("lr", "seed", "loss"),
        lambda plot: plot.ecdf("loss", by="lr"),
        lambda plot: plot.parallel(["lr", "name"], "loss"),
    ],
)
def test_charts_are_sound(lake: tl.Lake, draw):
    """What is drawn unchecked, because that is faster, is what altair's schema asks for."""
    assert draw(lake.plot).chart.to_dict(validate=True)


def test_long_names_keep_what_tells_them_apart(tmp_path: Path):
    """Of groups by several columns the columns are shortened, not the values; a title goes on in a second line."""
    columns = ["encoder.attention.dropout_probability", "decoder.attention.dropout_probability"]
    with tl.init("p", config=dict.fromkeys(columns, 0.125), dir=tmp_path) as run:
        run.log({"encoder/layer_12/attention/loss": 1.0})
    plot = tl.open(tmp_path).plot.curves("encoder/layer_12/attention/loss", by=columns)
    assert plot.data["group"].to_list() == ["encod…bability=0.125, decod…bability=0.125 (1 run)"]
    assert len(plot.chart.to_dict()["title"]["text"]) == 2


@pytest.mark.parametrize("suffix", ["png", "svg", "html", "pdf"])
def test_saved_pictures_need_no_network(lake: tl.Lake, tmp_path: Path, suffix: str):
    """A plot is saved as PNG, SVG, PDF or HTML; the HTML holds its library, and loads nothing."""
    content = lake.plot.curves("loss").save(tmp_path / f"x.{suffix}").read_bytes()
    assert content.startswith({"png": b"\x89PNG", "svg": b"<svg", "html": b"<!DOCTYPE html>", "pdf": b"%PDF-"}[suffix])
    assert b'src="http' not in content
    assert len(content) < 2_000_000


def test_other_suffixes_are_refused(lake: tl.Lake, tmp_path: Path):
    """A name that ends otherwise is refused with those that can be."""
    with pytest.raises(TracklakeError, match=r"'x.jpeg', but as .png, .svg, .pdf or .html"):
        lake.plot.curves("loss").save(tmp_path / "x.jpeg")


def test_notebook_shows_a_sharp_png(lake: tl.Lake):
    """A notebook gets a PNG at twice its size, and the text beside it."""
    bundle, metadata = lake.plot.curves("loss")._repr_mimebundle_()
    width, height = struct.unpack(">II", bundle["image/png"][16:24])
    assert metadata["image/png"] == {"width": width // 2, "height": height // 2}
    assert bundle["text/plain"] == "Plot('loss', 12 rows)"


@pytest.mark.parametrize(
    ("draw", "says"),
    [
        (lambda plot: plot.curves("loss", runs=[]), "no run matches"),
        (lambda plot: plot.curves("text"), "no finite number was logged"),
        (lambda plot: plot.scatter("lr", "loss.min", runs=["none"]), "no run has both"),
        (lambda plot: plot.heatmap("lr", "seed", "loss", runs=["none"]), "no run has all three"),
        (lambda plot: plot.ecdf("loss", runs=["none"]), "no run has a finite number of it"),
        (lambda plot: plot.parallel(["lr"], "loss", runs=[]), "no run matches"),
    ],
)
def test_nothing_to_draw_is_said_in_the_picture(lake: tl.Lake, tmp_path: Path, draw, says: str):
    """Without anything to draw, the picture says why."""
    plot = draw(lake.plot)
    assert plot.data.is_empty()
    assert says in plot.save(tmp_path / "empty.svg").read_text()


def test_unknown_names_are_told(lake: tl.Lake):
    """A metric or column that is not there raises the error that names the nearest."""
    with pytest.raises(UnknownNameError, match="'loss'"):
        lake.plot.curves("los")
    with pytest.raises(UnknownNameError, match="did you mean 'lr'"):
        lake.plot.scatter("lrr", "loss")


def test_no_runs_are_runs(lake: tl.Lake):
    """A frame or list of no runs means no runs, in every reader."""
    assert lake.runs(runs=[]).is_empty()
    assert lake.history("loss", runs=lake.runs(where="project = 'x'")).is_empty()


def test_times_within_a_minute_are_seconds_from_the_first():
    """An axis of times would have hardly a label for them; those further apart stay times."""
    times = pl.Series([datetime(2026, 1, 31, 9, 0, 1, 250_000, UTC), None, datetime(2026, 1, 31, 9, 0, 3, tzinfo=UTC)])
    title, seconds = scatter.ready("created_at", times)
    assert (title, seconds.to_list()) == ("created_at, seconds from 2026-01-31 09:00:01 UTC", [0.25, None, 2.0])
    apart = pl.Series([datetime(2026, 1, 31, hour, tzinfo=UTC) for hour in (9, 10)])
    title, times = scatter.ready("created_at", apart)
    assert (title, times.equals(apart)) == ("created_at (UTC)", True)
    assert scatter.ready("config.day", apart.dt.date())[0] == "day"


def test_pictures_are_made_without_altair(lake: tl.Lake, tmp_path: Path):
    """altair is for who wants to change a picture: only `.chart` needs it, and says so."""
    code = f"""import sys
sys.modules["altair"] = None
import tracklake as tl
plot = tl.open({lake.dir!r}).plot.curves("loss")
print(plot.save({str(tmp_path / "loss.png")!r}).stat().st_size > 10_000)
plot.chart"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.stdout == "True\n"
    assert "this needs altair, which is not installed: pip install 'tracklake[plots]'" in done.stderr


def test_colours_of_a_scatter_are_told_apart(tmp_path: Path):
    """Names beyond the seven colours are one: a dot has no dash by which a colour could come twice."""
    for i in range(9):
        with tl.init("p", config={"kind": f"k{i}", "x": i}, dir=tmp_path) as run:
            run.log({"loss": i})
    plot = tl.open(tmp_path).plot.scatter("x", "loss.min", color="kind")
    scale = plot.chart.to_dict()["encoding"]["color"]["scale"]
    assert scale["domain"] == ["k0", "k1", "k2", "k3", "k4", "k5", "(other)"]
    assert scale["range"] == [*encodings.OKABE_ITO[:6], encodings.GREY]


def test_a_spec_is_its_plots_own(lake: tl.Lake):
    """What is changed in the spec of one plot is drawn by it, and by no other."""
    one, other = (lake.plot.heatmap("lr", "seed", "loss.min") for _ in range(2))
    one.spec["config"]["title"]["fontSize"] = 99
    one.spec["layer"][0]["encoding"]["color"]["condition"]["scale"]["range"].clear()
    assert other.spec["config"]["title"]["fontSize"] == 15
    assert len(other.spec["layer"][0]["encoding"]["color"]["condition"]["scale"]["range"]) == len(encodings.VIRIDIS)
