"""Display: what a lake and a run look like in a notebook and as text."""

from __future__ import annotations

from pathlib import Path

import made_once
import pytest

import tracklake as tl
from tracklake.display.reprs import sparkline


@made_once.lake_in_tmp_path
def lake(folder: Path) -> None:
    """A finished and a failed run; val/loss has a goal; a name and a project that are HTML."""
    with tl.init("p<b>", id="good", name="<script>x</script>", config={"lr": 0.1}, tags=["t&u"], dir=folder) as run:
        run.define_metric("val/loss", goal="min")
        for loss in (3.0, 1.0, 2.0):
            run.log({"val/loss": loss, "acc": 1 - loss / 4, "note": "text"})
    bad = tl.init("p<b>", id="bad", dir=folder)
    bad.log({"val/loss": float("nan")})
    bad.finish(exit_code=1)


def test_lake_as_text(lake: tl.Lake, monkeypatch: pytest.MonkeyPatch):
    """A lake prints its place as typed from here, its runs by state, and what they hold."""
    monkeypatch.chdir(Path(lake.dir).parent)
    name = Path(lake.dir).name
    assert repr(lake) == f"Lake {name}\n  2 runs of p<b>: 1 finished, 1 failed\n  3 metrics, 10 points"


def test_derived_metrics_are_counted_apart(lake: tl.Lake):
    """The metrics of a lake are those that were logged, as describe lists them; derived ones stand beside."""
    lake.derive("error", '1 - "acc"')
    lake.alias("loss", "val/loss")
    assert repr(lake).splitlines()[2] == "  3 metrics, 2 derived, 10 points"
    assert lake.describe().metrics.height == 3


def test_run_as_text(lake: tl.Lake):
    """A run prints its state, its config, and of each metric the last value, and the best or the range."""
    first, *rest = repr(lake.run("good")).splitlines()
    assert first.startswith("Run <script>x</script> of p<b>, finished, ")
    assert rest == [
        "  config  lr=0.1",
        "  val/loss  last 2            min 1 @ 1",
        "  acc       last 0.5          0.25 … 0.75",
        "  1 more metric: .metrics",
    ]


def test_text_fits_80_columns(tmp_path: Path):
    """Long names, paths and configs are shortened."""
    config = {f"section_{i}.some_long_key": "value " * 20 for i in range(30)}
    folder = tmp_path / ("deep" * 20) / ("folder" * 10)
    with tl.init("project" * 10, id="r", name="n" * 200, config=config, dir=folder) as run:
        run.log({f"{'very_long_' * 12}{i}": -1.23456789e-300 for i in range(20)})
    lake = tl.open(folder)
    shown = [*repr(lake).splitlines(), *repr(lake.run("r")).splitlines()]
    assert max(map(len, shown)) <= 80
    assert shown[-1] == "  8 more metrics: .metrics"


def test_names_are_escaped(lake: tl.Lake):
    """Names from outside are shown as they are, and never run."""
    for shown in (lake._repr_html_(), lake.run("good")._repr_html_()):
        assert "<script>" not in shown
        assert "&lt;script&gt;x&lt;/script&gt;" in shown


def test_notebook_needs_no_network_and_little_room(lake: tl.Lake):
    """The HTML names no address, holds no script, and is small."""
    for shown in (lake._repr_html_(), lake.run("good")._repr_html_()):
        assert "http" not in shown
        assert len(shown) < 20_000


def test_lake_shows_curves_of_the_metric_with_a_goal_first(lake: tl.Lake):
    """The newest runs are shown with a sparkline and the best value of the metric that has a goal."""
    shown = lake._repr_html_()
    assert shown.index("val/loss") < shown.index("acc")
    assert "min 1 @ 1" in shown
    assert shown.count("<svg") == 2


