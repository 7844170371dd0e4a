"""Cells whose features are unlike those of training are flagged, and many of them warned of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stemcls.evaluation.calibration.novelty import fit_novelty
from stemcls.prediction import familiarity
from stemcls.prediction.familiarity import UNLIKE, Familiarity
from stemcls.prediction.sample import Sample


@pytest.fixture
def usual(monkeypatch) -> Familiarity:
    """Return what is usual to a model whose features are its crops."""
    rng = np.random.default_rng(0)
    train = rng.normal(0, 1, (200, 4)) + np.repeat([[0.0], [6.0]], 100, axis=0)
    known = rng.normal(0, 1, (100, 4)) + np.repeat([[0.0], [6.0]], 50, axis=0)
    monkeypatch.setattr(familiarity, "predict", lambda _model, read, rows: read(rows))
    return Familiarity(None, fit_novelty(train, np.repeat([0, 1], 100), known))


def sample(features: np.ndarray, notes: list[str] | None = None) -> Sample:
    n = len(features)
    return Sample(
        Path("f.tif"), n, features.__getitem__, np.zeros((n, 2)), np.ones(n), ["f.tif"] * n,
        notes=notes or [""] * n,
    )


@pytest.mark.parametrize(("n_far", "warned"), [(0, False), (1, False), (12, True), (40, True)])
def test_far_features_are_flagged_and_many_of_them_are_a_warning(usual, n_far, warned):
    features = np.random.default_rng(1).normal(0, 0.5, (40, 4))
    features[:n_far] += 30
    found = usual.noted(sample(features, ["at the border"] + [""] * 39))
    flagged = [UNLIKE in note.split("; ") for note in found.notes]
    assert flagged[:n_far] == [True] * n_far
    assert sum(flagged[n_far:]) <= 2
    assert found.notes[0].startswith("at the border")
    assert [one.kind for one in found.notices] == (["unfamiliar-cells"] if warned else [])
    assert all("many cells unlike" in note for note in found.notes) is warned


def test_a_few_cells_are_flagged_and_not_warned_of(usual):
    found = usual.noted(sample(np.full((3, 4), 50.0)))
    assert found.notes == [UNLIKE] * 3
    assert found.notices == ()
    assert usual.noted(sample(np.zeros((0, 4)))).n == 0
