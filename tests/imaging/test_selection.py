"""Blobs that are no whole single cell are dropped, and counted by reason."""

from __future__ import annotations

import numpy as np
import pytest

from stemcls.config.imaging import DetectConfig
from stemcls.imaging.detection.outline import measure_radius
from stemcls.imaging.detection.selection import select_cells

SHAPE = (400, 400)


def lattice(count: int = 16) -> np.ndarray:
    return np.array([(60 + 90 * (n // 4), 60 + 90 * (n % 4)) for n in range(count)], float)


def test_each_reason_is_counted():
    centers = np.concatenate([lattice(), [(200, 2), (15, 200), (250, 250), (64, 62)]])
    radius = np.concatenate([np.linspace(11.5, 12.5, 16), [12, 4, 40, 12]])
    score = np.concatenate([np.full(16, 1.0), [0.9, 0.9, 0.9, 0.8]])
    kept, rejected = select_cells(
        centers, radius, score, SHAPE, DetectConfig(min_distance_px=10, border_px=0)
    )
    assert sorted(kept) == list(range(16))
    assert rejected == {
        "cut by the field's edge": 1, "too small: debris": 1, "too large: cluster or dirt": 1,
        "too near a surer cell": 1,
    }


def test_robust_outliers_of_size_are_dropped_only_where_there_are_enough_cells():
    radius = np.full(16, 12.0)
    radius[3] = 19.0
    score = np.ones(16)
    strict = DetectConfig(size_outliers=4.0)
    kept, rejected = select_cells(lattice(), radius, score, SHAPE, strict)
    assert 3 not in kept
    assert rejected == {"too large: cluster or dirt": 1}
    kept, rejected = select_cells(lattice()[:8], radius[:8], score[:8], SHAPE, strict)
    assert len(kept) == 8
    kept, _ = select_cells(lattice(), radius, score, SHAPE, DetectConfig(size_outliers=0))
    assert len(kept) == 16


def test_of_a_chain_of_close_cells_every_other_one_stays():
    centers = np.array([(100.0, 100 + 8 * n) for n in range(5)])
    score = np.array([5.0, 4, 3, 2, 1])
    kept, _ = select_cells(
        centers, np.full(5, 6.0), score, SHAPE, DetectConfig(min_distance_px=10)
    )
    assert list(kept) == [0, 2, 4]


def test_nothing_in_nothing_out():
    kept, rejected = select_cells(np.zeros((0, 2)), np.zeros(0), np.zeros(0), SHAPE, DetectConfig())
    assert len(kept) == 0
    assert rejected == {}


@pytest.mark.parametrize("radius", [6.0, 9.0, 14.0])
def test_the_radius_is_where_the_evidence_fades(radius):
    y, x = np.mgrid[:120, :120]
    evidence = 50 * np.clip(radius + 0.5 - np.hypot(y - 60, x - 60), 0, 1).astype(np.float32)
    first = np.array([0.8 * radius, 1.3 * radius])
    measured = measure_radius(evidence, np.array([(60.0, 60.0)] * 2), first, 3.0)
    assert measured == pytest.approx(radius, abs=0.7)


def test_a_neighbour_on_one_side_does_not_widen_the_radius():
    y, x = np.mgrid[:120, :120]
    discs = [np.clip(10.5 - np.hypot(y - 60, x - at), 0, 1) for at in (50, 70)]
    evidence = 50 * np.maximum(*discs).astype(np.float32)
    measured = measure_radius(evidence, np.array([(60.0, 50.0)]), np.array([10.0]), 3.0)
    assert measured == pytest.approx(10, abs=0.8)
