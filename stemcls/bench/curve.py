"""How often a learning curve of half the data foretells the score of all of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from stemcls.bench.measure import result

SEEDS = 20
DONORS, HELD_DONORS = 24, 16
CELLS = 10
WANTED = 0.9
CROP_PX = 48


def curve(data: Path) -> list[dict[str, Any]]:  # noqa: ARG001 - every benchmark takes the data folder
    """Measure curves on half of simulated cells, or half of the donors, then use all of them.

    `ours` is the share of 20 seeds in which the score measured with twice the data, on the same
    held-out donors, lies in the interval that was foretold; details: mean error and mean width.
    """
    found: dict[str, list[tuple[float, float, float, float]]] = {"cells": [], "groups": []}
    for seed in range(SEEDS):
        features, labels, group = simulated_features(seed)
        for by, told in found.items():
            told.append(foretell(by, features, labels, group, seed))
    return [_row(by, np.array(told)) for by, told in found.items()]


def simulated_features(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return simple features, classes and donors of simulated cells that are hard to tell apart."""
    from stemcls.config.imaging import SimulateConfig
    from stemcls.imaging.crops import cut_crops
    from stemcls.imaging.levels import to_8_bit, visible_range
    from stemcls.imaging.simulation.simulate import simulate_field
    from stemcls.training.simple import simple_features

    donors = DONORS + HELD_DONORS
    config = SimulateConfig(
        groups=donors, fields=donors, cells=CELLS, size_px=256, difficulty=0.8, debris=0,
        clusters=0, seed=seed,
    )
    parts, labels, group = [], [], []
    for index in range(config.classes):
        for donor in range(donors):
            pixels, cells = simulate_field(config, index, donor)
            planes = [to_8_bit(plane, *visible_range(plane, (0.1, 99.9))) for plane in pixels]
            crops, _ = cut_crops(np.stack(planes, axis=2), cells.centers_px, CROP_PX, "reflect")
            parts.append(simple_features(crops, 255.0))
            labels += [index] * len(crops)
            group += [donor] * len(crops)
    return np.concatenate(parts), np.array(labels), np.array(group)


def foretell(
    by: str, features: np.ndarray, labels: np.ndarray, group: np.ndarray, seed: int
) -> tuple[float, float, float, float]:
    """Return the score at twice the data: measured, foretold, and the ends of its interval."""
    from stemcls.config.probes import CurveConfig
    from stemcls.probes.curve import Branch, Material, extrapolate, measure_branch
    from stemcls.probes.draws import drawn_rows

    config = CurveConfig()
    order = np.random.default_rng(seed).permutation(group.max() + 1)
    held = np.isin(group, order[:HELD_DONORS])
    pool = np.flatnonzero(~held)
    half = pool[drawn_rows(by, 0.5, labels[pool], group[pool], 1000 + seed)]

    def branch(rows: np.ndarray) -> Branch:
        material = Material(
            features[rows], labels[rows], group[rows], features[held], labels[held], group[held],
            ("a", "b", "c"),
        )
        told = measure_branch(
            by, material, config.fractions, config.repeats, "mean_recall", seed, lambda: None
        )
        if isinstance(told, str):
            raise ValueError(told)
        return told

    measured = float(branch(pool).scores[-1, 0, 0])
    told = extrapolate(branch(half), config.resamples, seed)
    low, high = np.quantile(told.double_draws, (0.025, 0.975))
    return measured, told.double, float(low), float(high)


def _row(by: str, told: np.ndarray) -> dict[str, Any]:
    measured, foretold, low, high = told.T
    inside = float(np.mean((measured >= low) & (measured <= high)))
    return result(
        f"curve by {by}", inside, WANTED, "share of 20 seeds inside the interval", 1.0,
        equal_outputs=None, higher_is_better=True,
        mean_error=float(np.mean(foretold - measured)),
        rms_error=float(np.sqrt(np.mean((foretold - measured) ** 2))),
        mean_width=float(np.mean(high - low)), measured=float(np.mean(measured)),
    )
