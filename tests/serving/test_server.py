"""The server: whom it answers and when, what its page needs, and how its command starts it."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

requests = pytest.importorskip("requests")
pytest.importorskip("fastapi", reason="the extra `web` is not installed")
pytest.importorskip("uvicorn", reason="the extra `web` is not installed")

from stemcls.errors import InputError  # noqa: E402

from .conftest import CLASSES, LIMITS, card, send, serving  # noqa: E402


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
    for path in ("", "page.js", "field.js", "page.css"):
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
        assert "naïve, early" in page.locator("#title").inner_text()
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
        page.locator("#names").check()
        names = page.locator("svg text").all_text_contents()
        assert 0 < len(names) <= n_cells
        page.locator("#names").uncheck()
        assert page.locator("svg text").count() == 0
        whole = page.locator("#drawing").get_attribute("viewBox")
        page.locator("#closer").click()
        assert page.locator("#drawing").get_attribute("viewBox") != whole
        page.locator("#whole").click()
        assert page.locator("#drawing").get_attribute("viewBox") == whole
        scores = sorted(
            float(text.split()[-1])
            for text in rings.evaluate_all("all => all.map(one => one.ariaLabel)")
        )
        page.locator("#cut").fill(str(scores[-1]))
        assert counted() < n_cells
        assert page.locator("svg circle.low").count() == n_cells - counted()
        with page.expect_download() as download:
            page.locator("#save").click()
        saved = Path(download.value.path()).read_text(encoding="utf-8-sig").splitlines()
        assert len(saved) == 1 + counted()
        page.locator("#cut").fill("0")
        with page.expect_download() as download:
            page.locator("#picture").click()
        assert download.value.suggested_filename == "field-of-ten.tif-cells.png"
        assert Path(download.value.path()).read_bytes()[:4] == b"\x89PNG"
        rings.nth(1).focus()
        page.keyboard.press("Enter")
        sync.expect(page.locator("#cell img")).to_have_count(2, timeout=60_000)
        page.evaluate("""() => {
            const dropped = new DataTransfer();
            dropped.items.add(new File(["hello"], "text.png"));
            document.dispatchEvent(new DragEvent("drop", { dataTransfer: dropped }));
        }""")
        sync.expect(status).to_contain_text("text.png is named .png", timeout=60_000)
        sync.expect(page.locator("#found")).to_be_hidden()  # what was found was of another file
        browser.close()
    assert all(one.startswith((url, "data:", "blob:")) for one in asked)
    assert [text for text in said if "422" not in text] == []
