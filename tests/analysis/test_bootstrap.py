"""The bootstrap, held against rliable and scipy on the same values."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from tracklake.analysis.stats import bootstrap, resampling

SCORES = np.sin(np.arange(35) * 1.7).reshape(7, 5) + np.arange(5)
"""Seven runs of five tasks, which differ in level."""
TASKS = np.tile(np.arange(5), 7)

# rliable 1.2.0, get_interval_estimates(reps=200_000) after np.random.seed(1): estimate, low, high
RLIABLE = {
    "mean": (2.0221712690611833, 1.791363270464629, 2.2519225383540102),
    "median": (1.9069439214577468, 1.4373578956575734, 2.436541836982034),
    "iqm": (1.9530490552734954, 1.698603695530262, 2.2433141843198974),
}


def columns(*values: np.ndarray, matched: bool) -> resampling.Sample:
    """Return a sample of one stratum with a column for each array."""
    number = np.repeat(np.arange(len(values)), [len(v) for v in values])
    cell = np.concatenate([np.arange(len(v)) if matched else np.full(len(v), -1) for v in values])
    return resampling.sample(number, stratum=np.zeros(len(number)), cell=cell, value=np.concatenate(values))


@pytest.mark.parametrize("center", resampling.CENTERS)
def test_estimates_over_tasks_are_those_of_rliable(center: resampling.Center):
    """Mean, median and IQM over several tasks are what rliable computes."""
    whole = resampling.sample(np.zeros(35), stratum=TASKS, cell=np.full(35, -1), value=SCORES.ravel())
    assert resampling.centers(whole, center=center, size=1)[0] == pytest.approx(RLIABLE[center][0], abs=1e-12)


@pytest.mark.parametrize("center", resampling.CENTERS)
def test_intervals_over_tasks_are_those_of_rliable(center: resampling.Center):
    """The stratified intervals (seed 0) are rliable's (seed 1) within the error of 50,000 draws."""
    found = bootstrap.interval(SCORES, strata=TASKS, center=center, draws=50_000, seed=0)
    assert found == pytest.approx(RLIABLE[center][1:], abs=0.01)


@pytest.mark.parametrize(
    ("center", "statistic"),
    [("mean", np.mean), ("median", np.median), ("iqm", lambda x, axis: scipy.stats.trim_mean(x, 0.25, axis=axis))],
)
def test_intervals_of_one_task_are_those_of_scipy(center: resampling.Center, statistic):
    """The percentile interval (seed 2) is scipy's (seed 3) within the error of 50,000 draws."""
    values = SCORES[:, 0]
    ours = bootstrap.interval(values, center=center, draws=50_000, seed=2)
    theirs = scipy.stats.bootstrap((values,), statistic, n_resamples=50_000, method="percentile", rng=3)
    assert ours == pytest.approx(tuple(theirs.confidence_interval), abs=0.02)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 400, 401])
def test_iqm_is_the_trimmed_mean_of_scipy(size: int):
    """The IQM is scipy's mean without a quarter at each end, whatever the size."""
    values = np.sin(np.arange(size) * 1.7)
    assert bootstrap.iqm(values) == pytest.approx(scipy.stats.trim_mean(values, 0.25), abs=1e-12)


@pytest.mark.parametrize("center", ["iqm", "median"])
@pytest.mark.parametrize("size", [1, 2, 5, 1000, 1001])
def test_a_draw_is_averaged_as_if_it_were_sorted(center: resampling.Center, size: int):
    """The short way to the middle of a draw gives what sorting the drawn values gives, ties or not."""
    values = np.sin(np.arange(size) * 1.7).round(2)
    counts = resampling._Drawn(size, seed=(1, 2)).counts(20)
    found = resampling._Ordered(values, center).middle_means(counts)
    drawn = [np.sort(np.repeat(values, row.astype(int))) for row in counts]
    assert found == pytest.approx([row[resampling.kept(center, size)].mean() for row in drawn], abs=1e-9)


def test_a_draw_outside_the_windows_is_averaged_all_the_same():
    """Where the draws leave the windows in which the quarters are looked for, all values are looked at."""
    values = np.arange(1000.0)
    counts = np.zeros((1, 1000))
    counts[0, 7] = 1000
    assert resampling._Ordered(values, "iqm").middle_means(counts).tolist() == [7.0]


