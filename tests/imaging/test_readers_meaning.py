"""What samples mean: photometric interpretation, extra samples, bits, orientation."""

from __future__ import annotations

import io
import struct
import zlib

import cv2
import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from stemcls.config.imaging import BuildConfig, ReadConfig
from stemcls.errors import InputError
from stemcls.imaging.prepare import prepare
from stemcls.imaging.readers import describe_file, read_field

RNG = np.random.default_rng(5)
GREY = RNG.integers(0, 256, (24, 32), dtype=np.uint8)
DEEP = RNG.integers(0, 4096, (24, 32), dtype=np.uint16)
RGB = RNG.integers(0, 256, (24, 32, 3), dtype=np.uint8)
RGBA = np.dstack([RGB, GREY])


def planes(image: np.ndarray) -> np.ndarray:
    return image[None] if image.ndim == 2 else np.moveaxis(image, 2, 0)


def assert_reads(path, expected: np.ndarray, within: int = 0):
    """Compare a field with an image, and what is said of the file with the field."""
    field = read_field(path)
    assert field.pixels.shape == planes(expected).shape
    assert np.abs(field.pixels.astype(int) - planes(expected)).max() <= within
    (scene,) = describe_file(path)["scenes"]
    assert [scene["axes"]["Y"], scene["axes"]["X"]] == list(field.pixels.shape[1:])
    assert scene["dtype"] == str(field.pixels.dtype)
    assert scene["bits"] == field.bits
    return field


@pytest.fixture
def photometric(case):
    return case("photometric") / "more"


@pytest.mark.parametrize(
    ("name", "within"), [("cmyk", 0), ("palette", 4), ("ycbcr", 3), ("lab", 13)]
)
def test_colours_of_every_kind_become_red_green_blue(name, within, photometric):
    truth = np.asarray(Image.open(photometric / "truth.png"))
    field = assert_reads(photometric / f"{name}.tif", truth, within)
    assert field.channels == ("red", "green", "blue")
    if name != "ycbcr":  # Pillow gives up on that file
        with Image.open(photometric / f"{name}.tif") as image:
            pillow = np.asarray(image.convert("RGB") if name != "lab" else image)
        if name != "lab":
            assert np.array_equal(planes(pillow), field.pixels)
    converted = {"cmyk": "CMYK colours were converted", "lab": "L*a*b* colours were converted"}
    assert converted.get(name, "") in " ".join(field.remarks)


def test_a_4_bit_tiff_is_scaled_as_a_4_bit_png_is(photometric):
    red = np.asarray(Image.open(photometric / "truth.png"))[..., 0]
    assert_reads(photometric / "4bit.tif", (red >> 4) * 17)


def test_white_is_zero_is_turned_round(photometric):
    means = [
        read_field(photometric.parent / "src" / folder / "0.tif").pixels.mean() for folder in "AB"
    ]
    assert means[0] == pytest.approx(means[1], abs=1)


@pytest.mark.parametrize("bits", [1, 2, 4, 10, 12, 14])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_packed_bits_are_scaled_to_8_or_kept_with_their_range(bits, photometric, tmp_path):
    values = RNG.integers(0, 2**bits, GREY.shape, dtype=np.uint16)
    stored = values.astype(bool) if bits == 1 else values.astype(np.uint8 if bits < 8 else "u2")
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stored, bitspersample=bits, photometric=photometric)
    top = 2**bits - 1
    seen = values if photometric == "minisblack" else top - values
    field = assert_reads(path, np.rint(seen * (255 / top)) if bits < 8 else seen)
    assert field.bits == (bits if bits > 8 else None)
    if bits in (1, 4):
        with Image.open(path) as image:
            assert np.array_equal(np.asarray(image.convert("L")), field.pixels[0])


def test_the_largest_value_that_a_tiff_names_is_its_range(tmp_path):
    path = tmp_path / "a.tif"
    for largest, white, expected, bits in (
        (4095, False, DEEP, 12), (4095, True, 4095 - DEEP, 12), (3000, False, DEEP, None),
        (65535, True, 65535 - DEEP, None), (1023, False, DEEP, None),
    ):  # fmt: skip
        tifffile.imwrite(
            path, DEEP, photometric="miniswhite" if white else "minisblack",
            extratags=[(281, 3, 1, largest, True)],
        )  # fmt: skip
        field = read_field(path)
        assert np.array_equal(field.pixels[0], expected)
        assert field.bits == bits
        assert ("use fewer bits than they do" in " ".join(field.remarks)) == (largest == 1023)


def test_significant_bits_of_ome_are_kept(tmp_path):
    path = tmp_path / "a.ome.tif"
    metadata = {"axes": "YX", "SignificantBits": 12}
    tifffile.imwrite(path, DEEP, ome=True, photometric="minisblack", metadata=metadata)
    assert assert_reads(path, DEEP).bits == 12


