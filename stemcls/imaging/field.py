"""What travels through imaging: the pixels of one field, and the cells found in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np


@dataclass(frozen=True, eq=False)
class Field:
    """One field of view.

    Attributes:
        pixels: (C, Y, X), the dtype of the file.
        path: The file it was read from.
        channels: C names.
        pixel_size_um: Edge of a pixel in micrometres, or None where the file does not say.
        acquired: When it was recorded, or None.
        position_um: Stage y and x of the field in micrometres, or None.
        bits: Bits that the values use, where the file says that those are fewer than the type's:
            12 for a camera's 0 to 4095 in uint16. None: all of the type's, or unknown.
        remarks: What the user should know of how the file was read: sentences without its name,
            the same for every field with the same cause.
    """

    pixels: np.ndarray
    path: Path
    channels: tuple[str, ...]
    pixel_size_um: float | None = None
    acquired: datetime | None = None
    position_um: tuple[float, float] | None = None
    bits: int | None = None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Detections:
    """Cells found in one field, best score first.

    Attributes:
        centers_px: (N, 2) float32, y and x in pixels; pixel centres are whole numbers.
        radius_px: (N,) float32.
        score: (N,) float32, the detector's response, larger is surer.
        rejected: Why candidates were turned down, and how many for each reason.
    """

    centers_px: np.ndarray
    radius_px: np.ndarray
    score: np.ndarray
    rejected: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.centers_px)


NO_CELLS = Detections(
    np.zeros((0, 2), np.float32), np.zeros(0, np.float32), np.zeros(0, np.float32)
)
