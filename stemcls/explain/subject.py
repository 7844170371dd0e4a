"""What is to be explained: a model, its classes, and the store its cells come from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.errors import InputError
from stemcls.evaluation.runfiles import (
    finished_model,
    folder_of,
    open_split,
    read_experiment,
)
from stemcls.models.ensemble import check_explainable
from stemcls.models.saved import ModelCard, check_described, find_card, load_bare, load_model
from stemcls.runs import Run
from stemcls.store.classes import class_index
from stemcls.store.cropstore import CropStore
from stemcls.store.verify import open_verified


@dataclass(frozen=True, eq=False)
class Subject:
    """A model and crops that it takes.

    Attributes:
        model: keras.Model.
        classes: K names, in the order of its outputs.
        store: Where the crops are.
        candidates: Rows of the store that cells may be chosen from.
        backbone: Its name in `BACKBONES`, "" where unknown.
        views: Dihedral views that are averaged for what the model says of a cell.
        folder: Where explanations go by default.
    """

    model: Any
    classes: tuple[str, ...]
    store: CropStore
    candidates: np.ndarray
    backbone: str
    views: int
    folder: Path

    @property
    def truth(self) -> np.ndarray:
        """(len(store),) int64 index of the true class in `classes`, -1 where unknown."""
        return class_index(self.store, self.classes)

    @property
    def radius_px(self) -> np.ndarray:
        """(len(store),) radius of each cell in pixels of its crop, NaN where unknown."""
        store = self.store
        radius = store.radius_px.astype(np.float64)
        if not store.config.get("crop_um") or store.pixel_size_um is None:
            return radius
        return radius * store.fields.pixel_size_um[store.field_index] / store.pixel_size_um


def open_run(run: Run, store_path: Path | None = None) -> Subject:
    """Open a finished run; its cells are those of its test split, or of another store.

    Raises:
        InputError: No model, an ensemble, or a store that does not fit it.
    """
    model, card = load_model(finished_model(run))
    check_explainable(card, run.path)
    experiment = read_experiment(run)
    if store_path is None:
        store, split = open_split(run)
        candidates, name = split.scored_rows, ""
    else:
        store = open_verified(store_path)
        candidates, name = np.arange(len(store)), folder_of(store)
    card.check_crops(store)
    folder = run.path / "explanations" / name
    backbone = experiment.model.backbone
    return Subject(
        model, card.classes, store, candidates, backbone, experiment.test_views, folder
    )


def open_model(path: Path, store_path: Path | None) -> Subject:
    """Open a .keras file, saved by stemcls or any other plain classifier, and a store for it.

    Raises:
        InputError: No store, a file that Keras cannot load, or a store that does not fit it.
    """
    if store_path is None:
        raise InputError(f"{path} is a model without a run: name the store whose cells to explain")
    store = open_verified(store_path)
    card = find_card(path)
    model = load_bare(path)
    if card is not None:
        check_described(model, card, path)
        check_explainable(card, path)
        card.check_crops(store)
    experiment = card.provenance.get("experiment", {}) if card else {}
    return Subject(
        model=model,
        classes=_classes(model, card, store, path),
        store=store,
        candidates=np.arange(len(store)),
        backbone=experiment.get("model", {}).get("backbone", ""),
        views=card.views if card else 1,
        folder=path.parent / f"{path.stem}-explanations",
    )


def _classes(model: Any, card: ModelCard | None, store: CropStore, path: Path) -> tuple[str, ...]:
    if card is not None:
        return card.classes
    shape = model.input_shape
    if isinstance(shape, tuple) and tuple(shape[1:]) != tuple(store.shape[1:]):
        raise InputError(
            f"{path} takes crops {shape[1:]}, those of {store.path} are {store.shape[1:]}"
        )
    n_classes = max(2, int(model.output_shape[-1])) if isinstance(model.output_shape, tuple) else 0
    if len(store.classes) == n_classes:
        return store.classes  # in the order of the labels, as Keras' own training takes them
    return tuple(f"class {index}" for index in range(n_classes))
