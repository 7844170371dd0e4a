"""A field to predict is treated exactly as in the store that the model was trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from stemcls.config.imaging import BuildConfig, QualityConfig
from stemcls.errors import InputError
from stemcls.imaging import extract
from stemcls.imaging.field import Detections
from stemcls.models.saved import ModelCard
from stemcls.prediction import inputs
from stemcls.store.build import build_store
from stemcls.store.cropstore import CropStore


@pytest.fixture(autouse=True)
def fixed_cells(monkeypatch) -> None:
    def detect(field, config) -> Detections:
        centers = np.array([[40, 40], [42, 44], [70, 70], [3, 3]], np.float32)
        return Detections(centers, np.full(4, 5, np.float32), np.ones(4, np.float32))

    monkeypatch.setattr(extract, "detect", detect)


def write_field(path: Path, seed: int, size_um: float | None = 0.5) -> Path:
    generator = np.random.default_rng(seed)
    pixels = generator.normal(3000 + 500 * seed, 300, (2, 96, 96)).astype(np.uint16)
    pixels[1] //= 3
    about = {"axes": "CYX", "Channel": {"Name": ["DIC", "GFP"]}}
    if size_um:
        about |= {"PhysicalSizeX": size_um, "PhysicalSizeY": size_um,
                  "PhysicalSizeXUnit": "µm", "PhysicalSizeYUnit": "µm"}
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, pixels, photometric="minisblack", metadata=about, ome=True)
    return path


def card_of(store: CropStore) -> ModelCard:
    return ModelCard(
        ("a",), store.size_px, store.channels, store.dtype.name, store.pixel_size_um,
        store.config["kind"], store.config,
    )


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"channels": "GFP"},
        {"channels": "GFP,DIC", "scale": "store"},
        {"scale": "none", "edge": "reflect"},
        {"crop_um": 6.0},
        {"crop_um": 12.0, "scale": "field", "scale_low": 5.0},
        {"quality": QualityConfig(flatten="surface", target_brightness=130.0)},
    ],
)
def test_crops_to_predict_are_those_of_the_store(tmp_path, settings):
    paths = [write_field(tmp_path / "src" / "a" / f"{n}.ome.tif", n) for n in range(3)]
    build_store(tmp_path / "src", tmp_path / "s.h5", BuildConfig(crop_px=16, **settings))
    store = CropStore.open(tmp_path / "s.h5")
    for number, path in enumerate(paths):
        sample = inputs.load_sample(path, card_of(store), None, "auto")
        rows = np.flatnonzero(store.field_index == number)
        assert sample.n == len(rows) > 0
        np.testing.assert_array_equal(sample.read(np.arange(sample.n)), store.read(rows))
        np.testing.assert_array_equal(sample.centers_px, store.centers_px[rows])


def test_a_field_the_store_would_have_left_out_is_left_out_with_the_reason(tmp_path):
    write_field(tmp_path / "src" / "a" / "0.ome.tif", 0)
    config = BuildConfig(crop_px=16, quality=QualityConfig(max_brightness=14.0))
    build_store(tmp_path / "src", tmp_path / "s.h5", config)
    card = card_of(CropStore.open(tmp_path / "s.h5"))
    bright = write_field(tmp_path / "bright.ome.tif", 9)
    with pytest.raises(InputError, match="above the 14 of --max-brightness"):
        inputs.load_sample(bright, card, None, "auto")


def test_micrometres_take_any_magnification_and_need_its_size(tmp_path):
    write_field(tmp_path / "src" / "a" / "0.ome.tif", 0)
    build_store(tmp_path / "src", tmp_path / "px.h5", BuildConfig(crop_px=16))
    build_store(tmp_path / "src", tmp_path / "um.h5", BuildConfig(crop_px=16, crop_um=8.0))
    px, um = (card_of(CropStore.open(tmp_path / f"{name}.h5")) for name in ("px", "um"))
    finer = write_field(tmp_path / "finer.ome.tif", 1, size_um=0.25)
    with pytest.raises(InputError, match=r"trained on 0\.5.*--crop-um"):
        inputs.load_sample(finer, px, None, "auto")
    assert inputs.load_sample(finer, um, None, "auto").n
    unknown = write_field(tmp_path / "unknown.ome.tif", 1, size_um=None)
    with pytest.raises(InputError, match=r"unknown\.ome\.tif does not say .* --pixel-size-um"):
        inputs.load_sample(unknown, um, None, "auto")
    found = inputs.load_sample(unknown, um, None, "auto", pixel_size_um=0.25)
    np.testing.assert_array_equal(
        found.centers_px, inputs.load_sample(finer, um, None, "auto").centers_px
    )


def test_cells_left_out_are_counted_and_older_models_keep_crowded_ones(tmp_path):
    path = write_field(tmp_path / "src" / "a" / "0.ome.tif", 0)
    build_store(tmp_path / "src", tmp_path / "s.h5", BuildConfig(crop_px=24, edge="drop"))
    card = card_of(CropStore.open(tmp_path / "s.h5"))
    sample = inputs.load_sample(path, card, None, "auto")
    assert (sample.n, sample.dropped) == (
        1, {"another cell in the crop's core": 2, "crop leaves the field": 1}
    )
    older = {key: value for key, value in card.build.items() if key != "core"}
    card = ModelCard(**{**vars(card), "build": older})
    assert inputs.load_sample(path, card, None, "auto").n == 3
