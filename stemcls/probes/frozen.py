"""Features of crops from a frozen backbone, through the cache that training shares."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from stemcls.config.experiment import ModelConfig
from stemcls.errors import InputError
from stemcls.interruption import Interruption
from stemcls.models.build import build_extractor
from stemcls.progress import Update
from stemcls.store.cropstore import CropStore
from stemcls.training.featurecache import FeatureCache
from stemcls.training.features import make_bank
from stemcls.training.memory import crop_reader


class _Progress:
    """Passes progress on; a warning goes to the log."""

    def __init__(self, update: Update | None) -> None:
        self._update = update

    def progress(self, done: int, total: int, note: str) -> None:
        """Move the progress bar."""
        if self._update:
            self._update(done, total, note)

    def warn(self, message: str) -> None:
        """Show it to the user."""
        logging.getLogger("stemcls").warning(message)


def frozen_features(
    store: CropStore, rows: np.ndarray, model: ModelConfig, workspace: Path,
    interruption: Interruption, update: Update | None = None,
) -> np.ndarray:
    """Return (n, F) float32 features of rows, pooled from the tap of the backbone.

    Args:
        store: The crops.
        rows: (n,) rows.
        model: Backbone, weights, input size and stride.
        workspace: Its saved_models/.features keeps them for later.
        interruption: May stop the extraction.
        update: Called as update(done, total, note).
    Raises:
        InputError: Weights cannot be had, or a setting does not fit the backbone.
        CancelledError: It was asked to stop.
    """
    white = float(np.iinfo(store.dtype).max)
    try:
        extractor = build_extractor(model, store.size_px, store.n_channels, white)
    except InputError as error:
        error.add_note("--features simple needs no backbone and no weights")
        raise
    bank = make_bank(
        extractor, model, store, crop_reader(store), rows, 1,
        FeatureCache(workspace / "saved_models" / ".features"), _Progress(update), interruption,
    )
    return bank.read(rows, 0)
