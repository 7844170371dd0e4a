"""Does a map point at what the prediction hangs on? Take its pixels away, or give them back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stemcls.explain.maps import baseline
from stemcls.explain.probe import Probe

N_STEPS = 16
N_RANDOM = 4
BLUR = 1 / 8


@dataclass(frozen=True, eq=False)
class Removal:
    """Areas under the curves of the target's probability, for N crops.

    Attributes:
        deletion: (N,) in [0, 1], pixels taken away from the most salient on: low is good.
        insertion: (N,) in [0, 1], pixels put into a blurred crop: high is good.
        random_deletion, random_insertion: (N,), of the same maps moved to random places.
    """

    deletion: np.ndarray
    insertion: np.ndarray
    random_deletion: np.ndarray
    random_insertion: np.ndarray

    @property
    def gain(self) -> np.ndarray:
        """(N,) how much better than random, mean of deletion and insertion; in [-1, 1]."""
        lower = self.random_deletion - self.deletion
        return np.asarray((lower + self.insertion - self.random_insertion) / 2)

    @property
    def margin(self) -> float:
        """Two standard errors of the mean gain; infinite for one crop."""
        n = len(self.deletion)
        return float(2 * self.gain.std(ddof=1) / np.sqrt(n)) if n > 1 else float("inf")


def removal(
    probe: Probe, crops: np.ndarray, targets: np.ndarray, maps: np.ndarray,
    n_steps: int = N_STEPS, n_random: int = N_RANDOM, seed: int = 0,
) -> Removal:
    """Follow the probability of a class while pixels vanish and appear, most salient first.

    A vanished pixel is the mean colour of its crop; pixels appear in a blurred copy of it.

    Args:
        probe: An opened model.
        crops: (N, H, W, C) as stored.
        targets: (N,) class indices.
        maps: (N, H, W), evidence for the class as positive numbers.
        n_steps: Points of a curve, besides its start.
        n_random: Random maps a crop: its own, shifted around its edges and mirrored, so that they
            are as smooth.
        seed: Of the shifts.
    Source: Petsiuk et al. 2018, sec. 4.1 (arXiv:1806.07421).
    """
    random = np.random.default_rng(seed)
    moved = np.stack([[_moved(one, random) for _ in range(n_random)] for one in maps])
    others = [
        _areas(probe, crops, targets, moved[:, which], n_steps) for which in range(n_random)
    ]
    at_random = np.mean(others, axis=0)
    return Removal(*_areas(probe, crops, targets, maps, n_steps), *at_random)


def _areas(
    probe: Probe, crops: np.ndarray, targets: np.ndarray, maps: np.ndarray, n_steps: int
) -> tuple[np.ndarray, np.ndarray]:
    n = len(crops)
    pixels = crops.astype(np.float32)
    empty = np.broadcast_to(baseline(crops), crops.shape)
    blurred = _blurred(pixels)
    # Rank 0 goes first; stable, so that equal pixels go from the top left on every platform.
    order = np.argsort(-maps.reshape(n, -1), axis=1, kind="stable")
    rank = np.argsort(order, axis=1, kind="stable").reshape(maps.shape)[..., None]
    removed, shown = [], []
    for count in np.linspace(0, rank[0].size, n_steps + 1).round():
        gone = rank < count
        removed.append(_probability(probe, np.where(gone, empty, pixels), targets))
        shown.append(_probability(probe, np.where(gone, pixels, blurred), targets))
    return _area(removed), _area(shown)


def _probability(probe: Probe, crops: np.ndarray, targets: np.ndarray) -> np.ndarray:
    from scipy.special import softmax

    return np.asarray(softmax(probe.logits(crops), axis=1)[np.arange(len(crops)), targets])


def _area(curve: list[np.ndarray]) -> np.ndarray:
    return np.asarray(np.trapezoid(np.array(curve), axis=0) / (len(curve) - 1))


def _blurred(pixels: np.ndarray) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    sigma = BLUR * min(pixels.shape[1:3])
    return np.asarray(gaussian_filter(pixels, (0, sigma, sigma, 0), mode="nearest"))


def _moved(one: np.ndarray, random: np.random.Generator) -> np.ndarray:
    shift = tuple(int(random.integers(size)) for size in one.shape)
    moved = np.roll(one, shift, axis=(0, 1))
    return moved[:, ::-1] if random.integers(2) else moved
