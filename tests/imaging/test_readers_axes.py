"""What becomes a slice: the rule of the sole longer axis, and every choice a user has."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from stemcls.config.imaging import ReadConfig
from stemcls.errors import InputError
from stemcls.imaging.readers import read_field

STACK = np.random.default_rng(1).integers(0, 4000, (4, 3, 2, 20, 16), dtype=np.uint16)


@pytest.fixture
def tzc(tmp_path):
    """OME-TIFF with T=4, Z=3, C=2."""
    path = tmp_path / "a.ome.tif"
    metadata = {"axes": "TZCYX", "Channel": {"Name": ["DIC", "GFP"]}}
    tifffile.imwrite(path, STACK, ome=True, metadata=metadata)
    return path


@pytest.fixture
def two_scenes(tmp_path):
    """OME-TIFF with the images `left` and `right`, C=2 each."""
    path = tmp_path / "s.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as file:
        file.write(STACK[0, 0], metadata={"axes": "CYX", "Name": "left"})
        file.write(STACK[1, 0], metadata={"axes": "CYX", "Name": "right"})
    return path


@pytest.mark.parametrize(
    ("choice", "expected", "names"),
    [
        ({"time": "1", "z": "2"}, STACK[1, 2], ("DIC", "GFP")),
        ({"time": "1", "z": "2", "channel": "1"}, STACK[1, 2, 1:], ("GFP",)),
        ({"time": "1", "z": "2", "channel": "gfp"}, STACK[1, 2, 1:], ("GFP",)),
        ({"time": "0", "channel": "DIC"}, STACK[0, :, 0], ("z-1", "z-2", "z-3")),
        (
            {"time": "slices", "z": "0", "channel": "0"}, STACK[:, 0, 0],
            ("t-1", "t-2", "t-3", "t-4"),
        ),
        ({"time": "3", "z": "max"}, STACK[3].max(0), ("DIC", "GFP")),
        ({"time": "max", "z": "max"}, STACK.max((0, 1)), ("DIC", "GFP")),
        ({"time": "3", "z": "max", "channel": "max"}, STACK[3].max((0, 1))[None], ("channel-max",)),
        ({"time": "3", "z": "mean"}, np.rint(STACK[3].mean(0)), ("DIC", "GFP")),
        # z is projected first: the mean over time of each stack's maximum
        ({"time": "mean", "z": "max"}, np.rint(STACK.max(1).mean(0)), ("DIC", "GFP")),
    ],
)
def test_each_choice_gives_its_planes_and_names(choice, expected, names, tzc):
    field = read_field(tzc, ReadConfig(**choice))
    assert field.pixels.dtype == np.uint16
    assert np.array_equal(field.pixels, expected)
    assert field.channels == names


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({}, r"T=4, Z=3, C=2\).*choose with --time N\|max\|mean\|slices, --z .*, --channel"),
        ({"time": "0"}, r"more than one axis beside Y and X \(Z=3, C=2\).*choose with --z"),
        ({"time": "slices"}, r"\(T=4, Z=3, C=2\).*choose with --z .*--channel"),
        ({"time": "slices", "z": "slices", "channel": "0"}, "--time and --z both ask for slices"),
        ({"time": "4"}, "--time 4 is out of range: the file has 4 time points, numbered 0 to 3"),
        ({"z": "-1"}, "--z -1 is no number from 0 to 2"),
        ({"z": "maxx"}, "--z maxx is no number.*did you mean 'max'"),
        ({"channel": "GPF"}, r"GPF .*did you mean 'GFP'\? \(the file has 0 'DIC', 1 'GFP'"),
        ({"channel": "2"}, r"out of range: the file has 2 channels, .*\(0 'DIC', 1 'GFP'\)"),
        ({"scene": "1"}, "--scene 1 is out of range: the file has 1 scene"),
    ],
)
def test_a_choice_that_cannot_be_met_says_what_there_is(choice, message, tzc):
    with pytest.raises(InputError, match=message):
        read_field(tzc, ReadConfig(**choice))


def test_a_scene_must_be_chosen_by_number_or_name(two_scenes):
    with pytest.raises(InputError, match=r"2 images \(0 'left' C=2 20x16; 1 'right'.*--scene N"):
        read_field(two_scenes)
    for choice in ("1", "right", "RIGHT"):
        field = read_field(two_scenes, ReadConfig(scene=choice))
        assert np.array_equal(field.pixels, STACK[1, 0])
    with pytest.raises(InputError, match=r"--scene rihgt .*did you mean 'right'"):
        read_field(two_scenes, ReadConfig(scene="rihgt"))


def test_scenes_of_one_size_can_be_projected_or_be_slices(two_scenes):
    largest = read_field(two_scenes, ReadConfig(scene="max"))
    assert np.array_equal(largest.pixels, STACK[:2, 0].max(0))
    side_by_side = read_field(two_scenes, ReadConfig(scene="slices", channel="0"))
    assert np.array_equal(side_by_side.pixels, STACK[:2, 0, 0])
    assert side_by_side.channels == ("scene-1", "scene-2")


def test_scenes_of_different_size_are_not_mixed(tmp_path):
    with tifffile.TiffWriter(tmp_path / "s.ome.tif", ome=True) as file:
        file.write(STACK[0, 0, 0], metadata={"axes": "YX"})
        file.write(STACK[0, 0, 0, :8], metadata={"axes": "YX"})
    with pytest.raises(InputError, match="needs scenes of one size and type"):
        read_field(tmp_path / "s.ome.tif", ReadConfig(scene="max"))
    assert read_field(tmp_path / "s.ome.tif", ReadConfig(scene="1")).pixels.shape == (1, 8, 16)


def test_colour_stays_red_green_blue_and_other_axes_need_a_choice(tmp_path):
    pixels = np.random.default_rng(2).integers(0, 255, (3, 20, 16, 3), dtype=np.uint8)
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, pixels, ome=True, photometric="rgb", metadata={"axes": "ZYXS"})
    with pytest.raises(InputError, match=r"colour image with more axes \(Z=3, S=3\).*--z"):
        read_field(path)
    with pytest.raises(InputError, match="red, green and blue are its slices"):
        read_field(path, ReadConfig(z="slices"))
    field = read_field(path, ReadConfig(z="1"))
    assert field.channels == ("red", "green", "blue")
    assert np.array_equal(field.pixels, np.moveaxis(pixels[1], 2, 0))
    projected = read_field(path, ReadConfig(z="max"))
    assert np.array_equal(projected.pixels, np.moveaxis(pixels.max(0), 2, 0))


def test_untied_pages_are_slices_until_there_is_another_axis(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for plane in STACK[0, :, 0]:
            file.write(plane, contiguous=False, photometric="minisblack")
    field = read_field(tmp_path / "a.tif")
    assert np.array_equal(field.pixels, STACK[0, :, 0])
    assert field.channels == ("slice-1", "slice-2", "slice-3")


def test_only_the_planes_that_are_needed_are_decoded(tzc, monkeypatch):
    read = []
    original = tifffile.TiffPage.asarray

    def asarray(page, *args, **kwargs):
        read.append(page.index)
        return original(page, *args, **kwargs)

    compressed = tzc.with_name("c.ome.tif")
    tifffile.imwrite(compressed, STACK, ome=True, compression="zlib", metadata={"axes": "TZCYX"})
    monkeypatch.setattr(tifffile.TiffPage, "asarray", asarray)
    monkeypatch.setattr(tifffile.TiffFrame, "asarray", asarray, raising=False)
    read_field(compressed, ReadConfig(time="2", z="1"))
    assert len(read) == 2
