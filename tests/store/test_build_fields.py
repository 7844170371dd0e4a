"""Fields of a build: their quality, scales, channels and places, in the document and the store."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile

from stemcls.config.imaging import BuildConfig, QualityConfig
from stemcls.config.options import from_mapping
from stemcls.errors import InputError
from stemcls.imaging import extract
from stemcls.imaging.field import Detections
from stemcls.store.build import build_store
from stemcls.store.cropstore import CropStore
from stemcls.store.describe import describe

SMALL = {"crop_px": 16, "core": 0.0}


@pytest.fixture
def write_field(tmp_path: Path) -> Callable[..., Path]:
    """Write an OME-TIFF of noise in `src`: slices of given mean levels."""

    def write(
        name: str, seed: int = 0, levels: tuple[float, ...] = (3000.0,), edge: int = 96,
        size_um: float | None = 0.5, channels: tuple[str, ...] | None = None, spread: float = 300.0,
    ) -> Path:
        generator = np.random.default_rng(seed)
        pixels = [generator.normal(level, spread * level / 3000, (edge, edge)) for level in levels]
        path = tmp_path / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        names = channels or tuple(f"c{number}" for number in range(len(levels)))
        about = {"axes": "CYX", "Channel": {"Name": list(names)}}
        if size_um:
            about |= {"PhysicalSizeX": size_um, "PhysicalSizeY": size_um,
                      "PhysicalSizeXUnit": "µm", "PhysicalSizeYUnit": "µm"}
        stack = np.clip(pixels, 0, 65535).astype(np.uint16)
        tifffile.imwrite(path, stack, photometric="minisblack", metadata=about, ome=True)
        return path

    return write


@pytest.fixture
def fixed_cells(monkeypatch) -> None:
    """Find three cells in every field: two close together, one alone."""

    def detect(field, config) -> Detections:
        centers = np.array([[40, 40], [42, 44], [70, 70]], np.float32)
        return Detections(
            centers, np.full(3, 5, np.float32), np.ones(3, np.float32), {"debris": 2}
        )

    monkeypatch.setattr(extract, "detect", detect)


def built(tmp_path: Path, config: BuildConfig, name: str = "out.h5", **more) -> tuple:
    document = build_store(tmp_path / "src", tmp_path / name, config, **more)
    return document, CropStore.open(tmp_path / name)


def test_quality_is_in_the_store_for_every_field(tmp_path, write_field, fixed_cells):
    write_field("a/1.ome.tif", levels=(3000.0,))
    write_field("a/2.ome.tif", levels=(6000.0,))
    _, store = built(tmp_path, BuildConfig(**SMALL, quality=QualityConfig(bits=14)))
    np.testing.assert_allclose(
        store.fields.brightness, [3000 / 16383 * 255, 6000 / 16383 * 255], rtol=0.01
    )
    assert (store.fields.focus > 0.1).all(), "noise is as sharp as can be"
    assert store.fields.saturated.tolist() == [0, 0]
    assert (store.fields.unevenness < 0.1).all()
    described = describe(store.path)
    assert set(described["quality"]) == {"brightness", "focus", "saturated", "unevenness"}
    assert set(described["quality"]["focus"]) == {"min", "median", "max"}


def test_fields_outside_the_limits_are_listed_with_figures(tmp_path, write_field, fixed_cells):
    write_field("a/dim.ome.tif", levels=(3000.0,))
    write_field("a/glaring.ome.tif", levels=(62000.0,))
    config = BuildConfig(**SMALL, quality=QualityConfig(max_brightness=230.0))
    document, store = built(tmp_path, config)
    (skipped,) = document["skipped"]
    assert skipped["path"] == "a/glaring.ome.tif"
    assert "mean V of HSV is 23" in skipped["reason"]
    assert "above the 230 of --max-brightness" in skipped["reason"]
    assert store.fields.path == ("a/dim.ome.tif",)


def test_cells_left_out_are_counted_by_reason_for_each_field(tmp_path, write_field, fixed_cells):
    write_field("a/1.ome.tif")
    write_field("a/2.ome.tif", edge=72, seed=2)
    document, store = built(tmp_path, BuildConfig(crop_px=16, edge="drop"))
    assert document["dropped"] == {"debris": 4, "crop leaves the field": 1}
    per_field = [json.loads(text) for text in store.fields.dropped]
    assert per_field[0] == {"debris": 2}
    assert per_field[1] == {"debris": 2, "crop leaves the field": 1}
    document, store = built(tmp_path, BuildConfig(crop_px=24, edge="drop"), "wider.h5")
    assert document["dropped"] == {
        "debris": 4, "another cell in the crop's core": 4, "crop leaves the field": 1,
    }
    assert describe(store.path)["dropped"] == document["dropped"]


def test_one_range_for_all_fields_is_recorded_and_repeats(tmp_path, write_field, fixed_cells):
    for number, level in enumerate((3000.0, 3000.0, 9000.0)):
        write_field(f"a/{number}.ome.tif", number, (level, 500.0))
    config = BuildConfig(**SMALL, scale="store", channels="c0")
    document, store = built(tmp_path, config)
    low, high = document["scale_range"]
    assert 1500 < low < 3000
    assert 9000 < high < 13000
    assert store.config["scale_range"] == [low, high]
    assert store.fields.scale_low.tolist() == [[low]] * 3
    means = [store.read(store.field_index == number).mean() for number in range(3)]
    expected = [(level - low) * 255 / (high - low) for level in (3000, 3000, 9000)]
    np.testing.assert_allclose(means, expected, atol=3)
    again, other = built(tmp_path, from_mapping(BuildConfig, store.config), "again.h5")
    assert again["scale_range"] == document["scale_range"]
    assert other.content_hash == store.content_hash
    assert describe(store.path)["scale"][0]["slice"] == "c0"


def test_ranges_of_each_field_are_recorded(tmp_path, write_field, fixed_cells):
    path = write_field("a/1.ome.tif", levels=(3000.0, 900.0))
    _, store = built(tmp_path, BuildConfig(**SMALL, scale_low=1.0, scale_high=99.0))
    pixels = tifffile.imread(path).reshape(2, -1)
    np.testing.assert_array_equal(store.fields.scale_low, [np.percentile(pixels, 1, axis=1)])
    np.testing.assert_array_equal(store.fields.scale_high, [np.percentile(pixels, 99, axis=1)])
    _, kept = built(tmp_path, BuildConfig(**SMALL, scale="none"), "kept.h5")
    assert np.isnan(kept.fields.scale_low).all()


def test_slices_kept_out_of_the_crop_are_still_measured(tmp_path, write_field, fixed_cells):
    write_field("a/1.ome.tif", levels=(3000.0, 700.0), channels=("DIC", "GFP"))
    document, store = built(tmp_path, BuildConfig(**SMALL, channels="DIC"))
    assert (document["slices"], store.slices, store.channels) == (("DIC",), ("DIC",), ("DIC",))
    assert store.n_channels == 1
    assert store.intensity_channels == ("DIC", "GFP")
    np.testing.assert_allclose(store.intensity[:, 1], 700, rtol=0.1)


def test_a_missing_channel_is_a_reason_that_lists_those_there(tmp_path, write_field, fixed_cells):
    write_field("a/1.ome.tif", levels=(3000.0, 700.0), channels=("DIC", "GFP"))
    with pytest.raises(InputError, match="has DIC, GFP; did you mean 'GFP'"):
        built(tmp_path, BuildConfig(**SMALL, channels="GPF"))


def odd(document):
    """Return the warnings about images, without those about the list as a whole."""
    return [
        entry for entry in document["warnings"]
        if entry.get("kind") not in ("no-groups", "one-image-class")
    ]


def test_oddities_are_told_once_with_their_number(tmp_path, write_field, fixed_cells):
    for number in range(5):
        write_field(f"a/{number}.ome.tif", number, (3000.0, 20.0), spread=30.0)
    write_field("a/5.ome.tif", 5, (3000.0, 3000.0), channels=("X", "Y"))
    document, _ = built(tmp_path, BuildConfig(**SMALL))
    other, black = odd(document)
    assert black["kind"] == "empty-slice"
    assert black["paths"] == [f"a/{number}.ome.tif" for number in range(5)]
    assert "slice 2 (c1) is nearly black or empty" in black["message"]
    assert other["kind"] == "mixed-channels"
    assert "CHANNELS: X, Y among c0, c1" in other["message"]
    assert other["paths"] == ["a/5.ome.tif"]


def test_mixed_pixel_sizes_are_warned_of_and_micrometres_mend_them(
    tmp_path, write_field, fixed_cells
):
    for number, size_um in enumerate((0.5, 0.5, 0.25)):
        write_field(f"a/{number}.ome.tif", number, size_um=size_um)
    document, store = built(tmp_path, BuildConfig(**SMALL))
    (warning,) = odd(document)
    assert (warning["kind"], warning["paths"]) == ("mixed-scales", ["a/2.ome.tif"])
    assert "MIXED SCALES: pixels are 0.25 to 0.5 um" in warning["message"]
    assert "--crop-um" in warning["message"]
    assert store.pixel_size_um is None
    config = BuildConfig(crop_px=16, core=0.0, crop_um=8.0)
    document, store = built(tmp_path, config, "um.h5")
    assert odd(document) == []
    assert store.pixel_size_um == document["crop_pixel_um"] == 0.5
    assert store.shape[1:] == (16, 16, 1)


def test_micrometres_without_a_pixel_size_are_refused_for_that_field(
    tmp_path, write_field, fixed_cells
):
    write_field("a/1.ome.tif")
    write_field("a/2.ome.tif", size_um=None)
    document, _ = built(tmp_path, BuildConfig(crop_px=16, crop_um=8.0))
    assert "2.ome.tif does not say" in document["skipped"][0]["reason"]
    assert "--pixel-size-um" in document["skipped"][0]["reason"]
    with pytest.raises(InputError, match=r"--crop-um .* cannot be used with --kind crops"):
        BuildConfig(kind="crops", crop_um=8.0)


def test_processes_give_the_same_store_as_one(tmp_path, write_field):
    rows = []
    for number in range(6):
        write_field(f"{'ab'[number % 2]}/{number}.ome.tif", number)
        rows += [f"{number}.ome.tif,{x},48,u" for x in (30, 50)]
    cells = tmp_path / "cells.csv"
    cells.write_text("field,x_px,y_px,label\n" + "\n".join(rows) + "\n")
    (tmp_path / "src" / "a" / "torn.tif").write_bytes(b"II*\0")
    config = BuildConfig(**SMALL, scale="store")
    first, alone = built(tmp_path, config, cells=cells, workers=1)
    second, together = built(tmp_path, config, "two.h5", cells=cells, workers=2)
    assert together.content_hash == alone.content_hash
    assert {**second, "store": ""} == {**first, "store": ""}
    assert first["crops"] == 12


def test_a_build_goes_on_with_the_range_it_measured(tmp_path, write_field, fixed_cells):
    for number in range(4):
        write_field(f"a/{number}.ome.tif", number)
    config = BuildConfig(**SMALL, scale="store")

    class Killed(BaseException):
        pass

    def killed(done: int, total: int, note: str) -> None:
        if done == 2 and not any(word in note for word in ("range", "diameter", "kind")):
            raise Killed

    with pytest.raises(Killed):
        built(tmp_path, config, update=killed)
    document, store = built(tmp_path, config)
    assert document["continued_at"] == 2
    assert store.content_hash == built(tmp_path, config, "whole.h5")[1].content_hash


def test_a_store_without_the_newer_columns_opens(tmp_path, write_field, fixed_cells):
    write_field("a/1.ome.tif")
    _, store = built(tmp_path, BuildConfig(**SMALL))
    with h5py.File(store.path, "r+") as file:
        for column in ("focus", "saturated", "unevenness", "scale_low", "scale_high",
                       "position_um", "acquired", "dropped"):
            del file[f"fields/{column}"]
        for name in ("slices", "content_hash_version"):
            del file.attrs[name]
    older = CropStore.open(store.path)
    assert older.fields.focus is None
    assert older.fields.dropped is None
    assert older.slices == ()
    described = describe(store.path)
    assert list(described["quality"]) == ["brightness"]
    assert (described["dropped"], described["scale"]) == ({}, [])


@pytest.mark.parametrize("count", [0, 10_000])
def test_no_cells_and_ten_thousand_cells_are_fields_like_others(
    tmp_path, write_field, monkeypatch, count
):
    def detect(field, config) -> Detections:
        n = count if field.path.name == "2.ome.tif" else 1
        centers = np.random.default_rng(0).uniform(10, 80, (n, 2)).astype(np.float32)
        return Detections(centers, np.full(n, 5, np.float32), np.ones(n, np.float32))

    monkeypatch.setattr(extract, "detect", detect)
    write_field("a/1.ome.tif")
    write_field("a/2.ome.tif", 2)
    document, store = built(tmp_path, BuildConfig(**SMALL))
    assert document["crops"] == 1 + count
    assert store.fields.n_cells.tolist() == [1, count]
