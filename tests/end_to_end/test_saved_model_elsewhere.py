"""A saved model in a process that cannot import stemcls, on each backend, equal to 1e-5."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from stemcls.models.backend import installed_backends
from stemcls.store.cropstore import CropStore

# As in docs/saved-models.md, with stemcls made impossible to import.
PROGRAM = """
import sys
sys.modules["stemcls"] = None
import json, zipfile
import keras, numpy as np
path, crops, out = sys.argv[1:]
model = keras.saving.load_model(path)
labels = json.loads(zipfile.ZipFile(path).read("stemcls/model.json"))["classes"]
np.save(out, model.predict(np.load(crops), verbose=0))
print(json.dumps({"backend": keras.backend.backend(), "labels": labels}))
"""


def predict_elsewhere(backend, model, crops, out, cwd):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(model), str(crops), str(out)],
        capture_output=True, text=True, check=False, cwd=cwd,
        env={**os.environ, "KERAS_BACKEND": backend},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), np.load(out)


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_a_saved_model_needs_no_stemcls(backend, trained_run, striped_store, tmp_path):
    if backend not in installed_backends():
        pytest.skip(f"{backend} is not installed")
    from stemcls.models.saved import load_model

    crops = CropStore.open(striped_store).read(np.arange(32))
    np.save(tmp_path / "crops.npy", crops)
    told, theirs = predict_elsewhere(
        backend, trained_run / "model.keras", tmp_path / "crops.npy", tmp_path / "out.npy", tmp_path
    )
    ours = load_model(trained_run / "model.keras")[0].predict(crops, verbose=0)
    assert told == {"backend": backend, "labels": ["along x", "quer/süß"]}
    assert np.abs(ours - theirs).max() <= 1e-5


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_a_pretrained_backbone_agrees_across_backends(backend, shared_data, tmp_path):
    if backend not in installed_backends():
        pytest.skip(f"{backend} is not installed")
    from stemcls.config.experiment import ModelConfig
    from stemcls.imaging.readers import read_field
    from stemcls.models.build import add_head, build_extractor, head_of
    from stemcls.models.saved import ModelCard, save_model

    weights = shared_data / "weights" / "mobilenet_2_5_224_tf_no_top.h5"
    config = ModelConfig(backbone="MobileNet", alpha=0.25, weights=str(weights), input_px=96)
    files = sorted((shared_data / "ht1080").glob("*/*.jpg"))[::4]
    crops = np.stack([read_field(path).pixels.transpose(1, 2, 0) for path in files])
    extractor = build_extractor(config, (224, 224), 1, 255.0)
    features = extractor.predict(crops, verbose=0)
    model = add_head(extractor, config, 2, features, seed=0)
    head = head_of(model)
    head.compile("adam", "sparse_categorical_crossentropy")
    head.fit(features, np.arange(len(files)) * 2 // len(files), epochs=30, verbose=0)
    card = ModelCard(("293A", "HT1080"), (224, 224), ("grey",), "uint8")
    save_model(model, tmp_path / "model.keras", card)
    np.save(tmp_path / "crops.npy", crops)
    _, theirs = predict_elsewhere(
        backend, tmp_path / "model.keras", tmp_path / "crops.npy", tmp_path / "out.npy", tmp_path
    )
    assert np.abs(model.predict(crops, verbose=0) - theirs).max() <= 1e-5
