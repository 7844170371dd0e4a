"""Fit one temperature that makes scores as sure as they are right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stemcls.evaluation.intervals import LEAST_GROUPS, group_weights, percentile_interval
from stemcls.evaluation.weighted import LEAST_PROBABILITY

_LOG_RANGE = (-3.0, 3.0)
_RESAMPLES = 200
# Groups are resampled on at most so many crops; the fit itself takes all.
_MOST_FOR_INTERVAL = 5000


@dataclass(frozen=True)
class Temperature:
    """What logits are divided by.

    Attributes:
        value: Above 1 where the model is too sure of itself, below 1 where too unsure.
        ci: 95 % interval by resampling validation groups, None with fewer than three.
        n, n_groups: Crops and groups it was fitted on.
        log_loss_before, log_loss_after: On these crops.
        at_limit: It ran to the end of what is tried, 0.05 or 20: the scores say next to nothing
            of the truth, or are all right, and a temperature cannot help.
    """

    value: float
    ci: tuple[float, float] | None
    n: int
    n_groups: int
    log_loss_before: float
    log_loss_after: float
    at_limit: bool


def softened(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Return (N, K) probabilities, the mean over views of softmax(logits / temperature).

    Args:
        logits: (V, N, K).
        temperature: Above 0.
    """
    scaled = logits.astype(np.float64) / temperature
    scaled -= scaled.max(axis=-1, keepdims=True)
    powers = np.exp(scaled)
    return (powers / powers.sum(axis=-1, keepdims=True)).mean(axis=0)


def fit_temperature(
    logits: np.ndarray, labels: np.ndarray, groups: np.ndarray, seed: int = 0
) -> Temperature:
    """Find the temperature of least log loss.

    Args:
        logits: (V, N, K), of V views of each crop.
        labels: (N,) int.
        groups: (N,) int, what is resampled as one for the interval.
        seed: Of the resampling.
    Source: Guo et al. 2017, On Calibration of Modern Neural Networks, section 4.2.
    """
    every = np.ones(len(labels))
    value = _least(logits, labels, every)
    names, group = np.unique(groups, return_inverse=True)
    ends = None
    if len(names) >= LEAST_GROUPS:
        random = np.random.default_rng(seed)
        n = min(len(labels), _MOST_FOR_INTERVAL)
        some = np.sort(random.choice(len(labels), n, replace=False))
        drawn = [
            _least(logits[:, some], labels[some], weights[group[some]])
            for weights in group_weights(len(names), _RESAMPLES, seed).T
            if weights[group[some]].any()
        ]
        ends = percentile_interval(np.array(drawn))
    return Temperature(
        value, (ends[0], ends[1]) if ends else None, len(labels), len(names),
        _loss(logits, labels, every, 1.0), _loss(logits, labels, every, value),
        bool(abs(np.log(value)) > _LOG_RANGE[1] - 0.01),
    )


def _least(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> float:
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda log: _loss(logits, labels, weights, float(np.exp(log))),
        bounds=_LOG_RANGE, method="bounded", options={"xatol": 1e-3},
    )
    return float(np.exp(found.x))


def _loss(
    logits: np.ndarray, labels: np.ndarray, weights: np.ndarray, temperature: float
) -> float:
    p = softened(logits, temperature)[np.arange(len(labels)), labels]
    return float(-(weights * np.log(np.maximum(p, LEAST_PROBABILITY))).sum() / weights.sum())
