"""Walk a graph from a logit back to the pixels and keep account of where relevance went."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from stemcls.errors import InputError
from stemcls.explain.lrp.layers import Step, handler_of, multiplied, signals_of
from stemcls.explain.lrp.linears import LINEARS, foldable
from stemcls.explain.lrp.presets import PRESETS, preset_named
from stemcls.explain.lrp.rules import Box, box_rule
from stemcls.explain.probe import Probe

EPSILON = 1e-6

PassBack = Callable[[Any, Any], list[Any]]


@dataclass(frozen=True, eq=False)
class Relevance:
    """Where the logits of N crops come from.

    Attributes:
        pixels: (N, H, W, C) float32, relevance of each stored value.
        logits: (N,) float64, the followed logit.
        bias: (N,) float64, what biases and offsets keep.
        absorbed: (N,) float64, what epsilon and layers without a rule keep.
    """

    pixels: np.ndarray
    logits: np.ndarray
    bias: np.ndarray
    absorbed: np.ndarray

    @property
    def gap(self) -> np.ndarray:
        """(N,) logit less relevance of the pixels less share of the biases: 0 if conserved."""
        axes = (1, 2, 3)
        return np.asarray(self.logits - self.pixels.sum(axis=axes, dtype=np.float64) - self.bias)


def relevance(
    probe: Probe, crops: np.ndarray, targets: np.ndarray, preset: str, epsilon: float = EPSILON
) -> Relevance:
    """Propagate one logit of each crop back to its pixels.

    Args:
        probe: An opened model.
        crops: (N, H, W, C) as stored, one batch.
        targets: (N,) int, the class whose logit is followed.
        preset: A name in `PRESETS`.
        epsilon: Added to the size of every sum that relevance is divided by.
    Raises:
        InputError: Unknown preset, a layer that it has no rule for, or pixels without a range.
    Source: Bach et al. 2015 (doi:10.1371/journal.pone.0130140); presets as Montavon et al. 2019.
    """
    from keras import ops

    rules = preset_named(preset)
    _check_layers(probe, preset)
    values = forward(probe, crops)
    logits = values[id(probe.order[-1])]
    start = logits * ops.one_hot(ops.convert_to_tensor(targets), logits.shape[-1], dtype="float32")
    folds, first = _folds(probe), _readers(probe)
    folded = {id(norm) for norm in folds.values()}
    boxes = _boxes(probe, crops, first) if rules.first is box_rule else {}
    kept: list[Any] = []
    lost: list[Any] = []

    def pass_back(operation: Any, arrived: Any) -> list[Any]:
        if id(operation) in folded:
            return [arrived]  # its layer does its part
        sources = probe.sources[id(operation)]
        dense = type(operation).__name__ == "Dense"
        step = Step(
            operation, sources, [values[id(source)] for source in sources], arrived,
            rule=rules.dense if dense else rules.convolution,
            epsilon=epsilon,
            first=rules.first if operation.name in first else None,
            box=boxes.get(id(operation)),
            fold=folds.get(id(operation)),
        )
        handler = handler_of(operation, rules.any_layer)
        assert handler is not None  # _check_layers
        passed = handler(step)
        kept.append(passed.bias)
        lost.append(passed.absorbed)
        return passed.inputs

    pixels = walk(probe, start, pass_back)
    return Relevance(
        np.zeros(crops.shape, np.float32) if pixels is None else _floats(pixels),
        _floats(ops.sum(start, axis=1)).astype(np.float64),
        _summed(kept, len(crops)),
        _summed(lost, len(crops)),
    )


def forward(probe: Probe, crops: np.ndarray) -> dict[int, Any]:
    """Return the output of every operation by id, float32, for one batch of crops."""
    return _outputs(probe, probe.order, crops)


def walk(probe: Probe, start: Any, pass_back: PassBack) -> Any:
    """Carry `start`, at the logits, back to the crops; None if none of it gets there.

    Args:
        probe: An opened model.
        start: (N, K) tensor.
        pass_back: (operation, what arrived at its output) -> what goes to each of its sources,
            None where nothing goes.
    """
    arrived = {id(probe.order[-1]): start}
    for operation in reversed(probe.order[1:]):
        here = arrived.pop(id(operation), None)
        if here is None:
            continue
        sources = probe.sources[id(operation)]
        for source, part in zip(sources, pass_back(operation, here), strict=True):
            if part is not None:
                before = arrived.get(id(source))
                arrived[id(source)] = part if before is None else before + part
    return arrived.get(id(probe.order[0]))


def _outputs(probe: Probe, operations: tuple[Any, ...], crops: np.ndarray) -> dict[int, Any]:
    import keras
    from keras import ops

    function = keras.Function(probe.model.inputs, [operation.output for operation in operations])
    found = function([ops.convert_to_tensor(crops.astype(np.float32))])
    return {
        id(operation): ops.stop_gradient(ops.cast(value, "float32"))
        for operation, value in zip(operations, found, strict=True)
    }


def _folds(probe: Probe) -> dict[int, Any]:
    """Return each BatchNorm that becomes part of the layer before it, by the id of that layer."""
    feeds = Counter(id(source) for op in probe.order[1:] for source in probe.sources[id(op)])
    folds = {}
    for operation in probe.order[1:]:
        (source, *others) = probe.sources[id(operation)]
        if (
            type(operation).__name__ == "BatchNormalization" and not others
            and type(source).__name__ in LINEARS and feeds[id(source)] == 1
            and foldable(source, operation)
        ):
            folds[id(source)] = operation
    return folds


def _readers(probe: Probe) -> set[str]:
    """Name the weighted layers with nothing weighted between them and the pixels."""
    behind: set[int] = set()
    readers = set()
    for operation in probe.order[1:]:
        weighs = type(operation).__name__ in LINEARS
        if any(id(source) in behind for source in probe.sources[id(operation)]):
            behind.add(id(operation))
        elif weighs:
            readers.add(operation.name)
            behind.add(id(operation))
    return readers


def _boxes(probe: Probe, crops: np.ndarray, readers: set[str]) -> dict[int, Box]:
    """Return the range of what each reader gets, from crops that are black and white."""
    from keras import ops

    if crops.dtype.kind != "u":
        others = ", ".join(name for name, row in PRESETS.items() if row.first is not box_rule)
        raise InputError(
            "the z-box rule needs pixels with a known range, as uint8 or uint16; found "
            f"{crops.dtype}: use an LRP preset without it ({others})"
        )
    read = [operation for operation in probe.order if operation.name in readers]
    sources = tuple(probe.sources[id(operation)][0] for operation in read)
    ends = np.zeros((2, *crops.shape[1:]), crops.dtype)
    ends[1] = np.iinfo(crops.dtype).max
    values = _outputs(probe, sources, ends)
    boxes = {}
    for operation, source in zip(read, sources, strict=True):
        value = values[id(source)]
        shape = (len(crops), *value.shape[1:])
        low, high = ops.min(value, axis=0), ops.max(value, axis=0)
        boxes[id(operation)] = Box(ops.broadcast_to(low, shape), ops.broadcast_to(high, shape))
    return boxes


def _check_layers(probe: Probe, preset: str) -> None:
    """Refuse a graph with layers on the way back that `preset` has no rule for."""
    rules = preset_named(preset)
    lacking: list[Any] = []

    def visit(operation: Any, arrived: bool) -> list[Any]:
        handler = handler_of(operation, rules.any_layer)
        sources = probe.sources[id(operation)]
        if handler is None:
            lacking.append(operation)
        if handler is multiplied:
            signals = signals_of(operation, sources)
            return [True if place in signals else None for place in range(len(sources))]
        return [arrived] * len(sources)

    walk(probe, True, visit)
    if lacking:
        _refuse(lacking, preset)


def _refuse(lacking: list[Any], preset: str) -> None:
    layer, kinds = lacking[-1], sorted({type(operation).__name__ for operation in lacking})
    able = [
        name for name, row in PRESETS.items()
        if all(handler_of(operation, row.any_layer) for operation in lacking)
    ]
    advice = (
        f"use an LRP preset that avoids it: {', '.join(able)}" if able
        else "no LRP preset can; use gradient-x-input, or a class activation map"
    )
    raise InputError(
        f"the LRP preset {preset!r} has no rule for layers of type {', '.join(kinds)} (such as "
        f"{layer.name!r}); {advice}"
    )


def _summed(parts: list[Any], n: int) -> np.ndarray:
    summed = np.zeros(n)
    for part in parts:
        summed = summed + _floats(part)
    return summed


def _floats(values: Any) -> np.ndarray:
    from keras import ops

    return np.asarray(ops.convert_to_numpy(values), dtype=np.float32)
