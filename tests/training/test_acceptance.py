"""A later stage is kept only where its gain on the validation crops is more than chance."""

import numpy as np
import pytest
from scipy import stats

from stemcls.training.acceptance import LEAST_GROUPS, LEVEL, judge

RNG = np.random.default_rng(0)


def test_crops_one_by_one_are_the_paired_t_test_of_scipy():
    for shift in (0.0, 0.1, 0.2, 0.3, 0.5):
        before = RNG.gamma(2.0, 0.3, 20)
        after = before - RNG.normal(shift, 0.4, 20)
        verdict = judge(before, after, np.ones(20))
        test = stats.ttest_rel(before, after, alternative="greater")
        assert verdict.kept == (test.pvalue < LEVEL)
        assert verdict.gain / verdict.error == pytest.approx(test.statistic)
        assert not verdict.grouped


def test_equal_groups_are_the_t_test_of_their_means():
    groups = np.repeat(np.arange(6), 10)
    differences = RNG.normal(0, 0.3, 60) + RNG.normal(0.2, 0.3, 6)[groups]
    verdict = judge(differences, np.zeros(60), np.ones(60), groups)
    test = stats.ttest_1samp(differences.reshape(6, 10).mean(axis=1), 0.0, alternative="greater")
    assert verdict.gain / verdict.error == pytest.approx(test.statistic)
    assert (verdict.units, verdict.grouped) == (6, True)
    assert verdict.kept == (test.pvalue < LEVEL)


def test_a_stage_that_changes_nothing_is_kept_as_rarely_as_the_level_says():
    """Crops of a group gain and lose together; taken one by one they would be kept far oftener."""
    groups = np.repeat(np.arange(8), 12)
    kept = {True: 0, False: 0}
    for _ in range(2000):
        differences = RNG.normal(0, 0.3, 96) + RNG.normal(0, 0.3, 8)[groups]
        for grouped in kept:
            known = groups if grouped else None
            kept[grouped] += judge(differences, np.zeros(96), np.ones(96), known).kept
    assert kept[True] / 2000 == pytest.approx(LEVEL, abs=0.015)
    assert kept[False] / 2000 > 0.2


def test_few_groups_count_crop_by_crop():
    groups = np.arange(40) % (LEAST_GROUPS - 1)
    differences = RNG.normal(0.2, 0.3, 40)
    verdict = judge(differences, np.zeros(40), np.ones(40), groups)
    assert verdict == judge(differences, np.zeros(40), np.ones(40))


def test_crops_count_as_much_as_they_weigh():
    verdict = judge(np.array([1.0, 0.0, 0.0, 0.0]), np.zeros(4), np.array([2.0, 1.0, 0.5, 0.5]))
    assert verdict.gain == pytest.approx(0.5)


def test_equal_networks_are_rejected_and_the_verdict_says_so():
    verdict = judge(np.ones(9), np.ones(9), np.ones(9))
    assert not verdict.kept
    assert str(verdict).startswith("rejected: validation loss fell by 0.0000 +- 0.0000 (9 crops)")


def test_one_crop_that_got_better_is_all_there_is_to_go_by():
    assert judge(np.ones(1), np.zeros(1), np.ones(1)).kept
