"""The pixel score counts all pixels, hits are told from the rest, and cells from background."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from stemcls.explain.pixelscore import compare_hits, inside_share, pixel_score


def test_the_pixel_score_counts_all_pixels() -> None:
    heat = np.zeros((2, 4, 4), dtype=np.float32)
    heat[0, 0, :4] = [1.0, 0.5, 0.49, 0.2]
    np.testing.assert_allclose(pixel_score(heat), [1.5 / 16, 0])


def test_what_speaks_against_a_class_does_not_count() -> None:
    heat = np.array([[[1.0, -1.0], [-0.6, 0.0]]], dtype=np.float32)
    np.testing.assert_allclose(pixel_score(heat), [0.25])


def test_true_positives_are_tested_against_true_negatives_of_each_class() -> None:
    random = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2, -1], 20)
    predicted = truth.clip(0)
    predicted[:4] = 1  # four misses of class 0, which are no true negatives of class 1
    scores = random.normal(0.2, 0.02, 80) + 0.1 * (truth == 1)
    groups = np.arange(80) % 5
    first, second, third = compare_hits(scores, truth, predicted, groups, ("a", "b", "c"))
    assert [row["n_tp"] for row in (first, second, third)] == [16, 20, 20]
    assert [row["n_tn"] for row in (first, second, third)] == [40, 36, 40]
    positive = scores[(truth == 1) & (predicted == 1)]
    negative = scores[(truth >= 0) & (truth != 1) & (predicted != 1)]
    assert second["p"] == pytest.approx(stats.mannwhitneyu(positive, negative).pvalue)
    assert second["superiority"] == pytest.approx(np.mean(positive[:, None] > negative[None]))
    assert second["superiority"] > 0.99
    assert second["median_tp"] == pytest.approx(np.median(positive))
    assert 0 < second["p_groups"] < 0.001
    assert first["superiority"] < 0.5


def test_a_class_without_hits_says_so() -> None:
    scores, truth = np.array([0.1, 0.2]), np.array([0, 0])
    first, second = compare_hits(scores, truth, truth, np.array([0, 1]), ("a", "b"))
    assert first["note"] == "no true negatives"
    assert second["note"] == "no true positives"
    assert first["p"] is second["p"] is None


def test_one_group_is_not_compared_with_itself() -> None:
    scores, truth = np.array([0.1, 0.2, 0.3, 0.4]), np.array([0, 0, 1, 1])
    (first, _) = compare_hits(scores, truth, truth, np.zeros(4, dtype=int), ("a", "b"))
    assert first["p"] is not None
    assert first["p_groups"] is None
    assert "at least 2 values" in first["note"]


def test_saliency_is_shared_out_between_cell_and_background() -> None:
    heat = np.zeros((3, 9, 9), dtype=np.float32)
    heat[:, 4, 4] = 1.0
    heat[:, 0, 0] = 0.5
    heat[:, 8, 8] = -1.0
    found = inside_share(heat, np.array([1.0, np.nan, 20.0]))
    np.testing.assert_allclose(found["mass"], [2 / 3, np.nan, 1])
    np.testing.assert_allclose(found["area"], [5 / 81, np.nan, 1])
    assert np.isnan(inside_share(np.zeros((1, 9, 9)), np.array([1.0]))["mass"][0])
