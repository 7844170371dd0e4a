"""The average of several networks as one flat network of built-in layers."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest

from stemcls.config.experiment import ModelConfig
from stemcls.errors import InputError
from stemcls.models.build import add_head, build_extractor
from stemcls.models.ensemble import check_alike, check_explainable, check_unlearned, join_models
from stemcls.models.saved import ModelCard, load_model, save_model

CARD = ModelCard(("a", "b", "c"), (32, 32), ("grey",), "uint8", build={"scale": "auto"})
CROPS = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 1)).astype(np.uint8)

def network(seed: int, **settings: object) -> keras.Model:
    """Return an untrained network; scaled features make its answers differ from crop to crop."""
    keras.utils.set_random_seed(seed)
    config = ModelConfig(weights="none", **settings)
    extractor = build_extractor(config, (32, 32), 1, 255.0)
    features = extractor.predict(CROPS, verbose=0)
    return add_head(extractor, config, 3, features, seed=seed)


@pytest.fixture(scope="module")
def members() -> list[keras.Model]:
    """Return networks of two kinds, one with a hidden layer, one that resizes its crops."""
    return [
        network(1, backbone="TinyCNN"),
        network(2, backbone="TinyCNN", dense=(4,)),
        network(3, backbone="MobileNet", alpha=0.25, input_px=48),
    ]


@pytest.fixture(scope="module")
def answers(members: list[keras.Model]) -> np.ndarray:
    """Return (3, 5, 3) probabilities of the networks, one by one."""
    return np.stack([model.predict(CROPS, verbose=0) for model in members])


def test_the_answer_is_the_average_of_the_members(members, answers):
    joined = join_models(members, [1 / 3] * 3)
    assert np.ptp(answers, axis=0).max() > 0.05  # else any of them would do
    assert np.abs(joined.predict(CROPS, verbose=0) - answers.mean(axis=0)).max() < 1e-6


def test_weights_are_honoured(members, answers):
    weights = [0.5, 0.3, 0.2]
    joined = join_models(members, weights)
    expected = np.tensordot(weights, answers, axes=1)
    assert np.abs(joined.predict(CROPS, verbose=0) - expected).max() < 1e-6


def test_it_is_flat_of_built_in_layers_with_names_of_their_own(members):
    joined = join_models(members, [0.5, 0.25, 0.25])
    names = [layer.name for layer in joined.layers]
    assert len(set(names)) == len(names)
    assert names[-1] == joined.layers[-1].name == "probabilities"
    assert {"crops", "member1_logits", "member2_dense_1", "member3_resizing"} <= set(names)
    assert not any(isinstance(layer, keras.Model) for layer in joined.layers)
    assert all(type(layer).__module__.startswith("keras.") for layer in joined.layers)
    assert joined.count_params() == sum(model.count_params() for model in members)


def test_an_ensemble_can_be_a_member(members, answers):
    inner = join_models(members[:2], [0.5, 0.5])
    joined = join_models([inner, members[2]], [0.5, 0.5])
    expected = answers[:2].mean(axis=0) / 2 + answers[2] / 2
    assert np.abs(joined.predict(CROPS, verbose=0) - expected).max() < 1e-6


def test_it_is_saved_with_its_card_and_answers_as_before(members, answers, tmp_path: Path):
    path = tmp_path / "model.keras"
    save_model(join_models(members[:2], [0.6, 0.4]), path, CARD)
    loaded, card = load_model(path)
    expected = np.tensordot([0.6, 0.4], answers[:2], axes=1)
    assert np.abs(loaded.predict(CROPS, verbose=0) - expected).max() < 1e-5
    assert card == CARD


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"classes": ("a", "c", "b")}, r"classes of one is .*'b', 'c'.* and of two .*'c', 'b'"),
        ({"channels": ("DIC",)}, "channels of one"),
        ({"dtype": "uint16"}, "dtype of one is 'uint8' and of two 'uint16'"),
        ({"pixel_size_um": 0.5}, "pixel_size_um of one is None and of two 0.5"),
        ({"build": {"scale": "store"}}, "build setting scale of one is 'auto'"),
    ],
)
def test_members_that_take_other_crops_are_refused(change, said):
    with pytest.raises(InputError, match=said):
        check_alike([CARD, dataclasses.replace(CARD, **change)], ["one", "two"])


def test_how_groups_were_named_does_not_matter():
    other = dataclasses.replace(CARD, build={**CARD.build, "group": "(d.)"})
    check_alike([CARD, other], ["one", "two"])


def test_an_ensemble_of_folds_is_not_scored_on_the_crops_it_learned_from():
    member = {"path": "runs/m", "store_hash": "abc"}
    inside = {"unscored": "all was trained on", "members": [member]}
    card = dataclasses.replace(CARD, provenance={"ensemble": inside})
    check_unlearned(CARD, "run")
    check_unlearned(card, "run", "of another store")
    for store_hash in (None, "abc"):
        with pytest.raises(InputError, match=r"all was trained on; .* stemcls evaluate run STORE"):
            check_unlearned(card, "run", store_hash)


def test_heat_maps_of_an_ensemble_are_refused_with_the_members_named():
    inside = {"members": [{"path": "runs/m"}, {"path": "runs/n"}]}
    check_explainable(CARD, "run")
    with pytest.raises(InputError, match=r"no layer of logits of its own .* runs/m, runs/n"):
        check_explainable(dataclasses.replace(CARD, provenance={"ensemble": inside}), "run")
