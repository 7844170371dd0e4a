"""Damage, gaps and bombs are refused with a reason; nothing is filled, nothing stops a run."""

from __future__ import annotations

import io
import struct

import cv2
import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from stemcls.errors import InputError
from stemcls.imaging.readers import READERS, count_pixels, describe_file, read_field
from stemcls.imaging.readers import read as reading

RNG = np.random.default_rng(7)
GREY = cv2.GaussianBlur(RNG.integers(0, 255, (64, 80), dtype=np.uint8), (0, 0), 2)
RGB = cv2.GaussianBlur(RNG.integers(0, 255, (64, 80, 3), dtype=np.uint8), (0, 0), 2)


def jpeg(image: np.ndarray, **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=92, **options)
    return buffer.getvalue()


def test_every_damaged_file_of_the_case_is_refused_and_the_whole_one_read(case):
    folder = case("jpeg-damaged") / "src" / "A"
    for path in folder.iterdir():
        if path.name == "whole.jpg":
            assert read_field(path).pixels.shape == (3, 256, 256)
        else:
            with pytest.raises(InputError, match=r"is damaged or truncated, its reader says: "):
                read_field(path)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 3}])
def test_jpegs_with_a_hole_a_cut_or_lost_restart_marks_are_refused(options, tmp_path):
    data = jpeg(RNG.integers(0, 255, (128, 128, 3), dtype=np.uint8), **options)
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    read_field(path)
    half = len(data) // 2
    damaged = [
        data[:half] + b"\xff\xd9", data[:half], data[:-2],
        data[:half] + bytes(2000) + data[half + 2000 :], data[: half - 900] + data[half:],
        data[:half] + b"\xff\xd3" + data[half:],
    ]  # fmt: skip
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"a\.jpg is damaged or truncated"):
            read_field(path)
    path.write_bytes(data + b"a maker's own bytes after the end")
    read_field(path)


@pytest.mark.parametrize("name", ["a.bmp", "a.gif", "a.webp", "a.jp2", "a.j2k", "a.png"])
def test_no_cut_of_a_picture_gives_wrong_pixels(name, tmp_path):
    path = tmp_path / name
    if path.suffix in (".jp2", ".j2k"):
        kind = path.suffix[1:]
        path.write_bytes(imagecodecs.jpeg2k_encode(RGB, level=0, codecformat=kind))
    else:
        Image.fromarray(RGB).save(path, lossless=True)
    whole = read_field(path).pixels
    data = path.read_bytes()
    refused = 0
    for part in range(1, 40):
        path.write_bytes(data[: len(data) * part // 40])
        try:
            assert np.array_equal(read_field(path).pixels, whole)
        except InputError:
            refused += 1
    assert refused >= 38


@pytest.mark.parametrize("compression", [None, "lzw", "zlib", "jpeg", "packbits"])
@pytest.mark.parametrize("layout", [{"tile": (32, 32)}, {"rowsperstrip": 16}])
@pytest.mark.parametrize("lost", ["count", "offset", "both", "beyond"])
def test_a_missing_tile_or_strip_is_never_filled(compression, layout, lost, tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY, photometric="minisblack", compression=compression, **layout)
    kind = "Tile" if "tile" in layout else "Strip"
    with tifffile.TiffFile(path) as file:
        tags = file.pages[0].tags
        offsets, counts = tags[f"{kind}Offsets"], tags[f"{kind}ByteCounts"]
        places = [(tag.valueoffset, {3: "<H", 4: "<I", 16: "<Q"}[int(tag.dtype)])
                  for tag in (offsets, counts)]  # fmt: skip
    data = bytearray(path.read_bytes())
    for wanted, (place, form), value in zip(
        (("offset", "both", "beyond"), ("count", "both")), places,
        (len(data) + 1000 if lost == "beyond" else 0, 0), strict=True,
    ):  # fmt: skip
        if lost in wanted:
            struct.pack_into(form, data, place + 2 * struct.calcsize(form), value)
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"a\.tif is damaged or truncated, its reader says: "):
        read_field(path)


def test_a_damaged_jpeg_inside_a_tiff_is_refused(tmp_path):
    path = tmp_path / "a.tif"
    noise = RNG.integers(0, 255, (128, 128, 3), dtype=np.uint8)
    tifffile.imwrite(path, noise, photometric="rgb", compression="jpeg", tile=(64, 64))
    read_field(path)
    with tifffile.TiffFile(path) as file:
        offset, count = file.pages[0].dataoffsets[1], file.pages[0].databytecounts[1]
    data = bytearray(path.read_bytes())
    data[offset + count // 2 : offset + count // 2 + 1500] = bytes(1500)
    path.write_bytes(data)
    with pytest.raises(InputError, match="is damaged or truncated"):
        read_field(path)


def test_a_hyperstack_with_fewer_pages_than_imagej_wrote_down_is_refused(tmp_path):
    path = tmp_path / "a.tif"
    for images, loops in ((6, ""), (4, "slices=6\n"), (4, "channels=2\nslices=3\n")):
        with tifffile.TiffWriter(path) as file:
            text = f"ImageJ=1.54f\nimages={images}\n{loops}hyperstack=true\n"
            for number in range(4):
                file.write(
                    GREY, photometric="minisblack", metadata=None, contiguous=False,
                    description=text if not number else None,
                )  # fmt: skip
        with pytest.raises(InputError, match="ImageJ wrote down 6 planes, the file holds 4"):
            read_field(path)


def test_a_stack_with_fewer_pages_than_tifffile_wrote_down_is_refused(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.stack([GREY] * 5), photometric="minisblack", compression="zlib")
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        ends = [page.offset for page in file.pages]
    (count,) = struct.unpack_from("<H", data, ends[2])
    struct.pack_into("<I", data, ends[2] + 2 + 12 * count, 0)  # page 3 is now the last
    path.write_bytes(data)
    with pytest.raises(InputError, match="description says 25600 pixels in all, not all are"):
        read_field(path)


def test_the_bomb_of_the_case_is_refused_and_so_is_its_description(case):
    path = case("one-bad-image") / "bomb_hdr.png"
    for use in (read_field, describe_file, count_pixels):
        with pytest.raises(InputError, match=r"bomb_hdr\.png is damaged"):
            use(path)


def test_an_image_larger_than_memory_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "free_memory_bytes", lambda: 2.0 * GREY.size - 1)
    path = tmp_path / "a.png"
    Image.fromarray(GREY).save(path)
    monkeypatch.setattr(imagecodecs, "png_decode", lambda _: pytest.fail("it was decoded"))
    with pytest.raises(InputError, match=r"GiB once read, more than half of the .* that are free"):
        read_field(path)


@pytest.mark.parametrize("suffix", [".tif", ".jpg", ".gif", ".webp", ".bmp", ".jp2"])
def test_headers_that_claim_a_giant_are_refused_without_a_traceback(suffix, tmp_path):
    path = tmp_path / f"a{suffix}"
    if suffix == ".tif":
        tifffile.imwrite(path, GREY, photometric="minisblack", compression="zlib", rowsperstrip=8)
        data = bytearray(path.read_bytes())
        for code in (256, 257, 278):
            place = next(data.index(struct.pack("<HHI", code, kind, 1)) for kind in (3, 4)
                         if struct.pack("<HHI", code, kind, 1) in data)  # fmt: skip
            struct.pack_into("<HHII", data, place, code, 4, 1, 60000)
    elif suffix == ".jp2":
        data = bytearray(imagecodecs.jpeg2k_encode(GREY, level=0, codecformat="jp2"))
        struct.pack_into(">II", data, data.index(b"\xff\x4f\xff\x51") + 8, 60000, 60000)
    else:
        buffer = io.BytesIO()
        Image.fromarray(GREY).save(buffer, {".jpg": "JPEG"}.get(suffix, suffix[1:].upper()))
        data = bytearray(buffer.getvalue())
        if suffix == ".jpg":
            place = data.index(b"\xff\xc0")
            struct.pack_into(">HH", data, place + 5, 60000, 60000)
        elif suffix == ".gif":
            struct.pack_into("<HH", data, 6, 60000, 60000)
        elif suffix == ".bmp":
            struct.pack_into("<ii", data, 18, 60000, 60000)
        else:
            struct.pack_into("<HH", data, 26, 16383, 16383)
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"a\.[a-z0-9]+ (is damaged|says that it)"):
        read_field(path)


