"""Tests of differences, corrections and effect sizes, held against scipy, statsmodels and rliable."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from statsmodels.stats.meta_analysis import effectsize_smd
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from tracklake.analysis.stats import significance
from tracklake.analysis.stats.significance import Spread

A = np.sin(np.arange(8) * 1.7)
B = np.cos(np.arange(6) * 2.3) - 0.3
P = [0.001, 0.04, 0.04, 0.2, 0.012, 0.9, 0.03]


def test_welch_is_that_of_scipy():
    """The p value of unmatched runs on one task is scipy's Welch test."""
    found = significance.t_test(significance.unpaired_spread([A], [B]))
    assert found == pytest.approx(scipy.stats.ttest_ind(A, B, equal_var=False).pvalue, abs=1e-12)


def test_paired_t_is_that_of_scipy():
    """The p value of matched runs on one task is scipy's paired t test."""
    found = significance.t_test(significance.paired_spread([A[:6] - B]))
    assert found == pytest.approx(scipy.stats.ttest_rel(A[:6], B).pvalue, abs=1e-12)


def test_stratified_spread_of_one_task_said_twice():
    """Two tasks with the same differences have the same mean, and an error smaller by the root of two."""
    once, twice = significance.paired_spread([A]), significance.paired_spread([A, A])
    assert twice.difference == pytest.approx(once.difference)
    assert twice.error == pytest.approx(once.error / 2**0.5)
    assert twice.freedom == pytest.approx(14)


def test_tasks_with_one_pair_each_are_one_sample():
    """Where a task has a single pair there is no spread within it, and all pairs are taken together."""
    apart = significance.paired_spread([np.array([d]) for d in A])
    assert apart == significance.paired_spread([A])


def test_corrections_are_those_of_the_references():
    """Holm is that of statsmodels and Benjamini-Hochberg that of scipy, ties included."""
    assert significance.holm(P) == pytest.approx(multipletests(P, method="holm")[1], abs=1e-12)
    assert significance.benjamini_hochberg(P) == pytest.approx(scipy.stats.false_discovery_control(P), abs=1e-12)


def test_comparisons_that_were_not_made_count_where_said():
    """Of more comparisons than p values, those not given are taken as 1: the same as statsmodels on the padded list."""
    padded = [*P, *[1.0] * 14]
    for ours, method in ((significance.holm, "holm"), (significance.benjamini_hochberg, "fdr_bh")):
        expected = multipletests(padded, method=method)[1][:7]
        assert ours(P, comparisons=21) == pytest.approx(expected, abs=1e-12)


def test_the_best_of_equals_is_called_better_in_one_table_of_twenty():
    """Of 400 tables of 20 equal groups, in 5% at most one is called worse than the best; by its own 19 tests in 10%."""
    generator = np.random.default_rng(0)
    few = many = 0
    for values in generator.normal(size=(400, 20, 10)):
        best = values.mean(axis=1).argmax()
        p = scipy.stats.ttest_rel(np.delete(values, best, axis=0), values[best][None].repeat(19, 0), axis=1).pvalue
        few += significance.holm(p).min() < 0.05
        many += significance.holm(p, comparisons=significance.pairs_of(p)).min() < 0.05
    assert many / 400 <= 0.05
    assert few / 400 > 0.1


def test_comparisons_without_a_test_do_not_count():
    """A missing p value stays missing and makes the others no stricter."""
    assert significance.holm([0.01, np.nan, 0.04]).tolist() == pytest.approx([0.02, np.nan, 0.04], nan_ok=True)


def test_hedges_g_is_that_of_statsmodels():
    """The effect size of one task is statsmodels' bias-corrected standardized mean difference."""
    theirs, _ = effectsize_smd(A.mean(), A.std(ddof=1), 8, B.mean(), B.std(ddof=1), 6)
    assert significance.hedges_g([A], [B]) == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("pairs", [2, 3, 6, 100])
def test_detectable_is_the_power_of_statsmodels(pairs: int):
    """The smallest difference that is shown has a power of 0.8 by statsmodels."""
    size = significance.detectable(Spread(0.0, pairs**-0.5, pairs - 1.0))
    assert TTestPower().power(size, pairs, 0.05) == pytest.approx(0.8, abs=1e-9)


def test_probability_of_improvement_is_that_of_rliable():
    """Over five tasks, and with ties, it is what rliable computes."""
    first = np.sin(np.arange(35) * 1.7).reshape(7, 5) + np.arange(5)
    second = np.cos(np.arange(30) * 2.3).reshape(6, 5) + np.arange(5) - 0.3
    assert significance.probability_of_improvement(first.T, second.T) == pytest.approx(0.6238095238095237, abs=1e-12)
    whole = significance.probability_of_improvement([first.round(0).ravel()], [second.round(0).ravel()])
    u = scipy.stats.mannwhitneyu(first.round(0).ravel(), second.round(0).ravel()).statistic
    assert whole == pytest.approx(u / (35 * 30), abs=1e-12)


@pytest.mark.parametrize(
    ("pairs", "name"), [(1, "none"), (2, "paired t"), (9, "paired t"), (10, "Wilcoxon signed-rank")]
)
def test_the_number_of_pairs_chooses_the_test(pairs: int, name: str):
    """One pair has no test, few have the t test, ten or more the test on ranks."""
    assert significance.paired_test([np.sin(np.arange(pairs) + 1.0)]).name == name


