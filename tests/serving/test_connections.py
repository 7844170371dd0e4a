"""Connections that say nothing, or go away, cost nothing."""

from __future__ import annotations

import socket
import threading
import time
from urllib.parse import urlsplit

import pytest

requests = pytest.importorskip("requests")
pytest.importorskip("fastapi", reason="the extra `web` is not installed")
pytest.importorskip("uvicorn", reason="the extra `web` is not installed")

from stemcls.serving import connections  # noqa: E402

from .conftest import LIMITS, card, serving  # noqa: E402


class Quick:
    """A model that is never asked."""

    card = card()


def opened(url: str) -> socket.socket:
    """Return a new connection to a server."""
    parts = urlsplit(url)
    found = socket.create_connection((parts.hostname, parts.port), timeout=20)
    found.settimeout(20)
    return found


def raw(url: str, text: str) -> bytes:
    """Send text and return what is answered until the connection ends."""
    with opened(url) as connection:
        connection.sendall(text.encode("latin-1"))
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize("header", [
    "Host: [::1", "Host: localhost\r\nOrigin: http://[x", "Host: [v1.:]\r\nOrigin: //[",
])
def test_a_malformed_host_or_origin_is_a_bad_request(header):
    with serving(Quick) as url:
        answer = raw(url, f"GET / HTTP/1.1\r\n{header}\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"malformed" in answer


@pytest.mark.parametrize("sent", ["", "GET / HTTP/1.1\r\nHost: loc"])
def test_a_request_that_does_not_come_is_not_waited_for(sent, monkeypatch):
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.2)
    with serving(Quick) as url, opened(url) as connection:
        connection.sendall(sent.encode())
        began = time.monotonic()
        try:
            rest = connection.recv(10)
        except ConnectionResetError:
            rest = b""
        assert rest == b""
        assert time.monotonic() - began < 10


def test_connections_have_a_limit_and_are_free_again(monkeypatch):
    monkeypatch.setattr(connections, "CONNECTIONS", 3)
    with serving(Quick) as url:
        held = [opened(url) for _ in range(3)]
        time.sleep(0.2)
        with pytest.raises(requests.ConnectionError):
            requests.get(url, timeout=10)
        for connection in held:
            connection.close()
        for _ in range(100):
            try:
                assert requests.get(url, timeout=10).status_code == 200
                break
            except requests.ConnectionError:
                time.sleep(0.05)
        else:
            pytest.fail("the connections that were closed still count")


def test_work_of_a_client_that_left_is_dropped(field):
    """The first request is at work when its client leaves; of its four images one is begun."""
    asked: list[str] = []
    begun, may = threading.Event(), threading.Event()

    class Slow:
        card = card()

        model = novelty = None

    def predicted(model, card, paths, **options):
        for path in paths:
            asked.append(path.name)
            begun.set()
            may.wait(30)
            yield path, "not used"

    with pytest.MonkeyPatch.context() as patch, serving(Slow, LIMITS) as url:
        patch.setattr("stemcls.serving.work.predict_files", predicted)
        parts = urlsplit(url)
        content = field.read_bytes()
        body = b"".join(
            b'--x\r\nContent-Disposition: form-data; name="files"; filename="%d.tif"\r\n\r\n%s\r\n'
            % (number, content) for number in range(4)
        ) + b"--x--\r\n"
        head = (
            f"POST /api/predict HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: {len(body)}\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
        )
        with opened(url) as connection:
            connection.sendall(head.encode() + body)
            assert begun.wait(20)
        for _ in range(400):
            if not requests.get(f"{url}health", timeout=10).json()["waiting"]:
                break
            time.sleep(0.02)
        else:
            pytest.fail("its place in line is still taken")
        may.set()
        time.sleep(0.3)
    assert len(asked) == 1
