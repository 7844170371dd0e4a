"""Write .keras files that every Keras of the allowed range opens, down to the oldest."""

from __future__ import annotations

import inspect
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

# Of the range in pyproject.toml; docs/saved-models.md and `KNOWN` say the same.
OLDEST_KERAS = "3.12"
_CONFIG = "config.json"
_INITIALIZER = "_initializer"
_CONV = "kernel_size strides padding data_format dilation_rate activation use_bias"
_POOL = "pool_size strides padding data_format"
# Of every layer.
OF_ALL = frozenset(
    ("name", "trainable", "dtype", "autocast", "activity_regularizer", "batch_shape", "sparse",
     "ragged", "optional")
)
# Settings that layers of the oldest Keras take, besides `OF_ALL` and initialisers.
KNOWN: dict[str, frozenset[str]] = {
    name: frozenset(settings.split()) for name, settings in {
        "Activation": "activation",
        "Add": "",
        "Average": "",
        "AveragePooling2D": _POOL,
        "BatchNormalization": "axis momentum epsilon center scale beta_regularizer "
        "gamma_regularizer beta_constraint gamma_constraint synchronized",
        "Concatenate": "axis",
        "Conv2D": f"{_CONV} filters groups kernel_regularizer bias_regularizer kernel_constraint "
        "bias_constraint",
        "Dense": "units activation use_bias kernel_regularizer bias_regularizer kernel_constraint "
        "bias_constraint",
        "DepthwiseConv2D": f"{_CONV} depth_multiplier depthwise_regularizer bias_regularizer "
        "depthwise_constraint bias_constraint",
        "Dropout": "rate noise_shape seed",
        "Flatten": "data_format",
        "GlobalAveragePooling2D": "data_format keepdims",
        "GlobalMaxPooling2D": "data_format keepdims",
        "InputLayer": "",
        "LayerNormalization": "axis epsilon center scale beta_regularizer gamma_regularizer "
        "beta_constraint gamma_constraint",
        "MaxPooling2D": _POOL,
        "Multiply": "",
        "Normalization": "axis mean variance invert",
        "ReLU": "max_value negative_slope threshold",
        "Rescaling": "scale offset",
        "Reshape": "target_shape",
        "Resizing": "height width interpolation crop_to_aspect_ratio pad_to_aspect_ratio fill_mode "
        "fill_value antialias data_format",
        "SeparableConv2D": f"{_CONV} filters depth_multiplier depthwise_regularizer "
        "pointwise_regularizer bias_regularizer depthwise_constraint pointwise_constraint "
        "bias_constraint",
        "Softmax": "axis",
        "ZeroPadding2D": "padding data_format",
    }.items()
}


def write_keras(model: Any, path: Path) -> None:
    """Save a model, and take out of its description what only a newer Keras understands.

    How weights began is of no use to weights that are there, so initialisers go; newer Keras gives
    them arguments that older ones refuse. Of other settings that the oldest Keras does not know
    those go that are at their default, which is how it behaves. What remains is what the model
    needs.

    Args:
        model: A keras.Model of built-in layers.
        path: A .keras file; an existing one is replaced, not atomically.
    """
    whole = path.with_name(f"{path.stem}.whole{path.suffix}")
    try:
        model.save(whole)
        with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w") as target:
            for member in source.infolist():
                if member.filename == _CONFIG:
                    document = plain(json.loads(source.read(member)))
                    target.writestr(member, json.dumps(document))
                    continue
                with source.open(member) as read, target.open(member, "w") as write:
                    shutil.copyfileobj(read, write, 2**20)
    finally:
        whole.unlink(missing_ok=True)


def plain(node: Any) -> Any:
    """Return a model's description, or a part of it, without what `write_keras` takes out.

    Args:
        node: What `keras.saving.serialize_keras_object` returns, or JSON of it.
    """
    if isinstance(node, list):
        return [plain(part) for part in node]
    if not isinstance(node, dict):
        return node
    name, settings = node.get("class_name"), node.get("config")
    if name in KNOWN and isinstance(settings, dict):
        settings = {
            key: value for key, value in settings.items()
            if not key.endswith(_INITIALIZER) and not _is_new_default(str(name), key, value)
        }
        node = {**node, "config": settings}
    return {key: plain(value) for key, value in node.items()}


def _is_new_default(layer: str, key: str, value: Any) -> bool:
    """Tell whether the oldest Keras lacks a setting that changes nothing as it stands."""
    if key in OF_ALL or key in KNOWN[layer]:
        return False
    import keras

    parameter = inspect.signature(getattr(keras.layers, layer)).parameters.get(key)
    if parameter is None:
        return value is None or value is False
    return bool(value == parameter.default)
