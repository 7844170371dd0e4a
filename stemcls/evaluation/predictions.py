"""What a model said about some crops, beside what is true."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stemcls.atomic import csv_writer
from stemcls.errors import InputError
from stemcls.safetext import text_of_cell
from stemcls.store.cropstore import CropStore
from stemcls.store.places import COLUMNS, places_of

PROBABILITY = "p_"
_HEADER = ("row", "group", "label", "predicted", "score")


@dataclass(frozen=True, eq=False)
class Predictions:
    """The probabilities of N labelled crops.

    Attributes:
        rows: (N,) int, rows of the crop store.
        labels: (N,) int, true classes as indices into `classes`.
        probabilities: (N, K) float32, each row sums to 1.
        groups: (N,) int, what is resampled as one for confidence intervals.
        classes: K names; the last one is the positive class of a two-class problem.
    """

    rows: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray
    groups: np.ndarray
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check shapes and ranges.

        Raises:
            InputError: Lengths differ, a label is no class, or a row is no distribution.
        """
        if len(self.classes) < 2 or len(set(self.classes)) != len(self.classes):
            raise InputError(f"expected two or more different classes, found {self.classes!r}")
        for name in ("rows", "labels", "groups"):
            values = np.asarray(getattr(self, name))
            if values.ndim != 1 or values.dtype.kind not in "iu":
                raise InputError(
                    f"predictions: {name} must be (N,) whole numbers, "
                    f"found {values.dtype} of shape {values.shape}"
                )
            object.__setattr__(self, name, values.astype(np.int64))
        probabilities = np.asarray(self.probabilities, dtype=np.float32)
        object.__setattr__(self, "probabilities", probabilities)
        n, k = len(self.rows), len(self.classes)
        if n == 0:
            raise InputError("there are no crops to score; choose a split or a store that has some")
        if probabilities.shape != (n, k) or len(self.labels) != n or len(self.groups) != n:
            raise InputError(
                f"predictions: expected {n} labels, {n} groups and probabilities ({n}, {k}), found "
                f"{len(self.labels)}, {len(self.groups)} and {probabilities.shape}"
            )
        self._check_values()

    def _check_values(self) -> None:
        k = len(self.classes)
        outside = np.flatnonzero((self.labels < 0) | (self.labels >= k))
        if len(outside):
            first = outside[0]
            raise InputError(
                f"row {self.rows[first]} has label {self.labels[first]}, but labels are 0 to "
                f"{k - 1} ({', '.join(self.classes)}); leave unlabelled crops out of scoring"
            )
        sums = self.probabilities.sum(axis=1)
        bad = np.flatnonzero(~(np.abs(sums - 1) < 1e-3) | (self.probabilities < 0).any(axis=1))
        if len(bad):
            first = bad[0]
            raise InputError(
                f"row {self.rows[first]}: probabilities {self.probabilities[first].tolist()} are "
                f"no distribution ({len(bad)} such rows); expected the softmax of the model"
            )

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, places: np.ndarray) -> Predictions:
        """Return those at `places`, (n,) int positions, in that order."""
        return Predictions(
            self.rows[places], self.labels[places], self.probabilities[places],
            self.groups[places], self.classes,
        )

    @property
    def predicted(self) -> np.ndarray:
        """(N,) int, the most probable class."""
        return self.probabilities.argmax(axis=1)

    @property
    def score(self) -> np.ndarray:
        """(N,) float32 in [1/K, 1], the largest probability."""
        return self.probabilities.max(axis=1)


def pool(parts: Sequence[Predictions]) -> Predictions:
    """Join the test predictions of several folds of one store.

    Raises:
        InputError: Nothing to join, other classes, or a crop that two folds tested.
    """
    if not parts:
        raise InputError("expected the predictions of at least one fold, found none")
    for index, part in enumerate(parts):
        if part.classes != parts[0].classes:
            raise InputError(
                f"fold {index} has classes {part.classes}, fold 0 has {parts[0].classes}; "
                "only folds of the same classes can be pooled"
            )
    rows = np.concatenate([part.rows for part in parts])
    values, counts = np.unique(rows, return_counts=True)
    if (counts > 1).any():
        raise InputError(
            f"row {values[counts > 1][0]} was tested in more than one fold "
            f"({int((counts > 1).sum())} such rows); pool folds whose test sets are disjoint"
        )
    return Predictions(
        rows=rows,
        labels=np.concatenate([part.labels for part in parts]),
        probabilities=np.concatenate([part.probabilities for part in parts]),
        groups=np.concatenate([part.groups for part in parts]),
        classes=parts[0].classes,
    )


def write_predictions(
    path: Path, predictions: Predictions, store: CropStore | None = None
) -> None:
    """Write one line per crop: row, group, label, predicted, score, `p_<class>` for each class.

    With `store`, where the crops are, their file, scene and place in it follow.
    """
    names = predictions.classes
    places = places_of(store, predictions.rows) if store is not None else [()] * len(predictions)
    with csv_writer(path) as writer:
        header = [*_HEADER, *(PROBABILITY + name for name in names)]
        writer.writerow([*header, *(COLUMNS if store is not None else ())])
        for row, group, label, predicted, score, probabilities, place in zip(
            predictions.rows, predictions.groups, predictions.labels, predictions.predicted,
            predictions.score, predictions.probabilities, places, strict=True,
        ):
            numbers = [f"{value:.9g}" for value in (score, *probabilities)]
            writer.writerow([row, group, names[label], names[predicted], *numbers, *place])


def read_predictions(path: Path) -> Predictions:
    """Read what `write_predictions` wrote, bit for bit.

    Raises:
        InputError: The file is missing or is not such a table.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *lines = list(csv.reader(file))
    except (FileNotFoundError, ValueError) as error:
        raise InputError(f"{path} is not a table of predictions: {error}") from error
    end = len(header)
    if tuple(header[-len(COLUMNS):]) == COLUMNS:
        end -= len(COLUMNS)
    classes = tuple(
        name.removeprefix(PROBABILITY) for name in header[5:end] if name.startswith(PROBABILITY)
    )
    if tuple(header[:5]) != _HEADER or len(classes) < 2:
        raise InputError(
            f"{path} is not a table of predictions: expected columns row, group, label, "
            f"predicted, score and {PROBABILITY}<class> of each class, found {', '.join(header)}"
        )
    index = {name: position for position, name in enumerate(classes)}
    try:
        return Predictions(
            rows=np.array([int(line[0]) for line in lines], dtype=np.int64),
            labels=np.array([index[text_of_cell(line[2])] for line in lines], dtype=np.int64),
            probabilities=np.array([line[5:end] for line in lines], dtype=np.float32),
            groups=np.array([int(line[1]) for line in lines], dtype=np.int64),
            classes=classes,
        )
    except (KeyError, ValueError, IndexError) as error:
        raise InputError(f"{path}: a line does not fit the header: {error!r}") from error