class OddError(Exception):
    """Of a class that nobody foresaw."""


ODD = (OddError("odd"), RecursionError("deep"), cv2.error("cv"), StopIteration(), MemoryError())


@pytest.mark.parametrize("error", ODD)
def test_whatever_a_reader_raises_becomes_an_input_error(error, monkeypatch, tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(GREY).save(path)

    def fail(_):
        raise error

    monkeypatch.setattr(imagecodecs, "png_decode", fail)
    with pytest.raises(InputError, match=r"a\.png (is damaged|needs more memory)"):
        read_field(path)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interruption_is_no_damage(error, monkeypatch, tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(GREY).save(path)

    def fail(_):
        raise error

    monkeypatch.setattr(imagecodecs, "png_decode", fail)
    with pytest.raises(error):
        read_field(path)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.gif", "a.webp", "a.tif", "a.jp2"])
def test_describing_and_counting_decode_nothing(name, tmp_path, monkeypatch):
    import simplejpeg

    path = tmp_path / name
    if name.endswith("jp2"):
        path.write_bytes(imagecodecs.jpeg2k_encode(RGB, level=0, codecformat="jp2"))
    else:
        Image.fromarray(RGB).save(path)

    def fail(*_, **__):
        pytest.fail("it was decoded")

    monkeypatch.setattr(Image.Image, "convert", fail)
    monkeypatch.setattr(tifffile.TiffPage, "asarray", fail)
    monkeypatch.setattr(simplejpeg, "decode_jpeg", fail)
    for codec in ("png_decode", "jpeg2k_decode"):
        monkeypatch.setattr(imagecodecs, codec, fail)
    (scene,) = describe_file(path)["scenes"]
    assert scene["axes"] == {"Y": 64, "X": 80, "S": 3}
    assert scene["dtype"] == "uint8"
    assert count_pixels(path) == 64 * 80
    assert READERS[path.suffix].package is None