@pytest.mark.parametrize("dtype", ["f4", "i2"])
def test_white_is_zero_of_an_unknown_range_is_refused(dtype, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", DEEP.astype(dtype), photometric="miniswhite")
    with pytest.raises(InputError, match=r"a\.tif cannot be read: white is its lowest value"):
        read_field(tmp_path / "a.tif")


@pytest.mark.parametrize("code", [4, 32803, 32844, 34892, 99])
def test_samples_that_are_no_picture_are_refused_by_name(code, tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY, photometric="minisblack")
    data = path.read_bytes()
    place = data.index(struct.pack("<HHI", 262, 3, 1))
    path.write_bytes(data[: place + 8] + struct.pack("<H", code) + data[place + 10 :])
    with pytest.raises(InputError, match=r"its samples are .* not read; save it as grey or RGB"):
        read_field(path)


@pytest.mark.parametrize("kind", ["unassalpha", "assocalpha", "unspecified"])
@pytest.mark.parametrize("config", ["contig", "separate"])
def test_alpha_is_dropped_and_an_unnamed_sample_is_a_channel(kind, config, tmp_path):
    path = tmp_path / "a.tif"
    stored = RGBA if config == "contig" else planes(RGBA)
    tifffile.imwrite(path, stored, photometric="rgb", planarconfig=config, extrasamples=[kind])
    if kind == "unspecified":
        field = assert_reads(path, RGBA)
        assert field.channels == ("red", "green", "blue", "extra-1")
    else:
        field = assert_reads(path, RGB)
        assert field.remarks == ("its transparency (alpha) was dropped",)


@pytest.mark.parametrize("samples", [2, 3, 4, 6])
@pytest.mark.parametrize("last", ["unassalpha", "unspecified"])
def test_samples_of_a_grey_file_are_channels_not_colours(samples, last, tmp_path):
    path = tmp_path / "a.tif"
    stored = RNG.integers(0, 255, (24, 32, samples), dtype=np.uint8)
    tifffile.imwrite(
        path, stored, photometric="minisblack", planarconfig="contig",
        extrasamples=["unspecified"] * (samples - 2) + [last],
    )  # fmt: skip
    kept = samples - (last == "unassalpha")
    field = assert_reads(path, stored[..., :kept])
    assert "red" not in field.channels
    if kept == 1:
        assert field.channels == ("grey",)


def test_a_palette_of_16_bits_and_one_of_bytes_give_the_same_colours(tmp_path):
    colours = RNG.integers(0, 256, (3, 256), dtype=np.uint16)
    for factor in (1, 256, 257):
        path = tmp_path / f"{factor}.tif"
        tifffile.imwrite(path, GREY, photometric="palette", colormap=colours * factor)
        assert_reads(path, np.moveaxis(colours[:, GREY], 0, -1))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".tif", ".png", ".jpg", ".webp"])
def test_orientation_is_applied_as_pillow_applies_it(orientation, suffix, tmp_path):
    path = tmp_path / f"a{suffix}"
    if suffix == ".tif":
        tags = [(274, 3, 1, orientation, True)]
        tifffile.imwrite(path, RGB, photometric="rgb", extratags=tags)
    else:
        exif = Image.Exif()
        exif[274] = orientation
        Image.fromarray(RGB).save(path, exif=exif, lossless=True)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    field = assert_reads(path, expected)
    assert bool(field.remarks) == (orientation != 1)


def test_a_turned_file_gives_the_cell_where_a_viewer_shows_it(case):
    folder = case("exif-orientation")
    x, y = (folder / "cells.csv").read_text().split()[1].split(",")[1:]
    pixels = read_field(folder / "src" / "f.jpg").pixels[0]
    assert pixels[round(float(y)), round(float(x))] > 200


def png(depth: int, kind: int, rows: bytes, extra: bytes = b"") -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        end = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + end

    header = struct.pack(">IIBBBBB", 8, 8, depth, kind, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )  # fmt: skip


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_a_png_of_few_bits_is_scaled_as_opencv_scales_it(depth, tmp_path):
    rows = b"".join(b"\0" + bytes(37 * (n + 1) * (m + 2) % 256 for m in range(depth))
                    for n in range(8))  # fmt: skip
    data = png(depth, 0, rows)
    (tmp_path / "a.png").write_bytes(data)
    assert_reads(tmp_path / "a.png", cv2.imdecode(np.frombuffer(data, np.uint8), -1))


