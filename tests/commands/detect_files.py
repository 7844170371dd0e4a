"""Small fields with cells at known places, and `stemcls detect` on them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import tifffile
from typer.testing import CliRunner

from stemcls.cli import app

runner = CliRunner()
PLACES = [(50, 60), (140, 150)]


def write_field(path: Path) -> Path:
    y, x = np.mgrid[:200, :200]
    plane = np.full((200, 200), 100, np.uint8)
    for at_y, at_x in PLACES:
        plane[np.hypot(y - at_y, x - at_x) <= 14] = 180
    path.write_bytes(cv2.imencode(".png", plane)[1].tobytes())
    return path


def detect(*arguments: object) -> dict:
    result = runner.invoke(app, ["detect", *map(str, arguments), "--json"])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)



def write_tiff(path: Path, plane: np.ndarray, **about: object) -> Path:
    tifffile.imwrite(path, plane, **about)
    return path


def plane_with(places: list[tuple[int, int]], radius_px: float = 12.0) -> np.ndarray:
    y, x = np.mgrid[:200, :200]
    plane = np.full((200, 200), 100.0)
    for at_y, at_x in places:
        plane += 80 * np.clip(radius_px + 0.5 - np.hypot(y - at_y, x - at_x), 0, 1)
    return plane.astype(np.uint8)


def micrometres(um: float) -> dict[str, object]:
    unit = {"PhysicalSizeXUnit": "µm", "PhysicalSizeYUnit": "µm"}
    return {"ome": True, "metadata": {"PhysicalSizeX": um, "PhysicalSizeY": um, **unit}}
