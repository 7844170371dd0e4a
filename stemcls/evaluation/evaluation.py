"""The scores of one model on one set of crops, and the files they are kept in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.atomic import csv_writer, write_json
from stemcls.errors import explained_disk_errors
from stemcls.evaluation.fewgroups import FOLDS
from stemcls.evaluation.metrics import compute_metrics, confusion_matrix
from stemcls.evaluation.predictions import Predictions, write_predictions
from stemcls.evaluation.roc import roc_points
from stemcls.store.cropstore import CropStore


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What `evaluate_predictions` found.

    Attributes:
        metrics: What `compute_metrics` returned.
        confusion: (K, K) int, rows are the truth, columns the prediction.
        labels: K class names.
        n: Number of crops.
        predictions: What was scored.
    """

    metrics: dict[str, Any]
    confusion: np.ndarray
    labels: tuple[str, ...]
    n: int
    predictions: Predictions

    def to_document(self) -> dict[str, Any]:
        """Return the JSON document: `metrics`, `confusion`, `labels`, `n`."""
        return {
            "metrics": self.metrics,
            "confusion": self.confusion.tolist(),
            "labels": list(self.labels),
            "n": self.n,
        }

    def write(self, folder: Path, store: CropStore | None = None) -> list[Path]:
        """Write the numbers and figures to `folder`, each file atomically.

        Args:
            folder: Made if missing.
            store: Where the crops are; then predictions say file and place of each.
        Returns: `metrics.json` (the document above), `confusion.csv`, `predictions.csv`,
            `roc.csv`, and `confusion` and `roc` as `.png` and `.svg`.
        Raises:
            StemclsError: The disk is full.
        """
        from stemcls.evaluation.figures import draw_confusion, draw_roc, write_figure

        with explained_disk_errors(folder, "the scores can be computed again from the model"):
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / "metrics.json", self.to_document())
            self._write_confusion(folder / "confusion.csv")
            write_predictions(folder / "predictions.csv", self.predictions, store)
            self._write_roc(folder / "roc.csv")
            pictures = [
                *write_figure(draw_confusion(self.confusion, self.labels), folder / "confusion"),
                *write_figure(draw_roc(self.predictions, self.metrics), folder / "roc"),
            ]
        names = ("metrics.json", "confusion.csv", "predictions.csv", "roc.csv")
        return [*(folder / name for name in names), *pictures]

    def _write_confusion(self, path: Path) -> None:
        with csv_writer(path) as writer:
            writer.writerow(["truth", *self.labels])
            for name, counts in zip(self.labels, self.confusion.tolist(), strict=True):
                writer.writerow([name, *counts])

    def _write_roc(self, path: Path) -> None:
        with csv_writer(path) as writer:
            writer.writerow(["class", "threshold", "false_positive_rate", "true_positive_rate"])
            for index, name in enumerate(self.labels):
                false, true, threshold = roc_points(
                    self.predictions.probabilities[:, index], self.predictions.labels == index
                )
                writer.writerows(
                    [name, *(f"{value:.9g}" for value in point)]
                    for point in zip(threshold, false, true, strict=True)
                )


def evaluate_predictions(
    predictions: Predictions, resamples: int = 1000, seed: int = 0, remedy: str = FOLDS
) -> Evaluation:
    """Score predictions; see `compute_metrics` for the arguments and what is in `metrics`."""
    return Evaluation(
        metrics=compute_metrics(predictions, resamples, seed, remedy),
        confusion=confusion_matrix(predictions),
        labels=predictions.classes,
        n=len(predictions),
        predictions=predictions,
    )
