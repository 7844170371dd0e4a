"""Predictions are checked on arrival, pooled over folds, and survive the disk bit for bit."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stemcls.errors import InputError
from stemcls.evaluation.predictions import (
    Predictions,
    pool,
    read_predictions,
    write_predictions,
)
from stemcls.safetext import safe_text

from .conftest import simulated


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": np.array([0, 1, -1])}, "row 12 has label -1, but labels are 0 to 1"),
        ({"labels": np.array([0, 1, 2])}, "row 12 has label 2"),
        ({"labels": np.array([0.0, 1.0, 1.0])}, "labels must be .* whole numbers, found float64"),
        ({"groups": np.array([0, 1])}, "expected 3 labels, 3 groups"),
        ({"probabilities": np.full((3, 3), 1 / 3)}, r"probabilities \(3, 2\)"),
        ({"probabilities": np.array([[1, 0], [0.2, 0.2], [0, 1]])}, "row 11: .* no distribution"),
        ({"probabilities": np.array([[1, 0], [np.nan, 1], [0, 1]])}, "row 11: .* no distribution"),
        ({"classes": ("a",)}, "two or more different classes"),
        ({"classes": ("a", "a")}, "two or more different classes"),
    ],
)
def test_predictions_that_do_not_fit_are_refused(change: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {
        "rows": np.array([10, 11, 12]), "labels": np.array([0, 1, 1]),
        "probabilities": np.array([[1, 0], [0.5, 0.5], [0, 1]]),
        "groups": np.array([0, 0, 1]), "classes": ("a", "b"),
    }
    assert len(Predictions(**good)) == 3
    with pytest.raises(InputError, match=message):
        Predictions(**(good | change))


def test_no_crops_are_refused() -> None:
    none = np.zeros(0, dtype=int)
    with pytest.raises(InputError, match="no crops to score"):
        Predictions(none, none, np.zeros((0, 2)), none, ("a", "b"))


def test_predictions_come_back_from_disk_bit_for_bit(tmp_path: Path) -> None:
    # A store gives names with control characters as escapes; see `CropStore.classes`.
    names = ("p_odd, \"quoted\"", "干细胞", safe_text("with\nnewline"), "=1+1", "'=1+1")
    predictions = dataclasses.replace(simulated(n=50, k=5, decimals=8), classes=names)
    write_predictions(tmp_path / "predictions.csv", predictions)
    found = read_predictions(tmp_path / "predictions.csv")
    assert found.classes == names
    for name in ("rows", "labels", "probabilities", "groups"):
        np.testing.assert_array_equal(getattr(found, name), getattr(predictions, name))


def test_other_tables_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    with pytest.raises(InputError, match="not a table of predictions"):
        read_predictions(path)
    path.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"expected columns row, group, .*, found a, b"):
        read_predictions(path)
    path.write_text("row,group,label,predicted,score,p_x,p_y\n1,0,z,x,0.9,0.9,0.1\n")
    with pytest.raises(InputError, match="a line does not fit the header: KeyError"):
        read_predictions(path)


def test_folds_are_pooled_in_order() -> None:
    first = simulated(n=30)
    second = dataclasses.replace(simulated(n=20, seed=1), rows=np.arange(20) + 900)
    pooled = pool([first, second])
    assert len(pooled) == 50
    np.testing.assert_array_equal(pooled.labels, np.append(first.labels, second.labels))


def test_folds_that_share_a_crop_or_differ_in_classes_are_not_pooled() -> None:
    with pytest.raises(InputError, match="row 100 was tested in more than one fold"):
        pool([simulated(n=30), simulated(n=20)])
    with pytest.raises(InputError, match="fold 1 has classes"):
        pool([simulated(n=30), simulated(k=4)])
    with pytest.raises(InputError, match="found none"):
        pool([])
