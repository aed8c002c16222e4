"""`lake.compare`: groups of runs, with what the seeds allow to say of them."""

from __future__ import annotations

import math
import tempfile
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

import tracklake as tl
from tracklake.analysis import comparison, matching
from tracklake.analysis.stats import resampling
from tracklake.errors import DefinitionError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FAST = [0.90, 0.91, 0.93, 0.90, 0.92, 0.94]
SLOW = [0.80, 0.83, 0.81, 0.82, 0.80, 0.85]


def log(folder: Path, runs: Iterable[tuple[dict[str, Any], float | None]], *, failing: Iterable[int] = ()) -> tl.Lake:
    """Log one value of "acc" for each config, none where it is None; runs at the positions `failing` fail."""
    for i, (config, value) in enumerate(runs):
        with tl.init("p", id=f"r{i}", config=config, dir=folder, durability="buffered") as run:
            if value is not None:
                run.log({"acc": value})
            if i in failing:
                run.finish(exit_code=1)
    return tl.open(folder)


def seeds(values: dict[Any, list[float]], *, key: str = "lr", **more: Any) -> list[tuple[dict[str, Any], float]]:
    return [({key: k, "seed": i, **more}, v) for k, vs in values.items() for i, v in enumerate(vs)]


def row(found: Any, **keys: Any) -> dict[str, Any]:
    rows = [r for r in found.table.iter_rows(named=True) if all(r[f"config.{k}"] == v for k, v in keys.items())]
    (only,) = rows
    return only


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> tl.Lake:
    """Two learning rates of six seeds each."""
    return log(tmp_path_factory.mktemp("lake"), seeds({0.1: FAST, 0.01: SLOW}))


def test_a_row_a_group_the_best_first(lake: tl.Lake):
    """Each group has its number of runs and their mean, std, median, IQM and best, as numpy and scipy compute them."""
    first = lake.compare("acc", by="lr", goal="max").table.row(0, named=True)
    assert (first["config.lr"], first["n"], first["n_failed"], first["best_run"]) == (0.1, 6, 0, "r5")
    numbers = [first[name] for name in ("mean", "std", "median", "iqm", "best")]
    expected = [np.mean(FAST), np.std(FAST, ddof=1), np.median(FAST), scipy.stats.trim_mean(FAST, 0.25), 0.94]
    assert numbers == pytest.approx(expected, abs=1e-12)


def test_lower_is_better_for_a_minimum(lake: tl.Lake):
    """With goal="min" the lowest mean leads and the best run is the lowest."""
    found = lake.compare("acc", by="lr", goal="min")
    assert found.table["config.lr"].to_list() == [0.01, 0.1]
    assert found.table["best"].to_list() == [0.80, 0.90]
    assert found.table["p_improvement"].to_list() == [None, 0.0]


def test_matched_seeds_are_paired(lake: tl.Lake):
    """Runs with the same seed are compared pair by pair, and the table says so."""
    slow = row(lake.compare("acc", by="lr", goal="max"), lr=0.01)
    assert (slow["test"], slow["n_pairs"], slow["why"]) == ("paired t", 6, "6 of 6 match by seed")
    assert slow["p"] == pytest.approx(scipy.stats.ttest_rel(SLOW, FAST).pvalue, abs=1e-12)
    assert slow["difference"] == pytest.approx(np.mean(SLOW) - np.mean(FAST), abs=1e-12)
    assert slow["verdict"] == "worse"


def test_a_paired_interval_is_that_of_the_differences(lake: tl.Lake):
    """The interval of a paired difference (seed 0) is scipy's of the differences (seed 1), within the draws' error."""
    slow = row(lake.compare("acc", by="lr", goal="max", draws=50_000), lr=0.01)
    differences = (np.array(SLOW) - FAST,)
    theirs = scipy.stats.bootstrap(differences, np.mean, n_resamples=50_000, method="percentile", rng=1)
    ours = (slow["difference_low"], slow["difference_high"])
    assert ours == pytest.approx(tuple(theirs.confidence_interval), abs=0.001)


