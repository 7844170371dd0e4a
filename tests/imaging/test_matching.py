"""Found and known cells are paired one to one."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from stemcls.imaging.tuning.matching import match_centers


def test_matching_agrees_with_trying_every_assignment():
    rng = np.random.default_rng(0)
    for _ in range(20):
        found, truth = rng.uniform(0, 10, (5, 2)), rng.uniform(0, 10, (6, 2))
        distance = np.linalg.norm(found[:, None] - truth[None], axis=2)
        best = min(
            (-(near := distance[range(5), order] <= 3).sum(), distance[range(5), order][near].sum())
            for order in map(list, permutations(range(6), 5))
        )
        matching = match_centers(found, truth, 3)
        paired = distance[tuple(matching.pairs.T)]
        assert -len(paired) == best[0]
        assert paired.sum() == pytest.approx(best[1])
        assert len(set(matching.pairs[:, 1])) == len(paired)


def test_scores_follow_from_the_pairs():
    matching = match_centers(np.array([[0, 0], [9, 9], [50, 50]]), np.array([[0, 1], [9, 9]]), 2)
    assert matching.pairs.tolist() == [[0, 0], [1, 1]]
    assert (matching.precision, matching.recall) == (pytest.approx(2 / 3), 1.0)
    assert matching.f1 == pytest.approx(0.8)
    assert matching.mean_error_px == pytest.approx(0.5)


def test_nothing_found_and_nothing_known_are_handled():
    none, one = np.zeros((0, 2)), np.zeros((1, 2))
    assert np.isnan(match_centers(none, none, 5).f1)
    assert match_centers(none, one, 5).recall == 0.0
    assert match_centers(one, none, 5).precision == 0.0
    assert np.isnan(match_centers(one, one + 9, 5).mean_error_px)


def test_ten_thousand_cells_that_hang_together_are_paired_in_little_memory():
    grid = np.stack(np.mgrid[:100, :100], axis=-1).reshape(-1, 2) * 6.0
    moved = grid + np.random.default_rng(0).uniform(-1, 1, grid.shape)
    order = np.random.default_rng(1).permutation(len(grid))
    matching = match_centers(moved[order], grid, within_px=7)
    assert (matching.pairs[:, 1] == order[matching.pairs[:, 0]]).all()
    assert matching.f1 == 1.0


def test_a_pair_more_outweighs_any_distance_saved():
    matching = match_centers(np.array([[0, 0], [0, 5]]), np.array([[0, 5], [0, 10]]), 5)
    assert matching.pairs.tolist() == [[0, 0], [1, 1]]
