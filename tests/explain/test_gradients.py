"""Gradients are right, the same on every backend, and leave the model as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stemcls.errors import InputError
from stemcls.explain.gradients import STEPS, layer_gradients

from .conftest import noise_crops, winding_model


@pytest.mark.parametrize("backend", list(STEPS))
def test_a_model_that_reads_one_corner_lights_that_corner(probed: Any, backend: str) -> None:
    found = probed(backend)
    assert str(found["backend"]) == backend
    assert (found["corner_targets"] == 1).all()
    assert (found["corner"].max(axis=(1, 2)) == 1).all()
    assert (found["corner"][:, 10:] == 0).all()
    assert (found["corner"][:, :, :22] == 0).all()
    assert (found["corner"][:, :8, 24:] > 0).mean() > 0.99


@pytest.mark.parametrize("backend", [name for name in STEPS if name != "tensorflow"])
def test_gradients_of_one_saved_model_agree_across_backends(probed: Any, backend: str) -> None:
    found, reference = probed(backend), probed("tensorflow")
    assert np.abs(reference["gradients"]).max() > 1e-3
    for name in ("gradients", "activations", "logits"):
        np.testing.assert_allclose(found[name], reference[name], atol=1e-5, rtol=1e-5)
    np.testing.assert_array_equal(found["targets"], reference["targets"])


@pytest.mark.parametrize("backend", list(STEPS))
def test_explaining_runs_as_predicting_does_and_moves_no_weight(probed: Any, backend: str) -> None:
    found = probed(backend)
    raised = np.exp(found["logits"] - found["logits"].max(axis=1, keepdims=True))
    np.testing.assert_allclose(
        raised / raised.sum(axis=1, keepdims=True), found["predicted"], atol=1e-5
    )
    assert found["moved"] == 0
    assert found["targets"][3] == found["logits"][3].argmax()


def test_gradients_equal_finite_differences() -> None:
    import keras

    model, crops = winding_model(), noise_crops(2, 3)
    (batch,) = layer_gradients(model, "middle", crops, np.array([2, 0]))
    tail = keras.Model(model.get_layer("middle").output, model.get_layer("logits").output)
    random = np.random.default_rng(1)
    for _ in range(4):
        step = random.normal(size=batch.activations.shape).astype(np.float32) * 0.05
        above = tail.predict_on_batch(batch.activations + step)
        below = tail.predict_on_batch(batch.activations - step)
        moved = (above - below)[[0, 1], [2, 0]] / 2
        expected = (batch.gradients * step).sum(axis=(1, 2, 3))
        np.testing.assert_allclose(moved, expected, atol=2e-4)


def test_the_size_of_a_batch_changes_nothing() -> None:
    model, crops = winding_model(), noise_crops(5, 3)
    whole = list(layer_gradients(model, "last", crops, batch_size=8))
    parts = list(layer_gradients(model, "last", crops, batch_size=3))
    assert [len(part.targets) for part in parts] == [3, 2]
    np.testing.assert_allclose(
        np.concatenate([part.gradients for part in parts]), whole[0].gradients, atol=1e-6
    )


def test_a_model_can_be_saved_and_split_again_after_it_was_explained(tmp_path: Path) -> None:
    import keras

    model, crops = winding_model(), noise_crops(2, 3)
    first = next(layer_gradients(model, "last", crops))
    second = next(layer_gradients(model, "last", crops))
    np.testing.assert_array_equal(first.gradients, second.gradients)
    model.save(tmp_path / "again.keras")
    loaded = keras.saving.load_model(tmp_path / "again.keras")
    assert [layer.name for layer in loaded.layers] == [layer.name for layer in model.layers]
    third = next(layer_gradients(loaded, "last", crops))
    np.testing.assert_allclose(first.gradients, third.gradients, atol=1e-6)


@pytest.mark.parametrize(
    ("crops", "targets", "message"),
    [
        (noise_crops(2, 1), None, r"takes crops \(N, \*\(32, 32, 3\)\), found \(2, 32, 32, 1\)"),
        (noise_crops(2, 3), np.array([0, 3]), "class indices 0 to 2, or -1"),
        (noise_crops(2, 3), np.array([0]), "one class index for each of 2 crops"),
        (noise_crops(2, 3), np.array([0.0, 1.0]), "found float64"),
    ],
)
def test_crops_and_targets_that_do_not_fit_are_named(
    crops: np.ndarray, targets: np.ndarray | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        next(layer_gradients(winding_model(), "last", crops, targets))