def test_other_seeds_are_not_paired(tmp_path: Path):
    """Runs of which no seeds are the same are compared as two samples, and the table says why."""
    runs = [
        ({"lr": lr, "seed": s + 10 * (lr == 0.01)}, v)
        for lr, vs in ((0.1, FAST), (0.01, SLOW))
        for s, v in enumerate(vs)
    ]
    slow = row(log(tmp_path, runs).compare("acc", by="lr", over="seed", goal="max"), lr=0.01)
    assert (slow["test"], slow["n_pairs"], slow["why"]) == ("Welch t", 0, "no seed in common")
    assert slow["p"] == pytest.approx(scipy.stats.ttest_ind(SLOW, FAST, equal_var=False).pvalue, abs=1e-12)


def test_a_seed_run_with_two_settings_is_not_paired(tmp_path: Path):
    """A group with two runs of one seed that differ in their config cannot be matched run by run."""
    runs = [*seeds({0.1: FAST, 0.01: SLOW}), ({"lr": 0.01, "seed": 0, "depth": 9}, 0.82)]
    slow = row(log(tmp_path, runs).compare("acc", by="lr", over="seed", goal="max"), lr=0.01)
    assert slow["why"] == "several runs of a group with the same seed"


def test_only_the_seeds_in_common_are_paired(tmp_path: Path):
    """A failed run leaves its seed out on both sides of the difference."""
    lake = log(tmp_path, seeds({0.1: FAST, 0.01: SLOW}), failing=[5])
    slow = row(lake.compare("acc", by="lr", goal="max"), lr=0.01)
    assert (slow["n"], slow["n_pairs"]) == (6, 5)
    assert slow["difference"] == pytest.approx(np.mean(SLOW[:5]) - np.mean(FAST[:5]), abs=1e-12)


@pytest.mark.parametrize(
    ("theirs", "why"),
    [
        ([1, 2, 3, 4, 5, 6], "5 of 6 match by seed"),
        ([0, 1, 2, 3, 4], "5 of 6 and 5 of 5 match by seed"),
        ([2, 3, 4, 5, 6, 7], "only 4 of 6 match by seed"),
        ([0, 1, 2], "only 3 of 6 and 3 of 3 match by seed"),
        ([5], "only 1 of 6 and 1 of 1 match by seed"),
        ([6, 7], "no seed in common"),
    ],
)
def test_nearly_all_runs_of_both_groups_make_pairs(theirs: list[int], why: str):
    """With fewer in common all runs of both count, as two samples, and what would be left out is told for both."""
    cells = [0, 1, 2, 3, 4, 5, *theirs]
    groups = [0] * 6 + [1] * len(theirs)
    sample = resampling.sample(groups, stratum=[0] * len(cells), cell=cells, value=np.arange(len(cells)))
    pair = matching.Matcher(sample, what="seed").pair(0, 1)
    assert (pair.why, pair.matched) == (why, why.startswith("5"))
    assert len(pair.first[0]) == (5 if pair.matched else 6)


def test_each_difference_is_over_the_seeds_of_its_own_pair(tmp_path: Path):
    """Two groups that share other seeds with the baseline are each compared with what it had in those."""
    base = [({"lr": "base", "seed": i}, i / 10) for i in range(6)]
    whole = [({"lr": "whole", "seed": i}, i / 10 + 0.01) for i in range(6)]
    most = [({"lr": "most", "seed": i}, i / 10 + 0.02) for i in range(1, 6)]
    found = log(tmp_path, [*base, *whole, *most]).compare("acc", by="lr", goal="max", baseline="base")
    rows = found.table.sort("config.lr").select("config.lr", "difference", "n_pairs").rows()
    expected = [("base", None, None), ("most", pytest.approx(0.02), 5), ("whole", pytest.approx(0.01), 6)]
    assert rows == expected


def test_everything_but_the_seed(tmp_path: Path):
    """by="config - seed" groups by every config key but the seed, and leaves out keys that do not vary."""
    lake = log(tmp_path, [*seeds({0.1: FAST[:2]}, opt="adam"), *seeds({0.1: SLOW[:2]}, opt="sgd")])
    table = lake.compare("acc", by="config - seed", goal="max").table
    assert table["config.opt"].to_list() == ["adam", "sgd"]
    assert "config.lr" not in table.columns


def test_null_is_a_group(tmp_path: Path):
    """Runs without the key are a group of their own, and the counts add up to all runs."""
    runs = [*seeds({0.1: FAST[:3]}), *(({"seed": s}, 0.5) for s in range(4))]
    table = log(tmp_path, runs).compare("acc", by="lr", goal="max").table
    assert table["config.lr"].to_list() == [0.1, None]
    assert (table["n"] + table["n_failed"]).to_list() == [3, 4]


