"""Find the layers at which a Keras graph can be cut in two: every path crosses them."""

from __future__ import annotations

from typing import Any

from stemcls.errors import InputError, nearest

LOGITS = "logits"
INPUT = "<crops>"  # stands for the crops themselves where a layer is named
LEAST_EDGE = 4
LARGEST_STRIDE = 8
UNPADDED = 0.8  # what convolutions without padding may leave of an edge


def activation_name(operation: Any) -> str:
    """Return the name of the activation that a layer ends with, "" where it has none."""
    return getattr(getattr(operation, "activation", None), "__name__", "")


def cut_layers(model: Any) -> list[str]:
    """Return the names of the layers that every path from the crops to the logits crosses.

    Inside a residual or dense block a shortcut passes most layers by; those are not listed.

    Args:
        model: Flat functional keras.Model with one input and a layer `logits`.
    Returns: Names from the input to the logits, both left out, of any output shape.
    Raises:
        InputError: No such layer, more than one input, or a graph that cannot be followed.
    """
    order, feeds = ordered(model)
    position = {id(operation): index for index, operation in enumerate(order)}
    reaches = list(range(len(order)))  # the furthest operation that each one feeds
    for operation in order:
        for source in feeds[id(operation)]:
            place = position[id(source)]
            reaches[place] = max(reaches[place], position[id(operation)])
    names, furthest = [], 0
    for index, operation in enumerate(order):
        # Every order of a graph puts what lies before a cut before it and the rest behind it, so
        # a layer is a cut if no edge jumps over its place.
        if 0 < index < len(order) - 1 and furthest <= index:
            names.append(operation.name)
        furthest = max(furthest, reaches[index])
    layers = {layer.name for layer in model.layers}
    return [name for name in names if name in layers]


def has_map(model: Any) -> bool:
    """Tell whether `saliency_layer` finds one."""
    return any(min(model.get_layer(name).output.shape[1:3]) >= LEAST_EDGE for name in _maps(model))


def saliency_layer(model: Any) -> str:
    """Return the layer whose map says where: the deepest cut that is still fine enough.

    That is the deepest at a stride of 8 px of the crop or less and of at least 4x4 map pixels, else
    the deepest with at least 4x4. At 64x64 the last map of most backbones is 2x2, which
    says nothing.

    Args:
        model: As for `cut_layers`.
    Raises:
        InputError: No learned map of at least 4x4 lies on every path.
    """
    crop = min(model.input_shape[1:3])
    edges = {name: min(model.get_layer(name).output.shape[1:3]) for name in _maps(model)}
    for least in (max(LEAST_EDGE, UNPADDED * crop / LARGEST_STRIDE), LEAST_EDGE):
        fine = [name for name, edge in edges.items() if edge >= least]
        if fine:
            return fine[-1]
    raise InputError(
        f"the model has no convolution with a map of {LEAST_EDGE}x{LEAST_EDGE} or more that every "
        f"path crosses (crops of {crop} px; maps: {_sizes(edges)}); "
        "enlarge the crops in the model (--input-px) and train again"
    )


def backbone_layer(model: Any, backbone: str) -> str:
    """Return the stride-8 layer of a backbone of the table, where a head may tap it.

    Args:
        model: As for `cut_layers`, made with that backbone.
        backbone: Its name in `BACKBONES`.
    Returns: `saliency_layer` where a shortcut passes that layer by, or it is too coarse.
    """
    from stemcls.models.backbones import BACKBONES

    row = BACKBONES.get(backbone)
    tap = row.taps.get(LARGEST_STRIDE) if row else None
    if tap in _maps(model) and min(model.get_layer(tap).output.shape[1:3]) >= LEAST_EDGE:
        return tap
    return saliency_layer(model)


def check_layer(model: Any, name: str) -> None:
    """Check that heat maps can be made at layer `name`.

    Raises:
        InputError: It does not exist, is no map, or is passed by; says how to choose another.
    """
    maps = [layer.name for layer in model.layers if _is_map(layer)]
    if name not in {layer.name for layer in model.layers}:
        raise InputError(f"the model has no layer {name!r}{nearest(name, maps)}")
    if name not in maps:
        raise InputError(
            f"layer {name!r} gives {model.get_layer(name).output.shape}, but heat maps need "
            f"(N, H, W, C): choose a convolution, such as {_advice(model)}"
        )
    edge = min(model.get_layer(name).output.shape[1:3])
    if edge < LEAST_EDGE:
        raise InputError(
            f"the map of layer {name!r} has {edge} pixels an edge, which says next to nothing of "
            f"where; choose one of {LEAST_EDGE} or more, such as {_advice(model)}, or enlarge the "
            "crops in the model (--input-px) and train again"
        )
    if name not in cut_layers(model):
        raise InputError(
            f"layer {name!r} is passed by a shortcut, so its gradient is only part of the story; "
            f"choose a layer that every path crosses, such as {_advice(model)}"
        )


def ordered(model: Any) -> tuple[list[Any], dict[int, list[Any]]]:
    """Return what lies between input and logits, sources first, and the sources of each by id.

    Raises:
        InputError: More than one input, no layer `logits`, or a graph that leads elsewhere.
    """
    from keras import tree

    if len(model.inputs) != 1:
        raise InputError(f"expected a model with one input, found {len(model.inputs)}")
    names = [layer.name for layer in model.layers]
    if LOGITS not in names:
        raise InputError(
            f"the model has no layer {LOGITS!r} (the Dense layer ahead of the softmax); its last "
            f"layers are {', '.join(names[-3:])}: explain a model that stemcls trained"
        )
    made = {
        id(tensor): operation
        for operation in model.operations
        for tensor in tree.flatten(operation.output)
    }
    feeds: dict[int, list[Any]] = {}
    order: list[Any] = []
    waiting = [(model.get_layer(LOGITS), False)]
    first = made[id(model.inputs[0])]
    while waiting:
        operation, done = waiting.pop()
        if done:
            order.append(operation)
            continue
        if id(operation) in feeds:
            continue
        tensors = [] if operation is first else tree.flatten(operation.input)
        lost = [tensor.name for tensor in tensors if id(tensor) not in made]
        if lost:
            raise InputError(
                f"cannot follow the model's graph into layer {operation.name!r}: {lost[0]!r} comes "
                "from outside it; save the model and load it again"
            )
        feeds[id(operation)] = [made[id(tensor)] for tensor in tensors]
        waiting.append((operation, True))
        waiting.extend((source, False) for source in feeds[id(operation)])
    return order, feeds


def _maps(model: Any) -> list[str]:
    """Name the cuts that are maps from the first convolution on; padding would shift a map."""
    import keras

    padding = (keras.layers.ZeroPadding2D, keras.layers.Cropping2D)
    names, learned = [], False
    for name in cut_layers(model):
        layer = model.get_layer(name)
        learned = learned or hasattr(layer, "kernel") or hasattr(layer, "depthwise_kernel")
        if learned and _is_map(layer) and not isinstance(layer, padding):
            names.append(name)
    return names


def _is_map(layer: Any) -> bool:
    import keras

    shape = getattr(layer.output, "shape", ())
    return len(shape) == 4 and not isinstance(layer, keras.layers.InputLayer)


def _advice(model: Any) -> str:
    maps = [
        name for name in _maps(model) if min(model.get_layer(name).output.shape[1:3]) >= LEAST_EDGE
    ]
    return ", ".join(dict.fromkeys([f"{saliency_layer(model)} (the default)", *maps[-3:]]))


def _sizes(edges: dict[str, int]) -> str:
    return ", ".join(f"{name} {edge}x{edge}" for name, edge in edges.items()) or "none"
