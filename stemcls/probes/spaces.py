"""What a run makes of crops at every level: pixels, pooled features, dense layers, logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from stemcls.config.experiment import Experiment
from stemcls.errors import InputError
from stemcls.evaluation.runfiles import finished_model, open_split, read_experiment
from stemcls.imaging.shrink import shrunk
from stemcls.interruption import Interruption
from stemcls.models.build import add_head, build_extractor
from stemcls.models.saved import load_model
from stemcls.runs import Run
from stemcls.store.cropstore import CropStore

PIXELS_PX = 32
_CHUNK = 256
_SCALING_ROWS = 512


@dataclass(frozen=True, eq=False)
class Space:
    """Crops as one level sees them.

    Attributes:
        stage: raw, before or after training.
        layer: pixels, pooling, dense_1, ..., logits.
        features: (n, F) float32.
    """

    stage: str
    layer: str
    features: np.ndarray

    @property
    def title(self) -> str:
        """A caption."""
        names = {"pixels": "raw pixels", "pooling": "GAP"}
        name = names.get(self.layer, self.layer.replace("_", " "))
        return name if self.stage == "raw" else f"{name}, {self.stage} training"


def spaces_of(
    run: Run, store: CropStore, rows: np.ndarray, interruption: Interruption
) -> tuple[list[Space], dict[str, str]]:
    """Return crops at every level, before and after training, and why a stage is missing.

    Before training is the backbone with the weights that the run began with, and a head as the run
    began with one.

    Args:
        run: A finished run with a model.
        store: Crops of the shape that the model takes.
        rows: (n,) rows.
        interruption: May stop it.
    Raises:
        InputError: No model, another shape of crops, or an ensemble.
    """
    experiment = read_experiment(run)
    after, card = load_model(finished_model(run))
    card.check_crops(store)
    layers = _layers(after, run)
    found = [Space("raw", "pixels", raw_pixels(store, rows))]
    missing: dict[str, str] = {}
    try:
        before = _untrained(run, experiment, store, len(card.classes))
    except InputError as error:
        missing["before"] = str(error)
    else:
        found += _outputs(before, layers, "before", store, rows, interruption)
    found += _outputs(after, layers, "after", store, rows, interruption)
    return found, missing


def raw_pixels(store: CropStore, rows: np.ndarray) -> np.ndarray:
    """Return (n, F) float32 pixels of crops, shrunk to 32 px by averaging where they are larger."""
    white = np.float32(np.iinfo(store.dtype).max)
    return np.array([
        shrunk(crop.astype(np.float32) / white, PIXELS_PX).ravel() for crop in store.read(rows)
    ])


def _layers(model: Any, run: Run) -> list[str]:
    names = [layer.name for layer in model.layers]
    if "pooling" not in names:
        raise InputError(
            f"{run.path} holds an ensemble, which has no layers of its own; give one of its members"
        )
    return ["pooling", *(name for name in names if name.startswith("dense_")), "logits"]


def _untrained(run: Run, experiment: Experiment, store: CropStore, n_classes: int) -> Any:
    import keras

    white = float(np.iinfo(store.dtype).max)
    keras.utils.set_random_seed(experiment.seed)
    extractor = build_extractor(experiment.model, store.size_px, store.n_channels, white)
    features = None
    if experiment.pretrained:
        # As in the run: features are scaled by what the training crops have.
        own, split = open_split(run)
        features = extractor.predict(own.read(split.train[:_SCALING_ROWS]), verbose=0)
    return add_head(extractor, experiment.model, n_classes, features, experiment.seed)


def _outputs(
    model: Any, layers: list[str], stage: str, store: CropStore, rows: np.ndarray,
    interruption: Interruption,
) -> list[Space]:
    import keras

    probe = keras.Model(model.input, [model.get_layer(name).output for name in layers])
    parts: list[list[np.ndarray]] = []
    for start in range(0, len(rows), _CHUNK):
        interruption.check()
        crops = store.read(rows[start : start + _CHUNK])
        parts.append(probe.predict(crops, batch_size=64, verbose=0))
    return [
        Space(stage, name, np.concatenate([part[number] for part in parts]).astype(np.float32))
        for number, name in enumerate(layers)
    ]
