"""Datasets, its gallery and System look as they did when a person last looked at them.

A wanted change: see `looks_as_before`.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tui.app import StemclsApp
from tui.devices import GIB, Device
from tui.machine import Machine

from .driven_store import write_blobs
from .driving import looks_as_before, until
from .test_audit_widget import write_audit_of

SIZES = [(80, 24), (120, 40), (200, 60)]


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace without a path of its own on the screen."""
    monkeypatch.chdir(tmp_path)
    write_blobs(tmp_path / "datasets" / "good.h5")
    write_audit_of(tmp_path, "abc")
    return tmp_path


def _still(workspace: Path) -> StemclsApp:
    app = StemclsApp(workspace)
    app.animation_level = "none"
    return app


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_the_stores_and_the_crops_of_one(shown, size) -> None:
    app = _still(shown)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda text: "73.3%" in text and "✗ fail" in text)
        await looks_as_before(pilot, f"datasets-{size[0]}")
        await pilot.press("c")
        await until(pilot, lambda text: "centre x " in text and "▶" in text)
        await looks_as_before(pilot, f"crops-{size[0]}")


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_the_machine(shown, size, monkeypatch) -> None:
    gpus = [Device(str(one), f"GPU {one}: NVIDIA RTX A6000", one * 20 * GIB, 48 * GIB)
            for one in (1, 2)]
    cpu = Device("cpu", "processor, 16 cores", 30 * GIB, 64 * GIB)
    seen = Machine((gpus[1], cpu), ((gpus[0], 0.0),), 3.2, 400 * GIB, 2000 * GIB)
    checks = [
        {"name": "python", "status": "pass", "value": None, "why": "Linux x86_64"},
        {"name": "weights", "status": "warn", "value": [], "why": "none yet: they are downloaded"},
    ]

    async def doctor(_: Path) -> list[dict[str, object]]:
        return checks

    monkeypatch.setattr("tui.machine.Watch.look", lambda _: seen)
    monkeypatch.setattr("tui.screens.system.versions", lambda: {"python": "3.11", "keras": "3.15"})
    monkeypatch.setattr("tui.screens.system.run_doctor", doctor)
    monkeypatch.setattr("tui.screens.system.time.localtime", time.gmtime)
    app = _still(shown)
    app.workspace = Path("WORKSPACE")
    async with app.run_test(size=size) as pilot:
        await pilot.press("8")
        await until(pilot, "vanished")
        await pilot.press("d")
        await until(pilot, lambda text: "weights: none yet" in text)
        await looks_as_before(pilot, f"system-{size[0]}")
