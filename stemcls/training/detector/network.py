"""The network of the trained detector in Keras, its loss, and its export to ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras

STRIDE = 2
_WIDTHS = (24, 48, 64)
_STEM = 16
_SIZE_WEIGHT = 0.3
_HEAT_WEIGHT = 4.0
_PEAK_WEIGHT = 8.0
_OPSET = 13
_WRITTEN_PX = 256


def build_network(normalised: bool = True) -> keras.Model:
    """Return the network: (n, y, x, 1) with y and x divisible by 8 to (n, y / 2, x / 2, 2).

    The first output channel is the logit of a cell's centre, the second the cell's diameter,
    octaves from the canonical one. 136,000 parameters.

    Args:
        normalised: With batch normalisation, which training from the start needs; without, for
            weights that were read back, into which it was folded.
    """
    import keras
    from keras import layers

    def block(x: Any, width: int, name: str, edge: int = 3, step: int = 1) -> Any:
        x = layers.Conv2D(
            width, edge, strides=step, padding="same", use_bias=not normalised, name=name
        )(x)
        if normalised:
            x = layers.BatchNormalization(name=f"{name}_norm")(x)
        return layers.ReLU(name=f"{name}_relu")(x)

    given = keras.Input((None, None, 1), name="field")
    # Of an even kernel the padding is the same on both sides.
    x = block(given, _STEM, "stem", edge=6, step=STRIDE)
    skips = []
    for level, width in enumerate(_WIDTHS):
        if level:
            skips.append(x)
            x = layers.MaxPooling2D(2, name=f"pool{level}")(x)
        x = block(x, width, f"down{level}a")
        x = block(x, width, f"down{level}b")
    for level in (1, 0):
        x = layers.Conv2D(_WIDTHS[level], 1, name=f"lateral{level}")(x)
        x = layers.UpSampling2D(2, interpolation="nearest", name=f"double{level}")(x)
        x = layers.Add(name=f"join{level}")([x, skips[level]])
        x = block(x, _WIDTHS[level], f"up{level}")
    # Rare centres: the first answers say so, or the first steps would be spent on it.
    start = keras.initializers.Constant([-3.0, 0.0])
    answer = layers.Conv2D(2, 1, name="answer", bias_initializer=start)(x)
    return keras.Model(given, answer, name="stemcls_detector")


def detector_loss(truth: Any, answer: Any) -> Any:
    """Return 4 x weighted cross-entropy of the heat + 0.3 x absolute error of the size at centres.

    Args:
        truth: (n, y, x, 3): heat from 0 to 1, size in octaves, weight (0: not known).
        answer: (n, y, x, 2) of `build_network`.
    """
    from keras import ops

    heat, size, weight = truth[..., 0], truth[..., 1], truth[..., 2]
    logit = answer[..., 0]
    # log(1 + exp(x)) - x t, in the form that does not overflow.
    entropy = ops.maximum(logit, 0.0) - logit * heat + ops.log1p(ops.exp(-ops.abs(logit)))
    certain = weight * (1.0 + _PEAK_WEIGHT * heat)
    loss = _HEAT_WEIGHT * ops.sum(entropy * certain) / (ops.sum(certain) + 1.0)
    central = weight * ops.cast(heat > 0.2, "float32") * heat
    error = ops.sum(ops.abs(answer[..., 1] - size) * central) / (ops.sum(central) + 1.0)
    return loss + _SIZE_WEIGHT * error


def write_onnx(model: keras.Model, path: Path) -> None:
    """Write the network as ONNX, channels first, each normalisation folded into its convolution.

    Args:
        model: Of `build_network`, trained.
        path: The file; input `field` (1, 1, y, x), output `answer` (1, 2, y / 2, x / 2).
    Raises:
        InputError: The onnx package is not installed.
    """
    from stemcls.atomic import replacing
    from stemcls.extras import check_extra

    check_extra("training a detector", ["onnx"], "export")
    from onnx import TensorProto, checker, helper, numpy_helper

    nodes, weights = [], []

    def convolve(source: str, name: str, rectified: bool) -> str:
        kernel, bias = _folded(model, name)
        weights.append(numpy_helper.from_array(kernel, f"{name}_w"))
        weights.append(numpy_helper.from_array(bias, f"{name}_b"))
        edge = kernel.shape[-1]
        strides = [2, 2] if name == "stem" else [1, 1]
        pad = (edge - strides[0] + 1) // 2 if edge > 1 else 0
        out = f"{name}_linear" if rectified else name
        nodes.append(helper.make_node(
            "Conv", [source, f"{name}_w", f"{name}_b"], [out], name=f"conv_{name}",
            kernel_shape=[edge, edge], strides=strides, pads=[pad] * 4,
        ))
        if rectified:
            nodes.append(helper.make_node("Relu", [out], [name], name=f"relu_{name}"))
        return name

    x = convolve("field", "stem", True)
    skips: list[str] = []
    for level in range(len(_WIDTHS)):
        if level:
            skips.append(x)
            nodes.append(helper.make_node(
                "MaxPool", [x], [f"pool{level}"], name=f"max_{level}",
                kernel_shape=[2, 2], strides=[2, 2],
            ))
            x = f"pool{level}"
        x = convolve(x, f"down{level}a", True)
        x = convolve(x, f"down{level}b", True)
    weights.append(numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "twice"))
    for level in (1, 0):
        x = convolve(x, f"lateral{level}", False)
        nodes.append(helper.make_node(
            "Resize", [x, "", "twice"], [f"double{level}"], name=f"resize_{level}",
            mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor",
        ))
        nodes.append(helper.make_node(
            "Add", [f"double{level}", skips[level]], [f"join{level}"], name=f"add_{level}"
        ))
        x = convolve(f"join{level}", f"up{level}", True)
    convolve(x, "answer", False)
    # OpenCV 4 reads no open shapes, and fits one that is written to whatever it is given.
    shape = [1, 1, _WRITTEN_PX, _WRITTEN_PX]
    answered = [1, 2, _WRITTEN_PX // STRIDE, _WRITTEN_PX // STRIDE]
    graph = helper.make_graph(
        nodes, "stemcls_detector",
        [helper.make_tensor_value_info("field", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("answer", TensorProto.FLOAT, answered)],
        initializer=weights,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=8)
    checker.check_model(made)
    with replacing(path) as temporary:
        temporary.write_bytes(made.SerializeToString())


def read_onnx(path: Path) -> keras.Model:
    """Return the network of a file of `write_onnx`, to be trained on.

    Raises:
        InputError: The onnx package is not installed, or the file holds another network.
    """
    from stemcls.errors import InputError
    from stemcls.extras import check_extra

    check_extra("training a detector", ["onnx"], "export")
    import onnx
    from onnx import numpy_helper

    try:
        graph = onnx.load(str(path)).graph
    except Exception as error:
        raise InputError(f"{path} is no ONNX file: {error}") from error
    weights = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    model = build_network(normalised=False)
    for layer in model.layers:
        if not layer.weights:
            continue
        try:
            kernel = weights[f"{layer.name}_w"].transpose(2, 3, 1, 0)
            layer.set_weights([kernel, weights[f"{layer.name}_b"]])
        except (KeyError, ValueError) as error:
            raise InputError(f"{path} is not a detector of stemcls: {error}") from error
    return model


def _folded(model: keras.Model, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return (out, in, y, x) kernel and (out,) bias, a normalisation after it included."""
    layer = model.get_layer(name)
    kernel = np.asarray(layer.kernel, np.float64)
    if layer.use_bias:
        bias = np.asarray(layer.bias, np.float64)
    else:
        norm = model.get_layer(f"{name}_norm")
        gain = np.asarray(norm.gamma, np.float64) / np.sqrt(
            np.asarray(norm.moving_variance, np.float64) + norm.epsilon
        )
        bias = np.asarray(norm.beta, np.float64) - gain * np.asarray(norm.moving_mean, np.float64)
        kernel = kernel * gain
    return (
        np.ascontiguousarray(kernel.transpose(3, 2, 0, 1), np.float32), bias.astype(np.float32)
    )