def test_pngs_of_every_kind_agree_with_pillow(tmp_path):
    image = Image.fromarray(RGB)
    kinds = {
        "la": image.convert("LA"), "rgba": Image.fromarray(RGBA), "p": image.quantize(16),
        "one": image.convert("1"), "l": image.convert("L"),
    }  # fmt: skip
    for name, one in kinds.items():
        path = tmp_path / f"{name}.png"
        one.save(path)
        grey = one.mode in ("LA", "1", "L")
        expected = np.asarray(one.convert("L" if grey else "RGB"))
        field = assert_reads(path, expected if name != "rgba" else RGB)
        assert bool(field.remarks) == (name in ("la", "rgba"))
    deep = RNG.integers(0, 65536, (24, 32, 3), dtype=np.uint16)
    (tmp_path / "deep.png").write_bytes(imagecodecs.png_encode(deep))
    assert_reads(tmp_path / "deep.png", deep)


def test_other_pictures_agree_with_pillow_or_their_encoder(tmp_path):
    for name, image in (
        ("a.bmp", Image.fromarray(RGB)), ("p.bmp", Image.fromarray(RGB).quantize(9)),
        ("g.bmp", Image.fromarray(GREY)), ("g.gif", Image.fromarray(GREY)),
        ("p.gif", Image.fromarray(RGB).quantize(9)),
        ("c.jpg", Image.fromarray(RGB).convert("CMYK")),
    ):  # fmt: skip
        image.save(tmp_path / name)
        with Image.open(tmp_path / name) as saved:
            expected = np.asarray(saved.convert("L" if name.startswith("g") else "RGB"))
        assert_reads(tmp_path / name, expected)
    path = tmp_path / "a.jp2"
    path.write_bytes(imagecodecs.jpeg2k_encode(DEEP, level=0, bitspersample=12, codecformat="jp2"))
    assert assert_reads(path, DEEP).bits == 12


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_frames_of_an_animation_are_time_points(suffix, tmp_path):
    frames = [Image.fromarray(np.full((16, 16, 3), 40 * n, np.uint8)) for n in range(1, 5)]
    path = tmp_path / f"a{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True)
    (scene,) = describe_file(path)["scenes"]
    assert scene["axes"]["T"] == 4
    with pytest.raises(InputError, match=r"T=4, S=3.*choose with --time"):
        read_field(path)
    pixels = read_field(path, ReadConfig(time="2")).pixels
    assert (pixels == 120).all()


def test_an_animated_png_is_refused(tmp_path):
    frames = [Image.fromarray(np.full((16, 16), 40 * n, np.uint8)) for n in range(1, 4)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "PNG", save_all=True, append_images=frames[1:])
    (tmp_path / "a.png").write_bytes(buffer.getvalue())
    with pytest.raises(InputError, match="it is an animation"):
        read_field(tmp_path / "a.png")


@pytest.mark.parametrize("value", [1e30, -1e13, 1e-35])
def test_float_pixels_beyond_any_brightness_are_refused(value, tmp_path):
    pixels = np.zeros((16, 16), np.float64)
    pixels[3, 4] = value
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack")
    with pytest.raises(InputError, match=r"a\.tif holds pixels as large as .*export it as 16-bit"):
        read_field(tmp_path / "a.tif")


@pytest.mark.parametrize(("dtype", "value"), [("u8", 2**63), ("i8", -(2**62))])
def test_whole_numbers_beyond_any_brightness_are_refused(dtype, value, tmp_path):
    pixels = np.zeros((16, 16), dtype)
    pixels[3, 4] = value
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack")
    with pytest.raises(InputError, match=r"a\.tif holds pixels as large as"):
        read_field(tmp_path / "a.tif")


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8", "u4", "f2", "f4", "f8"])
def test_other_number_types_are_kept(dtype, tmp_path):
    pixels = RNG.integers(-100, 100, (24, 32)).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack")
    assert np.array_equal(read_field(tmp_path / "a.tif").pixels[0], pixels)


def test_real_jpegs_are_what_opencv_makes_of_them(shared_data):
    for path in sorted((shared_data / "chula" / "fields").glob("*.jpg"))[:5]:
        assert np.array_equal(read_field(path).pixels, planes(cv2.imread(str(path))[..., ::-1]))


def test_real_microscope_files_say_how_many_bits_their_cameras_had(shared_data):
    folder = shared_data / "formats"
    for name, bits in (
        ("cluster.nd2", 12), ("CellDivision_T3_Z5_CH2_X240_Y170.czi", 14), ("CH1_16bit.tif", None)
    ):  # fmt: skip
        assert describe_file(folder / name)["scenes"][0]["bits"] == bits


def test_remarks_and_bits_reach_the_build(tmp_path):
    path = tmp_path / "a.png"
    cells = np.where(DEEP > 2000, DEEP, 100)
    tifffile.imwrite(
        path, cells, photometric="miniswhite", extratags=[(281, 3, 1, 4095, True)]
    )  # fmt: skip
    made = prepare(path, BuildConfig(kind="crops"))
    assert made.notices[0].message == "it is named .png but holds TIFF data; it was read as that"
    assert made.quality.brightness == pytest.approx((4095 - cells).mean() * 255 / 4095, rel=1e-3)