def test_keys_are_exact(tmp_path: Path):
    """Floats that differ in the last bits, a number and its text, null and "null" are different groups."""
    numbers = [0.1, 0.10000000000000003, 0.30000000000000004, 0.3]
    runs = [({"k": k}, 0.5) for k in [*numbers, "0.3", None, "null"]]
    table = log(tmp_path, runs).compare("acc", by="k", goal="max").table
    expected = {*((number, None) for number in numbers), (None, "0.3"), (None, None), (None, "null")}
    assert set(table.select("config.k", "config.k.text").rows()) == expected
    assert table["n"].to_list() == [1] * 7


def test_types_are_part_of_a_key(tmp_path: Path):
    """1, 1.0, True, "1", "true" and 2**60 beside 2**60 + 1 are different groups, each found by its own value."""
    keys = [1, 1.0, True, "1", "true", 2**60, 2**60 + 1, [1], None]
    found = log(tmp_path, [({"k": k, "n": 0}, 0.5) for k in keys]).compare("acc", by="k", goal="max")
    exact = {"1", "1.0", "true", "'1'", "'true'", str(2**60), str(2**60 + 1), "[1]", "null"}
    assert set(found.table["config.k (exact)"]) == exact
    assert found.table["n"].to_list() == [1] * 9
    for key in (1, 1.0, True, "1", "true", 2**60 + 1):
        assert found.against(key).baseline["config.k (exact)"] == (str(key).lower() if key is True else repr(key))


def test_zero_has_no_sign(tmp_path: Path):
    """0.0 and -0.0 are one group, also where an integer makes types matter."""
    found = log(tmp_path, [({"k": k}, 0.5) for k in (-0.0, 0.0, 0)]).compare("acc", by="k", goal="max")
    assert sorted(found.table.select("config.k (exact)", "n").rows()) == [("0", 1), ("0.0", 2)]


def test_a_column_of_mixed_types_is_shown_as_one(tmp_path: Path):
    """Numbers and texts of one key stand in one column, the texts in quotes, and any of them can be the baseline."""
    found = log(tmp_path, [({"k": k}, 0.5) for k in (0.3, "0.3", None)]).compare("acc", by="k", goal="max")
    assert [line.split()[0] for line in repr(found).splitlines()[1:5]] == ["k", "0.3", "'0.3'", "null"]
    assert "baseline k='0.3'" in repr(found.against("0.3"))


def test_failed_runs_are_counted_not_averaged(tmp_path: Path):
    """Runs that failed, logged nothing, or logged only NaN count as n_failed; an all-failed group keeps its row."""
    runs = [*seeds({0.1: [0.9, 0.8, 0.7]}), ({"lr": 9.0, "seed": 0}, math.nan), ({"lr": 9.0, "seed": 1}, None)]
    found = log(tmp_path, runs, failing=[2]).compare("acc", by="lr", goal="max")
    assert found.table.select("n", "n_failed", "mean").rows() == [(2, 1, pytest.approx(0.85)), (0, 2, None)]
    assert found.table["verdict"].to_list() == ["baseline", "no values"]
    assert found.table["warning"][1] == "none of 2 runs has a value"
    assert "left out: 3 of 5 runs" in " ".join(found.notes)


def test_failed_runs_count_if_asked_for(tmp_path: Path):
    """failed="include" takes what a failed run had logged."""
    lake = log(tmp_path, seeds({0.1: [0.9, 0.8, 0.7]}), failing=[2])
    assert lake.compare("acc", by="lr", goal="max", failed="include").table["n"].to_list() == [3]


def test_all_failed(tmp_path: Path):
    """If no run has a value there is no baseline, and it says so."""
    found = log(tmp_path, seeds({0.1: [math.nan], 0.2: [math.nan]})).compare("acc", by="lr", goal="max")
    assert found.baseline is None
    assert found.notes == ("no run has a value of acc",)


def test_one_run_a_group(tmp_path: Path):
    """A single run has no spread, no interval and no test, and the warning is plain."""
    found = log(tmp_path, seeds({0.1: [0.9], 0.2: [0.8]})).compare("acc", by="lr", goal="max")
    second = row(found, lr=0.2)
    assert [second[c] for c in ("std", "low", "high", "p", "difference_low")] == [None] * 5
    assert (second["verdict"], second["warning"]) == ("too few runs", "one run: no spread, no test")


