"""The linear probe is what it says, for one labelling and for many at once."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from stemcls.probes.linear import (
    as_predictions,
    cross_validate,
    fit_probe,
    mean_recalls,
    probabilities_of,
)
from stemcls.store.assign import deal_folds


def _clusters(n: int = 60, k: int = 3, width: int = 5, seed: int = 0):
    random = np.random.default_rng(seed)
    labels = np.arange(n) % k
    return random.normal(size=(n, width)) + 3 * np.eye(k, width)[labels], labels


@pytest.mark.parametrize("width", [5, 90])
def test_weights_are_those_of_ridge_regression_on_standardised_features(width: int) -> None:
    features, labels = _clusters(width=width)
    probe = fit_probe(features, labels, 3)
    scaled = (features - features.mean(axis=0)) / features.std(axis=0)
    theirs = Ridge(alpha=width).fit(scaled, np.eye(3)[labels])
    np.testing.assert_allclose(probe.weights, theirs.coef_.T, atol=1e-9)


def test_many_labellings_at_once_give_what_each_gives_alone() -> None:
    features, labels = _clusters()
    several = np.stack([labels, np.random.default_rng(1).permutation(labels), (labels + 1) % 3])
    fold = np.arange(60) % 4
    together = cross_validate(features, several, 3, fold)
    for row, one in enumerate(several):
        np.testing.assert_allclose(together[row], cross_validate(features, one, 3, fold)[0])
    scores = mean_recalls(together, several, 3)
    assert scores[0] > 0.9
    assert scores[2] == pytest.approx(scores[0])


def test_a_class_without_training_rows_is_never_predicted() -> None:
    features, labels = _clusters()
    probe = fit_probe(features[labels < 2], labels[labels < 2], 3)
    distances = probe.distances(features)
    assert np.isinf(distances[0, :, 2]).all()
    shares = probabilities_of(distances[0])
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert not shares[:, 2].any()
    assert as_predictions(distances[0], labels, labels, labels, ("a", "b", "c")).predicted.max() < 2


def test_a_feature_that_never_varies_in_training_has_no_weight_later() -> None:
    features, labels = _clusters()
    features[:, 0] = 7.0
    probe = fit_probe(features, labels, 3)
    other = features.copy()
    other[:, 0] = 1e6
    np.testing.assert_allclose(probe.distances(other), probe.distances(features))


def test_folds_keep_units_whole_and_hold_every_class() -> None:
    random = np.random.default_rng(0)
    unit = random.integers(0, 12, 300)
    labels = random.integers(0, 3, 300)
    fold = deal_folds(unit, labels, 3, 5, 0)
    assert set(fold) == set(range(5))
    assert all(len(set(fold[unit == u])) == 1 for u in range(12))
    assert all(len(set(labels[fold == f])) == 3 for f in range(5))


def test_fewer_units_give_fewer_folds_and_a_single_one_none() -> None:
    unit, labels = np.repeat(np.arange(6), 5), np.repeat([0, 1, 0, 1, 0, 1], 5)
    assert set(deal_folds(unit, labels, 2, 5, 0)) == {0, 1, 2}
    assert not deal_folds(unit, (unit == 0).astype(int), 2, 5, 0).any()
