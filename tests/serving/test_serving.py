"""The page and its API answer as `stemcls predict` does, lose nobody, keep nothing, never break."""

from __future__ import annotations

import base64
import csv
import io
import struct
import threading
import time
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

requests = pytest.importorskip("requests")
pytest.importorskip("fastapi", reason="the extra `web` is not installed")
pytest.importorskip("uvicorn", reason="the extra `web` is not installed")

from stemcls.errors import InputError  # noqa: E402

from .conftest import CLASSES, CROP_PX, LIMITS, card, serving  # noqa: E402


def send(url, *files, path="api/predict", **form):
    sent = [("files", (name, content)) for name, content in files]
    return requests.post(f"{url}{path}", files=sent, data=form, timeout=120)


def zipped(method: int = zipfile.ZIP_DEFLATED, /, **members: bytes) -> bytes:
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), content)
    return kept.getvalue()


def png(height: int, width: int) -> bytes:
    """Return a PNG that claims a size, with the pixels of a small one."""
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">L", len(data)) + kind + data + struct.pack(
            ">L", zlib.crc32(kind + data)
        )

    head = struct.pack(">LLBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.fixture(autouse=True)
def nothing_is_kept(request):
    """After every test the server's folder of temporary files is empty."""
    yield
    if "url" in request.fixturenames:
        folder = request.getfixturevalue("uploads_folder")
        for _ in range(100):
            left = [path for home in folder.glob("stemcls-*") for path in home.iterdir()]
            if not left:
                return
            time.sleep(0.05)
        assert left == []


def test_the_table_is_that_of_predict(url, loaded, field, tmp_path):
    from stemcls.prediction.predict import predict_table

    predict_table(loaded.model, loaded.card, [field], tmp_path / "cells.csv")
    wanted = (tmp_path / "cells.csv").read_text(encoding="utf-8").replace(str(field), field.name)
    answer = send(url, (field.name, field.read_bytes())).json()
    assert answer["csv"].splitlines() == wanted.splitlines()
    assert answer["rows"] == sum(answer["composition"].values()) == len(wanted.splitlines()) - 1 > 3
    table = send(url, (field.name, field.read_bytes()), path="api/table")
    assert table.headers["content-type"].startswith("text/csv")
    assert table.content.decode().splitlines() == wanted.splitlines()
    cells = answer["images"][0]["cells"]
    for cell, row in zip(cells, csv.DictReader(io.StringIO(wanted)), strict=True):
        assert cell["class"] == row["class"]
        assert cell["score"] == pytest.approx(float(row["score"]))
        assert cell["y_px"] == pytest.approx(float(row["y_px"]))


def test_a_picture_comes_along_where_it_is_asked_for(url, field):
    assert send(url, (field.name, field.read_bytes())).json()["images"][0]["picture"] is None
    answer = send(url, (field.name, field.read_bytes()), path="api/predict?pictures=true").json()
    kind, _, data = answer["images"][0]["picture"].partition(",")
    assert kind == "data:image/jpeg;base64"
    decoded = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape == (256, 256, 3)


def test_a_zip_is_taken_apart_and_its_other_files_are_named(url, field):
    whole = zipped(day__a_tif=field.read_bytes(), day__b_tif=field.read_bytes(),
                   notes_txt=b"hello", __MACOSX__x_tif=b"")
    answer = send(url, ("fields.zip", whole)).json()
    assert [image["name"] for image in answer["images"]] == ["day/a.tif", "day/b.tif"]
    assert answer["skipped"][0]["path"] == "notes.txt"
    assert "no image suffix" in answer["skipped"][0]["reason"]
    assert answer["images"][0]["cells"] == answer["images"][1]["cells"]


def test_a_crop_is_one_cell(url):
    crop = np.random.default_rng(0).integers(0, 255, (CROP_PX, CROP_PX, 3), np.uint8)
    answer = send(url, ("crop.png", cv2.imencode(".png", crop)[1].tobytes())).json()
    assert answer["rows"] == 1
    assert answer["images"][0]["cells"][0]["x_px"] == (CROP_PX - 1) / 2


def test_a_field_without_cells_has_an_empty_table(url):
    grey = cv2.imencode(".png", np.full((200, 200, 3), (90, 91, 92), np.uint8))[1].tobytes()
    noise = np.random.default_rng(0).integers(120, 124, (200, 200, 3), np.uint8)
    empty = cv2.imencode(".png", noise)[1].tobytes()
    done = send(url, ("empty.png", empty))
    assert done.status_code == 200
    assert done.json()["rows"] == 0
    assert done.json()["composition"] == dict.fromkeys(CLASSES, 0)
    blank = send(url, ("grey.png", grey))
    assert blank.status_code in (200, 422)


@pytest.mark.parametrize(
    ("name", "content", "status", "error"),
    [
        ("a.png", b"hello, this is text", 422, "a.png is named .png but its content is no PNG"),
        ("../../etc/a.png", b"", 422, "etc/a.png is empty"),
        ("a.png", png(30_000, 30_000), 422, "900.0 million pixels, at most 2"),
        ("a.png", png(100, 100), 422, "a.png is damaged or truncated"),
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


def test_twenty_users_at_once_all_get_their_answer(url, field):
    pixels = field.read_bytes()
    with ThreadPoolExecutor(20) as users:
        found = list(users.map(lambda n: send(url, (f"{n}.tif", pixels)), range(20)))
    assert [done.status_code for done in found] == [200] * 20
    tables = {done.json()["csv"].replace(f"{n}.tif", "x") for n, done in enumerate(found)}
    assert len(tables) == 1
    assert requests.get(f"{url}health", timeout=10).json() == {"status": "ready", "waiting": 0}


def test_a_cell_is_explained_as_the_command_would(url, loaded, field):
    from stemcls.explain.explain import explain
    from stemcls.prediction.inputs import load_sample

    cell = send(url, (field.name, field.read_bytes())).json()["images"][0]["cells"][2]
    place = {"y_px": cell["y_px"], "x_px": cell["x_px"]}
    done = send(url, (field.name, field.read_bytes()), path="api/saliency", **place)
    answer = done.json()
    crop = load_sample(field, loaded.card, None, "auto").read(np.array([2]))
    wanted = explain(loaded.probe, crop)
    assert answer["target"] == cell["class"]
    assert answer["layer"] == wanted.layer
    np.testing.assert_allclose(answer["probabilities"], cell["probabilities"], atol=1e-5)
    data = base64.b64decode(answer["crop"].partition(",")[2])
    shown = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    np.testing.assert_array_equal(shown, crop[0])


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"target": "prime"}, "did you mean 'primed'?"),
        ({"method": "gradcum"}, "did you mean 'gradcam'?"),
        ({"y_px": 1, "x_px": 1}, "leaves field of ten.tif"),
        ({"name": "other.tif"}, "which of field of ten.tif?"),
    ],
)
def test_what_cannot_be_explained_is_answered(url, field, form, error):
    form = {"y_px": 100, "x_px": 100, **form}
    done = send(url, (field.name, field.read_bytes()), path="api/saliency", **form)
    assert done.status_code == 422
    assert error in done.json()["error"]


