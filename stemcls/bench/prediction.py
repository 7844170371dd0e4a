"""Measure prediction: a store beside bare Keras, and where the time of whole fields goes."""

from __future__ import annotations

import csv
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from stemcls.bench.backends import EDGE_PX, make_store, on_backend
from stemcls.bench.measure import interleave, result
from stemcls.bench.network import random_network
from stemcls.config.imaging import BuildConfig, SimulateConfig
from stemcls.imaging.simulation.simulate import simulate_field
from stemcls.models.backend import choose_backend
from stemcls.store.build import build_store
from stemcls.store.cropstore import CropStore

CROPS, BATCH, ROUNDS = 4096, 64, 5
STORE_TARGET = 0.95
FIELDS, FIELD_PX, CELLS, CROP_PX = 10, 1024, 60, 96
TOLERANCE = 1e-6
# The table has six digits.
TABLE_TOLERANCE = 2e-6
_REPEATS = 3
_PREDICT, _ROAD = "stemcls.prediction.predict", "stemcls.imaging.extract"
# What is timed, and where the code of prediction looks it up.
STAGES = {
    "reading": (_ROAD, "prepare"),
    "detection": (_ROAD, "detect"),
    "cutting": (_ROAD, "cut_crops"),
    "network": (_PREDICT, "predict"),
    "overlays": (_PREDICT, "draw_overlay"),
}


def predict_store(data: Path) -> dict[str, Any]:  # noqa: ARG001 - benchmarks take the folder
    """Predict a store beside one bare `model.predict` of its crops in memory, MobileNet 0.25.

    Returns: `predict-store`, crops a second on the backend in force.
    """
    backend = choose_backend(None)
    with tempfile.TemporaryDirectory(prefix="stemcls-bench-") as folder:
        store = make_store(Path(folder), CROPS)
        found = on_backend(backend, measure_store, store=str(store))
    return result(
        "predict-store", found["crops"] / found["seconds"],
        found["crops"] / found["plain_seconds"], "crops/s", STORE_TARGET,
        found["largest_difference"] <= TOLERANCE, higher_is_better=True, backend=backend,
        largest_difference=found["largest_difference"],
    )


def measure_store(
    store: str, backbone: str = "MobileNet", alpha: float = 0.25, rounds: int = ROUNDS
) -> dict[str, Any]:
    """Time both in turn in this process, after a pass of each that compiles.

    Args:
        store: Crops, 64x64x3.
        backbone, alpha: The network, with random weights.
        rounds: At least 3.
    Returns: Median `seconds` and `plain_seconds`, `crops`, and the `largest_difference` of any
        probability.
    """
    from stemcls.models.inference import predict

    opened = CropStore.open(store)
    model = random_network(backbone, alpha, EDGE_PX, 2)
    rows, crops = np.arange(len(opened)), opened.read(slice(None))
    outputs: dict[str, np.ndarray] = {}

    def ours() -> None:
        outputs["ours"] = predict(model, opened.read, rows, batch_size=BATCH)

    def plain() -> None:
        outputs["plain"] = model.predict(crops, batch_size=BATCH, verbose=0)

    for warm in (ours, plain):
        warm()
    seconds, plain_seconds = interleave(ours, plain, rounds)
    return {
        "seconds": seconds, "plain_seconds": plain_seconds, "crops": len(rows),
        "largest_difference": float(np.abs(outputs["ours"] - outputs["plain"]).max()),
    }


def predict_fields(data: Path) -> dict[str, Any]:  # noqa: ARG001 - benchmarks take the folder
    """Take simulated fields of 60 cells to a table and overlays with MobileNetV2 on 96 px crops.

    Returns: `predict-fields`: the network's share of the time beside the largest share of any
        other stage; a pass is that the network's is larger. Details: `seconds_per_field` and
        the share of each stage, `other` being the table itself and what lies between.
    """
    backend = choose_backend(None)
    with tempfile.TemporaryDirectory(prefix="stemcls-bench-") as folder:
        write_simulated(Path(folder) / "fields", FIELDS, FIELD_PX, CELLS)
        found = on_backend(backend, measure_fields, folder=folder)
    shares = found["shares"]
    others = {name: share for name, share in shares.items() if name != "network"}
    return result(
        "predict-fields", shares["network"], max(others.values()), "network | next share", 1.0,
        found["largest_difference"] <= TABLE_TOLERANCE, higher_is_better=True, backend=backend,
        shares=shares, next_stage=max(others, key=lambda name: others[name]),
        seconds_per_field=found["seconds"] / found["fields"],
        first_run_seconds=found["first_run_seconds"],
        fields=found["fields"], cells=found["cells"],
        largest_difference=found["largest_difference"],
    )


