"""Drive the app as a person does: by keys, reading what is on the screen."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from textual.pilot import Pilot

from tui.app import StemclsApp


def screen_text(app: StemclsApp) -> str:
    """Return the characters on the screen, one line a row."""
    width, height = app.size
    lines = app.screen._compositor.render_strips()
    return "\n".join("".join(part.text for part in strip)[:width] for strip in lines[:height])


def unwrapped(text: str) -> str:
    """Return a screen as one line: a toast breaks its text by the length of a path in it."""
    return " ".join(re.sub(r"[│▌▐▎▕]", " ", text).split())


async def until(
    pilot: Pilot, seen: str | Callable[[str], bool], seconds: float = 8.0
) -> str:
    """Wait until the screen shows `seen`; return the screen, or fail and show it."""
    app = pilot.app
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        await pilot.pause()
        text = screen_text(app)
        if seen(text) if callable(seen) else seen in text:
            return text
        await asyncio.sleep(0.05)
    raise AssertionError(f"the screen never showed {seen!r}:\n{screen_text(app)}")


@asynccontextmanager
async def opened(
    workspace: Path, mode: str, seen: str, run: Path | None = None,
    size: tuple[int, int] = (100, 30),
) -> AsyncIterator[Pilot[None]]:
    """Open the app in a mode, with a run for it to show, and wait until the screen shows `seen`."""
    app = StemclsApp(workspace)
    async with app.run_test(size=size, notifications=True) as pilot:
        app.go(mode, run=run)
        await until(pilot, seen)
        yield pilot


async def looks_as_before(pilot: Pilot, name: str, seconds: float = 8.0) -> None:
    """Wait until the screen is the picture of that name that a person has looked at, or fail.

    `STEMCLS_UPDATE_SNAPSHOTS=1 pytest tests/tui` draws the pictures anew; look at them then.
    """
    kept = Path(__file__).with_name("snapshots") / f"{name}.svg"
    if os.environ.get("STEMCLS_UPDATE_SNAPSHOTS"):
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(_drawn(pilot.app), encoding="utf-8")
    wanted, end = kept.read_text(encoding="utf-8"), time.monotonic() + seconds
    while _drawn(pilot.app) != wanted:
        assert time.monotonic() < end, f"{name} looks different:\n{screen_text(pilot.app)}"
        await pilot.pause(0.1)


def _drawn(app: StemclsApp) -> str:
    # Rich numbers the classes and the font of every picture by its content.
    return re.sub(r"terminal-\d+", "terminal", app.export_screenshot(simplify=True))
