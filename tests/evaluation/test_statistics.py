"""Summaries and tests agree with tables worked by hand and with SciPy."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from matplotlib.cbook import boxplot_stats
from scipy import stats

from stemcls.evaluation.statistics import (
    UndefinedTestError,
    compare_pairs,
    holm,
    one_way_anova,
    stars,
    summarise,
    t_test,
)

RANDOM = np.random.default_rng(0)
SAMPLES = {
    "a": RANDOM.normal(8.0, 1.0, 40),
    "b": RANDOM.normal(8.3, 2.0, 25),
    "c": RANDOM.normal(9.0, 0.5, 12),
}


def test_a_summary_by_hand():
    found = summarise(np.array([1.0, 2.0, 3.0, 4.0, 20.0]))
    assert (found.n, found.mean, found.median, found.q1, found.q3) == (5, 6.0, 3.0, 2.0, 4.0)
    assert found.sd == pytest.approx(math.sqrt(62.5))
    assert found.sem == pytest.approx(math.sqrt(12.5))
    # IQR 2: whiskers reach at most from -1 to 7.
    assert (found.whisker_low, found.whisker_high) == (1.0, 4.0)
    assert (found.minimum, found.maximum) == (1.0, 20.0)


@pytest.mark.parametrize("values", [*SAMPLES.values(), np.array([3.0]), np.array([0.0, 0, 0, 9])])
def test_boxes_and_whiskers_are_those_of_matplotlib(values):
    found, (expected,) = summarise(values), boxplot_stats(values)
    ours = (found.q1, found.median, found.q3, found.whisker_low, found.whisker_high)
    assert ours == pytest.approx([expected[key] for key in ("q1", "med", "q3", "whislo", "whishi")])


def test_one_value_has_no_spread_and_none_has_no_mean():
    assert math.isnan(summarise(np.array([3.0])).sem)
    assert math.isnan(summarise(np.zeros(0)).mean)


def test_anova_by_hand():
    # Means 2, 3, 6; between 3 (25 + 4 + 49) / 9 = 26 with 2 df; within 6 with 6 df.
    found = one_way_anova(
        {"a": np.array([1.0, 2, 3]), "b": np.array([2.0, 3, 4]), "c": np.array([5.0, 6, 7])}
    )
    assert (found.df_between, found.df_within) == (2, 6)
    assert found.f == pytest.approx(13.0)
    assert found.eta_squared == pytest.approx(26 / 32)
    # F(2, m) has the survival function (1 + 2 F / m)^(-m / 2).
    assert found.p == pytest.approx((1 + 26 / 6) ** -3)


def test_anova_is_that_of_scipy():
    expected = stats.f_oneway(*SAMPLES.values())
    found = one_way_anova(SAMPLES)
    assert (found.f, found.p) == pytest.approx((expected.statistic, expected.pvalue))


def test_with_two_classes_f_is_the_square_of_students_t():
    two = {"a": SAMPLES["a"], "b": SAMPLES["b"]}
    found, t = one_way_anova(two), t_test(two["a"], two["b"], "student")
    assert (found.f, found.p) == pytest.approx((t.t**2, t.p))


@pytest.mark.parametrize(("test", "equal"), [("welch", False), ("student", True)])
def test_t_tests_and_their_intervals_are_those_of_scipy(test, equal):
    expected = stats.ttest_ind(SAMPLES["a"], SAMPLES["b"], equal_var=equal)
    found = t_test(SAMPLES["a"], SAMPLES["b"], test)
    assert (found.t, found.p, found.df) == pytest.approx(
        (expected.statistic, expected.pvalue, expected.df)
    )
    assert found.difference_ci == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_hedges_g_by_hand():
    found = t_test(np.array([1.0, 2, 3]), np.array([3.0, 4, 5]))
    # d = -2 and 4 df: the correction is gamma(2) / (sqrt(2) gamma(3/2)) = sqrt(2 / pi).
    assert found.hedges_g == pytest.approx(-2 * math.sqrt(2 / math.pi))


@pytest.mark.parametrize("n", [3, 10, 200])
def test_the_interval_of_g_puts_t_at_the_tails_of_noncentral_t(n):
    first, second = RANDOM.normal(1.0, 1, n), RANDOM.normal(0, 1, n + 1)
    found = t_test(first, second, "student")
    scale = math.sqrt(1 / n + 1 / (n + 1))
    tails = [stats.nct.cdf(found.t, 2 * n - 1, end / scale) for end in found.hedges_g_ci]
    assert tails == pytest.approx([0.975, 0.025], abs=2e-6)


def test_the_interval_of_g_holds_the_truth_95_times_in_100_with_four_donors():
    random = np.random.default_rng(5)
    held = 0
    for _ in range(600):
        low, high = t_test(random.normal(1.0, 1, 4), random.normal(0, 1, 4)).hedges_g_ci
        held += low <= 1.0 <= high
    assert 0.93 <= held / 600 <= 0.97


def test_classes_that_hardly_vary_still_get_an_interval_at_once():
    start = time.perf_counter()
    first = np.array([1.0, 1 + 1e-8, 1 - 1e-8])
    low, high = t_test(first, first + 1).hedges_g_ci
    assert low < -1e8 < high < 0
    assert time.perf_counter() - start < 5


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.5]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize(
    ("p", "mark"),
    [(0.05, "n.s."), (0.0499, "*"), (0.01, "*"), (0.0099, "**"), (0.001, "**"), (0.00099, "***")],
)
def test_stars_are_for_p_below_the_limits(p, mark):
    assert stars(p) == mark


def test_every_two_classes_are_compared_and_stars_are_of_holms_p():
    pairs = compare_pairs(SAMPLES, "student")
    assert [(pair.first, pair.second) for pair in pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    raw = [pair.result.p for pair in pairs]
    assert [pair.p_holm for pair in pairs] == pytest.approx(holm(raw))
    assert [pair.stars for pair in pairs] == [stars(p) for p in holm(raw)]


def test_pairs_that_cannot_be_tested_say_so_and_do_not_count_for_holm():
    pairs = compare_pairs({**{k: SAMPLES[k] for k in "ac"}, "lone": np.array([8.0])})
    tested = next(pair for pair in pairs if pair.result)
    assert tested.p_holm == tested.result.p
    others = [pair.why_not for pair in pairs if not pair.result]
    assert others == [
        "n = 40 and 1: a t test needs at least 2 values in each",
        "n = 12 and 1: a t test needs at least 2 values in each",
    ]


def test_one_class_without_spread_is_tested_against_one_with():
    flat, varied = np.full(5, 2.0), np.array([1.0, 2.0, 4.0, 5.0])
    found = t_test(flat, varied)
    assert found.df == pytest.approx(3)
    assert found.t == pytest.approx(-stats.ttest_1samp(varied, 2.0).statistic)


@pytest.mark.parametrize("value", [0.0, 0.1, 12345.678])
def test_no_spread_at_all_is_said_not_divided_by(value):
    # Sums of equal numbers are rounded; that is no variation.
    flat = {"a": np.full(7, value), "b": np.full(9, value) * 3 / 3}
    with pytest.raises(UndefinedTestError, match="all values are alike: t is not defined"):
        t_test(flat["a"], flat["b"])
    with pytest.raises(UndefinedTestError, match="all values are alike: F is not defined"):
        one_way_anova(flat)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ({"a": np.arange(3.0)}, "one class with values: nothing to compare"),
        ({"a": np.arange(3.0), "b": np.zeros(0)}, "'b' has no values"),
        ({"a": np.ones(1), "b": np.zeros(1)}, "every class has one value"),
    ],
)
def test_anova_says_why_there_is_none(samples, message):
    with pytest.raises(UndefinedTestError, match=message):
        one_way_anova(samples)
