"""Load ImageNet weights of torchvision or timm into a Keras network, from files without pickle."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from stemcls.errors import InputError
from stemcls.extras import check_extra

PARTS = {
    "weight": ("kernel", "gamma"),
    "bias": ("bias", "beta"),
    "running_mean": ("moving_mean",),
    "running_var": ("moving_variance",),
}

CLASSIFIERS = ("fc", "classifier")


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """Return the tensors of a state dict kept as .safetensors, .npz or a flat .h5, by name.

    Raises:
        InputError: The file is none of these, is cut off, or the package for it is missing.
    """
    try:
        if path.suffix == ".safetensors":
            return _safetensors(path)
        if path.suffix == ".npz" and not zipfile.is_zipfile(path):
            raise ValueError("it is no zip archive")
        if path.suffix == ".npz":
            # NumPy leaves a file open that turns out to be no archive.
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                return {name: archive[name] for name in archive.files}
        with h5py.File(path) as group:
            return {
                name: group[name][()] for name in group if isinstance(group[name], h5py.Dataset)
            }
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise InputError(
            f"{path} is no {path.suffix} file of weights, or was cut off: {error}"
        ) from error


def is_torch_h5(path: Path) -> bool:
    """Say whether an HDF5 file holds a state dict, tensor by tensor, and not Keras layers."""
    with h5py.File(path) as file:
        return any(isinstance(file[name], h5py.Dataset) and "." in name for name in file)


def load_torch(
    network: Any, layer_of: Callable[[str], str | None], tensors: dict[str, np.ndarray], where: str
) -> None:
    """Set every weight of `network` from a torch state dict.

    Args:
        network: keras.Model.
        layer_of: Name of the layer for a torch module's name; None for a module that is left out.
        tensors: Convolution kernels as (out, in, h, w).
        where: File and backbone, for errors.
    Raises:
        InputError: A tensor is missing, has another shape, or belongs to another network; says
            which.
    """
    found: dict[str, tuple[str, np.ndarray]] = {}
    strange = []
    ours_are = {layer.name for layer in network.layers}
    for name, values in tensors.items():
        module, _, part = name.rpartition(".")
        layer = layer_of(module)
        if layer not in ours_are and module not in CLASSIFIERS:
            strange.append(name)
        for ours in PARTS.get(part, ()):
            found[f"{layer}/{ours}"] = (name, values)
    if strange:
        raise InputError(f"{where}: the file has {_some(strange)}, which the backbone lacks")
    missing = []
    chosen = []
    for layer in network.layers:
        for variable in layer.weights:
            key = f"{layer.name}/{variable.name}"
            if key not in found:
                missing.append(key)
                continue
            name, values = found[key]
            values = values.transpose(2, 3, 1, 0) if values.ndim == 4 else values
            if values.shape != tuple(variable.shape):
                raise InputError(
                    f"{where}: layer {layer.name} takes {variable.name} {tuple(variable.shape)}, "
                    f"the file's {name} is {values.shape}"
                )
            chosen.append((variable, values))
    if missing:
        raise InputError(f"{where}: the file has nothing for {_some(missing)}")
    for variable, values in chosen:
        variable.assign(values.astype(np.float32))


def _safetensors(path: Path) -> dict[str, np.ndarray]:
    check_extra(str(path), ["safetensors"], "safetensors", "save the weights as .npz")
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors: dict[str, np.ndarray] = load_file(path)
    except SafetensorError as error:
        raise InputError(f"{path} is no safetensors file, or was cut off: {error}") from error
    return tensors


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
