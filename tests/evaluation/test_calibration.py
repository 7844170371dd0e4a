"""Calibration finds the temperature behind the scores, keeps its promises, says what is new."""

from __future__ import annotations

import numpy as np
import pytest

from stemcls.errors import InputError
from stemcls.evaluation.calibration.conformal import (
    describe_sets,
    fit_thresholds,
    least_groups,
    sets_of,
)
from stemcls.evaluation.calibration.novelty import Novelty, fit_novelty
from stemcls.evaluation.calibration.temperature import fit_temperature, softened
from stemcls.evaluation.metrics import compute_metrics
from stemcls.evaluation.predictions import Predictions
from stemcls.evaluation.reliability import reliability

from .conftest import certain


def grouped(
    random: np.random.Generator, n_groups: int, each: int = 20, spread: float = 0.7, k: int = 2
) -> Predictions:
    """Draw crops whose groups differ in how easy they are."""
    groups = np.repeat(np.arange(n_groups), each)
    labels = random.integers(0, k, len(groups))
    ease = 1.0 + spread * random.normal(size=n_groups)
    logits = random.normal(size=(len(groups), k))
    logits[np.arange(len(groups)), labels] += ease[groups]
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return Predictions(np.arange(len(groups)), labels, shares, groups, ("a", "b", "c")[:k])


def test_the_temperature_that_made_logits_too_sure_is_found() -> None:
    random = np.random.default_rng(0)
    honest = random.normal(size=(20_000, 3)) * 1.5
    shares = np.exp(honest) / np.exp(honest).sum(axis=1, keepdims=True)
    labels = (random.random((20_000, 1)) > shares.cumsum(axis=1)).sum(axis=1)
    groups = random.integers(0, 12, 20_000)
    found = fit_temperature(2.5 * honest[None], labels, groups)
    assert found.value == pytest.approx(2.5, rel=0.03)
    assert found.ci is not None
    assert found.ci[0] < 2.5 < found.ci[1]
    assert found.log_loss_after < found.log_loss_before
    assert not found.at_limit
    np.testing.assert_allclose(softened(2.5 * honest[None], 2.5), shares, atol=1e-12)


def test_a_temperature_of_scores_that_say_nothing_is_flagged() -> None:
    random = np.random.default_rng(0)
    logits = 5 * random.normal(size=(1, 600, 2))
    found = fit_temperature(logits, random.integers(0, 2, 600), np.zeros(600, int))
    assert found.at_limit
    assert found.ci is None


def test_views_are_softened_one_by_one_and_then_averaged() -> None:
    logits = np.array([[[2.0, 0.0]], [[0.0, 2.0]]])
    np.testing.assert_allclose(softened(logits, 0.5), [[0.5, 0.5]])
    np.testing.assert_allclose(softened(logits[:1], 2.0)[0, 0], 1 / (1 + np.exp(-1)))


def test_calibration_error_and_brier_score_are_the_counted_ones() -> None:
    predictions = certain([0, 0, 1, 1], [0, 1, 1, 1], ("a", "b"))  # score 0.9, three of four right
    found = compute_metrics(predictions, resamples=0)
    assert found["ece"] == pytest.approx(0.15)
    assert found["brier"] == pytest.approx((3 * 2 * 0.01 + 2 * 0.81) / 4)
    assert found["log_loss"] == pytest.approx(-(3 * np.log(0.9) + np.log(0.1)) / 4)
    (only,) = reliability(predictions)
    assert (only.n, only.right) == (4, 0.75)
    assert only.low < 0.9 <= only.high


def test_sets_hold_the_truth_at_the_promised_rate_in_new_groups() -> None:
    random = np.random.default_rng(1)
    by_group, by_crop = [], []
    for _ in range(60):
        thresholds = fit_thresholds(grouped(random, 24, spread=1.0), alpha=0.2)
        new = grouped(random, 24, spread=1.0)
        by_group.append(describe_sets(new, [t.least for t in thresholds])["coverage"])
        by_crop.append(describe_sets(new, [t.by_crop for t in thresholds])["coverage"])
    assert np.mean(by_group) >= 0.8 - 0.005
    assert np.mean(by_group) < 0.9  # and not by putting every class into every set
    assert np.mean(by_crop) < np.mean(by_group)


