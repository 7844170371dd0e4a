"""A file with several positions or time points gives a field for each; one sample may be files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from stemcls.config.imaging import ReadConfig
from stemcls.errors import InputError
from stemcls.imaging.listing.fields import list_fields
from stemcls.imaging.listing.positions import expand_positions, read_position
from stemcls.imaging.readers.ifds import is_one_page


def write_scenes(path: Path, levels: dict[str, int], axes: str = "YX", shape=(8, 8)) -> Path:
    """Write an OME-TIFF of one scene for each name, filled with its level plus the time point."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tifffile.TiffWriter(path, ome=True) as file:
        for name, level in levels.items():
            pixels = np.full(shape, level, np.uint8)
            if axes[0] == "T":
                pixels += np.arange(shape[0], dtype=np.uint8).reshape(-1, *[1] * (len(shape) - 1))
            file.write(pixels, photometric="minisblack", metadata={"axes": axes, "Name": name})
    return path


def found(path: Path, **read) -> dict[str, int]:
    """Return the level of every field that reads, by its name."""
    config = ReadConfig(**read)
    return {
        place.name: int(read_position(place, config).pixels.flat[0])
        for place in expand_positions(path, config)
    }


def test_every_position_is_a_field_by_its_name(tmp_path):
    path = write_scenes(tmp_path / "a.ome.tif", {"Pos0": 10, "Pos1": 20, "left well": 30})
    every = {"a.ome.tif[Pos0]": 10, "a.ome.tif[Pos1]": 20, "a.ome.tif[left well]": 30}
    assert found(path) == every
    assert found(path, scene="all") == every


@pytest.mark.parametrize(
    ("choice", "names"),
    [("Pos1", ["Pos1"]), ("pos1", ["Pos1"]), ("2", ["left, well"]), ("left, well", ["left, well"]),
     ("0,Pos1", ["Pos0", "Pos1"]), ("1, 1", ["Pos1"])],
)  # fmt: skip
def test_positions_are_chosen_by_name_number_or_list(tmp_path, choice, names):
    levels = {"Pos0": 10, "Pos1": 20, "left, well": 30}
    path = write_scenes(tmp_path / "a.ome.tif", levels)
    assert found(path, scene=choice) == {f"a.ome.tif[{name}]": levels[name] for name in names}


def test_a_position_that_is_not_there_is_refused_when_read(tmp_path):
    path = write_scenes(tmp_path / "a.ome.tif", {"Pos0": 10, "Pos1": 20})
    (place,) = expand_positions(path, ReadConfig(scene="Pos3"))
    with pytest.raises(InputError, match=r"--scene Pos3 .* did you mean 'Pos"):
        read_position(place, ReadConfig(scene="Pos3"))


def test_positions_with_equal_names_or_names_like_numbers_stay_apart(tmp_path):
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as file:
        for name, level in (("1", 10), ("x", 20), ("x", 30)):
            file.write(np.full((8, 8), level, np.uint8), metadata={"axes": "YX", "Name": name})
    assert found(path) == {"a.ome.tif[1]": 10, "a.ome.tif[#1]": 20, "a.ome.tif[2]": 30}


def test_positions_of_different_sizes_are_all_read(tmp_path):
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as file:
        for name, edge in (("small", 8), ("large", 32)):
            file.write(np.zeros((edge, edge), np.uint8), metadata={"axes": "YX", "Name": name})
    sizes = [read_position(place).pixels.shape for place in expand_positions(path, ReadConfig())]
    assert sizes == [(1, 8, 8), (1, 32, 32)]


def test_time_points_must_be_chosen_and_each_is_a_field(tmp_path):
    path = write_scenes(tmp_path / "a.ome.tif", {"P": 10}, "TYX", (3, 8, 8))
    (place,) = expand_positions(path, ReadConfig())
    assert "holds 3 time points: --time all makes each a field" in place.problem
    with pytest.raises(InputError, match="--time 0 or --time 0,5"):
        read_position(place)
    assert found(path, time="all") == {f"a.ome.tif[t={t}]": 10 + t for t in range(3)}
    assert found(path, time="0,2") == {"a.ome.tif[t=0]": 10, "a.ome.tif[t=2]": 12}
    assert found(path, time="1") == {"a.ome.tif": 11}
    assert found(path, time="max") == {"a.ome.tif": 12}
    (place,) = expand_positions(path, ReadConfig(time="slices"))
    assert len(read_position(place, ReadConfig(time="slices")).pixels) == 3