def test_equal_pairs_have_p_one():
    """Runs that match in every value are not different."""
    assert significance.paired_test([np.zeros(5)])[:3] == ("none", 1.0, ", and all pairs are equal")


def test_too_few_pairs_are_told():
    """Without pairs nothing matched, and a single one has no spread."""
    whys = [significance.paired_test([np.zeros(pairs)]).why for pairs in (0, 1)]
    assert whys == ["no runs match", "1 matched pair has no spread"]


def test_equal_differences_are_tested_by_rank():
    """Where all differences are the same the t test has no spread, and the ranks decide."""
    found = significance.paired_test([np.full(6, 0.5)])
    assert (found.name, found.p) == ("Wilcoxon signed-rank", 0.03125)


def test_unmatched_runs_without_spread_are_tested_by_rank():
    """Two groups that each repeat one value leave Welch without a spread, and the ranks decide."""
    found = significance.unpaired_test([np.full(3, 1.0)], [np.full(3, 2.0)])
    assert found.name == "Mann-Whitney U"
    assert found.p == pytest.approx(scipy.stats.mannwhitneyu([1, 2, 3], [4, 5, 6]).pvalue)


@pytest.mark.parametrize(("n", "name"), [(1, "none"), (3, "Welch t"), (10, "Mann-Whitney U")])
def test_the_size_of_the_smaller_group_chooses_the_test(n: int, name: str):
    """One run has no test, few have Welch's, ten or more in both groups the test on ranks."""
    assert significance.unpaired_test([np.sin(np.arange(n))], [np.sin(np.arange(20) + 0.5)]).name == name


def test_rounding_is_no_spread():
    """Accuracies that differ by 0.01 in both seeds prove nothing, though 0.93 - 0.92 is not 0.12 - 0.11."""
    first, second = [np.array([0.93, 0.12])], [np.array([0.92, 0.11])]
    assert significance.t_test(significance.paired_spread([first[0] - second[0]])) < 1e-9
    found = significance.paired_test(significance.paired_differences(first, second))
    assert (found.name, found.p) == ("Wilcoxon signed-rank", 0.5)


def test_runs_that_all_give_one_value_have_no_spread():
    """Where the seed changes nothing, the mean of 0.1, 0.1, 0.1 is off by rounding, and that is no spread."""
    found = significance.unpaired_test([np.full(3, 0.1)], [np.full(3, 0.3)], why="no seed in common")
    assert (found.name, round(found.p, 3)) == ("Mann-Whitney U", 0.1)
    assert np.isnan(significance.hedges_g([np.full(3, 0.1)], [np.full(3, 0.3)]))


def test_ties_of_ranks_are_not_told_apart_by_rounding():
    """Differences of 0.01 share one rank, as scipy says of rounded ones."""
    second = np.array([0.52, 0.64, 0.71, 0.83, 0.90, 0.13, 0.27])
    first = second + np.array([0.01, 0.01, 0.01, 0.01, -0.01, -0.01, 0.02])
    (found,) = significance.paired_differences([first], [second])
    expected = scipy.stats.wilcoxon((first - second).round(6)).pvalue
    assert significance.signed_rank(found) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    "differences",
    [
        [1, 1, 1, 1, 1],
        [1, 1, 2, 3, -4, 5],
        [0, 0, 1, 2, 3, 4, 5],
        [0, 0, 2, 2, -2],
        [-1, -1, 2, -3, -3, -3, -4, -5],
        [1, -1, 2, -2],
        [0, 0, 0],
        [3],
        [0, 3],
    ],
)
def test_ties_of_few_pairs_are_exact(differences: list[int]):
    """Of up to 13 pairs with ties or zeros all signs of the ranks are looked at, as by scipy."""
    given = np.array(differences) / 64
    assert significance.signed_rank(given) == pytest.approx(
        scipy.stats.wilcoxon(given).pvalue if given.any() else 1.0, abs=1e-12
    )


@pytest.mark.parametrize(("pairs", "p"), [(13, 2 / 2**13), (14, 0.000978706525317055)])
def test_ties_of_more_pairs_are_approximated(pairs: int, p: float):
    """The two most extreme of all sign patterns have p = 2 / 2^13; from 14 pairs on it is that of the normal curve."""
    assert significance.signed_rank([1.0, 1.0, *range(2, pairs)]) == pytest.approx(p, rel=1e-12)


def test_a_test_on_ranks_may_lean_the_other_way():
    """One wild run makes the mean higher, all the others are lower: the ranks lean down."""
    differences = np.array([-0.01 * i for i in range(1, 12)] + [9.0])
    found = significance.paired_test([differences])
    assert (found.name, found.leaning) == ("Wilcoxon signed-rank", -54.0)
    assert differences.mean() > 0


def test_ranks_of_several_tasks_are_not_mixed():
    """test="rank" of unmatched runs on two tasks falls back on means, and says why."""
    found = significance.unpaired_test([A, A + 9], [B, B + 9], kind="rank", why="no seed in common")
    assert found.name == "Welch t"
    assert found.why == "no seed in common; ranks of several tasks do not compare, so the means do"
