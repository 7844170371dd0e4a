"""What is exported: a run's network and real crops with the probabilities it gives them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.errors import InputError
from stemcls.evaluation.calibration.calibrate import calibrated_model
from stemcls.evaluation.runfiles import finished_model, open_split
from stemcls.models.saved import ModelCard, load_model
from stemcls.runs import Run
from stemcls.store.cropstore import CropStore
from stemcls.store.verify import open_verified

CHECKED_CROPS = 64
INPUT, OUTPUT = "crops", "probabilities"


@dataclass(frozen=True, eq=False)
class Parcel:
    """A network to be exported, and what its copy must repeat.

    Attributes:
        run: Where it comes from.
        model: keras.Model in float32, raw pixels (N, H, W, C) to probabilities (N, K).
        keras_path: The .keras file that it was loaded from.
        card: Of the model.
        crops: (n, H, W, C) float32, real ones of the run's store, in units of stored pixels.
        rows: (n,) their rows.
        side: Where they are from: test, validation, or the name of another store.
        probabilities: (n, K) float32, what the run's network says of them, one view each.
    """

    run: Run
    model: Any
    keras_path: Path
    card: ModelCard
    crops: np.ndarray
    rows: np.ndarray
    side: str
    probabilities: np.ndarray


def open_parcel(run: Run, store_path: Path | None = None, calibrated: bool = False) -> Parcel:
    """Load a finished run's network and let it see crops of its store.

    Args:
        run: A finished run.
        store_path: Where crops are taken from; None: the run's test split, else its validation
            split.
        calibrated: Take the model that `stemcls calibrate` saved.
    Raises:
        InputError: No model, or no store with crops that it takes.
    """
    from stemcls.models.precision import in_float32

    path = calibrated_model(run) if calibrated else finished_model(run)
    model, card = load_model(path)
    model = in_float32(model)
    store, rows, side = _chosen(run, store_path)
    card.check_crops(store)
    crops = store.read(rows).astype(np.float32)
    return Parcel(
        run, model, path, card, crops, rows, side,
        np.asarray(model.predict(crops, verbose=0), dtype=np.float32),
    )


def _chosen(run: Run, store_path: Path | None) -> tuple[CropStore, np.ndarray, str]:
    if store_path is not None:
        store = open_verified(store_path)
        rows, side = np.arange(len(store)), store.path.name
    else:
        try:
            store, split = open_split(run)
        except InputError as error:
            error.add_note(
                "an export is compared with the run on real crops; if its store has moved, or you "
                "have another that the model takes, name it: --store STORE"
            )
            raise
        rows, side = split.scored_rows, split.scored_on
    if not len(rows):
        raise InputError(f"{store.path} holds no crops to compare the export with")
    spread = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), CHECKED_CROPS)).astype(int))
    return store, np.sort(rows)[spread], side
