"""Read what a run predicted of the crops it was scored on, and find those crops; no Textual."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.errors import InputError, StemclsError
from stemcls.evaluation.bygroup import GroupScore, score_groups
from stemcls.evaluation.predictions import Predictions, read_predictions
from stemcls.evaluation.runfiles import read_experiment
from stemcls.runs import Run
from stemcls.store.cropstore import CropStore
from stemcls.store.find import open_same
from stemcls.store.units import unit_names
from tui.thresholds import Sweep

OWN = ""
_KEPT = 3
_SIDES = ("test", "validation", "folds", None)


@dataclass(frozen=True, eq=False)
class Scored:
    """The predictions of one set of crops, with what screens ask of them again and again.

    Attributes:
        predictions: As they were read.
        classes: Names.
        predicted: (N,) int, the most probable class.
        score: (N,) its probability.
    """

    predictions: Predictions
    classes: tuple[str, ...]
    predicted: np.ndarray
    score: np.ndarray

    def entry(self, truth: int, predicted: int) -> np.ndarray:
        """Return positions of the crops of one entry of the confusion matrix, surest first."""
        found = np.flatnonzero(
            (self.predictions.labels == truth) & (self.predicted == predicted)
        )
        return found[np.argsort(-self.score[found], kind="stable")]

    def wrong(self) -> np.ndarray:
        """Return positions of the crops that are wrongly called, the surest first."""
        found = np.flatnonzero(self.predictions.labels != self.predicted)
        return found[np.argsort(-self.score[found], kind="stable")]

    @cached_property
    def sweeps(self) -> tuple[Sweep, ...]:
        """One per class, against all others."""
        labels, probabilities = self.predictions.labels, self.predictions.probabilities
        return tuple(
            Sweep(probabilities[:, number], labels == number)
            for number in range(len(self.classes))
        )


class PredictionsShelf:
    """Predictions that were read lately; a file is read again only when it has changed."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[tuple[int, int], Scored]] = {}

    def read(self, path: Path) -> Scored:
        """Return the predictions at `path`.

        Raises:
            InputError: The file is missing or damaged.
        """
        try:
            status = path.stat()
        except OSError:
            raise InputError(
                f"there are no predictions at {path}; stemcls evaluate {_run_of(path)} writes them"
            ) from None
        version = (status.st_mtime_ns, status.st_size)
        known = self._known.pop(path, None)
        if known is None or known[0] != version:
            found = read_predictions(path)
            scored = Scored(found, found.classes, found.predicted, found.score)
            _ = scored.sweeps  # sorted here, in the thread that reads
            known = (version, scored)
        self._known[path] = known
        while len(self._known) > _KEPT:
            self._known.pop(next(iter(self._known)))
        return known[1]


def predictions_path(run: Run, name: str = OWN) -> Path:
    """Return where the predictions of a set of a run are: its own, or another store's by name."""
    return run.path / "evaluation" / name / "predictions.csv"


@dataclass(frozen=True, eq=False)
class Origin:
    """Where scored crops come from.

    Attributes:
        store: The store that was scored, or None.
        note: What is to be said of it: why it is None, or where it was found; "" if all is well.
        by: What groups of the predictions are: group, field or crop.
        named: The path that the run names.
    """

    store: CropStore | None
    note: str
    by: str = "group"
    named: Path = Path()

    def group_names(self) -> dict[int, str]:
        """Return number to name of the groups of the predictions."""
        return unit_names(self.store, self.by) if self.store is not None else {}


def find_origin(run: Run, name: str, workspace: Path) -> Origin:
    """Find the store whose crops were scored, and make sure that it is still the same.

    Args:
        run: The run.
        name: Of the set, see `predictions_path`.
        workspace: Relative paths are below it; a store that moved is looked for there.
    """
    try:
        named, content, by = _wanted(run, name)
    except (StemclsError, OSError, KeyError, TypeError) as error:
        return Origin(None, f"which store was scored cannot be read: {error}")
    path = named if named.is_absolute() else workspace / named
    reason = "has other crops than those that were scored" if path.exists() else "is gone"
    try:
        store = open_same(path, content, run.path, workspace, verified=False)
    except (StemclsError, OSError, RuntimeError, ValueError):
        return Origin(
            None, f"{path} {reason}, so there are no pictures; put the store back to see them", by,
            named,
        )
    if store.path == path:
        return Origin(store, "", by, named)
    return Origin(store, f"{path} {reason}; the same crops are in {store.path.name}", by, named)


def _wanted(run: Run, name: str) -> tuple[Path, str, str]:
    """Return path, (the start of the) content hash, and what was kept together."""
    if name != OWN:
        document = run.read_json(f"evaluation/{name}/metrics.json") or {}
        on = document.get("metrics", {}).get("evaluated_on")
        if on not in _SIDES:
            return Path(on), name.removesuffix("-calibrated").rpartition("-")[2], "group"
    for folder in ("", "folds/fold-1/"):
        split: dict[str, Any] | None = run.read_json(f"{folder}split.json")
        if split is not None:
            return Path(read_experiment(run).store), split["store_hash"], split["by"]
    return Path(read_experiment(run).store), "", "group"


def groups_of(scored: Scored, origin: Origin) -> list[GroupScore]:
    """Return the scores of each group, worst first."""
    return score_groups(scored.predictions, origin.group_names())


def _run_of(path: Path) -> str:
    return next((str(home.parent) for home in path.parents if home.name == "evaluation"), "RUN")
