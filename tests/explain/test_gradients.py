"""Gradients are right, the same on every backend, and leave the model as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stemcls.errors import InputError
from stemcls.explain.explain import explain
from stemcls.explain.gradients import BACKENDS
from stemcls.explain.graph import INPUT
from stemcls.explain.methods import METHODS
from stemcls.explain.probe import open_probe

from .conftest import noise_crops, winding_model
from .zennit_reference import NETWORKS as LRP_NETWORKS
from .zennit_reference import PRESETS as LRP_PRESETS

POINTS = (INPUT, "joined", "middle")
OTHERS = [name for name in BACKENDS if name != "tensorflow"]


@pytest.mark.parametrize("backend", list(BACKENDS))
def test_a_model_that_reads_one_corner_lights_that_corner(probed: Any, backend: str) -> None:
    found = probed(backend)
    assert str(found["backend"]) == backend
    for name, row in METHODS.items():
        if not row.class_aware:
            continue
        corner = np.abs(found[f"corner:{name}"])
        assert (corner.max(axis=(1, 2)) == 1).all(), name
        assert corner[:, 10:].max() < 1e-6, name
        assert corner[:, :, :22].max() < 1e-6, name


@pytest.mark.parametrize("backend", OTHERS)
def test_every_method_agrees_across_backends(probed: Any, backend: str) -> None:
    found, reference = probed(backend), probed("tensorflow")
    for name in METHODS:
        maps = f"pooled:{name}"
        assert np.abs(reference[maps]).max() == 1, name
        np.testing.assert_allclose(found[maps], reference[maps], atol=1e-4, err_msg=name)


@pytest.mark.parametrize("backend", OTHERS)
def test_gradients_of_one_saved_model_agree_across_backends(probed: Any, backend: str) -> None:
    found, reference = probed(backend), probed("tensorflow")
    for point in POINTS:
        largest = np.abs(reference[f"gradient:{point}"]).max()
        assert largest > 1e-4
        for name in (f"gradient:{point}", f"activation:{point}"):
            np.testing.assert_allclose(found[name], reference[name], atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(found["logits"], reference["logits"], atol=1e-5)


@pytest.mark.parametrize("backend", list(BACKENDS))
def test_explaining_runs_as_predicting_does_and_moves_no_weight(probed: Any, backend: str) -> None:
    found = probed(backend)
    raised = np.exp(found["logits"] - found["logits"].max(axis=1, keepdims=True))
    np.testing.assert_allclose(
        raised / raised.sum(axis=1, keepdims=True), found["predicted"], atol=1e-5
    )
    np.testing.assert_allclose(found["alone"], found["logits"], atol=1e-5)
    assert found["moved"] == 0


@pytest.mark.parametrize(("backend", "library"), [
    ("tensorflow", "tf-keras-vis"), ("torch", "pytorch-grad-cam"),
])
def test_maps_equal_those_of_the_reference_library(
    probed: Any, backend: str, library: str
) -> None:
    found = probed(backend)
    names = [key.removeprefix("theirs:") for key in found if key.startswith("theirs:")]
    if not names:
        pytest.skip(f"{library} is not installed; pip install --no-deps -r .ci/references.txt")
    assert {"pooled:gradcam", "pooled:layercam"} <= set(names)
    assert ("fine:scorecam" in names) == (backend == "torch")
    for name in names:
        ours, theirs = found[f"ours:{name}"], found[f"theirs:{name}"]
        size = np.abs(theirs).max(axis=(1, 2), keepdims=True)
        assert (size > 0).any()
        np.testing.assert_allclose(ours / size.clip(1e-9), theirs / size.clip(1e-9), atol=1e-5,
                                   err_msg=name)


@pytest.mark.parametrize("preset", LRP_PRESETS)
@pytest.mark.parametrize("network", list(LRP_NETWORKS))
def test_lrp_equals_zennit(probed: Any, network: str, preset: str) -> None:
    found = probed("torch")
    if f"lrp:zennit:{network}:{preset}" not in found:
        pytest.skip("zennit is not installed; .ci/references.txt lists it")
    theirs, ours = (found[f"lrp:{whose}:{network}:{preset}"] for whose in ("zennit", "ours"))
    largest = np.abs(theirs).max()
    assert largest > 1e-3
    np.testing.assert_allclose(ours / largest, theirs / largest, atol=1e-5, rtol=0)


def test_gradients_equal_finite_differences() -> None:
    import keras

    model, crops = winding_model(), noise_crops(2, 3)
    probe = open_probe(model, "middle")
    found = probe.gradients(crops, np.array([2, 0]), ("middle",))
    tail = keras.Model(model.get_layer("middle").output, model.get_layer("logits").output)
    random = np.random.default_rng(1)
    for _ in range(4):
        step = random.normal(size=found.activations[0].shape).astype(np.float32) * 0.05
        above = tail.predict_on_batch(found.activations[0] + step)
        below = tail.predict_on_batch(found.activations[0] - step)
        moved = (above - below)[[0, 1], [2, 0]] / 2
        expected = (found.gradients[0] * step).sum(axis=(1, 2, 3))
        np.testing.assert_allclose(moved, expected, atol=2e-4)


@pytest.mark.parametrize("method", list(METHODS))
def test_the_size_of_a_batch_changes_nothing(method: str) -> None:
    from .conftest import pooled_model

    model, crops, targets = pooled_model(), noise_crops(5, 3), np.array([0, 1, 2, 0, 1])
    whole = explain(model, crops, targets, method, "maps", batch_size=8)
    parts = explain(model, crops, targets, method, "maps", batch_size=3)
    np.testing.assert_allclose(parts.heatmaps, whole.heatmaps, atol=2e-5)


def test_points_are_returned_in_the_order_they_were_asked_for() -> None:
    probe = open_probe(winding_model())
    crops, targets = noise_crops(2, 3), np.array([1, 1])
    there = probe.gradients(crops, targets, ("middle", INPUT))
    back = probe.gradients(crops, targets, (INPUT, "middle"))
    np.testing.assert_array_equal(there.gradients[0], back.gradients[1])
    assert there.gradients[1].shape == crops.shape


def test_a_model_can_be_saved_and_split_again_after_it_was_explained(tmp_path: Path) -> None:
    import keras

    model, crops, targets = winding_model(), noise_crops(2, 3), np.array([0, 2])
    first = open_probe(model).gradients(crops, targets, ("last",))
    second = open_probe(model).gradients(crops, targets, ("last",))
    np.testing.assert_array_equal(first.gradients[0], second.gradients[0])
    model.save(tmp_path / "again.keras")
    loaded = keras.saving.load_model(tmp_path / "again.keras")
    assert [layer.name for layer in loaded.layers] == [layer.name for layer in model.layers]
    third = open_probe(loaded).gradients(crops, targets, ("last",))
    np.testing.assert_allclose(first.gradients[0], third.gradients[0], atol=1e-6)


@pytest.mark.parametrize(
    ("crops", "targets", "message"),
    [
        (noise_crops(2, 1), None, r"takes crops \(N, \*\(32, 32, 3\)\), found \(2, 32, 32, 1\)"),
        (noise_crops(2, 3), np.array([0, 3]), "class indices 0 to 2; found 0 to 3"),
        (noise_crops(2, 3), 3, "class indices 0 to 2; found 3 to 3"),
        (noise_crops(2, 3), np.array([0]), "one class index for each of 2 crops"),
        (noise_crops(2, 3), np.array([0.0, 1.0]), "found float64"),
    ],
)
def test_crops_and_targets_that_do_not_fit_are_named(
    crops: np.ndarray, targets: np.ndarray | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        explain(winding_model(), crops, targets)
