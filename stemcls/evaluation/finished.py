"""Read what finished runs and cross-validations scored, and on what, without Keras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from stemcls.config.experiment import Experiment
from stemcls.errors import InputError
from stemcls.evaluation.metrics import compute_metrics
from stemcls.evaluation.predictions import Predictions, read_predictions
from stemcls.evaluation.runfiles import check_finished, read_experiment, read_split
from stemcls.runs import Run
from stemcls.store.splits import SIDES, Split


@dataclass(frozen=True, eq=False)
class Finished:
    """A finished run: one training, one ensemble, or K folds.

    Attributes:
        run: Its folder.
        parts: The runs that hold models: itself, or its folds in order.
        experiment: Its settings.
        backbone: As the settings say, or how many members an ensemble has.
        evaluated_on: test, validation or folds.
        metrics: What was scored on each part.
        splits: Of each part.
        predictions: Of each part.
    """

    run: Run
    parts: tuple[Run, ...]
    experiment: Experiment
    backbone: str
    evaluated_on: str
    metrics: tuple[dict[str, Any], ...]
    splits: tuple[Split, ...]
    predictions: tuple[Predictions, ...]

    @property
    def label(self) -> str:
        """See `label_of`."""
        return label_of(self.run)

    @property
    def is_folds(self) -> bool:
        """Whether it is a cross-validation."""
        return self.evaluated_on == "folds"

    @property
    def test_per_training(self) -> float:
        """Test crops per crop that fitted or stopped training, the mean over parts."""
        return float(np.mean([
            len(split.test) / (len(split.train) + len(split.validation)) for split in self.splits
        ]))


def label_of(run: Run) -> str:
    """Return the name of a run; of a fold, with the cross-validation that it belongs to."""
    folder = run.path.parent
    return f"{folder.parent.name}/folds/{run.name}" if folder.name == "folds" else run.name


def read_finished(run: Run) -> Finished:
    """Read a run's scores.

    Raises:
        InputError: It is not finished, or was never scored.
    """
    if run.is_study:
        raise InputError(
            f"{run.path} is a study, and runs are compared; give some of {run.path / 'final'}"
        )
    check_finished(run, "only finished runs are compared")
    folds = run.folds()
    parts = tuple(folds) or (run,)
    metrics = [_metrics(part) for part in parts]
    on = "folds" if folds else str(metrics[0].get("evaluated_on", "test"))
    experiment = read_experiment(run)
    card = run.read_json("model.json") or {}
    ensemble = card.get("provenance", {}).get("ensemble")
    return Finished(
        run=run,
        parts=parts,
        experiment=experiment,
        backbone=_named(ensemble["members"]) if ensemble else experiment.model.backbone,
        evaluated_on=on,
        metrics=tuple(metrics),
        splits=tuple(read_split(part) for part in parts),
        predictions=tuple(
            read_predictions(part.path / "evaluation" / "predictions.csv") for part in parts
        ),
    )


def why_unpaired(first: Finished, second: Finished) -> str:
    """Say why scores of two runs are not of the same crops; empty where they are."""
    if first.splits[0].store_hash != second.splits[0].store_hash:
        return (
            f"they come from different crops: {first.experiment.store} and "
            f"{second.experiment.store} differ in images, labels or groups"
        )
    ours, theirs = first.predictions[0].classes, second.predictions[0].classes
    if ours != theirs:
        return f"they tell other classes apart: {', '.join(ours)} and {', '.join(theirs)}"
    if first.evaluated_on != second.evaluated_on:
        return f"one was scored on {first.evaluated_on}, the other on {second.evaluated_on}"
    if len(first.parts) != len(second.parts):
        return f"one has {len(first.parts)} folds, the other {len(second.parts)}"
    for number, (one, other) in enumerate(
        zip(first.predictions, second.predictions, strict=True), start=1
    ):
        if not np.array_equal(np.sort(one.rows), np.sort(other.rows)):
            where = f"fold {number}" if first.is_folds else f"the {first.evaluated_on} split"
            return f"{where} holds other crops (train both with the same --seed and split)"
    return ""


def trained_alike(runs: Sequence[Finished]) -> bool:
    """Tell whether runs that share test rows also share training and validation rows."""
    return all(
        np.array_equal(getattr(one, side), getattr(other, side))
        for run in runs[1:]
        for one, other in zip(runs[0].splits, run.splits, strict=True)
        for side in SIDES
    )


def on_shared_crops(runs: Sequence[Finished]) -> list[Finished]:
    """Score single runs again, on the test crops that all of them share.

    Such a crop tests every run, so none has learned from it.

    Raises:
        InputError: A cross-validation, other stores, classes or sides, or no crop in common.
    """
    first = runs[0]
    for run in runs:
        if run.is_folds:
            raise InputError(
                f"{run.label} is a cross-validation, which tests every crop of its store; only "
                "single runs are compared on shared crops"
            )
        alike = {
            "stores": (first.splits[0].store_hash, run.splits[0].store_hash),
            "classes": (first.predictions[0].classes, run.predictions[0].classes),
            "sides": (first.evaluated_on, run.evaluated_on),
        }
        for what, (ours, theirs) in alike.items():
            if ours != theirs:
                raise InputError(
                    f"{first.label} and {run.label} were scored on different {what} ({ours} and "
                    f"{theirs}), so they share no crops to be compared on"
                )
    shared = first.predictions[0].rows
    for run in runs[1:]:
        shared = np.intersect1d(shared, run.predictions[0].rows)
    if not len(shared):
        raise InputError("the runs have no test crop in common; train them with the same --seed")
    return [_restricted(run, shared) for run in runs]


def _restricted(run: Finished, rows: np.ndarray) -> Finished:
    part = run.predictions[0]
    part = part.take(np.flatnonzero(np.isin(part.rows, rows)))
    return replace(run, predictions=(part,), metrics=(compute_metrics(part),))


def _metrics(run: Run) -> dict[str, Any]:
    document = run.read_json("evaluation/metrics.json")
    if document is None:
        raise InputError(
            f"{run.path} has no scores to compare (evaluation/metrics.json): an ensemble of folds "
            "has no crops of its own that it could be scored on; leave it out"
        )
    return dict(document["metrics"])


def _named(members: list[dict[str, Any]]) -> str:
    names = sorted({member["backbone"] for member in members})
    return f"ensemble of {len(members)}: {', '.join(names)}"
