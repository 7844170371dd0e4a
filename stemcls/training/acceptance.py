"""Say whether a stage made the network better by more than chance on the validation crops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from scipy import stats

from stemcls.models.parallel import predict_batches

if TYPE_CHECKING:
    from stemcls.training.stages import StageData

# The chance that a stage which changes nothing is kept.
LEVEL = 0.05
# With fewer groups the spread between them cannot be told; then crops count one by one.
LEAST_GROUPS = 5
CHUNK, BATCH = 512, 64


@dataclass(frozen=True)
class Verdict:
    """What a stage gained on the validation crops, and how much of that chance explains.

    Attributes:
        gain: Weighted mean over crops of the loss before less the loss after.
        error: Standard error of `gain`.
        needed: What `gain` must exceed.
        units: How many groups, or crops, the error was estimated from.
        grouped: Whether these were groups.
    """

    gain: float
    error: float
    needed: float
    units: int
    grouped: bool

    @property
    def kept(self) -> bool:
        """Whether the stage's weights are worth keeping."""
        return self.gain > self.needed

    def __str__(self) -> str:
        sign = "more" if self.kept else "not more"
        what = "groups" if self.grouped else "crops"
        return (
            f"{'kept' if self.kept else 'rejected'}: validation loss fell by {self.gain:.4f} +- "
            f"{self.error:.4f} ({self.units} {what}), {sign} than the {self.needed:.4f} that "
            "chance allows"
        )


def judge(
    before: np.ndarray, after: np.ndarray, weights: np.ndarray,
    groups: np.ndarray | None = None,
) -> Verdict:
    """Compare two networks on the same crops by a one-sided paired t-test at `LEVEL`.

    Args:
        before, after: (N,) loss of each crop.
        weights: (N,) what each counts, mean 1.
        groups: (N,) what the split kept together, or None. Crops of one group are not independent,
            so from `LEAST_GROUPS` groups on the standard error is that between groups.
    Returns: the verdict; equal networks are rejected.
    Source: Student 1908 for the paired test; Liang & Zeger 1986, theorem 2, with the factor
        G / (G - 1) and G - 1 degrees of freedom for few clusters (Cameron & Miller 2015, section
        VI) for the error between groups. The idea that a simpler model gives way only to one
        that is better by more than its standard error is Breiman et al. 1984, section 3.4.3.
    """
    differences = weights * (np.asarray(before, np.float64) - np.asarray(after, np.float64))
    unit = np.arange(len(differences))
    grouped = False
    if groups is not None:
        names, numbers = np.unique(groups, return_inverse=True)
        grouped = len(names) >= LEAST_GROUPS
        unit = numbers if grouped else unit
    units = int(unit.max()) + 1
    gain = float(differences.mean())
    sums = np.bincount(unit, differences - gain)
    if units < 2:
        return Verdict(gain, 0.0, 0.0, units, grouped)
    error = float(np.sqrt(units / (units - 1) * np.sum(sums**2)) / len(differences))
    needed = float(stats.t.ppf(1.0 - LEVEL, units - 1)) * error
    return Verdict(gain, error, needed, units, grouped)


def validation_losses(network: Any, data: StageData, loss: Any) -> np.ndarray:
    """Return (N,) the loss of each validation crop, without class weights and penalties.

    Args:
        network: With the weights to judge.
        data: Of the stage.
        loss: A keras.losses.Loss of (class indices, probabilities).
    """
    rows, targets = data.validation.rows, data.validation.targets
    losses = []
    for start in range(0, len(rows), CHUNK):
        part = slice(start, start + CHUNK)
        outputs = predict_batches(network, data.read_validation(rows[part]), BATCH)
        losses.append(keras.ops.convert_to_numpy(loss.call(targets[part], outputs)))
    return np.concatenate(losses)