def write_simulated(folder: Path, fields: int, size_px: int, cells: int) -> None:
    """Write simulated DIC fields of three slices as TIFF, in a folder for each of 3 classes."""
    config = SimulateConfig(size_px=size_px, cells=cells, radius_px=18.0)
    for number in range(fields):
        label = number % config.classes
        path = folder / f"class {label}" / f"{number:02d}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels, _ = simulate_field(config, label, number)
        tifffile.imwrite(path, pixels, photometric="minisblack")


def measure_fields(
    folder: str, backbone: str = "MobileNetV2", crop_px: int = CROP_PX
) -> dict[str, Any]:
    """Predict the fields three times in this process, after once that compiles.

    Args:
        folder: Holds `fields/`; tables and overlays are written here too.
        backbone: Network, with random weights.
        crop_px: Edge of the crops cut.
    Returns: Median `seconds`, `first_run_seconds`, `shares` by stage, `fields`, `cells`, and the
        `largest_difference` of a probability in the table from a bare `model.predict`.
    """
    from stemcls.prediction.inputs import load_sample
    from stemcls.prediction.predict import predict_table

    root = Path(folder)
    # The store that the model would be from: it says how large the cells are.
    build_store(
        root / "fields", root / "fields.h5", BuildConfig(kind="cells", crop_px=crop_px), workers=1,
        force=True,
    )
    card = _card(CropStore.open(root / "fields.h5"))
    paths = sorted((root / "fields").rglob("*.tif"))
    model = random_network(backbone, 1.0, crop_px, len(card.classes))
    totals: list[float] = []
    spent: list[dict[str, float]] = []
    for number in range(_REPEATS + 1):
        out = root / f"table-{number}.csv"
        with timed(STAGES) as stages:
            begun = time.perf_counter()
            table = predict_table(model, card, paths, out, overlays=root / f"overlays-{number}")
            totals.append(time.perf_counter() - begun)
        spent.append({**stages, "other": totals[-1] - sum(stages.values())})
    samples = [load_sample(path, card, None, "cells") for path in paths]
    plain = [model.predict(sample.read(np.arange(sample.n)), verbose=0) for sample in samples]
    written = _probabilities(out, card.classes)
    middle = {name: statistics.median(run[name] for run in spent[1:]) for name in spent[0]}
    whole = sum(middle.values())
    return {
        "seconds": statistics.median(totals[1:]), "first_run_seconds": totals[0],
        "shares": {name: seconds / whole for name, seconds in middle.items()},
        "fields": len(paths), "cells": table.rows,
        "largest_difference": float(np.abs(written - np.concatenate(plain)).max()),
    }


@contextmanager
def timed(places: dict[str, tuple[str, str]]) -> Iterator[dict[str, float]]:
    """Add up the seconds spent in functions, each named by its module and its name there."""
    from importlib import import_module

    spent = dict.fromkeys(places, 0.0)
    kept = []
    try:
        for stage, (name, function) in places.items():
            module = import_module(name)
            original = getattr(module, function)
            kept.append((module, function, original))
            setattr(module, function, _clocked(original, stage, spent))
        yield spent
    finally:
        for module, function, original in kept:
            setattr(module, function, original)


def _clocked(
    work: Callable[..., Any], stage: str, spent: dict[str, float]
) -> Callable[..., Any]:
    def run(*arguments: Any, **options: Any) -> Any:
        begun = time.perf_counter()
        try:
            return work(*arguments, **options)
        finally:
            spent[stage] += time.perf_counter() - begun

    return run


def _card(store: CropStore) -> Any:
    from stemcls.models.saved import ModelCard

    return ModelCard(
        store.classes, store.size_px, store.channels, str(store.dtype), build=store.config
    )


def _probabilities(table: Path, classes: tuple[str, ...]) -> np.ndarray:
    with table.open(newline="", encoding="utf-8") as file:
        return np.array([[float(row[f"p_{name}"]) for name in classes]
                         for row in csv.DictReader(file)])
