"""OME-Zarr: images, plates and sets of images, of NGFF 0.4 and 0.5."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from stemcls.config.imaging import ReadConfig
from stemcls.errors import InputError
from stemcls.imaging.readers import describe_file, is_image_folder, read_field

zarr = pytest.importorskip("zarr")
RNG = np.random.default_rng(3)
STACK = RNG.integers(1, 4096, (2, 3, 20, 26), dtype=np.uint16)  # C, Z, Y, X


def about(version: str, found: dict) -> dict:
    return {"ome": {"version": version, **found}} if version == "0.5" else found


def image(version: str, name: str = "") -> dict:
    axes = [{"name": "c", "type": "channel"}, {"name": "z", "type": "space"}]
    axes += [{"name": axis, "type": "space", "unit": "nanometer"} for axis in "yx"]
    scale = [{"type": "scale", "scale": [1, 1, 325.0, 325.0]}]
    window = {"min": 0, "max": 4095, "start": 0, "end": 900}
    return about(version, {
        "multiscales": [{
            "name": name, "axes": axes, "version": version,
            "datasets": [{"path": "0", "coordinateTransformations": scale}, {"path": "1"}],
        }],
        "omero": {"channels": [{"label": name, "window": window} for name in ("DIC", "GFP")]},
    })  # fmt: skip


def group(path, version: str, attributes: dict):
    return zarr.open_group(
        str(path), mode="a", zarr_format=3 if version == "0.5" else 2, attributes=attributes
    )


def fill(target, pixels, **options):
    target.create_array("0", data=pixels, chunks=(1, 1, 10, 13), **options)
    target.create_array("1", data=pixels[..., ::2, ::2])


@pytest.fixture(params=["0.4", "0.5"])
def version(request):
    return request.param


@pytest.fixture
def picture(version, tmp_path):
    path = tmp_path / "cells ü.ome.zarr"
    fill(group(path, version, image(version, "well one")), STACK)
    return path


@pytest.fixture
def plate(version, tmp_path):
    path = tmp_path / "plate.zarr"
    wells = {"A/01": 1, "B/03": 2}
    listed = [{"path": name, "rowIndex": 0, "columnIndex": 0} for name in wells]
    group(path, version, about(version, {"plate": {"wells": listed}}))
    for well, (name, count) in enumerate(wells.items()):
        images = [{"path": str(field)} for field in range(count)]
        group(path / name, version, about(version, {"well": {"images": images}}))
        for field in range(count):
            fill(group(path / name / str(field), version, image(version)), STACK + well + field)
    return path


def test_an_image_gives_its_planes_channels_bits_and_pixel_size(picture):
    assert is_image_folder(picture)
    (scene,) = describe_file(picture)["scenes"]
    assert scene["axes"] == {"C": 2, "Z": 3, "Y": 20, "X": 26}
    assert scene["name"] == "well one"
    with pytest.raises(InputError, match=r"\(C=2, Z=3\).*choose with --channel-plane"):
        read_field(picture)
    field = read_field(picture, ReadConfig(z="1"))
    assert np.array_equal(field.pixels, STACK[:, 1])
    assert (field.channels, field.bits, field.remarks) == (("DIC", "GFP"), 12, ())
    assert field.pixel_size_um == pytest.approx(0.325)
    assert np.array_equal(read_field(picture, ReadConfig(z="max")).pixels, STACK.max(1))


def test_the_fields_of_a_plate_are_scenes_named_by_well_and_field(plate):
    names = [scene["name"] for scene in describe_file(plate)["scenes"]]
    assert names == ["A/01/0", "B/03/0", "B/03/1"]
    for add, name in enumerate(names):
        field = read_field(plate, ReadConfig(scene=name, z="0"))
        assert np.array_equal(field.pixels, STACK[:, 0] + add)
    well = read_field(plate / ".." / "plate.zarr", ReadConfig(scene="1", z="0"))
    assert np.array_equal(well.pixels, STACK[:, 0] + 1)


def test_a_lost_field_or_level_is_named(plate):
    shutil.rmtree(plate / "B" / "03" / "1" / "0")
    with pytest.raises(InputError, match=r"plate\.zarr .*the array 0 of B/03/1 is missing"):
        describe_file(plate)
    shutil.rmtree(plate / "B" / "03" / "1")
    with pytest.raises(InputError, match=r"the field B/03/1 of the plate is missing"):
        describe_file(plate)


def test_images_that_bioformats2raw_wrote_are_scenes_in_order(version, tmp_path):
    path = tmp_path / "a.zarr"
    group(path, version, about(version, {"bioformats2raw.layout": 3}))
    for number in (0, 1, 10, 2):
        fill(group(path / str(number), version, image(version)), STACK + number)
    names = [scene["name"] for scene in describe_file(path)["scenes"]]
    assert names == ["0", "1", "2", "10"]
    field = read_field(path, ReadConfig(scene="10", z="0"))
    assert np.array_equal(field.pixels, STACK[:, 0] + 10)


def test_chunks_that_are_not_stored_are_said_and_a_plane_without_any_is_refused(version, tmp_path):
    path = tmp_path / "a.zarr"
    pixels = STACK.copy()
    pixels[0, 0, :10, :13] = 0
    pixels[1, 2] = 0
    fill(group(path, version, image(version)), pixels, fill_value=0)
    field = read_field(path, ReadConfig(z="0"))
    assert np.array_equal(field.pixels, pixels[:, 0])
    assert "chunks are not stored" in field.remarks[0]
    with pytest.raises(InputError, match=r"nothing is stored of the plane at C=1, Z=2"):
        read_field(path, ReadConfig(z="2"))


def test_a_damaged_chunk_or_description_is_an_input_error(picture, version):
    for chunk in (picture / "0").rglob("*"):
        if chunk.is_file() and chunk.name not in ("zarr.json", ".zarray", ".zattrs"):
            chunk.write_bytes(chunk.read_bytes()[:-9])
    with pytest.raises(InputError, match=r"\.ome\.zarr is damaged or truncated, zarr says"):
        read_field(picture, ReadConfig(z="slices", channel="0"))
    about = picture / ("zarr.json" if version == "0.5" else ".zattrs")
    about.write_text("{")
    with pytest.raises(InputError, match="is damaged or truncated"):
        describe_file(picture)


def test_folders_that_are_no_ome_zarr_are_refused(tmp_path):
    folder = tmp_path / "a.zarr"
    folder.mkdir()
    assert not is_image_folder(folder)
    with pytest.raises(InputError, match=r"named \.zarr but its content is no OME-Zarr"):
        read_field(folder)
    (folder / "zarr.json").write_text(json.dumps({"zarr_format": 3, "node_type": "group"}))
    assert is_image_folder(folder)
    with pytest.raises(InputError, match="says nothing of images"):
        read_field(folder)
    assert not is_image_folder(tmp_path)
