"""The mode System: devices, one that vanishes, disk, doctor, settings that are kept."""

from __future__ import annotations

import json
from pathlib import Path

from textual.widgets import Select

from tui import machine
from tui.app import StemclsApp
from tui.devices import GIB, Device
from tui.machine import Machine, Watch
from tui.screens.system import facts
from tui.settings import read_settings

from .driving import until

SIZE = (80, 24)
CPU = Device("cpu", "processor, 4 cores", 3 * GIB, 8 * GIB)
GPU = Device("0", "GPU 0: NVIDIA X", 30 * GIB, 40 * GIB)


def test_a_gpu_that_vanishes_is_said_until_it_is_back(tmp_path, monkeypatch) -> None:
    there = [GPU, CPU]
    monkeypatch.setattr(machine, "list_devices", lambda: there)
    watch = Watch(tmp_path)
    assert watch.look().vanished == ()
    there = [CPU]
    (gone, when), = watch.look().vanished
    assert gone == GPU
    assert "✗ GPU 0: NVIDIA X vanished" in facts(watch.look(), {}, "w").plain
    assert watch.look().vanished == ((GPU, when),), "the time stays that of the last sight"
    there = [GPU, CPU]
    assert watch.look().vanished == ()


def test_a_machine_says_what_is_short(tmp_path) -> None:
    text = facts(Machine((CPU,), (), 1.5, GIB, 100 * GIB, writable=False), {"a": "1"}, "w").plain
    assert "processor, 4 cores, 3.0 of 8.0 GiB free, load 1.5" in text
    assert "no NVIDIA GPU here" in text
    assert "disk of w, 1.0 of 100.0 GiB free" in text
    assert "less than 5 GiB" in text
    assert "w cannot be written" in text
    gone = Watch(tmp_path / "gone").look()
    assert "the workspace cannot be asked" in facts(gone, {}, "w").plain


async def test_system_by_keyboard_alone(tmp_path, monkeypatch) -> None:
    checks = [
        {"name": "python", "status": "pass", "value": None, "why": "Linux"},
        {"name": "weights", "status": "warn", "value": [], "why": "none yet"},
        {"name": "backend jax", "status": "fail", "value": None, "why": "not installed"},
    ]

    async def fake(*argv: str, **_: object):
        assert argv[1:5] == ("-m", "stemcls", "doctor", "--json")
        return _Process(json.dumps({"checks": checks}).encode())

    monkeypatch.setattr(machine.asyncio, "create_subprocess_exec", fake)
    monkeypatch.setattr(machine, "list_devices", lambda: [GPU, CPU])
    app = StemclsApp(tmp_path)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await pilot.press("8")
        text = await until(pilot, "GPU 0: NVIDIA X, 30.0 of 40.0 GiB free")
        assert "keras 3" in text
        await pilot.press("d")
        text = await until(pilot, "3 checks, 2 to look at")
        assert text.index("✗ fail") < text.index("! warn") < text.index("✓ pass")
        await until(pilot, "backend jax: not installed")
        checks.clear()
        await pilot.press("t", "down", "enter")
        await until(pilot, lambda _: read_settings().theme == "stemcls-light")
        assert app.theme == "stemcls-light"
        await pilot.press("i", "end", "enter")
        await until(pilot, lambda _: read_settings().pictures == "off")
        assert app.screen.query_one("#pictures", Select).value == "off"
        monkeypatch.setattr(machine.asyncio, "create_subprocess_exec", _crashing)
        app.screen.query_one("#checks").focus()
        await pilot.press("d")
        await until(pilot, "doctor could not be run: ImportError")


class _Process:
    def __init__(self, said: bytes, complaint: bytes = b"") -> None:
        self.pid = 0
        self._said = said, complaint

    async def communicate(self) -> tuple[bytes, bytes]:
        return self._said


async def _crashing(*argv: str, **_: object) -> _Process:
    return _Process(b"", b"ImportError: no keras\n")


def test_the_real_doctor_is_understood(tmp_path: Path) -> None:
    import asyncio

    checks = asyncio.run(machine.run_doctor(tmp_path))
    assert {"python", "keras", "workspace"} <= {check["name"] for check in checks}