def test_ties_are_no_difference(tmp_path: Path):
    """Groups with the same values in every seed have p = 1 and win half of the time."""
    second = log(tmp_path, seeds({0.1: FAST, 0.2: FAST})).compare("acc", by="lr", goal="max").table.row(1, named=True)
    assert (second["p"], second["p_improvement"], second["difference"]) == (1.0, 0.5, 0.0)
    assert second["verdict"] == "no difference shown"


def test_too_few_to_tell_says_what_could_be_told(tmp_path: Path):
    """Where nothing is shown, the warning names the difference that so many runs would show."""
    lake = log(tmp_path, seeds({0.1: [0.90, 0.95, 0.92], 0.2: [0.91, 0.89, 0.93]}))
    warning = lake.compare("acc", by="lr", goal="max").table["warning"][1]
    assert warning.startswith("too few to tell: 3 runs show only differences above 0.1")


def test_few_seeds_have_too_narrow_intervals(tmp_path: Path):
    """The warning says how often the interval of so few seeds holds the truth; three seeds a task are few, too."""
    lake = log(tmp_path, seeds({0.1: FAST, 0.2: [v - 0.5 for v in FAST[::-1]]}))
    warning = "6 runs: such an interval holds the truth in at most 87% of cases"
    assert lake.compare("acc", by="lr", goal="max").table["warning"].to_list() == [warning] * 2


def test_a_test_that_contradicts_the_mean_is_mixed(tmp_path: Path):
    """Where eleven seeds are worse and one is far better, ranks and mean disagree: neither better nor worse."""
    base = [0.5 + 0.001 * i for i in range(12)]
    other = [v - 0.01 * (i + 1) for i, v in enumerate(base[:11])] + [9.0]
    found = log(tmp_path, seeds({0.1: base, 0.2: other})).compare("acc", by="lr", goal="max", baseline=0.1)
    told = row(found, lr=0.2)
    assert told["difference"] > 0
    assert (told["test"], told["p"] < 0.05, told["verdict"]) == ("Wilcoxon signed-rank", True, "mixed")
    assert told["warning"].startswith("the Wilcoxon signed-rank says the opposite of the mean")
    assert set(found.table["verdict"]) <= set(comparison.VERDICTS)


def test_the_baseline_can_be_named(lake: tl.Lake):
    """A value of the only column, or a mapping of columns, names the baseline; its own row has no difference."""
    for baseline in (0.01, {"lr": 0.01}, {"config.lr": 0.01}):
        found = lake.compare("acc", by="lr", goal="max", baseline=baseline)
        assert found.baseline == {"config.lr": 0.01}
        assert found.table["verdict"].to_list() == ["better", "baseline"]


def test_an_unknown_baseline_names_those_there_are(lake: tl.Lake):
    """A baseline that is no group raises, and the message lists the groups."""
    with pytest.raises(UnknownNameError, match=r"no group has lr=0.5; name one of: lr=0.01, lr=0.1"):
        lake.compare("acc", by="lr", goal="max", baseline=0.5)


def test_corrections_are_over_the_comparisons_made(tmp_path: Path):
    """Holm and Benjamini-Hochberg correct for the groups compared with a baseline, not for itself."""
    lake = log(tmp_path, seeds({1: FAST, 2: SLOW, 3: [v + 0.02 for v in SLOW]}))
    table = lake.compare("acc", by="lr", goal="max", baseline=1).table
    p = table["p"].to_list()
    assert p[0] is None
    assert table["p_holm"].drop_nulls().sort().to_list() == pytest.approx(
        sorted([2 * min(p[1:]), max(*p[1:], 2 * min(p[1:]))])
    )
    assert table["p_bh"].drop_nulls().to_list() == pytest.approx(scipy.stats.false_discovery_control(p[1:]))