def test_pages_of_other_sites_and_other_hosts_are_refused(url, field):
    headers = {"Origin": "https://evil.example"}
    content = [("files", (field.name, field.read_bytes()))]
    refused = requests.post(f"{url}api/predict", files=content, headers=headers, timeout=10)
    assert refused.status_code == 403
    headers = {"Host": "evil.example"}
    assert requests.get(f"{url}api/model", headers=headers, timeout=10).status_code == 403
    same = {"Origin": url.rstrip("/")}
    assert requests.post(
        f"{url}api/predict", files=content, headers=same, timeout=60
    ).status_code == 200


def test_the_page_needs_nothing_from_elsewhere(url):
    for path in ("", "page.js", "page.css"):
        done = requests.get(f"{url}{path}", timeout=10)
        assert "default-src 'none'" in done.headers["content-security-policy"]
        assert done.headers["cache-control"] == "no-store"
        text = done.text.replace("http://www.w3.org/2000/svg", "")
        assert "//" not in text.replace("// ", "")
    about = requests.get(f"{url}api/model", timeout=10).json()
    assert about["classes"] == list(CLASSES)
    assert about["limits"]["upload_mb"] == 2


def test_while_the_model_loads_requests_are_told_to_come_again_and_the_page_opens():
    loaded = threading.Event()
    with serving(loaded.wait, until="loading") as url:
        health = requests.get(f"{url}health", timeout=10)
        assert health.status_code == 503
        assert health.json()["status"] == "loading"
        done = send(url, ("a.png", b"x"))
        assert done.status_code == 503
        assert int(done.headers["retry-after"]) > 0
        assert "being loaded" in done.json()["error"]
        assert requests.get(url, timeout=10).status_code == 200
        loaded.set()


def test_a_full_line_and_a_slow_job_are_told_to_come_again(field):
    """The model is a thing that cannot predict before it may; one place in line, one second."""
    may = threading.Event()

    class Slow:
        card = card()

        @property
        def model(self):
            may.wait(30)
            raise InputError("it may now, but there is no model")

    config = replace(LIMITS, max_waiting=1, max_seconds=1.0)
    pixels = field.read_bytes()
    with serving(Slow, config) as url, ThreadPoolExecutor(2) as users:
        first = users.submit(send, url, ("a.tif", pixels))
        for _ in range(100):
            if requests.get(f"{url}health", timeout=10).json()["waiting"]:
                break
            time.sleep(0.01)
        second = send(url, ("b.tif", pixels))
        assert second.status_code == 503
        assert "1 requests are waiting" in second.json()["error"]
        assert first.result().status_code == 503
        assert "longer than 1 s" in first.result().json()["error"]
        may.set()
        done = send(url, ("c.tif", pixels))
        assert done.status_code == 422
        assert "there is no model" in done.json()["error"]


