"""A bioimage.io package: the run's .keras file with test crops, described as the zoo asks."""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
import zipfile
from contextlib import redirect_stdout
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.errors import StemclsError
from stemcls.export.card import CARD_FILE, Credits
from stemcls.export.parcel import INPUT, OUTPUT, Parcel
from stemcls.extras import is_installed
from stemcls.models.backend import BACKENDS
from stemcls.models.portable import write_keras
from stemcls.models.saved import load_bare

TEST_CROPS = 4
_LONGEST_NAME = 128


def write_package(parcel: Parcel, path: Path, credits: Credits) -> dict[str, Any]:
    """Write a package of the folder's card, the network and test crops, and have it tested.

    Returns: `spec` and, where bioimageio.core is installed, `tested_by`.
    Raises:
        StemclsError: The package is not valid, or fails bioimageio.core's own test.
    """
    import bioimageio.spec as spec

    with tempfile.TemporaryDirectory(prefix="stemcls-") as name:
        sources = Path(name)
        np.save(sources / "test_crops.npy", parcel.crops[:TEST_CROPS])
        np.save(sources / "test_probabilities.npy", parcel.probabilities[:TEST_CROPS])
        write_keras(parcel.model, sources / "model.keras")
        shutil.copyfile(path.with_name(CARD_FILE), sources / CARD_FILE)
        described = _described(parcel, sources, credits)
        spec.save_bioimageio_package(described, output_path=path)
    found: dict[str, Any] = {"spec": version("bioimageio.spec"), "tested_by": None}
    if is_installed("bioimageio.core"):
        _test(path)
        found["tested_by"] = f"bioimageio.core {version('bioimageio.core')}"
    return found


def predict_package(path: Path, crops: np.ndarray) -> np.ndarray:
    """Return the probabilities of the network inside a package, (N, K) float32."""
    with tempfile.TemporaryDirectory(prefix="stemcls-") as folder:
        with zipfile.ZipFile(path) as package:
            inside = package.extract("model.keras", folder)
        return np.asarray(load_bare(Path(inside)).predict(crops, verbose=0))


def _described(parcel: Parcel, sources: Path, credits: Credits) -> Any:
    import keras
    from bioimageio.spec.model import v0_5 as zoo

    card = parcel.card
    height, width = card.size_px
    axes = [
        zoo.BatchAxis(),
        zoo.SpaceInputAxis(id=zoo.AxisId("y"), size=height, **_scale(card.pixel_size_um)),
        zoo.SpaceInputAxis(id=zoo.AxisId("x"), size=width, **_scale(card.pixel_size_um)),
        zoo.ChannelAxis(channel_names=_identifiers(card.channels)),
    ]
    backend = keras.backend.backend()
    return zoo.ModelDescr(
        name=f"stemcls {_plain_name(parcel.run.name)}"[:_LONGEST_NAME],
        description=f"Tells single cells apart: {', '.join(card.classes)}. Made by stemcls.",
        authors=[zoo.Author(name=name) for name in credits.authors],
        license=credits.licence or None,
        documentation=zoo.FileDescr(source=sources / CARD_FILE),
        tags=["classification", "cells", "microscopy", "stemcls"],
        config=zoo.Config(stemcls={
            "classes": list(card.classes), "channels": list(card.channels),
            "stored_as": card.dtype, "run": parcel.run.name,
        }),
        inputs=[zoo.InputTensorDescr(
            id=zoo.TensorId(INPUT), axes=axes, data=zoo.IntervalOrRatioDataDescr(type="float32"),
            description=f"Crops around one cell each, pixels as stored ({card.dtype}).",
            test_tensor=zoo.FileDescr(source=sources / "test_crops.npy"),
        )],
        outputs=[zoo.OutputTensorDescr(
            id=zoo.TensorId(OUTPUT),
            axes=[zoo.BatchAxis(), zoo.ChannelAxis(channel_names=_identifiers(card.classes))],
            description="; ".join(f"{n}: {name}" for n, name in enumerate(card.classes)),
            test_tensor=zoo.FileDescr(source=sources / "test_probabilities.npy"),
        )],
        weights=zoo.WeightsDescr(keras_v3=zoo.KerasV3WeightsDescr(
            source=sources / "model.keras", keras_version=zoo.Version(keras.__version__),
            backend=(backend, zoo.Version(version(BACKENDS[backend]).partition("+")[0])),
        )),
    )


def _scale(pixel_size_um: float | None) -> dict[str, Any]:
    return {"scale": pixel_size_um, "unit": "micrometer"} if pixel_size_um else {}


def _plain_name(name: str) -> str:
    return "".join(one if one.isascii() and (one.isalnum() or one in "-_ ") else "-"
                   for one in name)


def _identifiers(names: tuple[str, ...]) -> list[str]:
    """Return names as the zoo wants them: letters, digits and _, in lower case, all different."""
    plain = [
        "".join(one if one.isascii() and one.isalnum() else "_" for one in name.lower())
        for name in names
    ]
    return [
        f"c{number}_{name}" if not name[:1].isalpha() or plain.count(name) > 1 else name
        for number, name in enumerate(plain)
    ]


def _test(path: Path) -> None:
    """Have bioimageio.core load the package and repeat its test crops.

    Raises:
        StemclsError: It does not pass; says what is wrong.
    """
    from loguru import logger

    logger.disable("bioimageio.core")
    said = io.StringIO()
    with redirect_stdout(said):  # Keras' progress bars
        from bioimageio.core import test_model

        summary = test_model(path)
    if summary.status != "passed":
        print(said.getvalue(), file=sys.stderr)
        errors = [
            f"{error.msg}" for detail in summary.details for error in detail.errors
        ]
        raise StemclsError(
            f"bioimageio.core refuses the package ({summary.status}): "
            f"{'; '.join(errors)[:600] or 'no reason given'}; nothing was written"
        )