def test_a_chosen_baseline_is_paid_for(tmp_path: Path):
    """Where the best is the baseline for being the best, p is corrected over all pairs of groups, and it says so."""
    lake = log(tmp_path, seeds({1: FAST, 2: SLOW, 3: [v + 0.02 for v in SLOW]}))
    found = lake.compare("acc", by="lr", goal="max")
    p = sorted(found.table["p"].drop_nulls())
    expected = [3 * p[0], max(3 * p[0], 2 * p[1])]
    assert found.table["p_holm"].drop_nulls().sort().to_list() == pytest.approx(expected)
    assert "p is corrected over all pairs" in found.notes[0]


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> tl.Lake:
    """Two models on three tasks of different level, four seeds each; model b lacks one run."""
    runs = [
        ({"model": m, "data": d, "seed": s}, 10.0 * d + 0.1 * s + 0.3 * (m == "a") + 0.05 * math.sin(7 * s + d))
        for m in "ab" for d in range(3) for s in range(4) if (m, d, s) != ("b", 2, 3)
    ]  # fmt: skip
    return log(tmp_path_factory.mktemp("suite"), runs)


def test_tasks_count_the_same(suite: tl.Lake):
    """The mean is that of the task means, and the std that between runs of one task."""
    found = suite.compare("acc", by="model", over=["data", "seed"], goal="max", draws=200)
    b = row(found, model="b")
    values = found.runs.filter(pl.col("config.model") == "b").sort("config.data", "config.seed")
    tasks = [g["value"].to_numpy() for g in values.partition_by("config.data", maintain_order=True)]
    assert b["mean"] == pytest.approx(np.mean([t.mean() for t in tasks]), abs=1e-12)
    squares = sum(((t - t.mean()) ** 2).sum() for t in tasks)
    assert b["std"] == pytest.approx(math.sqrt(squares / (3 + 3 + 2)), abs=1e-12)
    assert (b["n"], b["n_tasks"], b["n_pairs"]) == (11, 3, 11)


def test_over_all_pairs_of_seeds_and_tasks(suite: tl.Lake):
    """From ten pairs on, matched runs of all tasks are tested by Wilcoxon's signed ranks."""
    found = suite.compare("acc", by="model", over=["data", "seed"], goal="max", draws=200)
    b, values = row(found, model="b"), found.runs.sort("config.data", "config.seed")
    sides = [values.filter(pl.col("config.model") == m).select("config.data", "config.seed", "value") for m in "ab"]
    pairs = sides[0].join(sides[1], on=["config.data", "config.seed"])
    expected = scipy.stats.wilcoxon((pairs["value"] - pairs["value_right"]).to_numpy()).pvalue
    assert (b["test"], b["p"]) == ("Wilcoxon signed-rank", pytest.approx(expected, abs=1e-12))


def test_tasks_as_units(suite: tl.Lake):
    """unit="task" pairs the means of the tasks."""
    b = row(suite.compare("acc", by="model", over=["data", "seed"], goal="max", unit="task"), model="b")
    assert (b["test"], b["n_pairs"], b["why"]) == ("paired t", 3, "3 of 3 match by data")


def test_tasks_can_be_named(suite: tl.Lake):
    """task= says which columns are tasks, whatever their names; unit="task" without any is refused."""
    named = suite.compare("acc", by="model", over="seed", task="data", goal="max", draws=200)
    guessed = suite.compare("acc", by="model", over=["data", "seed"], goal="max", draws=200)
    assert named.table.equals(guessed.table)
    with pytest.raises(DefinitionError, match="unit='task' needs to know the tasks"):
        suite.compare("acc", by="model", over="seed", goal="max", unit="task")


def test_groups_that_lack_tasks_are_compared_on_those_in_common(tmp_path: Path):
    """A group without the hard task is not made better by that: the difference is over the tasks both have."""
    runs = [({"m": m, "data": d, "seed": s}, d * 0.5 + 0.01 * s + 0.1 * (m == "a"))
            for m in "ab" for d in range(3) for s in range(3) if (m, d) != ("b", 0)]  # fmt: skip
    found = log(tmp_path, runs).compare("acc", by="m", over=["data", "seed"], goal="max", baseline="a")
    b = row(found, m="b")
    assert b["mean"] > row(found, m="a")["mean"]
    assert b["difference"] == pytest.approx(-0.1)
    assert "1 group without some tasks" in " ".join(found.notes)


@pytest.mark.parametrize("center", ["mean", "median", "iqm"])
def test_the_same_seed_gives_the_same_table(suite: tl.Lake, center: str):
    """A comparison is reproducible, whatever its center."""
    made = [
        suite.compare("acc", by="model", over=["data", "seed"], goal="max", center=center, draws=500) for _ in range(2)
    ]
    assert made[0].table.equals(made[1].table)


