"""Microscope formats against readers written by others, and files that are cut or incomplete."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from stemcls.config.imaging import ReadConfig
from stemcls.errors import InputError
from stemcls.imaging.listing.walk import walk
from stemcls.imaging.readers import READERS, describe_file, read_field

from .reader_files import (
    ACQUIRED,
    CHANNELS,
    PIXEL_SIZE_UM,
    PLANES,
    WRITERS,
    skip_without_package,
    write_oib,
    write_oif,
)

CZI = "CellDivision_T3_Z5_CH2_X240_Y170.czi"
CZI_COMPRESSED = "CellDivision_T3_Z5_CH2_X240_Y170_comp1.czi"
LIF = "testdata_2channel_xz.lif"
# Each real file with choices under which all of it, or its last plane, is needed.
REAL = [
    ("cluster.nd2", ReadConfig(time="max", z="max")),
    (CZI, ReadConfig(time="max", z="max")),
    (CZI_COMPRESSED, ReadConfig(time="max", z="max")),
    (LIF, ReadConfig(scene="xz")),
    ("4D-series.ome.tiff", ReadConfig(time="max")),
    ("CH1_16bit.tif", ReadConfig()),
]


@pytest.fixture
def formats(shared_data) -> Path:
    return shared_data / "formats"


def cuts_refused(path, part, data, sizes, read, whole) -> list[str]:
    """Cut `part` of a file at each size; return the refusals, what is read must be whole."""
    messages = []
    for size in sizes:
        part.write_bytes(data[:size])
        try:
            pixels = read_field(path, read).pixels
        except InputError as error:
            messages.append(str(error))
        else:
            assert np.array_equal(pixels, whole)
    return messages


def test_every_format_of_microscopes_but_nd2_can_be_written_here():
    microscopes = {end for end, reader in READERS.items() if reader.extra == "microscopes"}
    assert microscopes - set(WRITERS) == {".nd2"}


@pytest.mark.parametrize("suffix", sorted(WRITERS))
def test_every_written_format_gives_its_planes_names_and_pixel_size(suffix, tmp_path):
    skip_without_package(suffix)
    path = tmp_path / f"plate_t01 z002 ü{suffix}"
    WRITERS[suffix](path, PLANES)
    field = read_field(path)
    assert np.array_equal(field.pixels, PLANES)
    assert field.pixels.dtype == np.uint16
    assert field.channels == CHANNELS
    assert field.pixel_size_um == pytest.approx(PIXEL_SIZE_UM)
    assert field.path == path
    if suffix not in (".czi", ".lif"):
        assert field.acquired.isoformat().startswith(ACQUIRED)
    if suffix.startswith(".ome"):
        assert field.position_um == (-1250.0, 500.0)
    one = read_field(path, ReadConfig(channel="GFP"))
    assert np.array_equal(one.pixels, PLANES[1:])
    assert one.channels == ("GFP",)


@pytest.mark.parametrize("suffix", sorted(WRITERS))
def test_every_written_format_refuses_cuts_or_still_has_all_its_pixels(suffix, tmp_path):
    skip_without_package(suffix)
    path = tmp_path / f"cut{suffix}"
    WRITERS[suffix](path, PLANES)
    if suffix == ".oif":  # its pixels are in the folder beside it
        path = tmp_path / "cut.oif.files" / "s_C002.tif"
    data = path.read_bytes()
    sizes = np.linspace(1, len(data) - 1, 25).astype(int)
    messages = cuts_refused(tmp_path / f"cut{suffix}", path, data, sizes, ReadConfig(), PLANES)
    assert len(messages) >= 20
    assert all(f"cut{suffix}" in message for message in messages)


def test_nd2_agrees_with_nd2reader(formats):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nd2reader = pytest.importorskip("nd2reader", exc_type=ImportError)
        with nd2reader.ND2Reader(str(formats / "cluster.nd2")) as other:
            expected = np.array(
                [
                    [[other.get_frame_2D(c=c, t=t, z=z) for z in range(10)] for c in range(2)]
                    for t in range(3)
                ]
            )
            names, size = other.metadata["channels"], other.metadata["pixel_microns"]
    for t in range(3):
        for c in range(2):
            field = read_field(formats / "cluster.nd2", ReadConfig(time=str(t), channel=str(c)))
            assert np.array_equal(field.pixels, expected[t, c])
    field = read_field(formats / "cluster.nd2", ReadConfig(time="0", z="4"))
    assert field.channels == tuple(names) == ("5-FAM/pH 9.0", "FM 4-64/2% CHAPS")
    assert field.pixel_size_um == pytest.approx(size)
    # The file's own text says 15:55:27 at the end of the recording, summer time in central Europe.
    assert field.acquired.replace(microsecond=0) == datetime(2014, 6, 18, 13, 55, 23, tzinfo=UTC)
    assert field.position_um == pytest.approx((-4155.46, -26056.95), abs=0.01)


@pytest.mark.parametrize("name", [CZI, CZI_COMPRESSED])
def test_czi_agrees_with_czifile(name, formats):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        czifile = pytest.importorskip("czifile", exc_type=ImportError)
        # Its decoder of the compressed file is gone; both files hold the same pixels.
        with czifile.CziFile(str(formats / CZI)) as other:
            expected, axes = other.asarray(), other.axes
    expected = np.moveaxis(expected, [axes.index(axis) for axis in "TZCYX"], range(5))
    expected = expected.reshape(3, 5, 2, 170, 240)
    for t in range(3):
        for z in range(5):
            field = read_field(formats / name, ReadConfig(time=str(t), z=str(z)))
            assert np.array_equal(field.pixels, expected[t, z])


def test_czi_metadata_is_carried_along(formats):
    field = read_field(formats / CZI, ReadConfig(time="0", z="max"))
    assert field.channels == ("LED555", "LED470")
    assert field.pixel_size_um == pytest.approx(0.0905767)
    assert field.acquired == datetime(2016, 2, 12, 9, 41, 2, 491560, UTC)


def test_lif_agrees_with_readlif(formats):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reader = pytest.importorskip("readlif.reader", exc_type=ImportError)
        other = reader.LifFile(str(formats / LIF))
        images = list(other.get_iter_image())
        assert [image.name for image in images] == ["xzt", "xzy", "xz"]
        first = [[np.array(images[0].get_plane(c=c, requested_dims={4: t})) for c in range(2)]
                 for t in range(20)]  # fmt: skip
        last = [np.array(images[2].get_plane(c=c)) for c in range(2)]
    for t in (0, 7, 19):
        field = read_field(formats / LIF, ReadConfig(scene="xzt", time=str(t)))
        assert np.array_equal(field.pixels, first[t])
    field = read_field(formats / LIF, ReadConfig(scene="2"))
    assert np.array_equal(field.pixels, last)
    assert field.channels == ("Green", "Red")
    assert field.pixel_size_um == pytest.approx(0.1027, abs=1e-4)
    assert field.acquired == datetime(2021, 3, 4, 16, 42, 50, 247000, UTC)
    across = describe_file(formats / LIF)["scenes"][1]["axes"]
    assert across == {"Z": 23, "C": 2, "Y": 128, "X": 128}


def test_signed_8_bit_ome_tiff_agrees_with_opencv(formats):
    import cv2

    _, pages = cv2.imreadmulti(str(formats / "4D-series.ome.tiff"), flags=cv2.IMREAD_UNCHANGED)
    expected = np.array(pages).view(np.int8).reshape(7, 5, 167, 439)
    with pytest.raises(InputError, match=r"\(T=7, Z=5\).*--time N\|max\|mean\|slices, --z"):
        read_field(formats / "4D-series.ome.tiff")
    for t in range(7):
        field = read_field(formats / "4D-series.ome.tiff", ReadConfig(time=str(t)))
        assert field.pixels.dtype == np.int8
        assert np.array_equal(field.pixels, expected[t])
    sixteen = read_field(formats / "CH1_16bit.tif")
    plain = cv2.imread(str(formats / "CH1_16bit.tif"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(sixteen.pixels, plain[None])


@pytest.mark.parametrize(("name", "read"), REAL, ids=[name for name, _ in REAL])
def test_no_cut_of_a_real_file_gives_wrong_pixels(name, read, formats, tmp_path, caplog, capfd):
    whole = read_field(formats / name, read).pixels
    data = (formats / name).read_bytes()
    path = tmp_path / name
    sizes = [int(len(data) * part) for part in (0.001, 0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.97)]
    messages = cuts_refused(path, path, data, sizes, read, whole)
    assert len(messages) >= 8
    assert all(str(path) in message and "again" in message for message in messages)
    assert not caplog.records
    assert capfd.readouterr() == ("", "")


def test_a_czi_that_lacks_a_plane_is_not_read_as_black(tmp_path):
    skip_without_package(".czi")
    from pylibCZIrw import czi

    with czi.create_czi(str(tmp_path / "a.czi")) as file:
        for t, c in ((0, 0), (0, 1), (1, 0)):
            file.write(PLANES[c][..., None], plane={"C": c, "T": t, "Z": 0})
    assert read_field(tmp_path / "a.czi", ReadConfig(time="0")).pixels.shape == (2, 40, 52)
    with pytest.raises(InputError, match=r"no plane at .*T=1.*stopped before it"):
        read_field(tmp_path / "a.czi", ReadConfig(time="1"))


def test_scenes_and_colours_of_a_czi_are_kept(tmp_path):
    skip_without_package(".czi")
    from pylibCZIrw import czi

    rgb = np.random.default_rng(3).integers(0, 255, (20, 16, 3), dtype=np.uint8)
    with czi.create_czi(str(tmp_path / "a.czi")) as file:
        for scene in range(2):
            bgr = np.ascontiguousarray((rgb + scene)[..., ::-1])
            file.write(bgr, plane={"C": 0, "T": 0, "Z": 0}, scene=scene, location=(scene * 100, 0))
    with pytest.raises(InputError, match=r"2 images.*--scene"):
        read_field(tmp_path / "a.czi")
    field = read_field(tmp_path / "a.czi", ReadConfig(scene="1"))
    assert field.channels == ("red", "green", "blue")
    assert np.array_equal(field.pixels, np.moveaxis(rgb + 1, 2, 0))


def test_an_oif_without_its_folder_or_one_plane_is_refused(tmp_path):
    skip_without_package(".oif")
    write_oif(tmp_path / "a.oif", np.concatenate([PLANES, PLANES])[:2])
    assert walk(tmp_path).images == (tmp_path / "a.oif",)
    (tmp_path / "a.oif.files").rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"a\.oif is damaged.*storage path not found"):
        read_field(tmp_path / "a.oif")
    (tmp_path / "elsewhere").rename(tmp_path / "a.oif.files")
    (tmp_path / "a.oif.files" / "s_C002.tif").rename(tmp_path / "a.oif.files" / "s_C003.tif")
    with pytest.raises(InputError, match="the TIFF of the plane C=2 is missing"):
        read_field(tmp_path / "a.oif", ReadConfig(channel="1"))


def test_an_oib_agrees_with_oiffile_itself(tmp_path):
    skip_without_package(".oib")
    import oiffile

    write_oib(tmp_path / "a.oib", PLANES)
    with oiffile.OifFile(tmp_path / "a.oib") as other:
        assert np.array_equal(read_field(tmp_path / "a.oib").pixels, other.asarray())
