"""Drive the app as a person does: by keys, reading what is on the screen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from textual.pilot import Pilot

from tui.app import StemclsApp


def screen_text(app: StemclsApp) -> str:
    """Return the characters on the screen, one line a row."""
    width, height = app.size
    lines = app.screen._compositor.render_strips()
    return "\n".join("".join(part.text for part in strip)[:width] for strip in lines[:height])


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