def test_the_difference_is_of_the_center(lake: tl.Lake):
    """With center="iqm" sorting, interval and difference are of the IQM."""
    slow = row(lake.compare("acc", by="lr", goal="max", center="iqm"), lr=0.01)
    expected = scipy.stats.trim_mean(SLOW, 0.25) - scipy.stats.trim_mean(FAST, 0.25)
    assert slow["difference"] == pytest.approx(expected, abs=1e-12)
    assert slow["low"] <= slow["iqm"] <= slow["high"]


def test_statistics_of_the_metric(tmp_path: Path):
    """The number of a run is its best by default, else the statistic named, in either form, or an expression."""
    with tl.init("p", config={"lr": 0.1}, dir=tmp_path) as run:
        for value in (1.0, 3.0, 2.0):
            run.log({"acc": value})
    lake = tl.open(tmp_path)
    lake.define_metric("acc", goal="maximize")
    found = [lake.compare("acc", by="lr"), lake.compare("acc", by="lr", stat="last"), lake.compare("acc.min", by="lr"),
             lake.compare(("acc", "mean"), by="lr"), lake.compare(pl.col("summary.acc.max") * 2, by="lr", goal="max"),
             lake.compare("config.lr", by="state", goal="min")]  # fmt: skip
    assert [f.table["mean"][0] for f in found] == [3.0, 2.0, 1.0, 2.0, 6.0, 0.1]


def test_a_goal_has_to_be_known(lake: tl.Lake):
    """Without a goal said or defined it is refused, and the message says how to say one."""
    with pytest.raises(DefinitionError, match=r'Say goal="min" or goal="max"'):
        lake.compare("acc", by="lr")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"by": "lrr"}, "did you mean 'lr'"), ({"by": "config - sead"}, "did you mean 'seed'"),
     ({"by": "lr", "over": "sed"}, "did you mean 'seed'"), ({"by": "lr", "stat": "bests"}, "did you mean 'best'")],
)  # fmt: skip
def test_unknown_names_have_their_nearest(lake: tl.Lake, wrong: dict[str, Any], message: str):
    """A column or statistic that is not there raises an error that names the nearest."""
    with pytest.raises(UnknownNameError, match=message):
        lake.compare("acc", goal="max", **wrong)


@pytest.mark.parametrize("wrong", [{"center": "mode"}, {"test": "z"}, {"confidence": 95}, {"draws": 0}])
def test_settings_that_cannot_be_are_refused(lake: tl.Lake, wrong: dict[str, Any]):
    """A mode that is not there is refused with those that are."""
    with pytest.raises(DefinitionError, match=next(iter(wrong))):
        lake.compare("acc", by="lr", goal="max", **wrong)


def test_where_chooses_runs(lake: tl.Lake):
    """where= takes the runs that are compared."""
    assert lake.compare("acc", by="lr", goal="max", where='"config.seed" < 3').table["n"].to_list() == [3, 3]


def test_no_runs(lake: tl.Lake):
    """Where no run is left, the table is empty and it says so."""
    found = lake.compare("acc", by="lr", goal="max", where="config.lr < 0")
    assert len(found) == 0
    assert found.notes == ("no run has a value of acc",)
    assert "0 runs in 0 groups" in repr(found)


def test_columns_of_the_runs_group_too(lake: tl.Lake):
    """Any column of the runs can group, also one called group."""
    assert lake.compare("acc", by=["state", "group"], goal="max").table.select("state", "group", "n").rows() == [
        ("finished", None, 12)
    ]


def test_it_prints_within_80_columns(tmp_path: Path):
    """However many keys there are, no line is wider than 80; what is left out is counted."""
    runs = [({f"some_parameter_{i}": j for i in range(8)} | {"seed": 0}, 0.5 + j) for j in range(30)]
    lines = repr(log(tmp_path, runs).compare("acc", by="config - seed", goal="max")).splitlines()
    assert max(map(len, lines)) <= 80
    assert any("10 more rows" in line and ".table" in line for line in lines)


