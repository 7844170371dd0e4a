"""The detector's patches, network and file agree with one another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stemcls.config.imaging import DetectConfig, SimulateConfig
from stemcls.errors import InputError
from stemcls.imaging.detection.network import SHIPPED, Network
from stemcls.imaging.field import Field
from stemcls.imaging.simulation.simulate import simulate_field
from stemcls.imaging.tuning.scoring import KnownCells
from stemcls.training.detector.network import build_network, read_onnx, write_onnx
from stemcls.training.detector.patches import KnownField, batches, heat_of
from stemcls.training.detector.shapes import draw_patch
from stemcls.training.detector.tune import tune_detector


def test_opencv_answers_as_keras_does_at_any_size(tmp_path):
    pytest.importorskip("onnx")
    model = read_onnx(SHIPPED)
    network = Network(SHIPPED)
    rng = np.random.default_rng(0)
    for shape in ((64, 64), (96, 40)):
        plane = rng.normal(size=shape).astype(np.float32)
        expected = np.asarray(model(plane[None, ..., None]))[0]
        heat, octaves = network.answer(plane)
        np.testing.assert_allclose(heat, 1 / (1 + np.exp(-expected[..., 0])), atol=1e-4)
        np.testing.assert_allclose(octaves, np.clip(expected[..., 1], -1.5, 1.5), atol=1e-4)


def test_normalisation_is_folded_into_the_file(tmp_path):
    pytest.importorskip("onnx")
    model = build_network()
    for layer in model.layers:
        if layer.name.endswith("_norm"):
            size = layer.gamma.shape
            layer.set_weights([np.linspace(0.5, 2, size[0]), np.full(size, 0.1),
                               np.full(size, 0.2), np.linspace(0.3, 3, size[0])])  # fmt: skip
    write_onnx(model, tmp_path / "a.onnx")
    plane = np.random.default_rng(1).normal(size=(1, 32, 32, 1)).astype(np.float32)
    again = read_onnx(tmp_path / "a.onnx")
    np.testing.assert_allclose(model(plane), again(plane), rtol=1e-3, atol=1e-4)


def test_a_field_larger_than_a_tile_is_answered_as_its_parts_are():
    network = Network(SHIPPED)
    plane = np.random.default_rng(2).normal(size=(64, 1100)).astype(np.float32)
    heat, _ = network.answer(plane)
    assert heat.shape == (32, 550)
    part, _ = network.answer(plane[:, 200:900].copy())
    np.testing.assert_allclose(heat[:, 160:400], part[:, 60:300], atol=1e-4)


def test_drawn_cells_are_where_the_patch_says():
    rng = np.random.default_rng(3)
    patch = draw_patch(rng, 160, 0.0)
    assert patch.pixels.shape == (160, 160)
    assert len(patch.centers_px) == len(patch.diameter_px)
    heat = heat_of(np.array([[40.0, 60.0]]), np.array([20.0]))
    assert np.unravel_index(heat[..., 0].argmax(), heat.shape[:2]) in {(19, 29), (20, 30), (20, 29)}
    assert heat[..., 0].max() > 0.9
    assert heat_of(np.array([[40.0, 60.0]]), np.array([80.0]))[..., 0].max() == 0


def test_patches_of_one_seed_are_the_same():
    pixels = np.random.default_rng(0).normal(size=(1, 200, 200))
    known = KnownField.of(pixels, np.full((5, 2), 100.0), np.full(5, 30.0))
    first, second = (next(batches([(1.0, [known])], 2, seed=4)) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
    assert first[0].shape == (2, 112, 112, 1)
    assert first[1].shape == (2, 56, 56, 3)


def test_a_detector_is_tuned_on_corrected_fields_and_judged_on_those_kept_back(tmp_path):
    pytest.importorskip("onnx")
    fields, known = [], []
    for number in range(2):
        pixels, cells = simulate_field(
            SimulateConfig(size_px=256, cells=14, slices=1, modality="fluorescence"), 0, number
        )
        fields.append(Field(pixels, Path(f"{number}.tif"), ("grey",)))
        known.append(KnownCells(cells.centers_px, cells.radius_px))
    out = tmp_path / "own.onnx"
    document = tune_detector(fields, known, DetectConfig(), out, steps=1)
    assert (document["fields"], document["kept_back"]) == (1, 1)
    assert document["f1_before"] > 0.9
    assert document["f1_after"] > 0.8
    assert out.is_file()
    assert out.with_suffix(".json").is_file()
    with pytest.raises(InputError, match="exists"):
        tune_detector(fields, known, DetectConfig(), out, steps=1)
    with pytest.raises(InputError, match="too few"):
        tune_detector(fields[:1], known[:1], DetectConfig(), tmp_path / "b.onnx", steps=1)


def test_another_file_is_no_detector(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"nothing")
    with pytest.raises(InputError, match="no detector"):
        Network(tmp_path / "a.onnx")
