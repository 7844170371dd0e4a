"""The loss of a head, by hand and against Keras' own."""

import keras
import numpy as np
import pytest

from stemcls.config.experiment import ModelConfig
from stemcls.models.build import add_head, build_extractor
from stemcls.models.losses import make_loss
from stemcls.models.saved import ModelCard, load_model, save_model

PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]], dtype="float32")
TARGETS = np.array([0, 1])


def test_without_settings_it_is_plain_cross_entropy():
    loss = make_loss(ModelConfig(), 3)
    assert isinstance(loss, keras.losses.SparseCategoricalCrossentropy)
    assert float(loss(TARGETS, PROBABILITIES)) == pytest.approx(-np.log([0.7, 0.3]).mean())


def test_the_focal_loss_is_that_of_the_paper():
    loss = make_loss(ModelConfig(focal_gamma=2.0), 3)
    by_hand = [-(0.3**2) * np.log(0.7), -(0.7**2) * np.log(0.3)]
    assert float(loss(TARGETS, PROBABILITIES)) == pytest.approx(np.mean(by_hand), rel=1e-5)


def test_smoothing_spreads_a_share_of_the_label():
    loss = make_loss(ModelConfig(label_smoothing=0.3), 3)
    logs = np.log(PROBABILITIES)
    by_hand = [-(0.8 * logs[0, 0] + 0.1 * logs[0, 1] + 0.1 * logs[0, 2]),
               -(0.1 * logs[1, 0] + 0.8 * logs[1, 1] + 0.1 * logs[1, 2])]  # fmt: skip
    assert float(loss(TARGETS, PROBABILITIES)) == pytest.approx(np.mean(by_hand), rel=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_it_is_keras_categorical_focal_loss_of_one_hot_labels(gamma, smoothing):
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(4), 32).astype("float32")
    targets = rng.integers(0, 4, 32)
    weights = rng.uniform(0.5, 2.0, 32).astype("float32")
    ours = make_loss(ModelConfig(focal_gamma=gamma, label_smoothing=smoothing), 4)
    theirs = keras.losses.CategoricalFocalCrossentropy(
        alpha=1.0, gamma=gamma, label_smoothing=smoothing
    )
    expected = float(theirs(np.eye(4, dtype="float32")[targets], probabilities, weights))
    assert float(ours(targets, probabilities, weights)) == pytest.approx(expected, rel=1e-4)
    assert float(ours(targets[:, None], probabilities, weights)) == pytest.approx(
        expected, rel=1e-4
    )


def test_a_perfect_prediction_has_a_finite_loss():
    sure = np.array([[1.0, 0.0], [0.0, 1.0]], dtype="float32")
    for gamma in (0.0, 0.5):
        loss = make_loss(ModelConfig(focal_gamma=gamma, label_smoothing=0.1), 2)
        assert np.isfinite(float(loss(np.array([0, 0]), sure)))


def test_a_model_trained_on_it_is_saved_without_it(tmp_path):
    config = ModelConfig(backbone="TinyCNN", weights="none", focal_gamma=2.0, label_smoothing=0.1)
    model = add_head(build_extractor(config, (16, 16), 1, 255.0), config, 2, None, seed=0)
    model.compile("adam", make_loss(config, 2))
    crops = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 1)).astype(np.uint8)
    before = model.evaluate(crops, np.arange(8) % 2, verbose=0)
    model.fit(crops, np.arange(8) % 2, epochs=5, verbose=0)
    assert model.evaluate(crops, np.arange(8) % 2, verbose=0) != before
    card = ModelCard(classes=("a", "b"), size_px=(16, 16), channels=("grey",), dtype="uint8")
    save_model(model, tmp_path / "model.keras", card)
    loaded = load_model(tmp_path / "model.keras")[0]
    assert np.array_equal(loaded.predict(crops, verbose=0), model.predict(crops, verbose=0))
    # As anyone does who knows nothing of us: with Keras' default, which compiles.
    plain = keras.saving.load_model(tmp_path / "model.keras")
    assert not plain.compiled
