"""Say which cells look unlike those of training, where a model was calibrated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.evaluation.calibration.calibrate import FOLDER
from stemcls.evaluation.calibration.novelty import FLAGGED, Novelty
from stemcls.models.cardcheck import SHORT
from stemcls.models.inference import predict
from stemcls.notices import Notice
from stemcls.prediction.sample import Sample

UNLIKE = "unlike the cells of training"
NOVELTY_FILE = "novelty.npz"
_LEAST = 8  # cells of a field that a share is told of
_SURE = 3.0  # standard deviations beyond the share that is expected


@dataclass(frozen=True, eq=False)
class Familiarity:
    """The features of a model, and which of them are usual.

    Attributes:
        features: keras.Model of crops to the features that novelty was fitted on.
        novelty: What is usual.
    """

    features: Any
    novelty: Novelty

    @classmethod
    def beside(cls, model: Any, path: Path) -> Familiarity | None:
        """Return that of a model file, None where its run was not calibrated.

        Args:
            model: The model.
            path: Its .keras file: the calibrated one, or that of the run.
        """
        import keras

        places = (path.with_name(NOVELTY_FILE), path.parent / FOLDER / NOVELTY_FILE)
        file = next((place for place in places if place.is_file()), None)
        if file is None or "pooling" not in {layer.name for layer in model.layers}:
            return None
        part = keras.Model(model.inputs, model.get_layer("pooling").output)
        return cls(part, Novelty.read(file))

    def noted(self, sample: Sample) -> Sample:
        """Return a sample whose notes and notices say which cells are unlike those of training.

        One in twenty of the usual cells is flagged; a notice comes where clearly more are.
        """
        if not sample.n:
            return sample
        tails = self.novelty.tail(predict(self.features, sample.read, np.arange(sample.n)))
        odd = tails < FLAGGED
        notes = [
            "; ".join(filter(None, (note, UNLIKE if far else "")))
            for note, far in zip(sample.notes, odd, strict=True)
        ]
        share = float(odd.mean())
        beyond = FLAGGED + _SURE * (FLAGGED * (1 - FLAGGED) / sample.n) ** 0.5
        if sample.n < _LEAST or share <= beyond:
            return replace(sample, notes=notes)
        kind = "unfamiliar-cells"
        said = Notice(
            kind,
            "far more of its cells look unlike those of training than the 1 in 20 expected: the "
            "model may know none of its classes among them", (str(sample.path),),
        )
        notes = ["; ".join(filter(None, (note, SHORT[kind]))) for note in notes]
        return replace(sample, notes=notes, notices=(*sample.notices, said))
