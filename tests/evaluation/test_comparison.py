"""Paired tests give the answers of hand calculation and of SciPy, and keep what they promise."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats

from stemcls.errors import InputError
from stemcls.evaluation.comparison import (
    METRICS,
    Difference,
    adjusted,
    compare_folds,
    compare_predictions,
    mcnemar,
)
from stemcls.evaluation.predictions import Predictions
from stemcls.evaluation.statistics import holm

from .conftest import certain, simulated


def test_without_overlap_it_is_the_paired_t_test():
    first, second = [0.9, 0.8, 0.85, 0.95, 0.7], [0.8, 0.75, 0.86, 0.9, 0.6]
    found = compare_folds(first, second, 0.0)
    plain = stats.ttest_rel(first, second)
    assert found.p == pytest.approx(plain.pvalue)
    assert found.ci == pytest.approx(tuple(plain.confidence_interval(0.95)))
    assert found.difference == pytest.approx(np.mean(first) - np.mean(second))


def test_overlap_of_training_sets_widens_the_interval_as_calculated_by_hand():
    # Differences 0.1, 0.2, 0.3: mean 0.2, s^2 0.01; variance (1/3 + 1/2) 0.01; t = 2.19089.
    found = compare_folds([0.6, 0.7, 0.8], [0.5, 0.5, 0.5], 0.5)
    error = math.sqrt((1 / 3 + 1 / 2) * 0.01)
    assert found.difference == pytest.approx(0.2)
    assert found.p == pytest.approx(2 * stats.t.sf(0.2 / error, 2))
    reach = 4.302653 * error
    assert found.ci == pytest.approx((0.2 - reach, 0.2 + reach), abs=1e-6)
    assert found.n == 3


def test_the_correction_keeps_the_level_where_the_plain_test_does_not():
    # Fold differences with the correlation n2 / (n1 + n2) that Nadeau and Bengio assume.
    rng, folds = np.random.default_rng(0), 5
    ratio = 1 / (folds - 1)
    rho = ratio / (1 + ratio)
    shared = rng.normal(0, math.sqrt(rho), (2000, 1))
    draws = shared + rng.normal(0, math.sqrt(1 - rho), (2000, folds))
    wrong = {
        share: np.mean([compare_folds(d, np.zeros(folds), share).p < 0.05 for d in draws])
        for share in (0.0, ratio)
    }
    assert wrong[0.0] > 0.1
    assert wrong[ratio] == pytest.approx(0.05, abs=0.015)


def test_undefined_folds_are_left_out_and_too_few_are_not_tested():
    found = compare_folds([0.9, math.nan, 0.8, 0.7], [0.8, 0.5, 0.75, 0.4], 0.25)
    assert found.n == 3
    found = compare_folds([0.9, math.nan], [0.8, 0.5], 1.0)
    assert found.difference == pytest.approx(0.1)
    assert math.isnan(found.p)
    assert "needs two or more" in found.note
    assert math.isnan(compare_folds([math.nan], [0.5], 1.0).difference)


def test_the_same_difference_in_every_fold_is_not_tested():
    found = compare_folds([0.9, 0.8, 0.7], [0.8, 0.7, 0.6], 0.5)
    assert found.difference == pytest.approx(0.1)
    assert (found.ci, math.isnan(found.p)) == (None, True)
    assert "the same in every fold" in found.note


def test_a_run_does_not_differ_from_itself_in_any_order_of_rows():
    one = simulated(n_groups=12)
    order = np.random.default_rng(0).permutation(len(one))
    other = Predictions(
        one.rows[order], one.labels[order], one.probabilities[order], one.groups[order],
        one.classes,
    )
    for found in compare_predictions(one, other, resamples=100).values():
        assert (found.difference, found.ci, found.p, found.note) == (0, None, 1, "")
        assert found.low == found.high == 0


def test_a_clear_difference_is_found_with_its_sign():
    truth = [0, 1] * 40
    flipped = [1 - label if index % 3 == 0 else label for index, label in enumerate(truth)]
    good, bad = certain(truth, truth, ("a", "b")), certain(truth, flipped, ("a", "b"))
    found = compare_predictions(good, bad, resamples=500)
    assert set(found) == set(METRICS)
    assert found["accuracy"].difference == pytest.approx(27 / 80)
    assert found["accuracy"].ci[0] > 0
    assert found["accuracy"].p == pytest.approx(2 / 501)
    assert compare_predictions(bad, good, resamples=500)["accuracy"].ci[1] < 0


def test_whole_groups_are_resampled():
    # Two groups of 50 alike crops each are two values, not 100: nothing can be said of them.
    n = 300
    labels = np.arange(n) % 2
    right = np.eye(2)[labels]
    wrong = np.where((np.arange(n) < 50)[:, None], right[:, ::-1], right)
    groups = np.arange(n) // 50
    one, other = (
        Predictions(np.arange(n), labels, p, groups, ("a", "b")) for p in (right, wrong)
    )
    found = compare_predictions(one, other, resamples=500)["accuracy"]
    assert found.ci[0] == 0
    assert found.p > 0.3
    assert "only 6 groups" in found.note
    crops = dataclasses.replace(one, groups=np.arange(n)), dataclasses.replace(
        other, groups=np.arange(n)
    )
    assert compare_predictions(*crops, resamples=500)["accuracy"].p < 0.01


def test_fewer_than_three_groups_get_no_interval():
    one, other = simulated(n_groups=2), simulated(n_groups=2)
    found = compare_predictions(one, other)["auroc"]
    assert (found.ci, math.isnan(found.p)) == (None, True)
    assert "needs 3 or more" in found.note


def test_mcnemar_counts_disagreements_and_agrees_with_the_binomial():
    truth = [0] * 20
    one = certain(truth, [0] * 18 + [1] * 2, ("a", "b"))
    other = certain(truth, [1] * 7 + [0] * 12 + [1], ("a", "b"))
    found = mcnemar(one, other)
    assert (found.only_first, found.only_second) == (7, 1)
    assert found.p == pytest.approx(2 * (1 + 8) / 2**8)
    assert mcnemar(one, one).p == 1


def test_other_crops_are_never_paired():
    one = certain([0, 1], [0, 1], ("a", "b"))
    others = (
        certain([0, 1, 1], [0, 1, 1], ("a", "b")),
        certain([1, 0], [0, 1], ("a", "b")),
        certain([0, 1], [0, 1], ("a", "c")),
    )
    for other in others:
        with pytest.raises(InputError, match="only predictions of the same crops"):
            compare_predictions(one, other)


def test_holm_is_as_published_and_passes_over_what_was_not_tested():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([]) == []
    untested = Difference(0.1, None, math.nan, 1)
    tested = [Difference(0.1, None, p, 5) for p in (0.02, 0.03)]
    found = adjusted([tested[0], untested, tested[1]])
    assert [found[0].p_holm, found[2].p_holm] == pytest.approx([0.04, 0.04])
    assert math.isnan(found[1].p_holm)
