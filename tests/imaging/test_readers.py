"""Every format is read to (C, Y, X), and every damaged file is refused with a reason."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from stemcls.errors import InputError
from stemcls.imaging.readers import READERS, describe_file, read_field

RNG = np.random.default_rng(0)
RGB = cv2.GaussianBlur(RNG.integers(0, 255, (40, 50, 3), dtype=np.uint8), (0, 0), 3)
FILES = sorted(suffix for suffix, reader in READERS.items() if not reader.folder)
PLAIN = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".ome.tif", ".ome.tiff")


def write(path: Path, image: np.ndarray) -> None:
    if "tif" in path.suffix:
        tifffile.imwrite(path, image, photometric="rgb" if image.ndim == 3 else "minisblack")
    elif path.suffix in (".gif", ".webp"):
        Image.fromarray(image).save(path, lossless=True)
    else:
        bgr = image[..., ::-1] if image.ndim == 3 else image
        suffix = path.suffix.lower()
        path.write_bytes(cv2.imencode(suffix, np.ascontiguousarray(bgr))[1].tobytes())


@pytest.mark.parametrize("suffix", PLAIN)
def test_plain_formats_give_red_green_blue(suffix, tmp_path):
    path = tmp_path / f"zelle ü{suffix.upper()}"
    write(path, RGB)
    field = read_field(path)
    assert field.channels == ("red", "green", "blue")
    expected = np.moveaxis(RGB, 2, 0).astype(int)
    close = 12 if suffix in (".jpg", ".jpeg") else 0
    assert np.abs(field.pixels.astype(int) - expected).max() <= close


@pytest.mark.parametrize("suffix", PLAIN)
@pytest.mark.parametrize("part", [0.3, 0.7, 0.95])
def test_plain_formats_refuse_a_truncated_file(suffix, part, tmp_path):
    path = tmp_path / f"cut{suffix}"
    write(path, RGB)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(InputError, match=r"cut\..*(truncated|damaged).*again"):
        read_field(path)


def test_a_png_with_a_changed_byte_is_refused(tmp_path):
    path = tmp_path / "a.png"
    write(path, RGB)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(InputError, match="check sums are wrong"):
        read_field(path)


@pytest.mark.parametrize("suffix", FILES)
def test_every_format_refuses_an_empty_file_a_folder_and_a_foreign_file(suffix, tmp_path):
    path = tmp_path / f"field{suffix}"
    path.write_bytes(b"")
    with pytest.raises(InputError, match=r"is empty \(0 bytes\).*export it again"):
        read_field(path)
    path.write_bytes(b"hello world, this is text")
    with pytest.raises(InputError, match="content is no"):
        read_field(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(InputError, match="is a folder, expected an image file"):
        read_field(path)


@pytest.mark.parametrize("suffix", sorted(set(FILES) - {".png"}))
def test_content_decides_the_format_and_a_lying_suffix_is_a_remark(suffix, tmp_path):
    write(tmp_path / "a.png", RGB)
    (tmp_path / "a.png").rename(tmp_path / f"a{suffix}")
    field = read_field(tmp_path / f"a{suffix}")
    assert np.array_equal(field.pixels, np.moveaxis(RGB, 2, 0))
    assert field.remarks == (f"it is named {suffix} but holds PNG data; it was read as that",)
    assert describe_file(tmp_path / f"a{suffix}")["remarks"] == list(field.remarks)


@pytest.mark.parametrize("kind", [".jpg", ".tif", ".gif", ".webp", ".jp2"])
@pytest.mark.parametrize("name", ["field", "field.dat", "field.xyz"])
def test_an_image_under_a_name_that_says_nothing_is_read_without_remark(kind, name, tmp_path):
    write(tmp_path / f"a{kind}", RGB)
    expected = read_field(tmp_path / f"a{kind}").pixels
    (tmp_path / f"a{kind}").rename(tmp_path / name)
    field = read_field(tmp_path / name)
    assert np.array_equal(field.pixels, expected)
    assert not field.remarks


@pytest.mark.parametrize("text", [b"BMI,age\n22,31\n", b"PK\x03\x04 a book", b"[section]\na=1\n"])
def test_a_text_or_archive_is_not_taken_for_an_image(text, tmp_path):
    (tmp_path / "notes.dat").write_bytes(text)
    with pytest.raises(InputError, match=r"no image suffix that is read .*nor the content"):
        read_field(tmp_path / "notes.dat")


def test_missing_and_unknown_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_field(tmp_path / "none.png")
    (tmp_path / "field.xyz").write_text("hello")
    with pytest.raises(InputError, match="no image suffix that is read"):
        read_field(tmp_path / "field.xyz")


def test_alpha_is_dropped_and_16_bit_grey_stays(tmp_path):
    bgra = np.dstack([RGB[..., ::-1], np.full(RGB.shape[:2], 7, np.uint8)])
    (tmp_path / "a.png").write_bytes(cv2.imencode(".png", bgra)[1].tobytes())
    assert np.array_equal(read_field(tmp_path / "a.png").pixels, np.moveaxis(RGB, 2, 0))
    deep = RNG.integers(0, 65535, (30, 20), dtype=np.uint16)
    write(tmp_path / "b.png", deep)
    field = read_field(tmp_path / "b.png")
    assert field.channels == ("grey",)
    assert np.array_equal(field.pixels[0], deep)


def test_ome_tiff_gives_channel_names_and_pixel_size_in_micrometres(tmp_path):
    pixels = RNG.integers(0, 4000, (2, 30, 20), dtype=np.uint16)
    metadata = {
        "axes": "CYX", "Channel": {"Name": ["DIC", "GFP"]},
        "PhysicalSizeX": 325.0, "PhysicalSizeXUnit": "nm",
        "PhysicalSizeY": 325.0, "PhysicalSizeYUnit": "nm",
    }  # fmt: skip
    tifffile.imwrite(tmp_path / "a.ome.tif", pixels, ome=True, compression="lzw", metadata=metadata)
    field = read_field(tmp_path / "a.ome.tif")
    assert np.array_equal(field.pixels, pixels)
    assert field.channels == ("DIC", "GFP")
    assert field.pixel_size_um == pytest.approx(0.325)


def test_imagej_hyperstack_gives_slices_and_pixel_size(tmp_path):
    pixels = RNG.integers(0, 4000, (3, 30, 20), dtype=np.uint16)
    tifffile.imwrite(
        tmp_path / "a.tif", pixels, imagej=True, resolution=(4, 4),
        metadata={"axes": "CYX", "unit": "micron"},
    )  # fmt: skip
    field = read_field(tmp_path / "a.tif")
    assert np.array_equal(field.pixels, pixels)
    assert field.pixel_size_um == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("unit", "per_unit", "expected"),
    [
        ("CENTIMETER", 20000, 0.5),
        ("CENTIMETER", 28.3, None),
        ("INCH", 300, None),
        ("NONE", 2, None),
    ],
)
def test_tiff_resolution_is_believed_only_where_it_is_a_microscope_s(
    unit, per_unit, expected, tmp_path
):
    tifffile.imwrite(
        tmp_path / "a.tif", RGB[..., 0], resolution=(per_unit, per_unit), resolutionunit=unit
    )
    assert read_field(tmp_path / "a.tif").pixel_size_um == (expected and pytest.approx(expected))


def test_pages_without_axes_are_slices(tmp_path):
    pixels = RNG.integers(0, 255, (5, 30, 20), dtype=np.uint8)
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for page in pixels:
            file.write(page, contiguous=False, photometric="minisblack")
    assert np.array_equal(read_field(tmp_path / "a.tif").pixels, pixels)


def test_two_long_axes_are_refused_and_listed(tmp_path):
    pixels = np.zeros((4, 3, 16, 16), np.uint8)
    tifffile.imwrite(tmp_path / "a.ome.tif", pixels, ome=True, metadata={"axes": "TZYX"})
    with pytest.raises(InputError, match=r"more than one axis beside Y and X \(T=4, Z=3\)"):
        read_field(tmp_path / "a.ome.tif")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinite_pixels_are_counted(bad, tmp_path):
    pixels = np.ones((16, 16), np.float32)
    pixels[3, 4] = bad
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    with pytest.raises(InputError, match="holds 1 NaN or infinite pixels"):
        read_field(tmp_path / "a.tif")


def test_a_tiff_cut_before_its_later_pages_is_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for _ in range(5):
            file.write(RGB[..., 0], contiguous=False, photometric="minisblack")
    data = (tmp_path / "a.tif").read_bytes()
    for part in (0.25, 0.5, 0.9):
        (tmp_path / "cut.tif").write_bytes(data[: int(len(data) * part)])
        with pytest.raises(InputError, match=r"cut\.tif is damaged or truncated"):
            read_field(tmp_path / "cut.tif")


def test_a_compression_without_codec_is_named(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, RGB[..., 0], compression="zlib")
    data = path.read_bytes()
    tag = data.index(struct.pack("<HHI", 259, 3, 1))
    # 34677 is SGILOG24, which nothing here decodes.
    path.write_bytes(data[: tag + 8] + struct.pack("<H", 34677) + data[tag + 10 :])
    with pytest.raises(InputError, match=r"compressed with SGILOG24.*pip install .*imagecodecs"):
        read_field(path)


def test_ome_tiff_without_its_second_file_is_refused(tmp_path):
    pixels = RNG.integers(0, 4000, (2, 30, 20), dtype=np.uint16)
    xml = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">'
        '<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16" SizeX="20" SizeY="30" '
        'SizeC="2" SizeZ="1" SizeT="1"><Channel ID="Channel:0"/><Channel ID="Channel:1"/>'
        '<TiffData IFD="0" FirstC="0" PlaneCount="1"><UUID FileName="a.ome.tif">urn:uuid:1</UUID>'
        '</TiffData><TiffData IFD="0" FirstC="1" PlaneCount="1"><UUID FileName="b.ome.tif">'
        "urn:uuid:2</UUID></TiffData></Pixels></Image></OME>"
    )
    tifffile.imwrite(tmp_path / "a.ome.tif", pixels[0], description=xml, metadata=None)
    with pytest.raises(InputError, match=r"b\.ome\.tif, another file of .*, is missing.*beside"):
        read_field(tmp_path / "a.ome.tif")
    tifffile.imwrite(tmp_path / "b.ome.tif", pixels[1], metadata=None, ome=False)
    assert np.array_equal(read_field(tmp_path / "a.ome.tif").pixels, pixels)