def test_the_threshold_of_one_crop_a_group_is_the_textbook_quantile() -> None:
    p = np.linspace(0.05, 0.95, 19)
    predictions = Predictions(
        np.arange(19), np.zeros(19, int), np.stack([p, 1 - p], axis=1), np.arange(19), ("a", "b")
    )
    first, second = fit_thresholds(predictions, alpha=0.1)
    # The ceil(20 x 0.9) = 18th smallest of 1 - p, so the second least probable truth.
    assert first.least == pytest.approx(p[1], abs=1e-6)
    assert first.by_crop == pytest.approx(first.least)
    assert (first.n, first.n_groups) == (19, 19)
    assert (second.least, second.n_groups) == (0.0, 0)
    assert sets_of(predictions.probabilities, [first.least, 0.0])[:3, 0].tolist() == [
        False, True, True,
    ]


@pytest.mark.parametrize(("alpha", "least"), [(0.1, 9), (0.05, 19), (0.2, 4), (0.3, 3)])
def test_too_few_groups_promise_nothing_and_the_class_is_always_in(alpha, least) -> None:
    assert least_groups(alpha) == least
    random = np.random.default_rng(0)
    few, enough = (
        fit_thresholds(grouped(random, n, each=60), alpha) for n in (least - 1, least)
    )
    assert all(threshold.least == 0 for threshold in few)
    assert all(threshold.least > 0 for threshold in enough)


def test_alpha_is_a_share() -> None:
    with pytest.raises(InputError, match=r"between 0 and 1, found 1\.5"):
        fit_thresholds(grouped(np.random.default_rng(0), 4), 1.5)


@pytest.mark.parametrize(("n", "f"), [(200, 30), (40, 300)])
def test_crops_far_from_all_classes_are_new_and_others_are_not(tmp_path, n, f) -> None:
    random = np.random.default_rng(0)
    centres = 6 * random.normal(size=(3, f)) / np.sqrt(f)

    def crops(m: int) -> tuple[np.ndarray, np.ndarray]:
        labels = random.integers(0, 3, m)
        return centres[labels] + 0.5 * random.normal(size=(m, f)), labels

    features, labels = crops(n)
    novelty = fit_novelty(features, labels, crops(400)[0])
    known = novelty.tail(crops(1000)[0])
    assert (known < 0.05).mean() == pytest.approx(0.05, abs=0.03)
    assert known.min() > 0
    between = novelty.tail(centres.mean(axis=0) + 0.5 * random.normal(size=(200, f)))
    far = novelty.tail(3 * centres[0] + 0.5 * random.normal(size=(200, f)))
    assert (between < 0.05).mean() > 0.5
    assert (far < 0.05).mean() > 0.9
    novelty.write(tmp_path / "novelty.npz")
    again = Novelty.read(tmp_path / "novelty.npz")
    np.testing.assert_array_equal(again.tail(features), novelty.tail(features))
    with pytest.raises(InputError, match="belongs to another model"):
        again.distance(np.zeros((1, f + 1)))


def test_novelty_needs_crops_and_a_file_that_is_one(tmp_path) -> None:
    with pytest.raises(InputError, match="two or more training crops"):
        fit_novelty(np.zeros((1, 3)), np.zeros(1, int), np.zeros((2, 3)))
    (tmp_path / "no.npz").write_bytes(b"this is no archive")
    with pytest.raises(InputError, match="is no description of novelty"):
        Novelty.read(tmp_path / "no.npz")


def test_features_without_any_spread_give_distances() -> None:
    novelty = fit_novelty(np.ones((5, 4)), np.array([0, 0, 1, 1, 1]), np.ones((3, 4)))
    assert np.isfinite(novelty.tail(np.ones((2, 4)))).all()
