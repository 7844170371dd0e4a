"""The loss of a head: cross-entropy, with smoothed labels or focused on hard crops."""

from __future__ import annotations

from typing import Any

import keras

from stemcls.config.experiment import ModelConfig

LEAST_PROBABILITY = 1e-7


def make_loss(config: ModelConfig, n_classes: int) -> Any:
    """Return the keras.losses.Loss for sparse integer targets (N,) and probabilities (N, K).

    Sample weights and the mean over the batch are as in every Keras loss. A saved model holds no
    loss, so it loads without this module.

    Args:
        config: Its `label_smoothing` and `focal_gamma`; both may be set.
        n_classes: K.
    """
    if config.label_smoothing == 0 and config.focal_gamma == 0:
        return keras.losses.SparseCategoricalCrossentropy()
    return SoftFocalLoss(n_classes, config.label_smoothing, config.focal_gamma)


class SoftFocalLoss(keras.losses.Loss):
    """-sum_k y_k (1 - p_k)^gamma log p_k, with y the label smoothed towards 1 / K.

    Gamma 0 is cross-entropy with smoothed labels, no smoothing the focal loss without its class
    weights alpha, which the sample weights of a run stand for.

    Source: Lin et al. 2017, eq. 4 (arXiv:1708.02002), summed over the classes of a soft label;
    Szegedy et al. 2015, section 7 (arXiv:1512.00567) for the smoothing.
    """

    def __init__(
        self, n_classes: int, label_smoothing: float, gamma: float, **settings: Any
    ) -> None:
        super().__init__(**{"name": "soft_focal", **settings})
        self.n_classes = n_classes
        self.label_smoothing = label_smoothing
        self.gamma = gamma

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each sample, (N,)."""
        ops = keras.ops
        y_pred = ops.clip(y_pred, LEAST_PROBABILITY, 1.0)
        targets = ops.cast(ops.reshape(y_true, (-1,)), "int32")
        labels = ops.one_hot(targets, self.n_classes, dtype=y_pred.dtype)
        labels = labels * (1.0 - self.label_smoothing) + self.label_smoothing / self.n_classes
        losses = -labels * ops.log(y_pred)
        if self.gamma > 0:
            # A base of 0 has no gradient for gamma below 1.
            losses = losses * ops.power(1.0 - y_pred + LEAST_PROBABILITY, self.gamma)
        return ops.sum(losses, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Return what makes the same loss again."""
        return {
            **super().get_config(), "n_classes": self.n_classes,
            "label_smoothing": self.label_smoothing, "gamma": self.gamma,
        }
