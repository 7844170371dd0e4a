"""Gather what a finished run and its store say, for the report."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import Any

import numpy as np

from stemcls.config.experiment import Experiment, StageConfig
from stemcls.errors import InputError
from stemcls.evaluation.evaluation import Evaluation
from stemcls.evaluation.metrics import confusion_matrix
from stemcls.evaluation.predictions import read_predictions
from stemcls.evaluation.runfiles import check_finished, read_experiment, read_split, store_of
from stemcls.runs import Run
from stemcls.store.cropstore import CropStore
from stemcls.store.splits import SIDES, Split
from stemcls.store.units import unit_index, unit_names, unit_noun


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
    def ensemble(self) -> list[dict[str, Any]]:
        """The members of an ensemble, empty for other runs."""
        found = self.card.get("provenance", {}).get("ensemble") or {}
        return list(found.get("members", ()))

    @property
    def is_of_study(self) -> bool:
        """Whether a search of `stemcls tune` chose its settings."""
        return (self.run.path.parents[1] / "study.toml").is_file()

    @property
    def shared_units(self) -> list[str]:
        """Names of units that are on two sides of a split; there should be none."""
        found: set[str] = set()
        by = self.splits[0].by
        numbers = unit_index(self.store, by) if self.store is not None and by != "crop" else None
        names = {} if self.store is None else unit_names(self.store, by)
        for split in self.splits:
            sides = [set(split.units.get(side, ())) for side in SIDES]
            if numbers is not None:
                sides = [{names[n] for n in set(numbers[getattr(split, side)].tolist())}
                         for side in SIDES]
            for number, side in enumerate(sides):
                found |= side.intersection(*[set().union(*sides[number + 1:])])
        return sorted(found)

    @property
    def augments(self) -> bool:
        """Whether training crops were changed at random: heads learn from features as they are."""
        learns = any(stage.trainable != "none" for stage in self.experiment.plan)
        return learns and any(vars(self.experiment.augment).values())

    @property
    def log(self) -> str:
        """What the run, or the first fold, told while it trained; empty where that is lost."""
        try:
            path = self.parts[0].path / "log.txt"
            return path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    @property
    def rejected(self) -> list[str]:
        """Stages whose weights were thrown away, as the log tells."""
        log = self.log
        return [stage.name for stage in self.experiment.plan if f"{stage.name} rejected" in log]

    @property
    def solved(self) -> StageConfig | None:
        """The stage whose head, solved for, is that of the model; None where steps trained it."""
        for stage in reversed(self.experiment.plan):
            if self.experiment.is_exact(stage):
                return stage
            if stage.name not in self.rejected:
                return None
        return None

    @property
    def metrics(self) -> dict[str, Any]:
        """Of `compute_metrics`."""
        return self.evaluation.metrics


def read_source(run: Run, verified: bool = True) -> Source:
    """Read a run.

    Args:
        run: A finished run or cross-validation.
        verified: As `stemcls.store.find.open_same`.
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
    store, why = _store(parts[0], splits[0], verified)
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


def _store(run: Run, split: Split, verified: bool) -> tuple[CropStore | None, str]:
    try:
        store = store_of(run, split, verified)
    except InputError as error:
        return None, str(error)
    return store, ""


def _history(run: Run) -> list[dict[str, str]]:
    try:
        with (run.path / "history.csv").open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except FileNotFoundError:
        return []
