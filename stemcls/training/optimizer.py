"""Optimisers whose backbone learns at a fraction of the head's rate, alike on every backend."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import keras

from stemcls.config.experiment import StageConfig

OPTIMIZERS = {
    "auto": keras.optimizers.Adam,
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "sgd": keras.optimizers.SGD,
}
SGD_MOMENTUM = 0.9


def make_optimizer(stage: StageConfig, backbone: Iterable[Any] = ()) -> Any:
    """Return the optimiser of a stage.

    Args:
        stage: Kind, rate, weight decay and `backbone_factor`.
        backbone: Variables that learn at `backbone_factor` times the rate.
    Returns: a Keras optimiser. The rate itself is scaled, and with it the decoupled weight decay
        (Loshchilov & Hutter 2019, algorithm 2); a scaled gradient would change nothing under Adam,
        which divides by the gradient's own size.
    """
    factors = {id(variable): stage.backbone_factor for variable in backbone}
    options: dict[str, Any] = {"learning_rate": stage.learning_rate}
    if stage.optimizer == "sgd":
        options["momentum"] = SGD_MOMENTUM
    if stage.weight_decay or stage.optimizer == "adamw":
        options["weight_decay"] = stage.weight_decay
    optimizer = OPTIMIZERS[stage.optimizer](**options)
    if all(factor == 1.0 for factor in factors.values()):
        return optimizer
    # The backend may have put a class of its own in place of Keras' (torch does).
    cls = type("Discriminative", (_Discriminative, type(optimizer)), {})
    discriminative = cls(**options)
    discriminative.factors = _Factors(factors)
    return discriminative


class _Factors:
    """Rate factors by variable; not a dict, which Keras would track as state."""

    def __init__(self, factors: dict[int, float]) -> None:
        self._factors = factors

    def groups(self, variables: Iterable[Any]) -> Iterator[tuple[float, list[int]]]:
        """Yield each factor with the positions of its variables."""
        found: dict[float, list[int]] = {}
        for position, variable in enumerate(variables):
            found.setdefault(self._factors.get(id(variable), 1.0), []).append(position)
        yield from found.items()


class _Discriminative:
    """Mixed into an optimiser: each group of variables is stepped at its own rate.

    Whole groups are handed to the backend's own step, so its fast paths are kept.
    """

    factors: _Factors
    learning_rate: Any
    weight_decay: float | None

    def _backend_update_step(
        self, grads: list[Any], trainable_variables: list[Any], learning_rate: Any
    ) -> None:
        for factor, positions in self.factors.groups(trainable_variables):
            super()._backend_update_step(  # type: ignore[misc]
                [grads[position] for position in positions],
                [trainable_variables[position] for position in positions],
                learning_rate * factor,
            )

    def _apply_weight_decay(self, variables: list[Any]) -> None:
        if not self.weight_decay:
            return
        for factor, positions in self.factors.groups(variables):
            keep = 1.0 - self.learning_rate * (factor * self.weight_decay)
            for position in positions:
                variable = variables[position]
                variable.assign(variable * keras.ops.cast(keep, variable.dtype))
