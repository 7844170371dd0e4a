"""Compare two classifiers on the same crops: paired tests over folds, groups and single crops."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stemcls.errors import InputError
from stemcls.evaluation.intervals import LEAST_GROUPS, LEVEL, percentile_interval
from stemcls.evaluation.predictions import Predictions
from stemcls.evaluation.statistics import holm
from stemcls.evaluation.weighted import score_resampled, score_weighted

METRICS = ("accuracy", "balanced_accuracy", "mean_recall", "auroc", "f1_macro")
RESAMPLES = 2000
FEW_GROUPS = 10
# Differences spread less than this are rounding, not variation between folds.
_ALIKE = 1e-12


@dataclass(frozen=True)
class Difference:
    """How much better one run is than another in one metric, the first minus the second.

    Attributes:
        difference: Of the means over folds, or of the scores on the one test split.
        ci: 95 % interval, or None.
        p: Two-tailed; NaN where there is no test.
        p_holm: p adjusted for the number of runs compared with the same one; NaN without p.
        n: Folds or groups that it is based on.
        note: Why there is no test, or why it is shaky; empty where all is well.
    """

    difference: float
    ci: tuple[float, float] | None
    p: float
    n: int
    note: str = ""
    p_holm: float = math.nan

    @property
    def low(self) -> float:
        """Lower end of the interval, or the difference where all groups agree; NaN untested."""
        return self.ci[0] if self.ci else self._untold

    @property
    def high(self) -> float:
        """Upper end, likewise."""
        return self.ci[1] if self.ci else self._untold

    @property
    def _untold(self) -> float:
        return self.difference if math.isfinite(self.p) else math.nan


@dataclass(frozen=True)
class McNemar:
    """Crops on which two classifiers disagree about the truth.

    Attributes:
        only_first, only_second: Crops that one gets right and the other wrong.
        p: Exact, two-tailed; takes crops as independent, which cells of one donor are not.
    """

    only_first: int
    only_second: int
    p: float


def compare_folds(
    first: Sequence[float], second: Sequence[float], test_per_training: float
) -> Difference:
    """Compare a metric over the folds of two cross-validations by the corrected resampled t test.

    Training sets of K folds share most of their crops, so the folds' differences are not
    independent and a plain paired t test finds too much: its variance 1/K s^2 becomes
    (1/K + n_test / n_train) s^2 here, with K - 1 degrees of freedom.

    Args:
        first, second: (K,) metric of each fold, the same folds in the same order; a fold that
            leaves it undefined (NaN) in either is left out.
        test_per_training: n_test / n_train, all crops that fit or stop training being n_train.
    Source: Nadeau and Bengio 2003, Machine Learning 52, 239; for folds as in Bouckaert and Frank
        2004, PAKDD, 3.
    """
    from scipy import stats

    differences = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    differences = differences[np.isfinite(differences)]
    n = len(differences)
    if n < 2:
        mean = float(differences[0]) if n else math.nan
        return Difference(mean, None, math.nan, n, f"{n} fold(s): a test needs two or more")
    mean = float(differences.mean())
    if np.ptp(differences) <= _ALIKE:
        note = "the difference is the same in every fold, so t is not defined"
        return Difference(mean, None, math.nan, n, note)
    error = math.sqrt((1 / n + test_per_training) * differences.var(ddof=1))
    reach = float(stats.t.ppf((1 + LEVEL) / 2, n - 1)) * error
    p = 2 * float(stats.t.sf(abs(mean) / error, n - 1))
    return Difference(mean, (mean - reach, mean + reach), p, n)


def compare_predictions(
    first: Predictions, second: Predictions, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Difference]:
    """Compare two runs on one test split by a paired bootstrap of its groups.

    Both are scored on the same resamples of whole groups. The interval holds the central 95 % of
    the differences; p is twice the share of resamples on the wrong side of 0, the smallest tail
    that an interval that excludes 0 could have.

    Args:
        first, second: Predictions of the same rows, in any order.
        resamples: R; p is at least 2 / (R + 1).
        seed: Seed of the resampling.
    Returns: A difference for each of `METRICS`.
    Raises:
        InputError: Other rows, labels or classes.
    Source: Davison and Hinkley 1997, sections 3.8 (clusters) and 5.3 (percentiles).
    """
    first, second = _aligned(first, second)
    n = len(np.unique(first.groups))
    whole = np.ones((n, 1))
    values = [score_weighted(part, whole) for part in (first, second)]
    drawn = None
    note = f"{n} group(s): resampling needs {LEAST_GROUPS} or more"
    if n >= LEAST_GROUPS:
        drawn = [score_resampled(part, resamples, seed) for part in (first, second)]
        note = f"only {n} groups: interval and p are rough" if n < FEW_GROUPS else ""
    found = {}
    for key in METRICS:
        difference = float(values[0][key][0] - values[1][key][0])
        if drawn is None:
            found[key] = Difference(difference, None, math.nan, n, note)
            continue
        differences = drawn[0][key] - drawn[1][key]
        ends = percentile_interval(differences)
        found[key] = Difference(
            difference, (ends[0], ends[1]) if ends else None, _tail(differences), n, note
        )
    return found


def mcnemar(first: Predictions, second: Predictions) -> McNemar:
    """Test whether two classifiers are right equally often, on the crops where they differ.

    Args:
        first, second: Predictions of the same rows, in any order.
    Raises:
        InputError: Other rows, labels or classes.
    Source: McNemar 1947, Psychometrika 12, 153; exact, by the binomial distribution.
    """
    from scipy import stats

    first, second = _aligned(first, second)
    one, other = (part.predicted == part.labels for part in (first, second))
    only_first, only_second = int((one & ~other).sum()), int((other & ~one).sum())
    n = only_first + only_second
    p = float(stats.binomtest(only_first, n).pvalue) if n else 1.0
    return McNemar(only_first, only_second, p)


def adjusted(differences: Sequence[Difference]) -> list[Difference]:
    """Return the same differences with `p_holm` of those that were tested."""
    tested = [index for index, found in enumerate(differences) if math.isfinite(found.p)]
    holm_p = dict(zip(tested, holm([differences[index].p for index in tested]), strict=True))
    return [
        dataclasses.replace(found, p_holm=holm_p.get(index, math.nan))
        for index, found in enumerate(differences)
    ]


def _aligned(first: Predictions, second: Predictions) -> tuple[Predictions, Predictions]:
    first, second = _by_row(first), _by_row(second)
    alike = (
        first.classes == second.classes
        and np.array_equal(first.rows, second.rows)
        and np.array_equal(first.labels, second.labels)
    )
    if not alike:
        raise InputError(
            f"only predictions of the same crops can be paired; found {len(first)} crops of "
            f"{', '.join(first.classes)} and {len(second)} of {', '.join(second.classes)}, of "
            "other rows or labels"
        )
    return first, second


def _by_row(predictions: Predictions) -> Predictions:
    return predictions.take(np.argsort(predictions.rows, kind="stable"))


def _tail(differences: np.ndarray) -> float:
    defined = differences[np.isfinite(differences)]
    if not len(defined):
        return math.nan
    beyond = min((defined <= 0).sum(), (defined >= 0).sum())
    return float(min(1.0, 2 * (beyond + 1) / (len(defined) + 1)))