def test_a_model_that_cannot_be_loaded_ends_the_server():
    from stemcls.serving.serve import open_server

    def fail():
        raise InputError("no such layer")

    with pytest.raises(InputError, match="no such layer"):
        open_server(fail, card(), "tiny", LIMITS).run()


def test_a_port_in_use_is_named(url):
    from stemcls.serving.serve import open_server

    taken = int(url.rstrip("/").rpartition(":")[2])
    with pytest.raises(InputError, match=f"cannot listen on 127.0.0.1:{taken}"):
        open_server(lambda: None, card(), "tiny", replace(LIMITS, port=taken))


def test_the_command_names_what_is_missing(invoke, monkeypatch, tmp_path):
    done = invoke("serve", tmp_path / "nothing.keras")
    assert done.returncode == 2
    assert "there is no model" in done.stderr
    monkeypatch.setattr("stemcls.commands.serve.PACKAGES", ("no_such_package",))
    done = invoke("serve", tmp_path / "nothing.keras")
    assert done.returncode == 2
    assert "pip install 'stemcls[web]'" in done.stderr


def test_the_api_keeps_to_its_own_description(url):
    schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
    from hypothesis import HealthCheck, Phase, given, settings
    from schemathesis.specs.openapi import checks as openapi

    checks = [
        schemathesis.checks.not_a_server_error, openapi.status_code_conformance,
        openapi.content_type_conformance, openapi.response_schema_conformance,
    ]
    schema = schemathesis.openapi.from_url(f"{url}openapi.json")
    asked = set()
    for found in schema.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=12, deadline=None, database=None, derandomize=True,
            phases=[Phase.generate], suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def ask(case):
            case.call_and_validate(checks=checks)

        ask()
        asked.add(operation.path)
    assert asked == {"/health", "/api/model", "/api/predict", "/api/table", "/api/saliency"}


def test_a_colleague_drops_a_field_and_clicks_a_cell(url, field, chromium, tmp_path):
    sync = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    (tmp_path / "text.png").write_text("hello")
    asked, said = [], []
    with sync.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page()
        page.set_default_timeout(60_000)
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(url)
        status = page.locator("#status")
        sync.expect(status).to_have_text("ready", timeout=60_000)
        assert "naïve, early" in page.locator("#model").inner_text()
        page.set_input_files("#files", field)
        rings = page.locator("svg circle.cell")
        sync.expect(rings.first).to_be_visible(timeout=60_000)
        n_cells = rings.count()
        sync.expect(status).to_have_text(f"{n_cells} cells")
        assert page.locator("svg image").get_attribute("href").startswith("data:image/jpeg")

        def counted() -> int:
            return sum(int(text) for text in page.locator(
                "#composition tbody td:nth-child(2)").all_inner_texts())

        assert counted() == n_cells > 3
        scores = sorted(
            float(text.split()[-1]) for text in page.locator("svg text").all_text_contents()
        )
        page.locator("#cut").fill(str(scores[-1]))
        assert counted() < n_cells
        assert page.locator("svg circle.low").count() == n_cells - counted()
        with page.expect_download() as download:
            page.locator("#save").click()
        saved = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
        assert len(saved) == 1 + counted()
        page.locator("#cut").fill("0")
        rings.nth(1).focus()
        page.keyboard.press("Enter")
        sync.expect(page.locator("#cell img")).to_have_count(2, timeout=60_000)
        page.evaluate("""() => {
            const dropped = new DataTransfer();
            dropped.items.add(new File(["hello"], "text.png"));
            document.dispatchEvent(new DragEvent("drop", { dataTransfer: dropped }));
        }""")
        sync.expect(status).to_contain_text("text.png is named .png", timeout=60_000)
        browser.close()
    assert all(one.startswith((url, "data:", "blob:")) for one in asked)
    assert [text for text in said if "422" not in text] == []


def test_the_benchmark_compares_the_same_tables(tmp_path):
    from stemcls.bench.prediction import write_simulated
    from stemcls.bench.serving import measure

    write_simulated(tmp_path / "fields", 3, 256, 6)
    found = measure(str(tmp_path), "TinyCNN", 1.0, CROP_PX)
    assert found["equal"]
    assert found["cells"] > 2
    assert found["seconds"] > 0 < found["predict_seconds"]
