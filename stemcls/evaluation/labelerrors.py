"""Crops whose label is likely wrong, ranked: confident learning on predictions of unseen crops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stemcls.atomic import csv_writer
from stemcls.evaluation.figures import cut, write_figure
from stemcls.evaluation.pictures import Strip, draw_sheet
from stemcls.evaluation.predictions import Predictions
from stemcls.store import places

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from stemcls.store.cropstore import CropStore

PICTURED = 36
_COLUMNS = 12
COLUMNS = (
    "rank", "row", "group", "label", "suggested", "p_label", "p_suggested", "margin",
    *places.COLUMNS,
)


@dataclass(frozen=True)
class Suspect:
    """A crop whose label the model doubts.

    Attributes:
        place: In the predictions.
        row: Of the store.
        group: Its number.
        label, suggested: Class numbers.
        p_label, p_suggested: Their probabilities.
    """

    place: int
    row: int
    group: int
    label: int
    suggested: int
    p_label: float
    p_suggested: float

    @property
    def margin(self) -> float:
        """How much likelier the suggested class is, 0 to 1."""
        return self.p_suggested - self.p_label


def find_label_errors(predictions: Predictions) -> list[Suspect]:
    """Return the crops that are confidently another class than labelled, worst first.

    A class counts as confident for a crop if its probability reaches the mean probability that
    the class gets from crops with its own label; the likeliest confident class is the suggestion.
    Predictions must be of crops that the model has not learned from.

    Source: Northcutt, Jiang and Chuang 2021, Confident Learning, Journal of Artificial
        Intelligence Research 70, 1373, section 3: the off-diagonal of the confident joint, ranked
        by normalised margin.
    """
    k, n = len(predictions.classes), len(predictions)
    p = predictions.probabilities.astype(np.float64)
    present = np.bincount(predictions.labels, minlength=k)
    own = p[np.arange(n), predictions.labels]
    mean_own = np.bincount(predictions.labels, weights=own, minlength=k)
    # A class without crops of its own has no threshold, so it is never suggested.
    threshold = np.where(present > 0, mean_own / np.maximum(present, 1), np.inf)
    confident = np.where(p >= threshold - 1e-12, p, -1.0)
    suggested = confident.argmax(axis=1)
    doubted = (confident.max(axis=1) >= 0) & (suggested != predictions.labels)
    # The label is no error where it is itself the likelier of the two.
    doubted &= p[np.arange(n), suggested] > own
    suspects = [
        Suspect(
            i, int(predictions.rows[i]), int(predictions.groups[i]), int(predictions.labels[i]),
            int(suggested[i]), float(own[i]), float(p[i, suggested[i]]),
        )
        for i in np.flatnonzero(doubted).tolist()
    ]
    return sorted(suspects, key=lambda suspect: (-suspect.margin, suspect.row))


def write_label_errors(
    folder: Path, suspects: Sequence[Suspect], predictions: Predictions,
    store: CropStore, names: Mapping[int, str],
) -> list[Path]:
    """Write `label_errors.csv`, ranked, and pictures of the first as `label_errors` PNG and SVG.

    Args:
        folder: To write to.
        suspects: From `find_label_errors`.
        predictions: Of the same.
        store: Where the crops are.
        names: Of groups by their number.
    """
    path = folder / "label_errors.csv"
    classes = predictions.classes
    with csv_writer(path) as writer:
        writer.writerow(COLUMNS)
        where = places.places_of(store, [suspect.row for suspect in suspects])
        for rank, (suspect, place) in enumerate(zip(suspects, where, strict=True), start=1):
            writer.writerow([
                rank, suspect.row, names.get(suspect.group, suspect.group),
                classes[suspect.label], classes[suspect.suggested],
                *(f"{v:.4f}" for v in (suspect.p_label, suspect.p_suggested, suspect.margin)),
                *place,
            ])
    if not suspects:
        return [path]
    figure = draw_label_errors(suspects, predictions, store)
    return [path, *write_figure(figure, folder / "label_errors")]


def draw_label_errors(
    suspects: Sequence[Suspect], predictions: Predictions, store: CropStore
) -> Figure:
    """Draw the first `PICTURED` suspects, twelve in a line."""
    classes, strips = predictions.classes, []
    for start in range(0, min(len(suspects), PICTURED), _COLUMNS):
        part = suspects[start : min(start + _COLUMNS, PICTURED)]
        strips.append(
            Strip(
                title=f"rank {start + 1} to {start + len(part)}",
                images=store.read(np.array([suspect.row for suspect in part])),
                captions=[_caption(suspect, classes) for suspect in part],
            )
        )
    return draw_sheet(
        strips, "labels that are likely wrong (row; label > suggested class)", _COLUMNS
    )


def _caption(suspect: Suspect, classes: Sequence[str]) -> str:
    label, suggested = (cut(classes[index], 12) for index in (suspect.label, suspect.suggested))
    return f"{suspect.row}\n{label}\n> {suggested}"