def test_positions_and_time_points_multiply(tmp_path):
    path = write_scenes(tmp_path / "a.ome.tif", {"P": 10, "Q": 20}, "TYX", (2, 8, 8))
    assert found(path, time="all") == {
        "a.ome.tif[P t=0]": 10, "a.ome.tif[P t=1]": 11,
        "a.ome.tif[Q t=0]": 20, "a.ome.tif[Q t=1]": 21,
    }
    assert found(path, scene="Q", time="1") == {"a.ome.tif[Q]": 21}


def test_a_file_without_time_points_takes_any_joining_choice(tmp_path):
    path = write_scenes(tmp_path / "a.ome.tif", {"P": 10})
    for time in ("", "all", "max"):
        assert found(path, time=time) == {"a.ome.tif": 10}


def test_a_plain_page_is_told_without_opening_it(tmp_path):
    for name, pixels, kept in (
        ("a.tif", np.zeros((8, 8), np.uint8), True), ("b.tif", np.zeros((8, 8, 3), np.uint8), True),
        ("c.tif", np.zeros((5, 8, 8), np.uint8), False),
    ):
        tifffile.imwrite(tmp_path / name, pixels, photometric="rgb" if name == "b.tif" else None)
        assert is_one_page(tmp_path / name) is kept
    write_scenes(tmp_path / "o.tif", {"P": 1})
    assert not is_one_page(tmp_path / "o.tif")
    assert not is_one_page(tmp_path / "none.tif")


def write_channels(folder: Path, pattern: str, samples: int = 3, channels=("1", "2", "3")) -> None:
    for sample in range(samples):
        for level, channel in enumerate(channels, 1):
            path = folder / pattern.format(s=sample, c=channel)
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.full((6, 7), 10 * sample + level, np.uint8)
            cv2.imwrite(str(path), pixels)


KINDS = {
    "ch": ("{s}_Ch{c}.png", ("1", "2", "3")), "ch00": ("x{s}_ch0{c}.tif", ("0", "1")),
    "w": ("exp_w{c}_s{s}.TIF", ("1", "2")), "metamorph": ("e_w{c}_s{s}.tif", ("1DAPI", "2GFP")),
    "c": ("{s}_C{c}.tif", ("0", "1")), "imagej": ("C{c}-{s}.tif", ("1", "2")),
    "dye": ("f{s}-{c}.tif", ("DAPI", "GFP")), "folders": ("{c}/f{s}.tif", ("DAPI", "GFP")),
    "opera": ("r01c0{s}f01p01-ch{c}sk1fk1fl1.tiff", ("1", "2")),
    "micromanager": ("img_channel00{c}_position00{s}_z000.tif", ("0", "1")),
}


@pytest.mark.parametrize("kind", KINDS)
def test_one_file_per_channel_is_recognised_asked_and_composed(tmp_path, kind):
    pattern, channels = KINDS[kind]
    write_channels(tmp_path, pattern, channels=channels)
    asked = list_fields([tmp_path])
    assert [notice.kind for notice in asked.notices] == ["one-file-per-channel"]
    assert len(asked.names) == 3 * len(channels)
    composed = list_fields([tmp_path], channels="auto")
    assert not composed.notices
    fields = [read_position(place) for place in composed.names]
    levels = [[int(plane.flat[0]) for plane in field.pixels] for field in fields]
    expected = [[10 * s + n for n in range(1, len(channels) + 1)] for s in range(3)]
    assert sorted(levels) == expected
    assert all(len(set(field.channels)) == len(channels) for field in fields)
    assert not list_fields([tmp_path], channels="no").notices


@pytest.mark.parametrize(
    "names",
    [[f"d{s}_c{c}.png" for s in range(3) for c in range(s + 3)], [f"{n}.png" for n in range(9)],
     [f"HSC_{n}.png" for n in range(4)] + [f"MPP_{n}.png" for n in range(4)],
     ["a_Ch1.png", "a_Ch2.png", *(f"{n}.png" for n in range(5))]],
)  # fmt: skip
def test_numbers_of_cells_and_a_few_pairs_are_no_channels(tmp_path, names):
    for name in names:
        cv2.imwrite(str(tmp_path / name), np.zeros((6, 6), np.uint8))
    assert not list_fields([tmp_path]).notices