def test_older_runs_are_counted(tmp_path: Path):
    """Eight runs are shown, the others counted."""
    for i in range(10):
        tl.init("p", id=f"run-{i}", dir=tmp_path).finish()
    shown = tl.open(tmp_path)._repr_html_()
    assert "run-9" in shown
    assert "run-1" not in shown
    assert "2 older runs: <code>lake.runs()</code>" in shown


def test_empty_lake_says_what_to_do(tmp_path: Path):
    """A lake without runs says how to log one."""
    lake = tl.open(tmp_path, create=True)
    assert "no runs yet: log one with tracklake.init(dir=...)" in repr(lake)
    assert "no runs yet" in lake._repr_html_()


def test_sparkline_marks_the_best_and_breaks_at_nan():
    """NaN interrupts the curve, a lone value is a dot, and the best is marked."""
    drawn = sparkline([0, 1, 2, 3], [1.0, 2.0, float("nan"), 0.5], mark=1)
    assert drawn.count("<polyline") == 1
    assert 'points="3.0,' in drawn
    assert drawn.count("<circle") == 2
    assert drawn.count('fill="#D55E00"') == 1


@pytest.mark.parametrize("values", [[1.0, 1.0], [1e308, -1e308], [5.0], [0.0, 0.0]])
def test_sparkline_of_any_numbers(values: list[float]):
    """Constant, huge and single values are drawn within the picture."""
    drawn = sparkline(list(range(len(values))), values)
    assert drawn.startswith("<svg")
    assert "nan" not in drawn
    assert "inf" not in drawn


@pytest.mark.parametrize("values", [[], [float("nan")], [float("inf"), float("nan")]])
def test_sparkline_of_nothing(values: list[float]):
    """Without a finite value there is no picture."""
    assert sparkline(list(range(len(values))), values) == ""


@pytest.fixture
def results(tmp_path: Path) -> list:
    """A comparison, a sweep, a replay and arrivals of runs with long names and names that are HTML."""
    for i in range(12):
        config = {"opt": ("<b>adam</b>", "sgd " * 40)[i % 2], "seed": i, f"{'deep_' * 20}name": i % 4, "lr": 1e-5 * i}
        with tl.init("p", config=config, dir=tmp_path) as run:
            for step in range(3):
                run.log({"<i>acc</i>": i + step})
    lake = tl.open(tmp_path)
    lake.define_metric("<i>acc</i>", goal="max")
    sweep = lake.sweep(metric="<i>acc</i>")
    compared = [lake.compare("<i>acc</i>", by=by) for by in ("opt", ["opt", "lr", f"{'deep_' * 20}name"])]
    return [*compared, sweep, sweep.replay("median"), lake.time_to("<i>acc</i>", 5, by="opt")]


def test_results_fit_80_columns(results: list):
    """What comparisons and sweeps print is at most 80 columns wide, however long the names are."""
    assert [max(map(len, repr(result).splitlines())) <= 80 for result in results] == [True] * 5


def test_results_in_a_notebook_are_escaped_and_small(results: list):
    """Their HTML shows names as they are, names no address, and is small."""
    for result in results:
        shown = result._repr_html_()
        assert "<i>acc" not in shown
        assert "<b>adam" not in shown
        assert "http" not in shown
        assert len(shown) < 20_000


def test_metrics_that_count_steps_come_last(tmp_path: Path):
    """An epoch says where a run is, not how it does."""
    with tl.init("p", id="r", dir=tmp_path) as run:
        run.log({"epoch": 1, "train/global_step": 2, "loss": 3.0})
    shown = repr(tl.open(tmp_path).run("r"))
    assert shown.index("loss") < shown.index("epoch") < shown.index("global_step")


def test_a_run_that_is_partly_sealed_shows_itself(tmp_path: Path):
    """What it shows of a metric is merged from the parts in which it lies."""
    with tl.init("p", id="r", dir=tmp_path, settings={"metadata": False}) as run:
        run.log({"a": 1.0})
        tl.open(tmp_path).refresh()
        run.log({"a": 2.0})
        assert "a  last 2            1 … 2" in repr(tl.open(tmp_path).run("r"))
