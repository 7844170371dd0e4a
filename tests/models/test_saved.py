"""Saved models: plain Keras, safe, with their card inside."""

import zipfile

import keras
import numpy as np
import pytest

from stemcls.config.experiment import ModelConfig
from stemcls.errors import InputError
from stemcls.models.build import add_head, build_extractor
from stemcls.models.saved import CARD_MEMBER, ModelCard, load_model, read_card, save_model

CARD = ModelCard(
    classes=("a b", "ü/x"), size_px=(16, 16), channels=("grey",), dtype="uint8",
    provenance={"run": "r"},
)


@pytest.fixture
def saved(tmp_path):
    extractor = build_extractor(ModelConfig(backbone="TinyCNN", weights="none"), (16, 16), 1, 255.0)
    model = add_head(extractor, ModelConfig(), 2, None, seed=0)
    save_model(model, tmp_path / "model.keras", CARD)
    return model, tmp_path / "model.keras"


def test_a_model_comes_back_with_its_card_and_its_numbers(saved):
    model, path = saved
    loaded, card = load_model(path)
    crops = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 1))
    assert card == CARD
    assert np.array_equal(loaded.predict(crops, verbose=0), model.predict(crops, verbose=0))
    names = sorted(p.name for p in path.parent.iterdir())
    assert names == ["labels.json", "model.json", "model.keras"]


def test_the_card_travels_inside_the_file(saved, tmp_path):
    path = saved[1]
    alone = tmp_path / "elsewhere" / "mine.keras"
    alone.parent.mkdir()
    alone.write_bytes(path.read_bytes())
    assert read_card(alone) == CARD


def test_a_plain_keras_save_needs_the_card_beside_it(saved, tmp_path):
    path = tmp_path / "again" / "model.keras"
    path.parent.mkdir()
    keras.saving.load_model(saved[1]).save(path)
    assert CARD_MEMBER not in zipfile.ZipFile(path).namelist()
    with pytest.raises(InputError, match=r"put the model\.json of its run beside it"):
        read_card(path)
    path.with_name("model.json").write_bytes(saved[1].with_name("model.json").read_bytes())
    assert read_card(path) == CARD


def test_a_file_with_code_in_it_is_refused(tmp_path):
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.Lambda(lambda x: x * 2)(inputs))
    save_model(model, tmp_path / "evil.keras", CARD)
    with pytest.raises(InputError, match=r"Keras cannot load .*evil\.keras"):
        load_model(tmp_path / "evil.keras")


def test_what_is_no_model_is_named(tmp_path):
    with pytest.raises(InputError, match="there is no model"):
        read_card(tmp_path / "none.keras")
    (tmp_path / "x.keras").write_bytes(b"not a zip")
    with pytest.raises(InputError, match=r"is not a \.keras file"):
        read_card(tmp_path / "x.keras")
