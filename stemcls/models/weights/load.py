"""Load pretrained weights into a published network, and say what is wrong if they do not fit."""

from __future__ import annotations

import contextlib
import sys
import warnings
from pathlib import Path
from typing import Any

from stemcls.errors import InputError
from stemcls.models.backbones import Backbone, backbone_named
from stemcls.models.weights.cache import cached_file, is_hdf5, keras_cache
from stemcls.models.weights.published import (
    PublishedFile,
    conversion,
    how_to_get,
    published_file,
)
from stemcls.models.weights.torchfile import is_torch_h5, load_torch, read_tensors

PICKLES = (".pth", ".pt", ".bin", ".pkl", ".ckpt", ".tar")
SUFFIXES = (".h5", ".hdf5", ".keras", ".safetensors", ".npz")


def pretrained_network(name: str, weights: str, alpha: float, input_tensor: Any) -> Any:
    """Build a backbone as it was published, with pretrained weights.

    Args:
        name: In the table of backbones.
        weights: imagenet (the offline cache first, then Keras' own cache or a download) or a file.
        alpha: Width multiplier.
        input_tensor: keras.Input (H, W, 3).
    Returns: keras.Model to the last map.
    Raises:
        InputError: There are none, they cannot be had, or they do not fit.
    """
    backbone = backbone_named(name)
    path = weights_file(name, weights, alpha)
    if path is None:
        return _downloaded(name, backbone, alpha, input_tensor)
    network = backbone.construct(input_tensor=input_tensor, weights=None, **_width(backbone, alpha))
    load_file(network, name, path, alpha)
    return network


def weights_file(name: str, weights: str, alpha: float) -> Path | None:
    """Return the file of pretrained weights; None where Keras has it, or downloads it.

    Args:
        name: In the table of backbones.
        weights: imagenet, or a file.
        alpha: Width multiplier.
    Raises:
        InputError: None were published, or the file is no weights file.
    """
    backbone = backbone_named(name)
    if weights != "imagenet":
        path = Path(weights)
    elif not backbone.pretrained:
        raise InputError(f"{name} has no pretrained weights; train with --weights none")
    elif (cached := cached_file(name, alpha)) is not None:
        path = cached
    else:
        _downloadable(name, backbone, alpha)
        return None
    _check_file(path, name)
    return path


def load_file(network: Any, name: str, path: Path, alpha: float = 1.0) -> None:
    """Load a weights file of Keras or torch into the network of backbone `name`.

    Raises:
        InputError: No weights file, or one that does not fit; says which layer.
    """
    _check_file(path, name)
    where = f"weights file {path} does not fit {name}"
    if backbone_named(name).alphas:
        where += f" with alpha {alpha:g}"
    torch_layer = backbone_named(name).torch_layer
    if path.suffix in (".safetensors", ".npz") or (is_hdf5(path) and is_torch_h5(path)):
        if torch_layer is None:
            raise InputError(
                f"{path} holds weights of torch; {name} takes only those of Keras (.h5), because "
                "its layers differ from torchvision's in padding or order"
            )
        load_torch(network, torch_layer, read_tensors(path), where)
        return
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            network.load_weights(path)
    except (ValueError, OSError, KeyError) as error:
        raise InputError(f"{where}: {_first_difference(network, path)}{_short(error)}") from error
    # Keras only warns when layers find nothing in the file and stay random.
    skipped = [warning for warning in told if str(warning.message).startswith("Skipping")]
    if skipped:
        raise InputError(f"{where}: {_short(skipped[0].message)}")


def _short(message: object) -> str:
    return " ".join(str(message).split())[:400]


def _first_difference(network: Any, path: Path) -> str:
    """Say at which layer a file of Keras' older format, which keeps an order, goes another way."""
    import h5py

    if not h5py.is_hdf5(path):
        return ""
    with h5py.File(path) as file:
        group = file.get("model_weights", file)
        names = [name for name in group.attrs.get("layer_names", ()) if len(group[name])]
        layers = [layer for layer in network.layers if layer.weights]
        for name, layer in zip(names, layers, strict=False):
            shapes = [tuple(group[name][key].shape) for key in group[name].attrs["weight_names"]]
            wanted = [tuple(variable.shape) for variable in layer.weights]
            if sorted(shapes) != sorted(wanted):
                return (
                    f"layer {layer.name} takes {wanted}, where the file has {_text(name)} of "
                    f"{shapes}. "
                )
    return ""


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def check_fits(path: Path, name: str, alpha: float) -> int:
    """Load a file into a fresh network of the backbone, and return the number of parameters.

    Raises:
        InputError: As `load_file`.
    """
    import keras

    _check_file(path, name)
    backbone = backbone_named(name)
    source = keras.Input((backbone.least_px, backbone.least_px, 3))
    network = backbone.construct(input_tensor=source, weights=None, **_width(backbone, alpha))
    load_file(network, name, path, alpha)
    return int(network.count_params())


def _width(backbone: Backbone, alpha: float) -> dict[str, float]:
    return {"alpha": alpha} if backbone.alphas else {}


def _check_file(path: Path, name: str) -> None:
    if not path.is_file():
        raise InputError(
            f"weights file {path} does not exist; expected imagenet, none or the path of a weights "
            f"file of {name} without its classifier"
        )
    if path.suffix in PICKLES:
        raise InputError(
            f"{path} is a pickle, which can run code when it is opened, so it is not read. Where "
            f"torch is installed and you trust the file, convert it once: {conversion(path.name)}"
        )
    if path.suffix not in SUFFIXES:
        raise InputError(
            f"{path} is no weights file: expected one that ends in {', '.join(SUFFIXES)}"
        )
    if path.suffix in (".h5", ".hdf5") and not is_hdf5(path):
        raise InputError(f"{path} is no weights file: it is not HDF5, or was cut off")


def _downloadable(name: str, backbone: Backbone, alpha: float) -> PublishedFile:
    source = published_file(name, alpha)
    if source is None:
        widths = ", ".join(f"{width:g}" for width in backbone.alphas)
        raise InputError(
            f"there are no ImageNet weights of {name} with alpha {alpha:g}; one of {widths}"
        )
    if not source.by_keras:
        raise InputError(
            f"the ImageNet weights of {name} are not in the offline cache, and Keras has none to "
            f"download. {how_to_get(name, alpha)}. To start from random weights: --weights none"
        )
    return source


def _downloaded(name: str, backbone: Backbone, alpha: float, input_tensor: Any) -> Any:
    source = _downloadable(name, backbone, alpha)
    try:
        # Keras tells of a download on stdout, which is for data alone.
        with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
            # Fully convolutional weights fit any size; Keras warns that it takes 224's.
            warnings.filterwarnings("ignore", message="`input_shape` is undefined")
            return backbone.construct(
                input_tensor=input_tensor, weights="imagenet", **_width(backbone, alpha)
            )
    except Exception as error:  # Keras raises a bare Exception for a failed download
        if "fetch failure" in str(error):
            raise InputError(
                f"the ImageNet weights of {name} could not be downloaded ({error}). "
                f"{how_to_get(name, alpha)}; or give its path: --weights FILE. "
                "To start from random weights instead: --weights none"
            ) from error
        if isinstance(error, OSError | ValueError | KeyError):
            damaged = keras_cache() / source.file
            raise InputError(
                f"the ImageNet weights of {name} in Keras' cache cannot be loaded ({error}): "
                f"{damaged} is damaged; delete it and try again, or see `stemcls weights verify`"
            ) from error
        raise
