"""Whatever is uploaded gets an answer, and nothing of it is kept."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

import cv2
import numpy as np
import pytest

requests = pytest.importorskip("requests")
pytest.importorskip("fastapi", reason="the extra `web` is not installed")
pytest.importorskip("uvicorn", reason="the extra `web` is not installed")

from .conftest import send  # noqa: E402


def zipped(method: int = zipfile.ZIP_DEFLATED, /, **members: bytes) -> bytes:
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), content)
    return kept.getvalue()


def png(height: int, width: int) -> bytes:
    """Return a black PNG in colour."""
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">L", len(data)) + kind + data + struct.pack(
            ">L", zlib.crc32(kind + data)
        )

    head = struct.pack(">LLBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(height * (1 + 3 * width)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_a_zip_is_taken_apart_and_its_other_files_are_named(url, field):
    whole = zipped(day__a_tif=field.read_bytes(), day__b_tif=field.read_bytes(),
                   notes_txt=b"hello", __MACOSX__x_tif=b"")
    answer = send(url, ("fields.zip", whole)).json()
    assert [image["name"] for image in answer["images"]] == ["day/a.tif", "day/b.tif"]
    assert answer["skipped"][0]["path"] == "notes.txt"
    assert "no image suffix" in answer["skipped"][0]["reason"]
    assert answer["images"][0]["cells"] == answer["images"][1]["cells"]


@pytest.mark.parametrize(
    ("name", "content", "status", "error"),
    [
        ("a.png", b"hello, this is text", 422, "a.png is named .png but its content is no PNG"),
        ("../../etc/a.png", b"", 422, "etc/a.png is empty"),
        ("a.png", png(2_000, 1_500), 422, "3.0 million pixels, at most 2"),
        ("a.png", png(100, 100)[:-9], 422, "a.png is damaged or truncated"),
        ("a.tif", b"II*\0" + b"\0" * 50, 422, "a.tif is damaged"),
        ("a.h5", b"\x89HDF", 422, "no image suffix"),
        ("a.zip", b"PK\x03\x04 broken", 422, "no zip that can be unpacked"),
        ("a.zip", zipped().replace(b"PK", b"KP"), 422, "no zip that can be unpacked"),
        ("a.zip", zipped(), 422, "no files"),
        ("a.zip", zipped(zipfile.ZIP_LZMA, a_tif=bytes(9_000_000)), 422, "in an unusual way"),
        ("a.zip", zipped(a_tif=b"x" * 99).replace(b"\xab\xa8", b"\xff\xff"), 422,
         "a.tif cannot be unpacked"),
        ("a.zip", zipped(b_zip=zipped(a_png=b"x")), 422, "no image suffix"),
        ("bomb.zip", zipped(a_tif=bytes(3_000_000)), 413, "a.tif unpacks to more"),
        ("many.zip", zipped(**{f"f{n}_txt": b"" for n in range(9)}), 413, "more than 8 files"),
        ("big.png", bytes(2_100_000), 413, "2 million bytes at most"),
        ("grey.png", cv2.imencode(".png", np.zeros((60, 60, 3), np.uint8))[1].tobytes(), 422,
         "no file could be used: grey.png"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)  # fmt: skip
def test_a_bad_upload_is_answered(url, uploads_folder, name, content, status, error):
    done = send(url, (name, content))
    assert done.status_code == status
    assert error in done.json()["error"]
    assert str(uploads_folder) not in done.text
    assert requests.get(f"{url}health", timeout=10).json() == {"status": "ready", "waiting": 0}


def test_a_directory_of_a_zip_that_is_too_long_is_not_read(url):
    names = {f"{'x' * 900}{n}_txt": b"" for n in range(12)}
    assert send(url, ("a.zip", zipped(**names))).status_code == 413


def test_an_upload_that_does_not_say_its_length_is_cut_off(url):
    def endless():
        yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
        for _ in range(40):
            yield bytes(100_000)

    done = requests.post(
        f"{url}api/predict", data=endless(), timeout=60,
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )
    assert done.status_code == 413


@pytest.mark.parametrize(
    ("data", "status"),
    [({"kind": "whatever"}, 422), ({"pixel_size_um": "nan"}, 422), ({"pixel_size_um": "-1"}, 422)],
)
def test_a_wrong_value_is_answered(url, field, data, status):
    done = send(url, (field.name, field.read_bytes()), **data)
    assert done.status_code == status
    assert next(iter(data)) in done.json()["error"]
    assert requests.post(f"{url}api/predict", data=b"x", timeout=10).status_code == 422
