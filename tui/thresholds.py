"""What becomes of one class's numbers when the threshold moves; numpy in memory, no Textual."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Numbers:
    """Counts and rates where a crop is called the class from a threshold on.

    Attributes:
        threshold: Least probability that is called.
        n_called: Crops called the class.
        tp, fp, fn, tn: Counts.
    """

    threshold: float
    n_called: int
    tp: int
    fp: int
    fn: int
    tn: int

    @property
    def sensitivity(self) -> float | None:
        """Share of the class that is called; None without such crops."""
        return _share(self.tp, self.tp + self.fn)

    @property
    def specificity(self) -> float | None:
        """Share of the others that is not called."""
        return _share(self.tn, self.tn + self.fp)

    @property
    def ppv(self) -> float | None:
        """Share of the called that is of the class."""
        return _share(self.tp, self.n_called)

    @property
    def npv(self) -> float | None:
        """Share of those not called that is of the others."""
        return _share(self.tn, self.tn + self.fn)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of ppv and sensitivity."""
        return _share(2 * self.tp, 2 * self.tp + self.fp + self.fn)


class Sweep:
    """Probabilities of one class, sorted once, so that every threshold costs one search.

    Args:
        scores: (N,) float, probability of the class.
        positive: (N,) bool, whether the crop is of the class.
    """

    def __init__(self, scores: np.ndarray, positive: np.ndarray) -> None:
        order = np.argsort(scores, kind="stable")
        self._scores = scores[order].astype(np.float64)
        # (N + 1,): how many of the class are among the lowest so many.
        self._below = np.append(0, np.cumsum(positive[order]))
        self.n_positive = int(self._below[-1])
        self.n = len(scores)

    def at(self, threshold: float) -> Numbers:
        """Return the numbers where crops of `threshold` and above are called the class."""
        # Scores are float32 of print: what shows as 0.90 is to count from 0.90 on.
        start = int(np.searchsorted(self._scores, threshold - 1e-7, side="left"))
        missed = int(self._below[start])
        called, hit = self.n - start, self.n_positive - missed
        return Numbers(
            threshold, called, tp=hit, fp=called - hit, fn=missed, tn=start - missed
        )

    def roc(self, points: int = 200) -> tuple[np.ndarray, np.ndarray]:
        """Return about `points` corners of the ROC curve: false and true positive rates.

        Rates of a side without crops are 0.
        """
        firsts = np.flatnonzero(np.append(True, np.diff(self._scores) > 0))
        starts = np.append(firsts, self.n)[::-1]  # from nothing called to all called
        if len(starts) > points:
            starts = starts[np.unique(np.linspace(0, len(starts) - 1, points).round().astype(int))]
        missed = self._below[starts]
        true = (self.n_positive - missed) / max(self.n_positive, 1)
        n_negative = self.n - self.n_positive
        false = (n_negative - (starts - missed)) / max(n_negative, 1)
        return false, true


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
