"""Write what needs more than numbers: charts, scores by group, contact sheets, doubtful labels."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from stemcls.atomic import csv_writer
from stemcls.errors import explained_disk_errors
from stemcls.evaluation.bygroup import GroupScore, score_groups
from stemcls.evaluation.charts import (
    draw_groups,
    draw_precision_recall,
    draw_reliability,
    draw_scores,
)
from stemcls.evaluation.evaluation import Evaluation
from stemcls.evaluation.figures import write_figure
from stemcls.evaluation.labelerrors import find_label_errors, write_label_errors
from stemcls.evaluation.sheets import write_sheets
from stemcls.progress import Update
from stemcls.store.cropstore import CropStore
from stemcls.store.units import unit_names, unit_noun


def write_details(
    folder: Path,
    evaluation: Evaluation,
    store: CropStore,
    by: str = "group",
    update: Update | None = None,
) -> list[Path]:
    """Write charts, `groups.csv`, contact sheets and `label_errors.csv` beside the numbers.

    Args:
        folder: Made if missing.
        evaluation: What to show.
        store: Where its crops are.
        by: What its groups are: group, field or crop.
        update: Called as update(done, total, note).
    Returns: what was written; charts and sheets as PNG and SVG.
    Raises:
        StemclsError: The disk is full.
    """
    predictions, metrics = evaluation.predictions, evaluation.metrics
    names = unit_names(store, by)
    groups = score_groups(predictions, names)
    charts = {
        "precision_recall": lambda: draw_precision_recall(predictions),
        "scores": lambda: draw_scores(predictions),
        "reliability": lambda: draw_reliability(metrics),
        "groups": lambda: draw_groups(groups, unit_noun(store, by), metrics),
    }
    paths: list[Path] = []
    with explained_disk_errors(folder, "the figures can be drawn again from predictions.csv"):
        folder.mkdir(parents=True, exist_ok=True)
        # An earlier evaluation here may have had more classes or doubts.
        for old in (*folder.glob("cells-*.*"), *folder.glob("label_errors.*")):
            old.unlink()
        for number, (name, draw) in enumerate(charts.items(), start=1):
            if name != "groups" or by != "crop":
                paths += write_figure(draw(), folder / name)
            if update:
                update(number, len(charts) + 1, "figures")
        paths.append(_write_groups(folder / "groups.csv", groups, predictions.classes))
        paths += write_sheets(folder, predictions, store)
        suspects = find_label_errors(predictions)
        paths += write_label_errors(folder, suspects, predictions, store, names)
    return paths


def _write_groups(path: Path, groups: list[GroupScore], classes: tuple[str, ...]) -> Path:
    with csv_writer(path) as writer:
        writer.writerow([
            "name", "n", "accuracy", "accuracy_low", "accuracy_high", "mean_recall",
            *(f"n_{name}" for name in classes),
        ])
        for group in groups:
            row = asdict(group)
            numbers = (row["accuracy"], *row["accuracy_ci"], row["mean_recall"])
            writer.writerow([
                row["name"], row["n"], *(f"{value:.4f}" for value in numbers),
                *row["n_of_class"],
            ])
    return path
