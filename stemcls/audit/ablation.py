"""A check of what each channel is worth to a trained model."""

from __future__ import annotations

from typing import Any

import numpy as np

from stemcls.audit.finding import CannotTellError, Finding
from stemcls.audit.subject import Subject
from stemcls.errors import InputError
from stemcls.evaluation.comparison import Difference, compare_predictions
from stemcls.evaluation.runfiles import finished_model, predictions_of, read_split

# A channel whose pixels spread less than this share of full scale shows nothing.
BLANK = 0.004


def check_channels(subject: Subject) -> Finding:
    """Give each crop a channel of another crop, and see how far the run's score falls."""
    store, run = subject.store, subject.run
    if run is None:
        raise CannotTellError("it needs a run: stemcls audit STORE RUN")
    if store.n_channels < 2:
        raise CannotTellError("the crops have one channel")
    split = read_split(run)
    split.check(store)
    rows = split.scored_rows
    crops = store.read(rows)
    probabilities = _predicting(subject)
    base = predictions_of(store, split, rows, probabilities(crops))
    donor = np.random.default_rng(subject.config.seed).permutation(len(rows))
    losses: dict[str, Difference] = {}
    for channel, name in enumerate(store.channels):
        subject.interruption.check()
        changed = crops.copy()
        changed[..., channel] = crops[donor][..., channel]
        other = predictions_of(store, split, rows, probabilities(changed))
        losses[name] = compare_predictions(base, other, seed=subject.config.seed)["mean_recall"]
    return _judged(losses, _spreads(crops))


def _predicting(subject: Subject) -> Any:
    from stemcls.models.inference import predict
    from stemcls.models.saved import load_model

    if subject.run is None:
        raise InputError("there is no run to ask")
    model, card = load_model(finished_model(subject.run))
    card.check_crops(subject.store)

    def probabilities(crops: np.ndarray) -> np.ndarray:
        return predict(model, crops.__getitem__, np.arange(len(crops)), views=card.views)

    return probabilities


def _spreads(crops: np.ndarray) -> list[float]:
    white = float(np.iinfo(crops.dtype).max)
    return [float(crops[..., channel].std()) / white for channel in range(crops.shape[-1])]


def _judged(losses: dict[str, Difference], spreads: list[float]) -> Finding:
    worst = max(losses, key=lambda name: losses[name].difference)
    details = {
        "loss": {name: found.difference for name, found in losses.items()},
        "loss_ci": {name: found.ci for name, found in losses.items()},
    }
    said = (
        "With one channel taken from other crops the run's mean recall falls by "
        + ", ".join(f"{found.difference:.2f} ({name})" for name, found in losses.items()) + "."
    )
    suspect = [
        name for (name, found), spread in zip(losses.items(), spreads, strict=True)
        if spread < BLANK and found.difference > 0 and found.low > 0
    ]
    if suspect:
        return Finding(
            "fail", losses[worst].difference,
            f"{said} {', '.join(suspect)} shows next to nothing and yet decides.",
            losses[worst].ci, "train without it: build with --channels", details,
        )
    return Finding("pass", losses[worst].difference, said, losses[worst].ci, details=details)
