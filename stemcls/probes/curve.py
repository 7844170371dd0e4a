"""Measure a learning curve by cells and by groups, and say what twice as many would bring."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from stemcls.evaluation.intervals import percentile_interval, whole_and_resampled
from stemcls.evaluation.numbertext import with_interval
from stemcls.evaluation.weighted import score_weighted
from stemcls.probes.draws import BY, drawn_rows
from stemcls.probes.linear import as_predictions, fit_probe
from stemcls.probes.powerlaw import LEAST_POINTS, PowerLaw, fit_power_law

_VALIDATION_DRAWS = 200


@dataclass(frozen=True, eq=False)
class Material:
    """Features to learn from, and fixed ones to be scored on.

    Attributes:
        features, labels, group: (n, F), (n,), (n,) of the training pool.
        held_features, held_labels, held_group: The same of the validation set.
        classes: K names.
    """

    features: np.ndarray
    labels: np.ndarray
    group: np.ndarray
    held_features: np.ndarray
    held_labels: np.ndarray
    held_group: np.ndarray
    classes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Branch:
    """A curve by cells or by groups.

    Attributes:
        by: cells or groups.
        fractions: (P,) asked for.
        cells, groups: (P,) mean size of the training sets drawn.
        scores: (P, R, 1 + V): each draw, on the validation set and on V resamples of its groups.
    """

    by: str
    fractions: np.ndarray
    cells: np.ndarray
    groups: np.ndarray
    scores: np.ndarray

    @property
    def sizes(self) -> np.ndarray:
        """(P,) cells or groups."""
        return self.cells if self.by == "cells" else self.groups


@dataclass(frozen=True, eq=False)
class Extrapolation:
    """What a branch says of a training set of twice the size.

    Attributes:
        now, double: Fitted scores at the whole pool and at twice its size.
        now_draws, double_draws: (B,) the same of the bootstrap; `double_draws` also holds the
            chance of which cells or groups one gets.
        law: The fit; B fits in `laws`.
    """

    now: float
    double: float
    now_draws: np.ndarray
    double_draws: np.ndarray
    law: PowerLaw
    laws: PowerLaw

    def to_document(self, size: float, by: str) -> dict[str, Any]:
        """Return `value` at twice the size, its `interval`, and the gain over now."""
        gain = self.double_draws - self.now_draws
        return {
            by: round(2 * size), "value": self.double,
            "interval": percentile_interval(self.double_draws), "now": self.now,
            "gain": self.double - self.now, "gain_interval": percentile_interval(gain),
        }


def measure_branch(
    by: str, material: Material, fractions: tuple[float, ...], repeats: int, metric: str,
    seed: int, check: Callable[[], None],
) -> Branch | str:
    """Fit probes to ever larger parts of the pool; or say why there is no such curve.

    Args:
        by: cells or groups.
        material: Pool and validation set.
        fractions: Rising, the last 1.
        repeats: Draws of each.
        metric: A headline metric.
        seed: Of the draws.
        check: Called before every fit; may raise.
    """
    k = len(material.classes)
    held_groups = len(np.unique(material.held_group))
    weights = whole_and_resampled(held_groups, _VALIDATION_DRAWS, seed)
    kept: dict[float, tuple[float, float, float, np.ndarray]] = {}
    for fraction in fractions:
        sizes, scores = [], []
        for repeat in range(repeats if fraction < 1 else 1):
            check()
            rows = drawn_rows(by, fraction, material.labels, material.group, seed + repeat)
            sizes.append((rows.sum(), len(np.unique(material.group[rows]))))
            probe = fit_probe(material.features[rows], material.labels[rows], k)
            told = as_predictions(
                probe.distances(material.held_features)[0], np.arange(len(material.held_labels)),
                material.held_labels, material.held_group, material.classes,
            )
            scores.append(score_weighted(told, weights)[metric])
        mean_cells, mean_groups = np.mean(sizes, axis=0)
        # Small shares of few groups are the same groups.
        size = float(mean_cells if by == "cells" else mean_groups)
        full = np.array(scores) if len(scores) > 1 else np.repeat(scores, repeats, axis=0)
        kept[size] = (fraction, float(mean_cells), float(mean_groups), full)
    if len(kept) < LEAST_POINTS:
        return (
            f"the training part holds {len(np.unique(material.group))} groups, which gives "
            f"{len(kept)} sizes; a curve needs {LEAST_POINTS}"
        )
    rows_kept = [kept[size] for size in sorted(kept)]
    fractions_kept, n_cells, n_groups, draws = zip(*rows_kept, strict=True)
    return Branch(
        by, np.array(fractions_kept), np.array(n_cells), np.array(n_groups), np.array(draws)
    )


def extrapolate(branch: Branch, resamples: int, seed: int) -> Extrapolation:
    """Fit the curve and read it at twice the size, with a bootstrap of draws and groups.

    Draws at a share f of a pool of N share cells, and at f = 1 all of them, so that their spread
    hides part of the chance of having got this pool. That part is put back: scores of sets of
    size n vary by s2 / n if they do by s2 (1 / n - 1 / N) within the pool, and a set of 2 N that
    holds the pool differs from its expectation, seen from the pool, by s2 / (2 N).

    Args:
        branch: The measured points.
        resamples: B.
        seed: Of the bootstrap.
    Source: finite-population variance, Cochran 1977, Sampling Techniques, theorem 2.2.
    """
    random = np.random.default_rng(seed)
    _points, repeats, draws = branch.scores.shape
    sizes = branch.sizes
    law = fit_power_law(sizes, branch.scores[:, :, 0].mean(axis=1))
    picked = random.integers(repeats, size=(resamples, repeats))
    places = random.integers(1, draws, size=resamples) if draws > 1 else np.zeros(resamples, int)
    means = np.stack([
        branch.scores[:, one, place].mean(axis=1)
        for one, place in zip(picked, places, strict=True)
    ])
    laws = fit_power_law(sizes, means)
    whole = float(sizes[-1])
    error = random.normal(0, np.sqrt(pool_variance(branch) / 2), resamples)
    return Extrapolation(
        float(law.at(whole)[0]), float(law.at(2 * whole)[0]), laws.at(whole),
        np.clip(laws.at(2 * whole) + error, 0, 1), law, laws,
    )


def pool_variance(branch: Branch) -> float:
    """Return the variance of scores between training sets of the pool's size."""
    shares = branch.sizes / branch.sizes[-1]
    inner = shares < 1 - 1e-9
    spread = branch.scores[inner, :, 0].var(axis=1, ddof=1)
    return float(np.mean(spread * shares[inner] / (1 - shares[inner])))


