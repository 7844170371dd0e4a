"""Gather from each field what tells how large the cells of the set are."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from stemcls.config.imaging import DetectConfig
from stemcls.imaging.detection.netfinder import (
    busiest_window,
    planes_of,
    surest,
    weights_of,
)
from stemcls.imaging.detection.network import level_peaks, load_network
from stemcls.imaging.detection.pyramid import CANONICAL_PX, pixel_noise
from stemcls.imaging.field import Field

LEVELS_PX = tuple(10.0 * 2.0 ** (step / 2) for step in range(11))  # 10 to 320
_WINDOW_PX = 768  # of the canonical scale: what is looked at of one level
_LEAST_HEAT = 0.3
_LIKE_LEVEL = 0.6  # octaves between a peak's own size and its level's
_PER_FIELD = 1.5  # cells of a level that fit along the shorter side, at least
_DISC_PX = 10.0  # diameter of the drawn disc that maps are compared with
_DISC_REACH = 8
_DISC_LIKENESS = 0.4
_MAPS = ("bright", "dark", "slope", "texture")
_SHRINKS = {"bright": 0.8, "dark": 0.8, "slope": 0.6, "texture": 0.6}  # cell per disc diameter


@dataclass(frozen=True, eq=False)
class Clues:
    """What one field says; plain arrays, so that workers can send it.

    Attributes:
        shape: Y and X.
        peaks: (N, 5) y, x, diameter in pixels, heat, and the part of the field that its level was
            looked at in.
        discs: (4, 11) how well the field's maps (bright, dark, slope, texture) are explained by
            discs of each of `LEVELS_PX`; the sizes of cells that they stand for: `disc_sizes`.
        blank: Whether all pixels of every slice are alike.
    """

    shape: tuple[int, int]
    peaks: np.ndarray
    discs: np.ndarray
    blank: bool


def gather_clues(field: Field, config: DetectConfig) -> Clues:
    """Look at a field at eleven scales, at each where most is to be seen.

    Args:
        field: Finite pixels.
        config: Names the detector's weights.
    """
    network = load_network(weights_of(config))
    height, width = field.pixels.shape[1:]
    found = [np.zeros((0, 6))]
    discs = np.zeros((len(_MAPS), len(LEVELS_PX)))
    planes = list(planes_of(field))
    for plane in planes:
        noise = pixel_noise(plane)
        for number, level in enumerate(LEVELS_PX):
            if level * _PER_FIELD > min(height, width):
                break
            rows, columns = busiest_window(plane, round(_WINDOW_PX * level / CANONICAL_PX))
            window = plane[rows, columns]
            peaks = level_peaks(network, window, level, _LEAST_HEAT, noise=noise)
            peaks[:, :2] += rows.start, columns.start
            share = window.size / plane.size
            extra = np.tile((share, level), (len(peaks), 1))
            found.append(np.column_stack([peaks, extra]))
            discs[:, number] += disc_likeness(window, level) / len(planes)
    peaks = np.concatenate(found)
    like = np.abs(np.log2(np.maximum(peaks[:, 2], 1e-6) / np.maximum(peaks[:, 5], 1e-6)))
    peaks = peaks[like <= _LIKE_LEVEL, :5]
    return Clues((height, width), peaks[surest(peaks, config.overlap)], discs, not planes)


def disc_sizes() -> np.ndarray:
    """Return (4, 11) diameter of the cells that each disc of each map stands for, pixels."""
    return np.array([[_SHRINKS[name] * level for level in LEVELS_PX] for name in _MAPS])


def disc_likeness(plane: np.ndarray, diameter_px: float) -> np.ndarray:
    """Return (4,) how much of each map discs of a size explain.

    The maps are brightness above and below the neighbourhood, slope, and local deviation of the
    fine texture; each is reduced until the disc is 10 pixels wide and correlated with it. A peak
    counts by its contrast, its area, and the fourth power of its correlation.
    """
    factor = _DISC_PX / diameter_px
    height, width = plane.shape
    size = round(width * factor), round(height * factor)
    if min(size) < 2 * _DISC_REACH + 4:
        return np.zeros(len(_MAPS))
    whole = plane.astype(np.float32)
    whole = (whole - whole.mean()) / (whole.std() + np.float32(1e-6))
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    small, power = (cv2.resize(one, size, interpolation=how) for one in (whole, whole * whole))
    away = small - cv2.GaussianBlur(
        small, (0, 0), 2 * _DISC_PX, borderType=cv2.BORDER_REFLECT
    )
    slope = np.hypot(cv2.Sobel(small, cv2.CV_32F, 1, 0), cv2.Sobel(small, cv2.CV_32F, 0, 1))
    mean = cv2.blur(small, (5, 5))
    texture = np.sqrt(np.maximum(cv2.blur(power, (5, 5)) - mean * mean, 0))
    return np.array([_explained(one) for one in (away, -away, slope, texture)])


def _explained(values: np.ndarray) -> float:
    reach = np.hypot(*np.mgrid[-_DISC_REACH : _DISC_REACH + 1, -_DISC_REACH : _DISC_REACH + 1])
    disc = (1 / (1 + np.exp((reach - _DISC_PX / 2) / 0.7))).astype(np.float32)
    likeness = cv2.matchTemplate(values, disc, cv2.TM_CCOEFF_NORMED)
    inner = slice(_DISC_REACH, -_DISC_REACH)
    contrast = (cv2.blur(values, (7, 7)) - cv2.blur(values, (17, 17)))[inner, inner]
    alone = likeness >= cv2.dilate(likeness, np.ones((9, 9), np.uint8))
    cells = alone & (likeness > _DISC_LIKENESS) & (contrast > 0)
    total = float((contrast[cells] * likeness[cells] ** 4).sum())
    return total * _DISC_PX**2 / values.size / (float(values.std()) + 1e-6)
