"""Find cells by the trained detector, at scales around the usual size."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from scipy.spatial import cKDTree

from stemcls.config.imaging import DetectConfig
from stemcls.imaging.detection.network import SHIPPED, level_peaks, load_network
from stemcls.imaging.detection.pyramid import pixel_noise
from stemcls.imaging.detection.selection import detections_of
from stemcls.imaging.field import Detections, Field
from stemcls.imaging.scalespace.peaks import prune_in_order

COLOURS = ("red", "green", "blue")
_THRESHOLD = 0.35
_SMALLEST_PX = 14.0  # enlarging a field further adds nothing but blur
_FARTHEST = 1.0  # octaves from the usual diameter
_LEAST_RING_PX = 1.0


def find_with_network(field: Field, config: DetectConfig) -> Detections:
    """Find cells with the network that is shipped, or with one of the user's own.

    Every slice is looked at by itself (red, green and blue of a colour file as one), resized so
    that cells of the usual size are as wide as the network knows them. Of answers that overlap the
    surest stays. Other scales beside this one cost precision and gained nothing (on halves a of
    `stemcls bench detect-real`).

    Args:
        field: Finite pixels.
        config: With a diameter.
    """
    network = load_network(weights_of(config))
    threshold = _THRESHOLD if config.threshold is None else config.threshold
    found = [np.zeros((0, 4))]
    for plane in planes_of(field):
        level = max(config.diameter_px, _SMALLEST_PX)
        found.append(level_peaks(network, plane, level, threshold, True, pixel_noise(plane)))
    peaks = np.concatenate(found)
    kept = peaks[surest(peaks, config.overlap)]
    # Of several slices, the same cell seen in another one is nothing to be counted.
    dropped = {} if len(found) > 2 else {"overlaps a surer blob": len(peaks) - len(kept)}
    like = np.abs(np.log2(kept[:, 2] / config.diameter_px)) <= _FARTHEST
    dropped["of another size than looked for"] = int((~like).sum())
    kept = kept[like]
    if config.polarity != "both":
        right = _brighter(field, kept) == (config.polarity == "bright")
        dropped[f"not {config.polarity}"] = int((~right).sum())
        kept = kept[right]
    return detections_of(
        kept[:, :2], kept[:, 2] / 2, kept[:, 3], field.pixels.shape[1:], config,
        {reason: count for reason, count in dropped.items() if count},
    )


def weights_of(config: DetectConfig) -> Path:
    """Return the ONNX file of the detector that the settings name."""
    return Path(config.detector) if config.detector else SHIPPED


def planes_of(field: Field) -> Iterator[np.ndarray]:
    """Yield the (Y, X) planes that cells are looked for in; those that are blank are left out.

    Red, green and blue of a colour file show the same cells: they are added up, each weighing its
    contrast.
    """
    pixels = field.pixels
    spreads = [float(plane.std()) for plane in pixels]
    if field.channels == COLOURS and sum(spreads) > 0:
        total = np.zeros(pixels.shape[1:], np.float32)
        for spread, plane in zip(spreads, pixels, strict=True):
            total += np.float32(spread / sum(spreads)) * plane.astype(np.float32)
        yield total
        return
    for spread, plane in zip(spreads, pixels, strict=True):
        if spread > 0:
            yield plane


def surest(peaks: np.ndarray, overlap: float) -> np.ndarray:
    """Return the rows of peaks (y, x, diameter, heat, ...) that overlap no surer one, surest first.

    Args:
        peaks: (N, 4 or more).
        overlap: Largest shared area of two discs, fraction of the smaller.
    """
    if not len(peaks):
        return np.zeros(0, np.intp)
    order = np.argsort(-peaks[:, 3], kind="stable")
    radius = peaks[:, 2] / 2
    kept = prune_in_order(
        peaks[:, :2], radius / 2**0.5, order, radius + radius.max(), overlap,
        cKDTree(peaks[:, :2]),
    )
    return order[kept[order]]


def _brighter(field: Field, peaks: np.ndarray) -> np.ndarray:
    """Return (N,) bool: which cells are brighter than the ring around them, in the first slice."""
    plane = next(planes_of(field), field.pixels[0]).astype(np.float32)
    height, width = plane.shape
    brighter = np.zeros(len(peaks), bool)
    for row, (y, x, diameter) in enumerate(peaks[:, :3]):
        radius = diameter / 2
        reach = int(np.ceil(1.5 * radius + _LEAST_RING_PX))
        top, left = max(0, round(y) - reach), max(0, round(x) - reach)
        bottom, right = min(height, round(y) + reach + 1), min(width, round(x) + reach + 1)
        part = plane[top:bottom, left:right]
        far = np.hypot(*(np.indices(part.shape) - np.reshape((y - top, x - left), (2, 1, 1))))
        inside, ring = part[far <= radius], part[far > radius]
        brighter[row] = bool(len(inside) and len(ring) and inside.mean() > np.median(ring))
    return brighter


def busiest_window(plane: np.ndarray, edge_px: int) -> tuple[slice, slice]:
    """Return rows and columns of the window of at most `edge_px` in which most changes."""
    height, width = plane.shape
    if height <= edge_px and width <= edge_px:
        return slice(0, height), slice(0, width)
    block = max(1, edge_px // 8)
    size = max(1, width // block), max(1, height // block)
    small = plane.astype(np.float32)
    mean = cv2.resize(small, size, interpolation=cv2.INTER_AREA)
    power = cv2.resize(small * small, size, interpolation=cv2.INTER_AREA)
    busy = np.sqrt(np.maximum(power - mean * mean, 0))
    window = min(8, size[0]), min(8, size[1])
    total = cv2.blur(busy, window, anchor=(0, 0), borderType=cv2.BORDER_CONSTANT)
    total = total[: size[1] - window[1] + 1, : size[0] - window[0] + 1]
    top, left = np.unravel_index(int(total.argmax()), total.shape)
    y = min(int(top) * block, max(0, height - edge_px))
    x = min(int(left) * block, max(0, width - edge_px))
    return slice(y, min(height, y + edge_px)), slice(x, min(width, x + edge_px))
