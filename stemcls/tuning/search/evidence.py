"""What the folds of all trials say together: how good each is, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stemcls.tuning.search.history import Trial

# How many folds' worth the scatter of all trials counts, beside that of a trial's own folds.
PRIOR_FOLDS = 4.0
# Of a median against a mean, for chi-square variables of few degrees of freedom.
MEDIAN_EFFICIENCY = 0.4


@dataclass(frozen=True, eq=False)
class Evidence:
    """How much folds differ: each from the others, and the same fold between equal trials.

    Attributes:
        fold_effects: (K,) what a fold adds to the score of any trial: its crops are easy or hard.
        scatter: Standard deviation of one fold's score once that is taken out; 0: unknown.
        freedom: Degrees of freedom that the scatter is known with.
    """

    fold_effects: np.ndarray
    scatter: float
    freedom: float = 0.0

    def mean(self, trial: Trial) -> float:
        """Return the mean of a trial's folds, as if it had run them all."""
        scores = np.asarray(trial.scores)
        return float(np.mean(scores - self._effects(len(scores))))

    def variance(self, trial: Trial) -> float:
        """Return how uncertain that mean is: of few folds more than of many.

        The scatter of a trial's own folds is blended with that of all, since three folds alone say
        little about it.
        """
        scores = np.asarray(trial.scores)
        n = len(scores)
        residuals = scores - self._effects(n)
        own = float(np.sum((residuals - residuals.mean()) ** 2))
        return (PRIOR_FOLDS * self.scatter**2 + own) / (PRIOR_FOLDS + n - 1) / n

    def difference_se(self, n_folds: int) -> float:
        """Return the standard error of the difference of two equal trials over `n_folds` folds."""
        return self.scatter * math.sqrt(2.0 / n_folds)

    def quantile(self, chance: float) -> float:
        """Return how many standard errors chance alone exceeds with this probability.

        Source: Student's t, since the scatter is itself estimated.
        """
        from scipy.stats import t

        return float(t.isf(chance, self.freedom)) if self.freedom > 0 else math.inf

    def _effects(self, n_folds: int) -> np.ndarray:
        effects = np.zeros(n_folds)
        known = self.fold_effects[:n_folds]
        effects[: len(known)] = known
        return effects


def weigh(trials: Sequence[Trial]) -> Evidence:
    """Return the evidence of the trials that finished all of their folds.

    All trials share their folds, so a trial is compared with others fold by fold: what a fold does
    to all of them is no noise. The scatter is the median over trials, which a few that diverged do
    not move.

    Source: two-way layout without interaction, Scheffe 1959, section 4.2; the median's ratio to
        the mean is that of the chi-square distribution.
    """
    finished = [t for t in trials if t.counts]
    n_folds = max((len(t.scores) for t in finished), default=0)
    scores = np.array([t.scores for t in finished if len(t.scores) == n_folds])
    if len(scores) < 2 or n_folds < 2:
        return Evidence(np.zeros(n_folds), _own_scatter(scores))
    means = scores.mean(axis=1, keepdims=True)
    effects = np.median(scores - means, axis=0)
    effects -= effects.mean()
    residuals = scores - means - effects
    variances = np.sum(residuals**2, axis=1) / (n_folds - 1)
    taken_out = len(scores) / (len(scores) - 1)
    variance = float(np.median(variances)) * taken_out / _median_ratio(n_folds - 1)
    freedom = MEDIAN_EFFICIENCY * (len(scores) - 1) * (n_folds - 1)
    return Evidence(effects, math.sqrt(variance), freedom)


def _own_scatter(scores: np.ndarray) -> float:
    if scores.size < 2 or scores.ndim < 2:
        return 0.0
    return float(scores.std(axis=1, ddof=1).mean()) if scores.shape[1] > 1 else 0.0


def _median_ratio(freedom: int) -> float:
    """Return the median of a chi-square variable over its mean."""
    from scipy.stats import chi2

    return float(chi2.median(freedom)) / freedom
