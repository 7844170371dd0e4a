"""Say in words whether a method's maps can be believed, on this model and these crops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from stemcls.config.explain import MethodSettings
from stemcls.errors import InputError
from stemcls.explain.methods import Method
from stemcls.explain.probe import Probe
from stemcls.explain.randomise import N_DRAWS, N_STAGES, Cascade, cascade, rank_correlation
from stemcls.explain.removal import Removal, removal
from stemcls.progress import Update

# Guided backpropagation, which must fail, stays above it, gradients below: see docs/explain.md.
LIKENESS_LIMIT = 0.75


@dataclass(frozen=True, eq=False)
class Check:
    """What the sanity checks found for one method.

    Attributes:
        method: The method.
        n_crops: Crops looked at.
        weights: Likeness of the maps while the weights become random.
        removal: What pixels are worth by their rank in the map.
        labels: Mean likeness to the maps of a model that learned random labels; None: not asked.
    """

    method: Method
    n_crops: int
    weights: Cascade
    removal: Removal
    labels: float | None = None

    @property
    def depends_on_weights(self) -> bool:
        """The maps change once the upper half of the network is random."""
        return self.weights.judged <= LIKENESS_LIMIT

    @property
    def depends_on_labels(self) -> bool:
        """The maps differ from those of a model that learned nothing true, where it was asked."""
        return self.labels is None or self.labels <= LIKENESS_LIMIT

    @property
    def beats_random(self) -> bool:
        """Its pixels matter more than those of the same maps elsewhere, by two standard errors."""
        return bool(self.removal.gain.mean() > self.removal.margin)

    @property
    def passed(self) -> bool:
        """All that was asked holds."""
        return self.depends_on_weights and self.depends_on_labels and self.beats_random

    @property
    def verdict(self) -> str:
        """The outcome in a few sentences."""
        said = [
            f"{self.method.name} {'passed' if self.passed else 'FAILED'} on this model "
            f"({self.n_crops} cells).",
            _of_weights(self),
            *([] if self.labels is None else [_of_labels(self.labels, self.depends_on_labels)]),
            _of_removal(self.removal, self.beats_random),
        ]
        if not self.method.class_aware:
            said.append("It is class-blind: the map is the same for every class.")
        return " ".join(said)

    def document(self) -> dict[str, Any]:
        """Return all of it as plain values for JSON."""
        taken = self.removal
        return {
            "passed": self.passed,
            "verdict": self.verdict,
            "cells": self.n_crops,
            "weights": {
                "passed": self.depends_on_weights,
                "similarity": self.weights.judged,
                "limit": LIKENESS_LIMIT,
                "stages": [
                    {"down_to": name, "similarity": value}
                    for name, value in zip(
                        self.weights.layers, self.weights.similarity, strict=True
                    )
                ],
            },
            "labels": None if self.labels is None else {
                "passed": self.depends_on_labels, "similarity": self.labels,
                "limit": LIKENESS_LIMIT,
            },
            "removal": {
                "passed": self.beats_random,
                "deletion_auc": float(taken.deletion.mean()),
                "deletion_auc_random": float(taken.random_deletion.mean()),
                "insertion_auc": float(taken.insertion.mean()),
                "insertion_auc_random": float(taken.random_insertion.mean()),
                "gain": float(taken.gain.mean()),
                "margin": taken.margin,
            },
        }


def check(
    probe: Probe,
    method: Method,
    crops: np.ndarray,
    targets: np.ndarray,
    settings: MethodSettings,
    update: Update | None = None,
    on_random_labels: Probe | None = None,
    n_draws: int = N_DRAWS,
) -> Check:
    """Put one method to the test on one model: random weights, removed pixels, random labels.

    Args:
        probe: An opened model; its weights are changed meanwhile and put back.
        method: A row of `METHODS`.
        crops: (N, H, W, C) as stored, two or more.
        targets: (N,) class indices.
        settings: Of the method, and the seed.
        update: Called as update(done, total, note).
        on_random_labels: From `train_on_random_labels`, to compare with; None leaves that out.
        n_draws: Cascades of random weights to average.
    Raises:
        InputError: Fewer than two crops.
    """
    if len(crops) < 2:
        raise InputError(f"a check needs at least 2 cells to compare, found {len(crops)}")
    total, done = N_STAGES * n_draws + 2, 0

    def advance() -> None:
        nonlocal done
        done += 1
        if update is not None:
            update(done, total, method.name)

    def maps_of(opened: Probe) -> np.ndarray:
        return raw_maps(opened, method, crops, targets, settings)

    maps = maps_of(probe)
    advance()
    weights = cascade(probe, maps_of, n_draws=n_draws, seed=settings.seed, update=advance)
    labels = None
    if on_random_labels is not None:
        labels = float(rank_correlation(maps, maps_of(on_random_labels)).mean())
    taken = removal(probe, crops, targets, maps, seed=settings.seed)
    if update is not None:
        update(total, total, method.name)
    return Check(method, len(crops), weights, taken, labels)


def raw_maps(
    probe: Probe, method: Method, crops: np.ndarray, targets: np.ndarray, settings: MethodSettings
) -> np.ndarray:
    """Return a method's maps as they are, (N, H, W) float32, for any number of crops."""
    size = probe.batch_size
    parts = [
        method.compute(probe, crops[start : start + size], targets[start : start + size], settings)
        for start in range(0, len(crops), size)
    ]
    return np.concatenate(parts).astype(np.float32)


def _of_weights(found: Check) -> str:
    likeness = f"rank correlation {found.weights.judged:.2f}, at most {LIKENESS_LIMIT} is wanted"
    if found.depends_on_weights:
        return f"Random weights change its maps ({likeness})."
    return (
        f"Its maps hardly change when the weights become random ({likeness}): they show the cell, "
        "not what the model learned."
    )


def _of_labels(similarity: float, passed: bool) -> str:
    changed = "other" if passed else "nearly the same"
    return f"A model that learned random labels has {changed} maps ({similarity:.2f})."


def _of_removal(taken: Removal, passed: bool) -> str:
    areas = (
        f"deletion AUC {taken.deletion.mean():.2f} against {taken.random_deletion.mean():.2f}, "
        f"insertion {taken.insertion.mean():.2f} against {taken.random_insertion.mean():.2f}"
    )
    if passed:
        return f"The prediction hangs on its pixels more than on the same maps elsewhere ({areas})."
    return (
        "Its pixels matter to the prediction no more, or not clearly more, than those of the same "
        f"maps elsewhere ({areas})."
    )
