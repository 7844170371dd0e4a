"""Stacking finds the weights with the least log loss."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from stemcls.evaluation.stacking import mean_log_loss, stacking_weights

from .conftest import simulated


def test_a_log_loss_known_by_hand():
    probabilities = np.array([[0.5, 0.5], [0.1, 0.9]])
    assert mean_log_loss(probabilities, np.array([0, 1])) == pytest.approx(
        -(np.log(0.5) + np.log(0.9)) / 2
    )
    assert np.isfinite(mean_log_loss(np.array([[1.0, 0.0]]), np.array([1])))


def test_the_same_model_twice_shares_its_weight():
    one = simulated()
    weights = stacking_weights(np.stack([one.probabilities] * 2), one.labels)
    assert weights == pytest.approx([0.5, 0.5])


def test_a_model_that_is_always_better_takes_all():
    labels = np.array([0, 1, 0, 1])
    good = np.where(labels[:, None] == np.arange(2), 0.9, 0.1)
    weights = stacking_weights(np.stack([np.full((4, 2), 0.5), good]), labels)
    assert weights[1] > 0.999


def test_weights_of_two_models_agree_with_an_independent_optimiser():
    one, other = simulated(seed=0, decimals=4), simulated(seed=1, decimals=4)
    both = np.stack([one.probabilities, 0.7 * one.probabilities + 0.3 * other.probabilities])
    both[1] = both[1][:, ::-1] * 0.2 + both[1] * 0.8

    def loss(share: float) -> float:
        return mean_log_loss(share * both[0] + (1 - share) * both[1], one.labels)

    best = minimize_scalar(loss, bounds=(0, 1), method="bounded", options={"xatol": 1e-9})
    weights = stacking_weights(both, one.labels)
    assert weights.sum() == pytest.approx(1)
    assert weights[0] == pytest.approx(best.x, abs=1e-3)
    assert loss(weights[0]) <= best.fun + 1e-9
