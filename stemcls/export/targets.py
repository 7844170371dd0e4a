"""The table of formats that a run is exported to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.errors import InputError, check_known
from stemcls.export import kerasexport, zoo
from stemcls.export.card import Credits
from stemcls.export.parcel import Parcel
from stemcls.extras import check_extra

Write = Callable[[Parcel, Path, Credits], dict[str, Any]]
Predict = Callable[[Path, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Target:
    """One format.

    Attributes:
        name: As users type it.
        file: What the exported model is called in its folder.
        packages: For each backend that can write it, the packages needed.
        write: Writes it; returns what else there is to say, for export.json.
        predict: Loads it again, without the run, and gives the probabilities of crops.
        tolerance: Most that a probability may differ from the run's.
    """

    name: str
    file: str
    packages: Mapping[str, tuple[str, ...]]
    write: Write
    predict: Predict
    tolerance: float = 1e-4


_ONNX = ("onnx", "onnxruntime")
_ROWS = (
    Target(
        "onnx", "model.onnx",
        {"tensorflow": (*_ONNX, "tf2onnx"), "torch": (*_ONNX, "onnxscript")},
        kerasexport.write_onnx, kerasexport.predict_onnx,
    ),
    Target(
        "saved_model", "saved_model", dict.fromkeys(("tensorflow", "jax"), ("tensorflow",)),
        kerasexport.write_saved_model, kerasexport.predict_saved_model,
    ),
    Target(
        "litert", "model.tflite", {"tensorflow": ("tensorflow", "ai_edge_litert")},
        kerasexport.write_litert, kerasexport.predict_litert,
    ),
    Target(
        "bioimageio", "model.bioimageio.zip",
        dict.fromkeys(("tensorflow", "jax", "torch"), ("bioimageio.spec",)),
        zoo.write_package, zoo.predict_package,
    ),
)
TARGETS: dict[str, Target] = {row.name: row for row in _ROWS}


def target_named(name: str) -> Target:
    """Return the row of a format.

    Raises:
        InputError: There is none of that name; says which is nearest.
    """
    check_known(name, TARGETS, f"--to {name!r} is not a choice")
    return TARGETS[name]


def check_packages(target: Target, backend: str) -> None:
    """Refuse a format that cannot be written here, before anything heavy is loaded.

    Raises:
        InputError: Names the backend to take instead, or the package and the extra that brings it.
    """
    if backend not in target.packages:
        able = " or ".join(target.packages)
        raise InputError(
            f"Keras cannot write {target.name} from {backend}; the model is the same on every "
            f"backend, so add --backend {able}"
        )
    check_extra(f"--to {target.name}", target.packages[backend], "export")
