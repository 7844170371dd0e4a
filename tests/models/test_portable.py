"""Saved models say nothing that the oldest Keras of the allowed range does not understand."""

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from stemcls.config.experiment import ModelConfig
from stemcls.models.backbones import BACKBONES
from stemcls.models.build import add_head, build_extractor
from stemcls.models.ensemble import join_models
from stemcls.models.portable import OLDEST_KERAS, write_keras
from stemcls.models.saved import ModelCard, load_model, save_model

from .published import quick_weights

CARD = ModelCard(("a", "b", "c"), (64, 64), ("one", "two"), "uint8")
# Folders of virtual environments with another Keras and JAX: what cannot be proved here alone.
OTHERS = os.environ.get("STEMCLS_OTHER_KERAS", "")
PROGRAM = """
import sys
sys.modules["stemcls"] = None
import keras, numpy as np
model = keras.saving.load_model(sys.argv[1])
np.save(sys.argv[3], model.predict(np.load(sys.argv[2]), verbose=0))
"""


def network(name: str) -> keras.Model:
    config = ModelConfig(backbone=name, weights="none", dense=(4,))
    with quick_weights():
        return add_head(build_extractor(config, (64, 64), 2, 255.0), config, 3, None, seed=0)


def layers_in(path: Path) -> list[dict]:
    return json.loads(zipfile.ZipFile(path).read("config.json"))["config"]["layers"]


def test_a_network_and_an_ensemble_give_the_same_numbers_after_saving(tmp_path):
    members = [network("TinyCNN"), network("TinyCNN")]
    crops = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 2)).astype("uint8")
    for model in (members[0], join_models(members, [0.5, 0.5])):
        save_model(model, tmp_path / "m.keras", CARD)
        described = zipfile.ZipFile(tmp_path / "m.keras").read("config.json").decode()
        assert "nitializer" not in described
        found = load_model(tmp_path / "m.keras")[0].predict(crops, verbose=0)
        assert np.array_equal(found, model.predict(crops, verbose=0))
    assert [path.name for path in tmp_path.glob("*whole*")] == []


def test_a_setting_that_matters_is_kept_though_the_oldest_keras_lacks_it(tmp_path):
    inputs = keras.Input((4,))
    layer = keras.layers.BatchNormalization()
    config = {**layer.get_config(), "name": "kept"}
    renorm = "renorm" in config
    outputs = keras.layers.BatchNormalization(**({"renorm": True} if renorm else {}), name="kept")
    write_keras(keras.Model(inputs, outputs(inputs)), tmp_path / "m.keras")
    (found,) = [one for one in layers_in(tmp_path / "m.keras") if one["config"]["name"] == "kept"]
    assert found["config"].get("renorm", False) is renorm
    assert "synchronized" in found["config"]


def test_the_range_in_pyproject_begins_where_the_table_does():
    project = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["project"]
    assert f"keras>={OLDEST_KERAS},<4" in project["dependencies"]
    assert f"Keras {OLDEST_KERAS} or newer" in Path("docs/saved-models.md").read_text("utf-8")


@pytest.mark.skipif(not OTHERS, reason="STEMCLS_OTHER_KERAS names no environment with other Keras")
@pytest.mark.parametrize("name", BACKBONES)
def test_other_versions_of_keras_open_it_and_give_the_same_numbers(name, tmp_path):
    model = network(name)
    crops = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 2)).astype("uint8")
    save_model(model, tmp_path / "m.keras", CARD)
    np.save(tmp_path / "crops.npy", crops)
    found = []
    for number, python in enumerate([sys.executable, *(
        f"{folder}/bin/python" for folder in OTHERS.split(os.pathsep)
    )]):
        out = tmp_path / f"{number}.npy"
        done = subprocess.run(
            [python, "-c", PROGRAM, tmp_path / "m.keras", tmp_path / "crops.npy", out],
            capture_output=True, text=True, check=False,
            env={**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": ""},
        )
        assert done.returncode == 0, f"{python}: {done.stderr[-2000:]}"
        found.append(np.load(out))
    for one in found[1:]:
        np.testing.assert_allclose(one, found[0], atol=1e-5)
