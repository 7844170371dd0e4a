"""Draw every screen of the terminal UI over the demo's workspace, for the documentation.

    stemcls demo --workspace WORKSPACE
    python docs/screens/draw.py WORKSPACE
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import tempfile
import time
from pathlib import Path

from textual.pilot import Pilot

HERE = Path(__file__).parent
SIZE = (120, 36)
WAIT_SECONDS = 20.0

# name of the picture -> keys that lead there from the start, and what the screen then shows
SCREENS: dict[str, tuple[tuple[str, ...], str]] = {
    "datasets": (("1",), "demo-"),
    "crops": (("1", "c"), "class-a"),
    "train": (("2",), "backbone"),
    "runs": (("3",), "finished"),
    "tune": (("4",), ""),
    "results": (("3", "enter"), "mean_recall"),
    "confusion": (("3", "enter", "]"), "Rows: the truth"),
    "cells": (("3", "enter", "]", "enter"), " called "),
    "threshold": (("3", "enter", "]", "]"), "threshold"),
    "explain": (("3", "enter", "6"), ""),
    "predict": (("3", "enter", "7"), ""),
    "system": (("8",), ""),
    "maps": (("3", "enter", "6", "enter"), "gradcam"),
    "help": (("3", "question_mark"), "Help (esc closes)"),
    "jump": (("1", "ctrl+o"), " a "),
}


def main() -> None:
    """Draw the screens that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("names", nargs="*", default=list(SCREENS))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ.update(XDG_CONFIG_HOME=home, XDG_STATE_HOME=home)
        for name in asked.names:
            asyncio.run(_draw(asked.workspace, name))


async def _draw(workspace: Path, name: str) -> None:
    from tui import settings
    from tui.app import StemclsApp

    settings.keep_settings(settings.Settings(toured=True, pictures="halfcell"))
    keys, seen = SCREENS[name]
    app = StemclsApp(workspace)
    app.animation_level = "none"
    async with app.run_test(size=SIZE) as pilot:
        await _settle(pilot, "8 System")
        for key in keys:
            await pilot.press(key)
            await pilot.pause(0.5)
        await _settle(pilot, seen)
        drawing = app.export_screenshot(title=f"stemcls: {name}", simplify=True)
    # Rich numbers the classes and the font of every picture by its content.
    drawing = re.sub(r"terminal-\d+", "terminal", drawing)
    (HERE / f"{name}.svg").write_text(drawing, encoding="utf-8")
    print(HERE / f"{name}.svg")


async def _settle(pilot: Pilot[None], seen: str) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        await pilot.pause(0.2)
        strips = pilot.app.screen._compositor.render_strips()
        if seen in "\n".join("".join(part.text for part in strip) for strip in strips):
            await pilot.pause(1.0)
            return
    raise SystemExit(f"the screen never showed {seen!r}")


if __name__ == "__main__":
    main()
