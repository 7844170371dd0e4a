"""How unlike the training crops a crop is, by the distance of its features to the classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stemcls.atomic import replacing
from stemcls.errors import InputError

FLAGGED = 0.05
_MOST_FEATURES = 64


@dataclass(frozen=True, eq=False)
class Novelty:
    """What is needed to tell new from known.

    Attributes:
        mean: (F,) of the training features.
        axes: (F, D) directions of most variance, scaled so that distances count in standard
            deviations within a class.
        centres: (K, D) of the classes along them.
        usual: (V,) sorted distances of validation crops: groups that were not trained on.
    """

    mean: np.ndarray
    axes: np.ndarray
    centres: np.ndarray
    usual: np.ndarray

    def distance(self, features: np.ndarray) -> np.ndarray:
        """Return (N,) distances to the nearest class, in standard deviations, of (N, F)."""
        if features.shape[1] != len(self.mean):
            raise InputError(
                f"novelty was fitted on {len(self.mean)} features, found {features.shape[1]}; it "
                "belongs to another model"
            )
        placed = (features - self.mean) @ self.axes
        squared = np.stack([((placed - centre) ** 2).sum(axis=1) for centre in self.centres])
        return np.asarray(np.sqrt(squared.min(axis=0)))

    def tail(self, features: np.ndarray) -> np.ndarray:
        """Return (N,) in (0, 1]: the share of validation crops that are at least as far out."""
        below = np.searchsorted(self.usual, self.distance(features), side="left")
        return np.asarray((len(self.usual) - below + 1) / (len(self.usual) + 1))

    def write(self, path: Path) -> None:
        """Write to an .npz file, atomically."""
        with replacing(path) as temporary:
            np.savez(
                temporary, mean=self.mean, axes=self.axes, centres=self.centres, usual=self.usual
            )

    @classmethod
    def read(cls, path: Path) -> Novelty:
        """Read what `write` wrote.

        Raises:
            InputError: It is missing or is no such file.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                return cls(**{key: file[key] for key in ("mean", "axes", "centres", "usual")})
        except (FileNotFoundError, ValueError, KeyError, OSError) as error:
            raise InputError(f"{path} is no description of novelty: {error}") from error


def fit_novelty(features: np.ndarray, labels: np.ndarray, validation: np.ndarray) -> Novelty:
    """Describe the classes by their centres and one spread that they share.

    Features are first reduced to the 64 directions (or fewer) of most variance; the spread within
    classes is shrunk towards a sphere, so that few crops and many features do no harm.

    Args:
        features: (N, F) of the training crops.
        labels: (N,) int.
        validation: (V, F) of crops of other groups, which say what distances are usual.
    Raises:
        InputError: Fewer than two training crops, or no validation crop.
    Source: Lee et al. 2018, A Simple Unified Framework for Detecting Out-of-Distribution Samples,
        eq. 2; shrinkage: Ledoit and Wolf 2004, Journal of Multivariate Analysis 88, 365.
    """
    from sklearn.covariance import ledoit_wolf

    if len(features) < 2 or not len(validation):
        raise InputError(
            f"novelty needs two or more training crops and a validation crop, found "
            f"{len(features)} and {len(validation)}"
        )
    features = features.astype(np.float64)
    mean = features.mean(axis=0)
    axes = _main_axes(features - mean)
    placed = (features - mean) @ axes
    numbers, label = np.unique(labels, return_inverse=True)
    centres = np.stack([placed[label == i].mean(axis=0) for i in range(len(numbers))])
    spread, _ = ledoit_wolf(placed - centres[label], assume_centered=True)
    values, vectors = np.linalg.eigh(np.atleast_2d(spread))
    scale = vectors / np.sqrt(np.maximum(values, 1e-12))
    found = Novelty(mean, axes @ scale, centres @ scale, np.zeros(0))
    usual = np.sort(found.distance(validation.astype(np.float64)))
    return Novelty(found.mean, found.axes, found.centres, usual)


def _main_axes(centred: np.ndarray) -> np.ndarray:
    """Return (F, D), the directions of most variance of (N, F), at least one."""
    n, f = centred.shape
    if n < f:  # the smaller of the two square matrices has the same directions in it
        values, vectors = np.linalg.eigh(centred @ centred.T)
        vectors = centred.T @ vectors
    else:
        values, vectors = np.linalg.eigh(centred.T @ centred)
    order = np.argsort(values)[::-1][:_MOST_FEATURES]
    order = order[values[order] > 1e-10 * max(float(values.max()), 1e-12)]
    if not len(order):
        return np.eye(f, 1)
    axes = vectors[:, order]
    return np.asarray(axes / np.linalg.norm(axes, axis=0))