def points_of(branch: Branch) -> list[dict[str, Any]]:
    """Return one mapping a point: sizes, mean score and its 95 % interval, every draw."""
    rows = []
    for place, fraction in enumerate(branch.fractions):
        scores = branch.scores[place]
        resampled = scores[:, 1:] if scores.shape[1] > 1 else scores
        rows.append({
            "by": branch.by, "fraction": float(fraction), "cells": float(branch.cells[place]),
            "groups": float(branch.groups[place]), "score": float(scores[:, 0].mean()),
            "interval": percentile_interval(resampled.ravel()),
            "draws": scores[:, 0].tolist() if fraction < 1 else [float(scores[0, 0])],
        })
    return rows


def advice(doubled: dict[str, dict[str, Any]], groups: str, metric: str) -> str:
    """Say in one sentence what to collect.

    Args:
        doubled: `Extrapolation.to_document` of each branch there is.
        groups: What groups are, plural.
        metric: What is scored, in words.
    """
    if set(doubled) < set(BY):
        return (
            f"There are too few {groups} for a curve over them, so collect more {groups} first: "
            "without them nobody can tell what more cells are worth."
        )
    cells, others = doubled["cells"], doubled["groups"]
    told = (
        f"Twice the {groups} should bring {metric} from {others['now']:.2f} to "
        f"{with_interval(others['value'], others['interval'], '.2f')}, twice the cells of the same "
        f"{groups} to {with_interval(cells['value'], cells['interval'], '.2f')}"
    )
    most = max((cells, others), key=lambda found: found["gain"])
    if most["gain"] < 0.01 and (most["gain_interval"] or [0, 0])[0] < 0.01:
        return f"{told}: neither will help much, so better features or labels are what is missing."
    if others["gain"] > cells["gain"] + 0.005:
        return f"{told}: collect more {groups}."
    if cells["gain"] > others["gain"] + 0.005:
        return f"{told}: collect more cells of the {groups} you have."
    return f"{told}: collect whichever is cheaper, new {groups} if in doubt."
