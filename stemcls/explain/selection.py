"""Choose the cells that tell most: of each entry of the confusion matrix, and a fair sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stemcls.errors import InputError


@dataclass(frozen=True, eq=False)
class Cells:
    """N cells that are explained.

    Attributes:
        rows: (N,) int64 rows of the store, ascending.
        truth: (N,) true class indices, -1 where unknown.
        predicted: (N,) predicted class indices.
        scores: (N,) float32, probability of the predicted class.
        groups: (N,) group indices.
        sampled: (N,) bool, drawn at random: what statistics are made of.
        pictures: Title of each set of pictures -> positions in the arrays above.
    """

    rows: np.ndarray
    truth: np.ndarray
    predicted: np.ndarray
    scores: np.ndarray
    groups: np.ndarray
    sampled: np.ndarray
    pictures: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def pictured(self) -> np.ndarray:
        """Positions of all cells with a picture, in the order of the sets."""
        found = [position for part in self.pictures.values() for position in part]
        return np.array(list(dict.fromkeys(found)), dtype=np.int64)


def choose_cells(
    rows: np.ndarray,
    truth: np.ndarray,
    probabilities: np.ndarray,
    groups: np.ndarray,
    classes: tuple[str, ...],
    per_entry: int,
    sample: int,
    seed: int,
) -> Cells:
    """Take the surest and the least sure cells of each entry, and a random sample of all.

    Args:
        rows: (M,) candidates.
        truth, probabilities, groups: Of the candidates; (M,), (M, K), (M,).
        classes: K names.
        per_entry: Of each true and predicted class, this many surest and as many least sure.
        sample: Drawn at random besides, all at most.
        seed: Of the sample.
    """
    predicted, scores = probabilities.argmax(axis=1), probabilities.max(axis=1)
    random = np.random.default_rng(seed)
    sampled = np.zeros(len(rows), dtype=bool)
    sampled[random.permutation(len(rows))[:sample]] = True
    sets: dict[str, np.ndarray] = {}
    for true in (*range(len(classes)), -1):
        for guess in range(len(classes)):
            entry = np.flatnonzero((truth == true) & (predicted == guess))
            if len(entry):
                sets |= _entry(entry, scores, per_entry, _title(classes, true, guess))
    taken = sampled.copy()
    for part in sets.values():
        taken[part] = True
    kept = np.flatnonzero(taken)
    kept = kept[np.argsort(rows[kept], kind="stable")]
    place = {int(candidate): position for position, candidate in enumerate(kept)}
    return Cells(
        rows=rows[kept], truth=truth[kept], predicted=predicted[kept], scores=scores[kept],
        groups=groups[kept], sampled=sampled[kept],
        pictures={
            title: np.array([place[int(candidate)] for candidate in part])
            for title, part in sets.items()
        },
    )


def named_cells(
    rows: np.ndarray, truth: np.ndarray, probabilities: np.ndarray, groups: np.ndarray
) -> Cells:
    """Take the rows that somebody named, in that order; all count and all have a picture."""
    return Cells(
        rows=rows, truth=truth, predicted=probabilities.argmax(axis=1),
        scores=probabilities.max(axis=1), groups=groups, sampled=np.ones(len(rows), dtype=bool),
        pictures={"chosen cells": np.arange(len(rows))},
    )


def parse_rows(text: str, n_rows: int) -> np.ndarray:
    """Return the rows that `3,17,20` names, without repeats.

    Raises:
        InputError: It is no list of numbers, or a row is outside the store.
    """
    try:
        rows = np.array(list(dict.fromkeys(int(row) for row in text.split(","))), dtype=np.int64)
    except ValueError:
        raise InputError(f"--rows takes numbers with commas between, found {text!r}") from None
    if not 0 <= rows.min() <= rows.max() < n_rows:
        raise InputError(f"rows must be 0 to {n_rows - 1}, found {text}")
    return rows


def _entry(
    entry: np.ndarray, scores: np.ndarray, per_entry: int, title: str
) -> dict[str, np.ndarray]:
    surest_first = entry[np.argsort(-scores[entry], kind="stable")]
    surest = surest_first[:per_entry]
    least_sure = surest_first[per_entry:][::-1][:per_entry]
    sets = {f"{title}: {len(entry)} cells, the surest": surest}
    if len(least_sure):
        sets[f"{title}: the least sure"] = least_sure
    return sets


def _title(classes: tuple[str, ...], true: int, guess: int) -> str:
    truth = f"true {classes[true]}" if true >= 0 else "unlabelled"
    return f"{truth}, predicted {classes[guess]}"
