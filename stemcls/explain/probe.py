"""An opened model: its flat graph, its logits, and outputs and gradients inside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from stemcls.errors import InputError
from stemcls.explain.flat import flat_classifier
from stemcls.explain.gradients import Gradients, Step, floats, make_forward, make_step
from stemcls.explain.graph import (
    INPUT,
    LOGITS,
    check_layer,
    cut_layers,
    has_map,
    ordered,
    saliency_layer,
)

BATCH_SIZE = 32


@dataclass(frozen=True, eq=False)
class Probe:
    """A model that is ready to be explained; `open_probe` makes it.

    Attributes:
        model: Flat functional keras.Model of raw crops (N, H, W, C) to logits (N, K): no nested
            models, no softmax. Its weights may be changed between calls.
        order: Its operations, sources first: the input, ..., the logits.
        sources: id(operation) -> the operations that feed it, in the order of its arguments.
        layers: Names of the layers where class activation maps look, from input to output; empty
            where the model has no map that says where.
        batch_size: Crops a step.
    """

    model: Any
    order: tuple[Any, ...]
    sources: dict[int, tuple[Any, ...]]
    layers: tuple[str, ...]
    batch_size: int = BATCH_SIZE
    _made: dict[Any, Any] = field(default_factory=dict, repr=False)

    @property
    def n_classes(self) -> int:
        """Number of logits."""
        return int(self.model.output_shape[-1])

    def logits(self, crops: np.ndarray) -> np.ndarray:
        """Return the logits of any number of crops, in steps of `batch_size`.

        Args:
            crops: (M, H, W, C) in any number type, in units of stored pixels.
        Returns: (M, K) float32.
        """
        starts = range(0, len(crops), self.batch_size)
        parts = [self.outputs(crops[at : at + self.batch_size], (LOGITS,))[0] for at in starts]
        return np.concatenate(parts)

    def outputs(self, crops: np.ndarray, names: Sequence[str]) -> list[np.ndarray]:
        """Return the outputs of layers, cuts or not, for one batch of n crops.

        Returns: One float32 array for each name.
        """
        import keras

        key = ("outputs", tuple(names))
        if key not in self._made:
            wanted = [self.model.get_layer(name).output for name in names]
            self._made[key] = make_forward(keras.Model(self.model.inputs[0], wanted))
        found = self._made[key](self._filled(np.asarray(crops, dtype=np.float32)))
        return [floats(output)[: len(crops)] for output in found]

    def gradients(
        self, crops: np.ndarray, targets: np.ndarray, names: Sequence[str]
    ) -> Gradients:
        """Return outputs, and how the logits of the targets depend on them, for one batch.

        Args:
            crops: (n, H, W, C).
            targets: (n,) class indices.
            names: Layers that every path crosses, in any order; `INPUT` stands for the crops, with
                the gradient per unit of a stored pixel.
        """
        key = tuple(sorted(set(names), key=self._position))
        if key not in self._made:
            self._made[key] = self._step(key)
        outputs, gradients, logits = self._made[key](
            self._filled(np.asarray(crops, dtype=np.float32)),
            self._filled(np.asarray(targets, dtype=np.int32)),
        )
        n, places = len(crops), [key.index(name) for name in names]
        return Gradients(
            [floats(outputs[place])[:n] for place in places],
            [floats(gradients[place])[:n] for place in places],
            floats(logits)[:n],
        )

    def checked_targets(self, crops: np.ndarray, targets: Any) -> np.ndarray:
        """Return the class to follow for each of N crops.

        Args:
            crops: (N, H, W, C).
            targets: One class index for all, one for each, or None: the predicted ones.
        Returns: (N,) int64.
        Raises:
            InputError: Crops that the model does not take, or classes that it does not know.
        """
        shape = tuple(self.model.input_shape[1:])
        if crops.ndim != 4 or crops.shape[1:] != shape:
            raise InputError(f"the model takes crops (N, *{shape}), found {crops.shape}")
        if targets is None:
            return self.logits(crops).argmax(axis=1)
        wanted = np.asarray(targets)
        if wanted.ndim == 0:
            wanted = np.full(len(crops), wanted)
        if wanted.shape != (len(crops),) or wanted.dtype.kind not in "iu":
            raise InputError(
                f"expected one class index for each of {len(crops)} crops, found {wanted.dtype} "
                f"of shape {wanted.shape}"
            )
        if len(wanted) and not 0 <= wanted.min() <= wanted.max() < self.n_classes:
            raise InputError(
                f"targets are class indices 0 to {self.n_classes - 1}; found {wanted.min()} to "
                f"{wanted.max()}"
            )
        return wanted.astype(np.int64)

    def _filled(self, rows: np.ndarray) -> np.ndarray:
        """Repeat rows up to the largest batch so far: one shape needs one compilation."""
        largest = self._made["largest"] = max(len(rows), self._made.get("largest", 0))
        return rows if len(rows) == largest else rows[np.arange(largest) % len(rows)]

    def _position(self, name: str) -> int:
        if name == INPUT:
            return -1
        names = [operation.name for operation in self.order]
        return names.index(name)

    def _step(self, names: tuple[str, ...]) -> Step:
        import keras

        missed = set(names) - {INPUT, *cut_layers(self.model)}
        if missed:
            raise InputError(f"not every path crosses layer {', '.join(sorted(missed))}")
        tensors = [
            self.model.inputs[0] if name == INPUT else self.model.get_layer(name).output
            for name in (*names, LOGITS)
        ]
        head = None if names[0] == INPUT else keras.Model(self.model.inputs[0], tensors[0])
        segments = [keras.Model(start, end) for start, end in pairwise(tensors)]
        return make_step(head, segments)


def open_probe(
    model: Any, layers: str | Sequence[str] | None = None, batch_size: int = BATCH_SIZE
) -> Probe:
    """Flatten a model, recover its logits and choose where to look.

    Args:
        model: Any plain classifier of crops; see `flat_classifier`.
        layers: One layer or several, whose maps are fused; None: the deepest map that still says
            where (stride 8).
        batch_size: Crops a step.
    Raises:
        InputError: The model or a layer cannot be used; says which could.
    """
    flat = flat_classifier(model)
    order, sources = ordered(flat)
    names = [layers] if isinstance(layers, str) else list(dict.fromkeys(layers or ()))
    for name in names:
        check_layer(flat, name)
    if not names and has_map(flat):
        names = [saliency_layer(flat)]
    position = {operation.name: index for index, operation in enumerate(order)}
    return Probe(
        model=flat,
        order=tuple(order),
        sources={key: tuple(found) for key, found in sources.items()},
        layers=tuple(sorted(names, key=lambda name: position[name])),
        batch_size=batch_size,
    )
