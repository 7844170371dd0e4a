"""Crops of two and of five channels go the whole way: store, training, scores, maps, pictures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from stemcls.store.cropstore import CropStore
from stemcls.store.gather import Columns
from stemcls.store.journal import Journal
from stemcls.store.writer import write_store

N, EDGE = 120, 24
NAMES = ("DAPI", "CD34", "CD38", "GFP", "DIC")


def build_channels(path: Path, n_channels: int, telling: int, dtype: str = "uint8") -> Path:
    """Write a store whose classes differ in one channel alone: stripes one way or the other."""
    rng = np.random.default_rng(0)
    white = 255 if dtype == "uint8" else 4095
    crops = rng.integers(0, white, (N, EDGE, EDGE, n_channels)).astype(dtype)
    wave = np.repeat((np.arange(EDGE) // 3 % 2 * 0.6 * white)[:, None], EDGE, axis=1)
    columns = Columns()
    for number in range(N):
        label, donor = number % 2, number // 2 % 10
        noise = rng.integers(0, int(0.3 * white), (EDGE, EDGE))
        crops[number, ..., telling] = (wave if label else wave.T) + noise
        names = list(NAMES[:n_channels])
        columns.add({
            "path": f"{number}.tif", "sha256": f"{number:064x}", "n": 1,
            "shape": [n_channels, EDGE, EDGE], "pixel_size_um": 0.5, "crop_pixel_um": 0.5,
            "position_um": None, "acquired": "", "channels": names, "slices": names,
            "scale_low": [], "scale_high": [], "brightness": 9.0, "focus": 1.0, "saturated": 0.0,
            "unevenness": 0.5, "n_cells": 1, "dropped": {}, "centers_px": [[11.5, 11.5]],
            "radius_px": [6.0], "at_border": [False], "labels": [f"class {label}"],
            "groups": [f"donor {donor}"],
            "intensity": [crops[number].mean(axis=(0, 1)).tolist()],
        })
    journal = Journal(path)
    journal.folder.mkdir(parents=True)
    crops.tofile(journal.images_path)
    journal.layout = (dtype, EDGE, EDGE, n_channels)
    config = {"group_what": "donor", "kind": "crops"}
    write_store(journal, columns, config, path.parent, path, lambda: False)
    journal.remove()
    return path


@pytest.mark.parametrize(
    ("n_channels", "telling", "dtype"), [(5, 4, "uint8"), (2, 1, "uint16")]
)
def test_a_class_that_only_the_last_channel_shows_is_learned_and_explained(
    tmp_path, invoke, tiny_config, n_channels, telling, dtype
):
    store = build_channels(tmp_path / "datasets" / "many.h5", n_channels, telling, dtype)
    names = NAMES[:n_channels]
    assert CropStore.open(store).channels == names
    tiny_config.write_text(tiny_config.read_text() + "\n[stages.finetune]\nepochs = 0\n")

    def done(*words: Any) -> dict[str, Any]:
        result = invoke(*words, "--json")
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    assert done("info", store)["channels"] == list(names)
    run = Path(done("train", store, "--config", tiny_config, "--set", "stages.scratch.epochs=8",
                    "--workspace", tmp_path)["run"])
    run = run if run.is_absolute() else tmp_path / run
    assert done("evaluate", run, store)["metrics"]["mean_recall"] > 0.9
    card = json.loads((run / "model.json").read_text())
    assert card["channels"] == list(names)
    assert card["provenance"]["channels_enter"].startswith(", ".join(names))
    table = tmp_path / "cells.csv"
    assert done("predict", run, store, "--out", table)["rows"] == N
    found = done("explain", run, store, "--per-class", 1, "--cells", 4, "--method", "gradcam",
                 "--method", "gradient-x-input")
    pictures = [Path(name) for name in found["files"]]
    assert pictures
    assert all(path.stat().st_size > 1000 for path in pictures)
    maps = next(run.glob("explanations/**/maps.h5"))
    with h5py.File(maps) as file:
        assert file["crops"].shape[-1] == n_channels
        assert np.abs(file["methods/gradcam/heatmaps"][()]).max() > 0
    audited = done("audit", store, run, "--workspace", tmp_path)
    channels = next(check for check in audited["checks"] if check["name"] == "channels")
    assert names[telling] in channels["why"]


def printed(program: str, *words: object, backend: str) -> str:
    """Run Python code in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, words)], capture_output=True, text=True,
        check=True, env={**os.environ, "KERAS_BACKEND": backend},
    )
    return done.stdout


def test_five_channels_of_one_weights_file_give_the_same_on_every_backend(tmp_path):
    import keras

    from stemcls.config.experiment import ModelConfig
    from stemcls.models.build import add_head, build_extractor

    keras.utils.set_random_seed(0)
    config = ModelConfig(backbone="TinyCNN", weights="none")
    model = add_head(build_extractor(config, (24, 24), 5, 255.0), config, 3, None, 0)
    path = tmp_path / "five.keras"
    model.save(path)
    crops = np.random.default_rng(0).integers(0, 256, (4, 24, 24, 5)).astype("float32")
    wanted = model.predict(crops, verbose=0).ravel()
    program = """
import sys, numpy as np, keras
model = keras.saving.load_model(sys.argv[1])
crops = np.random.default_rng(0).integers(0, 256, (4, 24, 24, 5)).astype("float32")
print("GIVES", *(f"{value:.7f}" for value in model.predict(crops, verbose=0).ravel()))
"""
    for backend in {"tensorflow", "jax", "torch"} - {keras.backend.backend()}:
        told = printed(program, path, backend=backend)
        line = next(line for line in told.splitlines() if line.startswith("GIVES"))
        given = np.array(line.split()[1:], float)
        np.testing.assert_allclose(given, wanted, atol=2e-6, err_msg=backend)
