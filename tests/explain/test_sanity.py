"""The sanity checks pass what depends on the model and fail what redraws the crop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stemcls.config.explain import MethodSettings
from stemcls.errors import InputError
from stemcls.explain.methods import METHODS
from stemcls.explain.probe import Probe, open_probe
from stemcls.explain.randomise import Cascade, cascade, rank_correlation, train_on_random_labels
from stemcls.explain.removal import Removal, removal
from stemcls.explain.sanity import LIKENESS_LIMIT, Check, check, raw_maps

EDGE = 24
SETTINGS = MethodSettings()


def blobs(n: int = 8) -> np.ndarray:
    """Return (n, EDGE, EDGE, 1) grey noise with one bright disc and one of stripes."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:EDGE, :EDGE]
    crops = random.normal(110, 18, (n, EDGE, EDGE))
    for crop in crops:
        (y1, x1), (y2, x2) = random.uniform(4, EDGE - 4, (2, 2))
        crop += 50 * (np.hypot(y - y1, x - x1) < 4)
        crop += 55 * np.sign(np.sin(y * np.pi / 2)) * (np.hypot(y - y2, x - x2) < 5)
    return np.clip(crops, 0, 255).astype(np.uint8)[..., None]


def small_network() -> Probe:
    """Open five convolutions with drawn weights: enough for what a map owes to its weights."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(1)
    inputs = keras.Input((EDGE, EDGE, 1))
    x = layers.Rescaling(2 / 255, -1)(inputs)
    for index, (channels, stride) in enumerate([(8, 1), (12, 2), (12, 1), (16, 2), (16, 1)]):
        x = layers.Conv2D(channels, 3, padding="same", activation="relu", name=f"conv_{index}")(x)
        x = layers.MaxPooling2D(2)(x) if stride == 2 else x
    x = layers.GlobalAveragePooling2D()(x)
    return open_probe(keras.Model(inputs, layers.Dense(2, name="logits")(x)))


@pytest.fixture(scope="module")
def network() -> Probe:
    return small_network()


@pytest.mark.parametrize(
    ("method", "depends"),
    [("guided-backprop", False), ("gradient-x-input", True), ("gradcam", True)],
)
def test_random_weights_unmask_guided_backprop_and_nothing_honest(
    network: Probe, method: str, depends: bool
) -> None:
    before = network.model.get_weights()
    crops = blobs()
    found = check(network, METHODS[method], crops, network.checked_targets(crops, None), SETTINGS)
    assert found.depends_on_weights is depends
    assert abs(found.weights.judged - LIKENESS_LIMIT) > 0.08
    assert ("hardly change" in found.verdict) is not depends
    if not depends:
        assert not found.passed
        assert "FAILED on this model (8 cells)" in found.verdict
    for old, new in zip(before, network.model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    told = found.document()
    assert told["weights"]["stages"][-1]["down_to"] == "conv_0"
    assert told["weights"]["stages"][0]["down_to"] == "logits"
    assert told["labels"] is None


def test_weights_are_put_back_when_the_method_fails(network: Probe) -> None:
    before = network.model.get_weights()
    calls = []

    def explain(probe: Probe) -> np.ndarray:
        calls.append(1)
        if len(calls) > 2:
            raise KeyboardInterrupt
        return np.ones((2, EDGE, EDGE), np.float32)

    with pytest.raises(KeyboardInterrupt):
        cascade(network, explain)
    for old, new in zip(before, network.model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_maps_that_know_no_weights_stay_alike_and_measured_statistics_stay() -> None:
    import keras
    from keras import layers

    inputs = keras.Input((4, 4, 1))
    norm = layers.BatchNormalization(name="norm")
    x = layers.GlobalAveragePooling2D()(norm(layers.Conv2D(3, 1)(inputs)))
    probe = open_probe(keras.Model(inputs, layers.Dense(2)(x)))
    layer = probe.model.get_layer("norm")
    layer.set_weights([np.array(values) for values in ([1, 2, 3], [4, 5, 6], [7, 8, 9], [1, 2, 4])])
    seen = []

    def explain(probe: Probe) -> np.ndarray:
        seen.append([value.tolist() for value in layer.get_weights()])
        return np.random.default_rng(0).random((2, 4, 4))

    found = cascade(probe, explain, n_stages=3, n_draws=1, seed=2)
    assert found.similarity == pytest.approx((1, 1, 1))
    assert found.judged == pytest.approx(1)
    assert seen[-1][2:] == [[7, 8, 9], [1, 2, 4]]
    assert seen[-1][:2] != seen[0][:2]


def test_rank_correlation_is_spearmans_of_absolute_values() -> None:
    from scipy.stats import spearmanr

    random = np.random.default_rng(0)
    one, other = random.normal(size=(2, 3, 5, 5)).round(1)
    pairs = zip(np.abs(one), np.abs(other), strict=True)
    expected = [spearmanr(a.ravel(), b.ravel())[0] for a, b in pairs]
    np.testing.assert_allclose(rank_correlation(one, other), expected, atol=1e-12)
    dead = np.stack([np.zeros((5, 5)), np.full((5, 5), np.nan), one[2]])
    np.testing.assert_allclose(rank_correlation(one, dead), [0, 0, 1])


def bright_corner() -> Probe:
    """Open a model whose class 1 is a bright 4x4 corner and nothing else."""
    import keras
    from keras import layers

    inputs = keras.Input((EDGE, EDGE, 1))
    flat = layers.Flatten()(layers.Cropping2D(((EDGE - 4, 0), (EDGE - 4, 0)))(inputs))
    dense = layers.Dense(2)
    model = keras.Model(inputs, dense(flat))
    dense.set_weights([np.stack([np.zeros(16), np.full(16, 0.02)], axis=1), np.array([0, -41.6])])
    return open_probe(model, layers=())


def test_deletion_and_insertion_tell_a_map_of_the_evidence_from_its_opposite() -> None:
    crops = np.full((3, EDGE, EDGE, 1), 60, np.uint8)
    crops[:, -4:, -4:] = 160  # logit 9.6 as it is, -5 where the corner is blurred, -21 where grey
    evidence = np.zeros((3, EDGE, EDGE), np.float32)
    evidence[:, -4:, -4:] = 1
    probe, targets = bright_corner(), np.ones(3, np.int64)
    right = removal(probe, crops, targets, evidence)
    wrong = removal(probe, crops, targets, -evidence)
    # The corner is 1/36 of the crop, less than a step of 1/16: it is all gone at the first.
    np.testing.assert_allclose(right.deletion, 1 / 32, atol=1e-2)
    np.testing.assert_allclose(right.insertion, 31 / 32, atol=1e-2)
    np.testing.assert_allclose(wrong.insertion, 1 / 32, atol=1e-2)
    assert (right.gain > 0.1).all()
    assert (wrong.gain < -0.05).all()
    for areas in (right.random_deletion, right.random_insertion):
        assert ((areas > 0.05) & (areas < 0.95)).all()


def test_a_prediction_that_nothing_changes_has_flat_curves() -> None:
    probe = bright_corner()
    crops = np.zeros((2, EDGE, EDGE, 1), np.uint8)
    found = removal(probe, crops, np.zeros(2, np.int64), np.random.default_rng(0).random(
        (2, EDGE, EDGE)))
    np.testing.assert_allclose(found.deletion, 1, atol=1e-5)
    np.testing.assert_allclose(found.gain, 0, atol=1e-6)


def judged(similarity: float, gain: list[float], labels: float | None = None) -> Check:
    zeros = np.zeros(len(gain))
    taken = Removal(zeros, np.array(gain) * 2, zeros, zeros)
    return Check(METHODS["gradcam"], len(gain), Cascade(("a",), (similarity,), 1), taken, labels)


def test_a_verdict_says_what_held_and_what_did_not() -> None:
    good = judged(0.1, [0.3, 0.4, 0.35])
    assert good.passed
    assert good.verdict.startswith("gradcam passed on this model (3 cells). Random weights change")
    assert "deletion AUC 0.00 against 0.00, insertion 0.70 against 0.00" in good.verdict
    assert not judged(0.9, [0.3, 0.4, 0.35]).passed
    unsure = judged(0.1, [0.3, -0.4, 0.35])
    assert not unsure.passed
    assert "no more, or not clearly more" in unsure.verdict
    stuck = judged(0.1, [0.3, 0.4, 0.35], labels=0.95)
    assert not stuck.passed
    assert "random labels has nearly the same maps (0.95)" in stuck.verdict
    assert not judged(0.1, [0.5]).beats_random


def test_a_class_blind_method_says_so(network: Probe) -> None:
    found = check(
        network, METHODS["visualbackprop"], blobs(4), np.zeros(4, np.int64), SETTINGS, n_draws=1
    )
    assert found.verdict.endswith("It is class-blind: the map is the same for every class.")
    assert found.weights.judged > 0.9


def test_random_labels_are_learned_by_heart_by_another_model() -> None:
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    inputs = keras.Input((EDGE, EDGE, 1))
    x = layers.Rescaling(2 / 255, -1)(inputs)
    x = layers.Conv2D(8, 5, strides=3, activation="relu")(x)
    x = layers.Dense(32, activation="relu")(layers.Flatten()(x))
    probe = open_probe(keras.Model(inputs, layers.Dense(2)(x)))
    crops, labels = blobs(16), np.arange(16) % 2
    before = probe.model.get_weights()
    other, learned = train_on_random_labels(probe, crops, labels, epochs=100)
    assert learned >= 0.95
    for old, new in zip(before, probe.model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    method, targets = METHODS["gradient-x-input"], probe.checked_targets(crops, None)
    ticks: list[tuple[int, int, str]] = []
    found = check(
        probe, method, crops, targets, SETTINGS, lambda *tick: ticks.append(tick), other, n_draws=1
    )
    same = rank_correlation(
        raw_maps(probe, method, crops, targets, SETTINGS),
        raw_maps(other, method, crops, targets, SETTINGS),
    ).mean()
    assert found.labels == pytest.approx(same)
    assert ticks[-1] == (ticks[-1][1], ticks[-1][1], "gradient-x-input")


def test_one_cell_is_too_few(network: Probe) -> None:
    with pytest.raises(InputError, match="at least 2 cells to compare, found 1"):
        check(network, METHODS["gradcam"], blobs(1), np.zeros(1, np.int64), SETTINGS)


def test_settings_reach_the_method(network: Probe) -> None:
    found: Any = {
        preset: raw_maps(network, METHODS["lrp"], blobs(2), np.zeros(2, np.int64),
                         MethodSettings(lrp=preset))
        for preset in ("epsilon", "epsilon-plus")
    }
    assert np.abs(found["epsilon"] - found["epsilon-plus"]).max() > 1e-6
