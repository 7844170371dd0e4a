"""Find the cells of one field in a process of its own, for a picture of what was found."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.config.options import Option
from stemcls.errors import StemclsError
from tui.buildplan import detect_argv

MOST_PX = 2048


@dataclass(frozen=True, eq=False)
class Found:
    """What was found on a field.

    Attributes:
        pixels: (H, W, 3) uint8, the field with a circle around each cell.
        circles: (N, 3) y, x and radius of each cell in those pixels.
        radius_px: Their median radius in pixels of the file, None where there are none.
        seconds: How long it took.
    """

    pixels: np.ndarray
    circles: np.ndarray
    radius_px: float | None
    seconds: float


async def find_cells(image: Path, settings: list[tuple[Option, Any]], overlay: Path) -> Found:
    """Run `stemcls detect` on one image; ends the process when it is cancelled.

    Args:
        image: The field.
        settings: Options of reading and detection that differ from their defaults.
        overlay: A PNG file that does not exist yet; removed again.
    Raises:
        StemclsError: What the command said.
    """
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *detect_argv(image, overlay, settings), stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, start_new_session=True,
    )
    try:
        said, complaint = await process.communicate()
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        raise
    if process.returncode:
        lines = complaint.decode("utf-8", "replace").strip().splitlines()
        raise StemclsError("\n".join(lines[-4:]) or f"detect ended with {process.returncode}")
    document = json.loads(said)
    if document["skipped"]:
        raise StemclsError(document["skipped"][0]["reason"])
    cells = document["fields"][0]["cells"]
    circles = np.array([[cell["y_px"], cell["x_px"], cell["radius_px"]] for cell in cells])
    circles = circles.reshape(-1, 3)
    radius_px = float(np.median(circles[:, 2])) if len(circles) else None
    pixels, scale = await asyncio.to_thread(_read_png, overlay)
    return Found(pixels, circles * scale, radius_px, time.monotonic() - began)


def _read_png(path: Path) -> tuple[np.ndarray, float]:
    """Return the picture, not larger than needed, and by how much it was made smaller."""
    from PIL import Image

    with Image.open(path) as picture:
        width = picture.width
        picture.thumbnail((MOST_PX, MOST_PX))
        pixels = np.asarray(picture.convert("RGB"))
    path.unlink()
    return pixels, pixels.shape[1] / width
