"""Saved models: plain Keras, safe, with their card inside."""

import zipfile
from dataclasses import replace

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


def test_a_model_with_the_card_of_another_run_is_refused(saved, tmp_path):
    model, path = saved
    other = keras.models.clone_model(model)
    again = tmp_path / "other" / "model.keras"
    again.parent.mkdir()
    save_model(other, again, replace(CARD, classes=("x", "y")))
    (path.parent / "events.jsonl").write_text("")
    path.with_name("model.json").write_bytes(again.with_name("model.json").read_bytes())
    with pytest.raises(InputError, match="two different runs: classes"):
        load_model(path)
    path.with_name("model.json").write_bytes(
        again.with_name("model.json").read_bytes().replace(b'"x"', b'"a b"').replace(
            b'"y"', '"ü/x"'.encode())
    )
    with pytest.raises(InputError, match="two different runs: weights_digest"):
        load_model(path)


def test_a_plain_save_of_other_weights_does_not_fit_the_card_beside_it(saved, tmp_path):
    model, path = saved
    folder = tmp_path / "mixed"
    folder.mkdir()
    other = keras.models.clone_model(model)
    other.set_weights([weights + 1 for weights in model.get_weights()])
    other.save(folder / "model.keras")
    (folder / "model.json").write_bytes(path.with_name("model.json").read_bytes())
    with pytest.raises(InputError, match="its weights are not those that the card was written for"):
        load_model(folder / "model.keras")


@pytest.mark.parametrize(("change", "problem"), [
    ({"classes": ("a", "b", "c")}, "it has 2 outputs, the card 3 classes"),
    ({"size_px": (16, 24)}, r"it takes crops \(16, 16, 1\), the card says \(16, 24, 1\)"),
    ({"classes": ("a", "a")}, "names a class twice"),
])
def test_a_card_that_says_something_else_than_the_network_is_refused(
    saved, tmp_path, change, problem
):
    save_model(saved[0], tmp_path / "wrong.keras", replace(CARD, **change))
    with pytest.raises(InputError, match=problem):
        load_model(tmp_path / "wrong.keras")


def test_weights_that_are_no_numbers_are_refused(saved, tmp_path):
    model, _ = saved
    model.set_weights([weights * np.nan for weights in model.get_weights()])
    save_model(model, tmp_path / "nan.keras", CARD)
    with pytest.raises(InputError, match="weights that are not finite"):
        load_model(tmp_path / "nan.keras")
