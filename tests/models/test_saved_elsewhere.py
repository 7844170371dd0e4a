"""Saved models in a process that cannot import stemcls, on each backend, equal to 1e-5."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from stemcls.config.experiment import ModelConfig
from stemcls.imaging.readers import read_field
from stemcls.models.backbones import BACKBONES
from stemcls.models.backend import installed_backends
from stemcls.models.build import add_head, build_extractor, extractor_of, head_of
from stemcls.models.ensemble import join_models
from stemcls.models.saved import ModelCard, load_model, save_model
from stemcls.store.cropstore import CropStore

from .published import published, quick_weights

# As in docs/saved-models.md, with stemcls made impossible to import. One process loads all models:
# importing a backend takes longer than they do.
PROGRAM = """
import sys
sys.modules["stemcls"] = None
import json, zipfile
from pathlib import Path
import keras, numpy as np
out, *folders = map(Path, sys.argv[1:])
labels = {}
for folder in folders:
    path = folder / "model.keras"
    model = keras.saving.load_model(path)
    np.save(out / f"{folder.name}.npy", model.predict(np.load(folder / "crops.npy"), verbose=0))
    with zipfile.ZipFile(path) as file:
        if "stemcls/model.json" in file.namelist():
            labels[folder.name] = json.loads(file.read("stemcls/model.json"))["classes"]
print(json.dumps({"backend": keras.backend.backend(), "labels": labels}))
"""
# Their parts inside Keras are private there, and must be saved by public names.
PRIVATE_PARTS = ("MobileNetV3Small", "ConvNeXtTiny")
NAMES = ("trained", "ensemble", "pretrained", *PRIVATE_PARTS)


@pytest.fixture(scope="module")
def saved(
    tmp_path_factory: pytest.TempPathFactory, trained_workspace: Path, striped_store: Path,
    request: pytest.FixtureRequest,
) -> Path:
    """Return a folder of folders: of each model its file, crops, and what it says of them here."""
    root = tmp_path_factory.mktemp("saved")

    def keep(name: str, model: keras.Model, crops: np.ndarray, save: Callable[..., Any]) -> None:
        (root / name).mkdir()
        save(root / name / "model.keras")
        np.save(root / name / "crops.npy", crops)
        np.save(root / name / "here.npy", model.predict(crops, verbose=0))

    crops = CropStore.open(striped_store).read(np.arange(32))
    trained = next((trained_workspace / "saved_models").glob("tiny-*")) / "model.keras"
    keep("trained", load_model(trained)[0], crops, lambda path: path.symlink_to(trained))

    random = np.random.default_rng(0)
    grey = random.integers(0, 256, (5, 32, 32, 1)).astype(np.uint8)
    members = [small_network(1, grey), small_network(2, grey, dense=(4,))]
    joined = join_models(members, [0.6, 0.4])
    card = ModelCard(("a", "b", "c"), (32, 32), ("grey",), "uint8")
    keep("ensemble", joined, grey, lambda path: save_model(joined, path, card))

    two = random.integers(0, 256, (2, 32, 32, 2)).astype(np.uint8)
    for name in PRIVATE_PARTS:
        with quick_weights():
            row, network = BACKBONES[name], published(name, 32)
            extractor = extractor_of(network, row, [row.taps[8]], (32, 32), 2, 255.0, True)
        model = add_head(extractor, ModelConfig(), 3, None, seed=0)
        keep(name, model, two, model.save)

    with suppress(pytest.skip.Exception):
        data = request.getfixturevalue("shared_data")
        crops = real_crops(data)
        model = pretrained(crops, data / "weights" / "mobilenet_2_5_224_tf_no_top.h5")
        card = ModelCard(("293A", "HT1080"), (224, 224), ("grey",), "uint8")
        keep("pretrained", model, crops, lambda path: save_model(model, path, card))
    return root


def small_network(seed: int, crops: np.ndarray, **settings: object) -> keras.Model:
    """Return an untrained network; scaled features make its answers differ from crop to crop."""
    keras.utils.set_random_seed(seed)
    config = ModelConfig(backbone="TinyCNN", weights="none", **settings)
    extractor = build_extractor(config, crops.shape[1:3], 1, 255.0)
    return add_head(extractor, config, 3, extractor.predict(crops, verbose=0), seed=seed)


def real_crops(data: Path) -> np.ndarray:
    """Return some crops of the two classes, one after the other."""
    files = sorted((data / "ht1080").glob("*/*.jpg"))[::4]
    return np.stack([read_field(path).pixels.transpose(1, 2, 0) for path in files])


def pretrained(crops: np.ndarray, weights: Path) -> keras.Model:
    """Return a network of published weights with a head that has learned a little."""
    config = ModelConfig(backbone="MobileNet", alpha=0.25, weights=str(weights), input_px=96)
    extractor = build_extractor(config, (224, 224), 1, 255.0)
    features = extractor.predict(crops, verbose=0)
    model = add_head(extractor, config, 2, features, seed=0)
    head = head_of(model)
    head.compile("adam", "sparse_categorical_crossentropy")
    head.fit(features, np.arange(len(crops)) * 2 // len(crops), epochs=30, verbose=0)
    return model


@pytest.fixture(scope="module")
def elsewhere(
    saved: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], tuple[dict[str, Any], Path]]:
    """Return what a backend says of all saved models in one process of its own."""
    known: dict[str, tuple[dict[str, Any], Path] | str] = {}

    def ask(backend: str) -> tuple[dict[str, Any], Path]:
        if backend not in installed_backends():
            pytest.skip(f"{backend} is not installed")
        if backend not in known:
            out = tmp_path_factory.mktemp(backend)
            done = subprocess.run(
                [sys.executable, "-c", PROGRAM, str(out), *map(str, sorted(saved.iterdir()))],
                capture_output=True, text=True, check=False, cwd=out,
                env={**os.environ, "KERAS_BACKEND": backend},
            )
            said = done.stdout.splitlines()
            known[backend] = done.stderr if done.returncode else (json.loads(said[-1]), out)
        found = known[backend]
        assert not isinstance(found, str), found
        return found

    return ask


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_a_saved_model_needs_no_stemcls(backend, name, saved, elsewhere):
    if not (saved / name).exists():
        pytest.skip("the real images (../shared/data) are not on this machine")
    told, out = elsewhere(backend)
    assert told["backend"] == backend
    ours = np.load(saved / name / "here.npy")
    assert np.ptp(ours, axis=0).max() > 1e-4  # else a constant would do
    assert np.abs(ours - np.load(out / f"{name}.npy")).max() <= 1e-5


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_its_classes_are_read_from_the_file_without_stemcls(backend, elsewhere):
    told, _ = elsewhere(backend)
    assert told["labels"]["trained"] == ["along x", "quer/süß"]
    assert told["labels"]["ensemble"] == ["a", "b", "c"]
