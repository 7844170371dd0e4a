"""Run the trained detector, an ONNX file, by OpenCV alone."""

from __future__ import annotations

import threading
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from stemcls.errors import InputError
from stemcls.imaging.detection.pyramid import (
    CANONICAL_PX,
    at_canonical_scale,
    even_contrast,
    stands_out,
)

SHIPPED = Path(__file__).parent / "weights" / "detector.onnx"
STRIDE = 2
_MULTIPLE = 8  # edges that the network takes
_TILE_PX, _OVERLAP_PX = 1024, 64  # of the canonical scale: bounds memory
_LARGEST_OCTAVES = 1.5
_SQUARE = np.ones((3, 3), np.uint8)


class Network:
    """A detector's network; its weights are read once, threads take turns."""

    def __init__(self, path: Path) -> None:
        try:
            self._net = cv2.dnn.readNetFromONNX(str(path))
        except cv2.error as error:
            raise InputError(
                f"{path} is no detector that OpenCV {cv2.__version__} can read; train it again, or "
                "leave --detector out"
            ) from error
        self._lock = threading.Lock()

    def answer(self, plane: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return heat from 0 to 1 and size in octaves, (y / 2, x / 2) each, rounded up.

        Args:
            plane: (y, x) float32 of `even_contrast`.
        """
        height, width = plane.shape
        rows, columns = -(-height // STRIDE), -(-width // STRIDE)
        logit = np.empty((rows, columns), np.float32)
        octaves = np.empty((rows, columns), np.float32)
        for top in _starts(height):
            for left in _starts(width):
                bottom, right = min(height, top + _TILE_PX), min(width, left + _TILE_PX)
                part = self._forward(plane[top:bottom, left:right])
                # What is nearer to an inner seam than half the overlap comes from the neighbour.
                cut = [0 if start == 0 else _OVERLAP_PX // 2 // STRIDE for start in (top, left)]
                y, x = top // STRIDE + cut[0], left // STRIDE + cut[1]
                part = part[:, cut[0] : rows - top // STRIDE, cut[1] : columns - left // STRIDE]
                there = np.s_[y : y + part.shape[1], x : x + part.shape[2]]
                logit[there], octaves[there] = part
        heat = 1.0 / (1.0 + cv2.exp(np.minimum(-logit, 30.0)))
        return heat, np.clip(octaves, -_LARGEST_OCTAVES, _LARGEST_OCTAVES)

    def _forward(self, plane: np.ndarray) -> np.ndarray:
        height, width = plane.shape
        below, beside = -height % _MULTIPLE, -width % _MULTIPLE
        padded = cv2.copyMakeBorder(plane, 0, below, 0, beside, cv2.BORDER_REFLECT)
        with self._lock:
            self._net.setInput(padded[None, None])
            answer = self._net.forward()[0].copy()
        return answer[:, : -(-height // STRIDE), : -(-width // STRIDE)]


@lru_cache(maxsize=4)
def load_network(path: Path = SHIPPED) -> Network:
    """Return the network of a file; read once in a process."""
    return Network(path)


def _starts(length: int) -> range | list[int]:
    if length <= _TILE_PX:
        return [0]
    return range(0, length - _OVERLAP_PX, _TILE_PX - _OVERLAP_PX)


def level_peaks(
    network: Network, plane: np.ndarray, diameter_px: float, least_heat: float, twice: bool = False,
    noise: float = 0.0,
) -> np.ndarray:
    """Return (N, 4) y, x, diameter in pixels of the plane, and heat, of each peak at one scale.

    Args:
        network: The detector.
        plane: (Y, X) of any real dtype.
        diameter_px: Of the cells that the level is made for.
        least_heat: Lower peaks are left out.
        noise: Of a pixel, in grey levels; peaks that noise explains are left out. 0: none are.
        twice: Look again, mirrored and inverted, and take the mean: surer, at twice the cost.
    """
    small = at_canonical_scale(plane, diameter_px)
    even = even_contrast(small)
    heat, octaves = network.answer(even)
    # Mirrored, an odd edge would shift the answers by half of their distance.
    if twice and even.shape[1] > STRIDE:
        wide = even.shape[1] - even.shape[1] % STRIDE
        again, _ = network.answer(np.ascontiguousarray(-even[:, wide - 1 :: -1]))
        columns = wide // STRIDE
        heat[:, :columns] = (heat[:, :columns] + again[:, ::-1]) / 2
    top = (heat > least_heat) & (heat >= cv2.dilate(heat, _SQUARE))
    y, x = np.nonzero(top)
    if not len(y):
        return np.zeros((0, 4))
    if noise:
        last = np.array(small.shape) - 1
        seen = stands_out(
            small, np.minimum(y * STRIDE, last[0]), np.minimum(x * STRIDE, last[1]), noise,
            diameter_px,
        )
        y, x = y[seen], x[seen]
    scale = np.array(plane.shape) / small.shape
    places = np.stack([y + _offset(heat, y, x, 0), x + _offset(heat, y, x, 1)], axis=1)
    centers = np.clip((places + 0.5) * STRIDE * scale - 0.5, 0, np.array(plane.shape) - 1)
    diameters = CANONICAL_PX * float(scale.mean()) * 2.0 ** octaves[y, x]
    return np.column_stack([centers, diameters, heat[y, x]])


def _offset(heat: np.ndarray, y: np.ndarray, x: np.ndarray, axis: int) -> np.ndarray:
    """Return where a parabola through three neighbours peaks, from -0.5 to 0.5."""
    last = heat.shape[axis] - 1
    at = (y, x)[axis]
    before, after = np.maximum(at - 1, 0), np.minimum(at + 1, last)
    low = heat[before, x] if axis == 0 else heat[y, before]
    high = heat[after, x] if axis == 0 else heat[y, after]
    bend = 2 * heat[y, x] - low - high
    return np.clip((high - low) / np.maximum(2 * bend, 1e-6), -0.5, 0.5)