def test_latex_markdown_and_html(lake: tl.Lake):
    """The essence can be pasted: the best group is bold, names are escaped."""
    found = lake.compare("acc", by="lr", goal="max")
    assert found.to_markdown().splitlines()[2].startswith("| **0.1** | **6** | **0.917** |")
    assert r"\textbf{0.1} & \textbf{6} & \textbf{0.917}" in found.to_latex()
    assert r"\caption{A \& B}" in found.to_latex(caption="A & B")
    assert '<tr class="best"><td>0.1</td><td>6</td>' in found._repr_html_()


def test_an_empty_list_of_runs(lake: tl.Lake):
    """runs=[] is no run, not an error."""
    assert lake.runs(runs=[]).height == 0


def test_no_columns_are_one_group(lake: tl.Lake):
    """by=[] takes all runs as one group."""
    found = lake.compare("acc", by=[], goal="max")
    assert found.table.select("n", "verdict").rows() == [(12, "baseline")]
    assert "baseline all runs" in repr(found)


def test_tasks_are_no_groups(suite: tl.Lake):
    """by="config - seed" with tasks named does not group by the tasks as well."""
    found = suite.compare("acc", by="config - seed", over=["data", "seed"], goal="max", draws=200)
    assert found.grouped.by == ["config.model"]
    named = suite.compare("acc", by=["config.model", "config.data"], over="seed", goal="max", draws=200)
    assert named.grouped.by == ["config.model", "config.data"]
    assert len(suite.compare("acc", by="config - seed - data", goal="max", draws=200)) == 2


def test_tags_and_nan_are_keys(tmp_path: Path):
    """Runs can be grouped by their tags, and NaN is one key like any other."""
    for i, (tags, lr) in enumerate([(("a", "b"), math.nan), (("a", "b"), math.nan), ((), 0.1)]):
        with tl.init("p", id=f"r{i}", tags=tags, config={"lr": lr}, dir=tmp_path) as run:
            run.log({"acc": 0.5})
    lake = tl.open(tmp_path)
    assert sorted(lake.compare("acc", by="tags", goal="max").table["n"].to_list()) == [1, 2]
    found = lake.compare("acc", by="lr", goal="max", baseline=math.nan)
    assert (found.table["n"].to_list(), found.table["verdict"].to_list()) == ([1, 2], ["too few runs", "baseline"])


VALUES = st.one_of(st.none(), st.just(math.nan), st.floats(-100, 100).map(lambda v: round(v, 2)))
GROUPS = st.dictionaries(
    st.sampled_from([0.1, 0.2, None]), st.lists(VALUES, min_size=1, max_size=12), min_size=1
).filter(lambda groups: set(groups) != {None})  # else no run has ever had an lr, and the name is unknown


@settings(max_examples=settings().max_examples // 5)
@given(GROUPS)
def test_any_groups_are_those_of_numpy_and_scipy(groups: dict[float | None, list[float | None]]):
    """Over any values, lost ones and null keys: counts add up, and the numbers are those of the references."""
    rows = [(f"{lr}-{i}", lr, i, v, 1.0) for lr, values in groups.items() for i, v in enumerate(values)]
    frame = pl.DataFrame(rows, schema=["run", "lr", "seed", "acc", "other"], orient="row", strict=False)
    with tempfile.TemporaryDirectory() as folder:
        lake = tl.open(folder, create=True)
        metrics = {name: name for name in ("acc", "other")}
        table = frame.with_columns(
            pl.col("lr").cast(pl.Float64), pl.col("acc").cast(pl.Float64), pl.lit(0).alias("step")
        )
        lake.import_table(table, run_columns=["run"], config_columns=["lr", "seed"], step="step", metrics=metrics)
        if all(v is None for values in groups.values() for v in values):
            return  # a metric that nobody logged is not there
        found = lake.compare("acc", by="lr", goal="max", draws=50)
    for told in found.table.iter_rows(named=True):
        values = groups[told["config.lr"]] if "config.lr" in told else next(iter(groups.values()))
        known = [v for v in values if v is not None and math.isfinite(v)]
        assert (told["n"], told["n_failed"]) == (len(known), len(values) - len(known))
        if known:
            expected = [np.mean(known), np.median(known), scipy.stats.trim_mean(known, 0.25), max(known)]
            assert [told[c] for c in ("mean", "median", "iqm", "best")] == pytest.approx(expected, abs=1e-9)
            assert told["std"] == (pytest.approx(np.std(known, ddof=1), abs=1e-9) if len(known) > 1 else None)
