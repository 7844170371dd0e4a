"""TIFFs of microscopes and slide scanners, pyramids and previews, written from their layout.

They show that the adapters pass on what tifffile reads, not that a microscope's own file is read.
"""

from __future__ import annotations

import struct

import numpy as np
import pytest
import tifffile

from stemcls.config.imaging import ReadConfig
from stemcls.errors import InputError
from stemcls.imaging.readers import describe_file, read_field

RNG = np.random.default_rng(2)
STACK = RNG.integers(0, 4096, (2, 3, 20, 26), dtype=np.uint16)  # Z, C, Y, X


def write_lsm(path, positions: int = 0):
    """Write a Zeiss LSM: every plane is followed by a thumbnail, channels are samples."""
    about = np.zeros(1, tifffile.TIFF.CZ_LSMINFO)
    for name, value in {
        "MagicNumber": 67127628, "StructureSize": about.dtype.itemsize, "DimensionX": 26,
        "DimensionY": 20, "DimensionZ": 2, "DimensionChannels": 3, "DimensionTime": 1,
        "DataType": 2, "ThumbnailX": 8, "ThumbnailY": 8, "VoxelSizeX": 0.2e-6,
        "VoxelSizeY": 0.2e-6, "VoxelSizeZ": 1e-6, "ScanType": 0, "DimensionP": positions,
    }.items():  # fmt: skip
        about[name] = value
    raw = about.tobytes()
    with tifffile.TiffWriter(path) as file:
        for position in range(max(1, positions)):
            for number, plane in enumerate(STACK):
                first = not number and not position
                file.write(
                    plane + position, photometric="minisblack", planarconfig="separate",
                    metadata=None, extratags=[(34412, 1, len(raw), raw, True)] if first else [],
                )  # fmt: skip
                thumb = np.zeros((8, 8), np.uint8)
                file.write(thumb, photometric="minisblack", subfiletype=1, metadata=None)


@pytest.mark.parametrize("suffix", [".lsm", ".tif"])
def test_an_lsm_gives_channels_planes_and_pixel_size_and_no_thumbnails(suffix, tmp_path):
    path = tmp_path / f"a{suffix}"
    write_lsm(path)
    (scene,) = describe_file(path)["scenes"]
    assert scene["axes"] == {"Z": 2, "C": 3, "Y": 20, "X": 26}
    field = read_field(path, ReadConfig(z="1"))
    assert np.array_equal(field.pixels, STACK[1])
    assert field.pixel_size_um == pytest.approx(0.2)
    assert field.remarks == ()


def test_the_positions_of_an_lsm_are_scenes(tmp_path):
    path = tmp_path / "a.lsm"
    write_lsm(path, positions=2)
    assert [one["name"] for one in describe_file(path)["scenes"]] == ["position 1", "position 2"]
    field = read_field(path, ReadConfig(scene="1", z="1"))
    assert np.array_equal(field.pixels, STACK[1] + 1)


def test_a_metamorph_stack_gives_its_planes(tmp_path):
    path = tmp_path / "a.stk"
    planes = STACK[0]
    # UIC2Tag: six numbers a plane: distance in z, date and time of creation and of change.
    about = np.array([[n + 1, 1, 2460000, 1000 + n, 2460000, 1000 + n] for n in range(3)], "<u4")
    tifffile.imwrite(
        path, planes[0], photometric="minisblack", metadata=None, rowsperstrip=20,
        extratags=[
            (33628, 4, 4, (0, 0, 1, 0), True), (33629, 4, 18, tuple(about.ravel().tolist()), True)
        ],
    )  # fmt: skip
    data = bytearray(path.read_bytes())
    # As MetaMorph counts: settings, and planes.
    for tag, longs, kind, count in ((33628, 4, 4, 2), (33629, 18, 5, 3)):
        place = data.index(struct.pack("<HHI", tag, 4, longs))
        struct.pack_into("<HHI", data, place, tag, kind, count)
    path.write_bytes(data)
    with path.open("ab") as file:
        file.write(planes[1:].tobytes())
    field = read_field(path)
    assert np.array_equal(field.pixels, planes)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(InputError, match=r"a\.stk is damaged or truncated"):
        read_field(path)


def test_smaller_copies_of_an_image_are_no_scenes(tmp_path):
    big = RNG.integers(0, 255, (64, 96, 3), dtype=np.uint8)
    for name, options in (("sub.tif", {"subifds": 2}), ("pages.tif", {})):
        with tifffile.TiffWriter(tmp_path / name) as file:
            file.write(big, photometric="rgb", tile=(32, 32), metadata=None, **options)
            for step in (2, 4):
                small = np.ascontiguousarray(big[::step, ::step])
                file.write(small, photometric="rgb", tile=(32, 32), metadata=None, subfiletype=1)
        assert len(describe_file(tmp_path / name)["scenes"]) == 1
        assert np.array_equal(read_field(tmp_path / name).pixels, np.moveaxis(big, 2, 0))


def test_of_a_slide_the_largest_image_is_read_without_label_and_overview(tmp_path):
    path = tmp_path / "a.svs"
    big = RNG.integers(0, 255, (64, 96, 3), dtype=np.uint8)
    text = "Aperio Image Library v12.0\n96x64 |AppMag = 40|MPP = 0.2520"
    with tifffile.TiffWriter(path) as file:
        file.write(big, photometric="rgb", tile=(32, 32), metadata=None, description=text)
        for name in ("", "label 9x9", "macro 9x9"):
            file.write(
                big[:9, :9], photometric="rgb", metadata=None,
                description=f"Aperio Image Library v12.0\n{name}",
            )  # fmt: skip
    field = read_field(path)
    assert np.array_equal(field.pixels, np.moveaxis(big, 2, 0))
    assert field.pixel_size_um == pytest.approx(0.252)


def test_pages_of_a_stack_that_mean_different_things_are_each_understood(tmp_path):
    plane = STACK[0, 0].astype(np.uint8)
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(plane, photometric="minisblack", metadata=None)
        file.write(255 - plane, photometric="miniswhite", metadata=None)
    field = read_field(tmp_path / "a.tif")
    assert np.array_equal(field.pixels, np.stack([plane, plane]))
    with tifffile.TiffWriter(tmp_path / "b.tif") as file:
        file.write(plane, photometric="minisblack", metadata=None)
        file.write(plane, photometric="minisblack", metadata=None,
                   extratags=[(274, 3, 1, 3, True)])  # fmt: skip
    with pytest.raises(InputError, match="are turned differently"):
        read_field(tmp_path / "b.tif")
