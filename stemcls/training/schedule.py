"""The learning rate of each epoch of a stage."""

from __future__ import annotations

import math

from stemcls.config.experiment import StageConfig

PLATEAU_DIVISOR = 3.0
WARM_SHARE = 1 / 8


def rate_of(stage: StageConfig, epoch: int, drops: int = 0) -> float:
    """Return the head's rate in an epoch.

    Args:
        stage: Schedule, first rate and number of epochs.
        epoch: Counted from 0.
        drops: How often a plateau has lowered the rate.
    Source of cosine: Loshchilov & Hutter 2017, eq. 5 without restarts (arXiv:1608.03983).
    """
    if stage.schedule == "warm-cosine":
        warm = math.ceil(stage.epochs * WARM_SHARE)
        if epoch < warm:
            return stage.learning_rate * (epoch + 1) / (warm + 1)
        left = (epoch - warm) / max(stage.epochs - warm, 1)
        return stage.learning_rate * 0.5 * (1.0 + math.cos(math.pi * left))
    if stage.schedule == "cosine":
        return stage.learning_rate * 0.5 * (1.0 + math.cos(math.pi * epoch / stage.epochs))
    if stage.schedule == "plateau":
        return stage.learning_rate / PLATEAU_DIVISOR**drops
    return stage.learning_rate


def is_plateau(stage: StageConfig, waited: int) -> bool:
    """Say whether the rate drops after `waited` epochs without a better validation loss."""
    every = math.ceil(stage.patience / 2)
    return stage.schedule == "plateau" and 0 < waited < stage.patience and waited % every == 0
