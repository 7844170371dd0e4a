"""Cells are chosen from every entry of the confusion matrix, the surest and the least sure."""

from __future__ import annotations

import numpy as np
import pytest

from stemcls.errors import InputError
from stemcls.explain.selection import choose_cells, named_cells, parse_rows

CLASSES = ("a", "b")


def confident(scores: list[float], predicted: list[int]) -> np.ndarray:
    probabilities = np.empty((len(scores), 2))
    for row, (score, guess) in enumerate(zip(scores, predicted, strict=True)):
        probabilities[row, guess], probabilities[row, 1 - guess] = score, 1 - score
    return probabilities


def test_each_entry_gives_its_surest_and_its_least_sure() -> None:
    scores = [0.6, 0.9, 0.7, 0.8, 0.95, 0.55]
    rows, truth = np.arange(10, 16), np.array([0, 0, 0, 0, 0, 1])
    probabilities = confident(scores, [0, 0, 0, 0, 1, 1])
    found = choose_cells(rows, truth, probabilities, np.zeros(6), CLASSES, 1, 0, 0)
    pictures = {title: found.rows[part].tolist() for title, part in found.pictures.items()}
    assert pictures == {
        "true a, predicted a: 4 cells, the surest": [11],
        "true a, predicted a: the least sure": [10],
        "true a, predicted b: 1 cells, the surest": [14],
        "true b, predicted b: 1 cells, the surest": [15],
    }
    assert found.rows.tolist() == [10, 11, 14, 15]
    assert not found.sampled.any()


def test_a_sample_is_drawn_besides_and_is_the_same_again() -> None:
    rows, truth = np.arange(100), np.arange(100) % 2
    probabilities = confident([0.8] * 100, truth.tolist())
    one, two = (
        choose_cells(rows, truth, probabilities, np.zeros(100), CLASSES, 2, 30, 7)
        for _ in range(2)
    )
    assert one.sampled.sum() == 30
    np.testing.assert_array_equal(one.rows, two.rows)
    assert (np.diff(one.rows) > 0).all()
    assert set(one.pictured) <= set(range(len(one)))


def test_unlabelled_cells_are_shown_by_their_prediction() -> None:
    found = choose_cells(
        np.arange(2), np.array([-1, -1]), confident([0.9, 0.8], [0, 1]), np.zeros(2), CLASSES,
        1, 0, 0,
    )
    assert list(found.pictures) == [
        "unlabelled, predicted a: 1 cells, the surest",
        "unlabelled, predicted b: 1 cells, the surest",
    ]


def test_named_rows_keep_their_order() -> None:
    rows = parse_rows("7,3,7", 8)
    found = named_cells(rows, np.array([0, 1]), confident([0.9, 0.8], [0, 1]), np.zeros(2))
    assert found.rows[found.pictured].tolist() == [7, 3]
    assert found.sampled.all()


@pytest.mark.parametrize(("text", "message"), [
    ("1,x", "numbers with commas between, found '1,x'"), ("8", "rows must be 0 to 7, found 8"),
    ("-1", "rows must be 0 to 7"),
])
def test_rows_that_are_not_there_are_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_rows(text, 8)
