"""Find the weights with which several models' probabilities are best averaged."""

from __future__ import annotations

import numpy as np

LEAST_PROBABILITY = 1e-12
_MOST_STEPS = 10_000
_STILL = 1e-9


def mean_log_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean of -log p of the true class, nats.

    Args:
        probabilities: (N, K).
        labels: (N,) class indices.
    """
    hit = np.maximum(probabilities[np.arange(len(labels)), labels], LEAST_PROBABILITY)
    return float(-np.log(hit.astype(np.float64)).mean())


def stacking_weights(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the weights whose average has the smallest log loss.

    That is the w on the simplex that minimises -1/N sum_n log sum_m w_m p_mn, p_mn the probability
    that model m gives the true class of crop n. The problem is convex; it is solved by expectation
    maximisation from equal weights, w_m <- 1/N sum_n w_m p_mn / sum_l w_l p_ln, so models that are
    the same share their weight equally.

    Args:
        probabilities: (M, N, K) of M models for the same crops, none of which trained them.
        labels: (N,) class indices.
    Returns: (M,) float64 that sum to 1.
    Source: Yao, Vehtari, Simpson and Gelman 2018, Bayesian Analysis 13, 917 (stacking with the
        logarithmic score); the iteration: Dempster, Laird and Rubin 1977, section 4.3.
    """
    hit = np.asarray(probabilities, dtype=np.float64)[:, np.arange(len(labels)), labels]
    hit = np.maximum(hit, LEAST_PROBABILITY)
    weights = np.full(len(hit), 1 / len(hit))
    for _ in range(_MOST_STEPS):
        shares = weights[:, None] * hit
        new = (shares / shares.sum(axis=0)).mean(axis=1)
        moved = np.abs(new - weights).max()
        weights = new
        if moved < _STILL:
            break
    return weights / weights.sum()
