"""Turn the slices of a field into one map of where cells are, at the resolution they need."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from stemcls.config.imaging import DetectConfig
from stemcls.imaging.detection.foreground import (
    deviation,
    favour_middles,
    fill_hollow,
    soft_foreground,
)

# A disc whose rim was weighed down looks this much smaller, and answers this much less, than a full
# one (measured on drawn discs of 10 to 28 pixels).
SHRINKAGE = 1.22
RIM_RESPONSE = 0.63
WORKING_SIGMA_PX = 2.2  # fields are reduced until the smallest blob has this sigma


@dataclass(frozen=True, eq=False)
class CellMap:
    """Evidence of cells, reduced.

    Attributes:
        evidence: (y, x) float32, deviation from background in units of noise, slices pooled.
        foreground: (y, x) float32, 0 to 1, alike for dim and bright cells, rims weighed down.
        scale: (2,) pixels of the field per pixel of the map, along y and x.
        looked_at: What each slice was taken for: dic, contrast, intensity, or blank.
    """

    evidence: np.ndarray
    foreground: np.ndarray
    scale: np.ndarray
    looked_at: tuple[str, ...]

    def to_field(self, centers: np.ndarray) -> np.ndarray:
        """Return (N, 2) y, x of the map as pixels of the field."""
        return (centers + 0.5) * self.scale - 0.5


def map_cells(
    pixels: np.ndarray, smallest: float, largest: float, config: DetectConfig
) -> CellMap:
    """Measure each slice's deviation from its background, pool them, and even the cells out.

    Args:
        pixels: (C, Y, X) of any real dtype.
        smallest, largest: Sigma of the smallest and of the largest cell, pixels.
        config: Says what the slices show, and whether the map may be reduced.
    """
    factor = max(1.0, smallest / WORKING_SIGMA_PX) if config.mode == "fast" else 1.0
    _, height, width = pixels.shape
    size = (max(1, round(width / factor)), max(1, round(height / factor)))
    pooled = np.zeros((size[1], size[0]), np.float32)
    looked_at = []
    for plane in pixels:
        small = reduced(plane, size)
        spread = float(small.max() - small.min())
        if spread == 0:
            looked_at.append("blank")
            continue
        quantum = 0.5 if plane.dtype.kind in "ui" else spread / 512
        evidence, how = deviation(
            small, quantum, config.polarity, config.modality, smallest / factor / 2,
            largest / factor * 2**0.5,
        )
        evidence *= evidence
        pooled += evidence
        looked_at.append(how)
    pooled = cv2.GaussianBlur(np.sqrt(pooled), (0, 0), 0.7)
    scale = np.array([height / size[1], width / size[0]])
    return CellMap(pooled, _foreground(pooled, largest / factor), scale, tuple(looked_at))


def without_cells(
    cells: CellMap, centers: np.ndarray, radius: np.ndarray, largest: float
) -> CellMap:
    """Blank out cells that were found, so that the level is set by the fainter ones.

    Args:
        cells: The map they were found in.
        centers: (N, 2) y, x in pixels of the map.
        radius: (N,) in pixels of the map.
        largest: Sigma of the largest cell, pixels of the map.
    """
    evidence = cells.evidence.copy()
    for (y, x), reach in zip(np.rint(centers * 16).astype(int), radius, strict=True):
        cv2.circle(evidence, (int(x), int(y)), round(reach * 16), 0.0, -1, cv2.LINE_8, shift=4)
    return replace(cells, evidence=evidence, foreground=_foreground(evidence, largest))


def mean_inside(cells: CellMap, centers: np.ndarray, sigma: float) -> np.ndarray:
    """Return (N,) the mean evidence about each centre, in noise units.

    Args:
        cells: The map.
        centers: (N, 2) y, x in pixels of the map.
        sigma: Standard deviation of the mean's window, pixels of the map.
    """
    if not len(centers):
        return np.zeros(0)
    smooth = cv2.GaussianBlur(cells.evidence, (0, 0), max(1.0, sigma))
    height, width = smooth.shape
    y, x = np.rint(centers).astype(int).T
    return smooth[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]


def _foreground(evidence: np.ndarray, largest: float) -> np.ndarray:
    foreground = soft_foreground(evidence, 2 * largest)
    return favour_middles(fill_hollow(foreground, largest), largest)


def reduced(plane: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return (y, x) float32 area means; OpenCV averages only some dtypes."""
    if plane.dtype not in (np.uint8, np.uint16, np.int16, np.float32):
        plane = plane.astype(np.float32)
    return cv2.resize(plane, size, interpolation=cv2.INTER_AREA).astype(np.float32)
