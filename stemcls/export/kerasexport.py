"""Formats that Keras writes by itself: ONNX, TensorFlow's SavedModel, LiteRT."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.atomic import dump_json
from stemcls.export.parcel import INPUT, OUTPUT, Parcel


def write_onnx(parcel: Parcel, path: Path, _credits: Any) -> dict[str, Any]:
    """Write an ONNX graph with input `crops`, output `probabilities`, and the classes inside it."""
    with _quietly():
        _export(parcel, path, "onnx")
    import onnx

    graph = onnx.load(str(path))
    _rename_output(graph.graph)
    for key, value in (
        ("classes", dump_json(list(parcel.card.classes))),
        ("channels", dump_json(list(parcel.card.channels))),
        ("stemcls_run", parcel.run.name),
    ):
        entry = graph.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.checker.check_model(graph)
    onnx.save(graph, str(path))
    return {"opset": int(graph.opset_import[0].version)}


def predict_onnx(path: Path, crops: np.ndarray) -> np.ndarray:
    """Return the probabilities that ONNX Runtime computes from a file, (N, K) float32."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (found,) = session.run([OUTPUT], {INPUT: crops})
    return np.asarray(found)


def write_saved_model(parcel: Parcel, path: Path, _credits: Any) -> dict[str, Any]:
    """Write a TensorFlow SavedModel whose `serve` takes crops and gives probabilities."""
    with _quietly():
        _export(parcel, path, "tf_saved_model")
    return {"endpoint": "serve"}


def predict_saved_model(path: Path, crops: np.ndarray) -> np.ndarray:
    """Return the probabilities that TensorFlow computes from a folder, (N, K) float32."""
    import tensorflow as tf

    with _quietly():
        loaded = tf.saved_model.load(str(path))
    return np.asarray(loaded.serve(crops))


def write_litert(parcel: Parcel, path: Path, _credits: Any) -> dict[str, Any]:
    """Write a LiteRT (TensorFlow Lite) file in float32, nothing quantised."""
    with _quietly():
        _export(parcel, path, "litert")
    return {"quantised": False}


def predict_litert(path: Path, crops: np.ndarray) -> np.ndarray:
    """Return the probabilities that LiteRT computes from a file, (N, K) float32."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    place = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(place, crops.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(place, crops)
    interpreter.invoke()
    return np.asarray(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))


def _export(parcel: Parcel, path: Path, form: str) -> None:
    import keras

    shape = (None, *parcel.card.shape)
    signature = [keras.InputSpec(shape=shape, dtype="float32", name=INPUT)]
    parcel.model.export(str(path), format=form, verbose=False, input_signature=signature)


def _rename_output(graph: Any) -> None:
    """Give the only output its name; converters number it."""
    old = graph.output[0].name
    graph.output[0].name = OUTPUT
    for node in graph.node:
        node.output[:] = [OUTPUT if name == old else name for name in node.output]
        node.input[:] = [OUTPUT if name == old else name for name in node.input]


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep converters' remarks about Python and TensorFlow's own code from the user."""
    import logging

    loggers = [logging.getLogger(name) for name in ("absl", "tf2onnx", "tensorflow")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
