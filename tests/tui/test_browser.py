"""The UI in a browser: the same screens, for whoever has the address and nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tui.browser import is_local

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("localhost", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def served(workspace: Path) -> Iterator[str]:
    """Serve a workspace by the real command; the whole address that it prints."""
    port = free_port()
    command = [sys.executable, "-m", "stemcls", "tui", "--serve", "--port", str(port),
               "--workspace", str(workspace)]
    server = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
        text=True,
    )
    assert server.stderr is not None
    said = server.stderr.readline()
    address = re.search(r"http://localhost:\d+/\?token=\S+", said)
    assert address is not None, said
    end = time.monotonic() + 20
    while time.monotonic() < end:  # it says where it is just before it listens there
        with contextlib.suppress(OSError), socket.create_connection(("localhost", port), 1):
            break
        time.sleep(0.05)
    yield address[0]
    server.send_signal(signal.SIGINT)
    assert server.wait(30) == 0
    server.stderr.close()


async def test_a_tab_shows_the_ui_and_takes_keys(served: str) -> None:
    socket_of = served.replace("http://", "ws://").replace("/?", "/ws?width=100&height=30&")
    async with aiohttp.ClientSession() as session, session.ws_connect(socket_of) as tab:
        await shows(tab, "good.h5")
        await tab.send_json(["stdin", "3"])
        await shows(tab, "running")


async def shows(tab: aiohttp.ClientWebSocketResponse, seen: str) -> None:
    """Wait until what was drawn holds `seen`."""
    drawn = ""
    async with asyncio.timeout(30):
        while seen not in ESCAPES.sub("", drawn):
            message = await tab.receive()
            if message.type is aiohttp.WSMsgType.BINARY:
                drawn += message.data.decode("utf-8", "replace")


async def test_without_the_secret_or_from_another_page_nothing_is_shown(served: str) -> None:
    bare = served.partition("?")[0]
    async with aiohttp.ClientSession() as session:
        for address, headers, status in (
            (bare, {}, 403),
            (f"{bare}?token=guessed", {}, 403),
            (f"{bare}ws", {}, 403),
            (served, {"Origin": "http://evil.example"}, 403),
            (served, {"Origin": bare.rstrip("/")}, 200),
            (bare, {}, 200),  # the cookie of the visit before
        ):
            async with session.get(address, headers=headers) as answer:
                assert answer.status == status, (address, await answer.text())
        policy = answer.headers["Content-Security-Policy"]
    assert "font-src 'self' data:" in policy
    assert "googleapis" not in policy


def test_a_port_that_is_taken_is_refused(tmp_path: Path, invoke) -> None:
    with socket.create_server(("localhost", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = invoke("tui", "--serve", "--port", port, "--workspace", str(tmp_path))
    assert done.returncode == 2
    assert f"cannot listen on localhost:{port}" in done.stderr


def test_only_loopback_is_local() -> None:
    assert all(map(is_local, ("localhost", "127.0.0.1", "::1", "127.1.2.3")))
    assert not any(map(is_local, ("0.0.0.0", "::", "192.168.0.7", "lab-workstation")))


def test_chromium_shows_it_and_asks_nobody_else(served: str, chromium: str) -> None:
    sync = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        answered: list[str] = []
        page.on("response", lambda response: answered.append(response.url))
        page.goto(served)
        page.locator("body.-first-byte").wait_for(timeout=60_000)
        page.locator(".xterm-helper-textarea").focus()
        pictures = [page.screenshot()]
        for key in ("3", "8"):
            end = time.monotonic() + 30
            while (picture := page.screenshot()) in pictures:
                assert time.monotonic() < end, f"nothing changed after {key}"
                page.keyboard.press(key)  # the first may come before the terminal listens
                time.sleep(0.5)
            pictures.append(picture)
        browser.close()
    assert answered
    assert all(url.startswith("http://localhost:") for url in answered)