def test_a_sample_that_lacks_a_channel_and_a_file_without_one_are_skipped(tmp_path):
    write_channels(tmp_path, "{s}_Ch{c}.png")
    (tmp_path / "1_Ch2.png").unlink()
    cv2.imwrite(str(tmp_path / "overview.png"), np.zeros((6, 6), np.uint8))
    listed = list_fields([tmp_path], channels="auto")
    problems = [place.problem for place in listed.names if place.problem]
    assert problems == [
        "of the channels Ch1, Ch2, Ch3 this sample lacks Ch2: it has 1_Ch1.png, 1_Ch3.png"
    ]
    assert [Path(entry["path"]).name for entry in listed.skipped] == ["overview.png"]


def test_channels_of_different_size_or_of_several_slices_are_refused(tmp_path):
    write_channels(tmp_path, "{s}_Ch{c}.png")
    cv2.imwrite(str(tmp_path / "0_Ch2.png"), np.zeros((9, 9), np.uint8))
    cv2.imwrite(str(tmp_path / "1_Ch2.png"), np.full((6, 7, 3), (1, 2, 3), np.uint8))
    cv2.imwrite(str(tmp_path / "2_Ch2.png"), np.full((6, 7, 3), (0, 9, 0), np.uint8))
    size, slices, pure = list_fields([tmp_path], channels="auto").names
    with pytest.raises(InputError, match=r"0_Ch2\.png is 9x9 px of uint8, but .*is 6x7 px"):
        read_position(size)
    with pytest.raises(InputError, match=r"1_Ch2\.png holds 3 slices \(red, green, blue\)"):
        read_position(slices)
    assert read_position(pure).pixels[1].max() == 9, "a pure colour is the plane that it was"


@pytest.mark.parametrize(
    ("pattern", "says"),
    [("auto", "do not form samples"), ("(", "is not a regular expression"),
     ("_Ch", "finds no samples"), ("(z)", "finds no samples")],
)  # fmt: skip
def test_a_pattern_that_finds_no_channels_is_refused(tmp_path, pattern, says):
    for name in ("a.png", "b.png", "c.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((6, 6), np.uint8))
    with pytest.raises(InputError, match=says):
        list_fields([tmp_path], channels=pattern)


def test_a_pattern_of_the_user_says_what_a_channel_is(tmp_path):
    write_channels(tmp_path, "plate-{c}-{s}.png", channels=("alpha", "beta"))
    listed = list_fields([tmp_path], channels="-([a-z]+)-")
    assert [place.channels for place in listed.names] == [("alpha", "beta")] * 3


def test_fields_are_named_below_their_folder_and_given_twice_count_once(tmp_path):
    one = write_scenes(tmp_path / "a/x.ome.tif", {"P": 1, "Q": 2})
    cv2.imwrite(str(tmp_path / "y.png"), np.zeros((6, 6), np.uint8))
    names = list_fields([tmp_path, one]).names
    assert list(names.values()) == ["a/x.ome.tif[P]", "a/x.ome.tif[Q]", "y.png"]
    other = write_scenes(tmp_path / "b/x.ome.tif", {"P": 1, "Q": 2})
    names = list_fields([one, other]).names
    whole = [f"{path.as_posix()}[{s}]" for path in (one, other) for s in "PQ"]
    assert list(names.values()) == whole


def test_what_is_not_there_empty_or_left_out_is_said(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/a.vsi").write_bytes(b"\0\1")
    with pytest.raises(InputError, match=r"gone.tif does not exist; give image files, or folders"):
        list_fields([tmp_path / "gone.tif"])
    with pytest.raises(InputError, match=r"empty holds no images; .*skipped: a\.vsi"):
        list_fields([tmp_path / "empty"])
    cv2.imwrite(str(tmp_path / "y.png"), np.zeros((6, 6), np.uint8))
    with pytest.raises(InputError, match=r"--exclude z\* matches nothing in"):
        list_fields([tmp_path], exclude=["z*"])