@pytest.mark.parametrize(
    "drawn",
    [
        {0: 300, 200: 200, 700: 500},  # more than a quarter below the first window
        {200: 200, 500: 100, 700: 700},  # less than a quarter up to its end
        {200: 300, 500: 500, 700: 200},  # more than three quarters below the second window
        {200: 300, 700: 300, 950: 400},  # less than three quarters up to its end
    ],
)
def test_a_draw_that_leaves_one_window_is_averaged_all_the_same(drawn: dict[int, int]):
    """A quarter of the draw that lies outside its window on either side is found all the same."""
    counts = np.zeros((1, 1000))
    counts[0, list(drawn)] = list(drawn.values())
    middle = np.repeat(list(drawn), list(drawn.values()))[250:750]
    found = resampling._Ordered(np.arange(1000.0), "iqm").middle_means(counts)
    assert found.tolist() == pytest.approx([middle.mean()])


def test_the_median_of_one_task_is_that_of_its_values():
    """Over several tasks it is that of their means."""
    one = resampling.sample([0, 0, 0], stratum=[0, 0, 0], cell=[-1] * 3, value=[1.0, 2.0, 9.0])
    assert resampling.centers(one, center="median", size=1).tolist() == [2.0]
    two = resampling.sample([0, 0, 0], stratum=[0, 0, 1], cell=[-1] * 3, value=[1.0, 2.0, 9.0])
    assert resampling.centers(two, center="median", size=1).tolist() == [5.25]


@pytest.mark.parametrize("center", resampling.CENTERS)
def test_nothing_is_drawn_from_nothing(center: resampling.Center):
    """A sample without values has no columns to draw, and aggregates that are NaN."""
    nothing = resampling.sample([], stratum=[], cell=[], value=[])
    assert list(resampling.resampled(nothing, center=center, draws=10, seed=0)) == []
    assert np.isnan(resampling.centers(nothing, center=center, size=2)).tolist() == [True, True]


@pytest.mark.parametrize("center", resampling.CENTERS)
def test_matched_columns_are_drawn_together(center: resampling.Center):
    """Where one column is the other plus 1, every draw of the difference is 1."""
    both = columns(SCORES[:, 0], SCORES[:, 0] + 1, matched=True)
    ((_, drawn),) = resampling.resampled(both, center=center, draws=500, seed=0, together=2)
    assert drawn[1] - drawn[0] == pytest.approx(1)


def test_unmatched_columns_are_drawn_apart():
    """Without cells, the draws of two equal columns do not go together."""
    both = columns(SCORES[:, 0], SCORES[:, 0], matched=False)
    ((_, drawn),) = resampling.resampled(both, center="mean", draws=5000, seed=0, together=2)
    assert abs(np.corrcoef(drawn)[0, 1]) < 0.05


@pytest.mark.parametrize("center", resampling.CENTERS)
def test_the_seed_decides(center: resampling.Center):
    """The same seed gives the same interval, another seed another."""
    first, again, other = (bootstrap.interval(SCORES, strata=TASKS, center=center, seed=s) for s in (5, 5, 6))
    assert first == again
    assert first != other


def test_one_value_is_its_own_interval():
    """Nothing else can be drawn from one value."""
    assert bootstrap.interval([3.5]) == (3.5, 3.5)


@pytest.mark.parametrize("together", [1, 2])
def test_many_columns_come_in_batches_once_each(together: int):
    """More columns than fit a batch are each yielded once, also two by two."""
    many = columns(*(np.array([float(i)]) for i in range(210)), matched=True)
    parts = list(resampling.resampled(many, center="mean", draws=100_000, seed=0, together=together))
    assert len(parts) > 1
    assert np.concatenate([found for found, _ in parts]).tolist() == list(range(210))


def test_columns_of_many_values_come_few_at_a_time():
    """Of values that are drawn apart and kept in order, at most 80,000 stand in one batch."""
    large = columns(*(np.arange(40_000.0) for _ in range(3)), matched=False)
    parts = resampling.resampled(large, center="iqm", draws=1, seed=0)
    assert [found.tolist() for found, _ in parts] == [[0, 1], [2]]


@pytest.mark.parametrize(("sizes", "tasks"), [([5], 1), ([3], 4), ([12], 1)])
def test_intervals_hold_the_truth_as_often_as_told(sizes: list[int], tasks: int):
    """Of 2,000 intervals (seed 4) of normal values, hardly more hold their mean than `coverage` says, and 5% fewer."""
    n = sizes[0]
    values = np.random.default_rng(4).normal(size=(2000, tasks, n))
    whole = resampling.sample(
        np.repeat(np.arange(2000), tasks * n), stratum=np.tile(np.repeat(np.arange(tasks), n), 2000),
        cell=np.tile(np.arange(n), 2000 * tasks), value=values.ravel())  # fmt: skip
    held = 0
    for _, drawn in resampling.resampled(whole, center="mean", draws=400, seed=0):
        low, high = bootstrap.bounds(drawn, 0.95)
        held += int(((low <= 0) & (high >= 0)).sum())
    most = bootstrap.coverage(sizes * tasks)
    assert most - 0.05 < held / 2000 < most + 0.015
