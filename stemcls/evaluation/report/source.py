"""Gather what a finished run and its store say, for the report."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import Any

import numpy as np

from stemcls.config.experiment import Experiment
from stemcls.errors import InputError
from stemcls.evaluation.evaluation import Evaluation
from stemcls.evaluation.metrics import confusion_matrix
from stemcls.evaluation.predictions import read_predictions
from stemcls.evaluation.runfiles import check_finished, read_experiment, read_split, store_of
from stemcls.runs import Run
from stemcls.store.cropstore import CropStore
from stemcls.store.splits import SIDES, Split
from stemcls.store.units import unit_index, unit_noun


@dataclass(frozen=True, eq=False)
class Source:
    """What a report is made of.

    Attributes:
        run: Its folder.
        parts: Itself, or the folds of a cross-validation.
        experiment: Settings.
        evaluation: Scores of its test crops; of a cross-validation those of all folds together.
        splits: Of each part.
        store: Where its crops are; None where they are gone or have changed.
        why_no_store: Why it is None.
        card: What its model card says, {} where there is none.
        environment: Versions and devices, {} where unknown.
        history: Epochs of each part.
    """

    run: Run
    parts: tuple[Run, ...]
    experiment: Experiment
    evaluation: Evaluation
    splits: tuple[Split, ...]
    store: CropStore | None
    why_no_store: str
    card: dict[str, Any]
    environment: dict[str, Any]
    history: tuple[list[dict[str, str]], ...]

    @property
    def is_folds(self) -> bool:
        """Whether it is a cross-validation."""
        return self.parts[0] is not self.run

    @property
    def unit(self) -> str:
        """What the split kept together, in words."""
        by = self.splits[0].by
        return by if self.store is None else unit_noun(self.store, by)

    @property
    def metrics(self) -> dict[str, Any]:
        """Of `compute_metrics`."""
        return self.evaluation.metrics


def read_source(run: Run) -> Source:
    """Read a run.

    Raises:
        InputError: It is not finished, or was never scored.
    """
    check_finished(run, "a report is of a finished run")
    document = run.read_json("evaluation/metrics.json")
    if document is None:
        raise InputError(
            f"{run.path} was never scored (no evaluation/metrics.json): an ensemble of folds has "
            "no crops of its own; report on its members"
        )
    if "reliability" not in document["metrics"]:
        raise InputError(
            f"{run.path}/evaluation/metrics.json has an unknown form; was it written by another "
            "version of stemcls? `stemcls train` again, or report with that version"
        )
    predictions = read_predictions(run.path / "evaluation" / "predictions.csv")
    parts = tuple(run.folds()) or (run,)
    experiment = read_experiment(run)
    splits = tuple(read_split(part) for part in parts)
    store, why = _store(parts[0], splits[0])
    return Source(
        run=run, parts=parts, experiment=experiment,
        evaluation=Evaluation(
            metrics=document["metrics"], confusion=confusion_matrix(predictions),
            labels=predictions.classes, n=len(predictions), predictions=predictions,
        ),
        splits=splits, store=store, why_no_store=why,
        card=parts[0].read_json("model.json") or {},
        environment=parts[0].read_json("environment.json") or {},
        history=tuple(_history(part) for part in parts),
    )


def side_table(source: Source) -> list[dict[str, Any]]:
    """Return, for each class, crops and units on each side; of a cross-validation, over all folds.

    Returns: rows of `name` and, for each side, `crops` and `units` (None without a store).
    """
    store, split = source.store, source.splits[0]
    if store is None:
        counts = {side: {"crops": len(getattr(split, side)), "units": None} for side in SIDES}
        return [{"name": "all classes", **counts}]
    units = unit_index(store, split.by)
    rows = []
    for number, name in enumerate(split.classes):
        row: dict[str, Any] = {"name": name}
        for side in SIDES:
            there = getattr(split, side)
            own = there[split.targets(store, there) == number]
            row[side] = {"crops": len(own), "units": len(np.unique(units[own]))}
        rows.append(row)
    return rows


def _store(run: Run, split: Split) -> tuple[CropStore | None, str]:
    try:
        store = store_of(run, split)
    except InputError as error:
        return None, str(error)
    return store, ""


def _history(run: Run) -> list[dict[str, str]]:
    try:
        with (run.path / "history.csv").open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except FileNotFoundError:
        return []
