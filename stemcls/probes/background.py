"""Measure what surrounds the cells: its level, noise and slope, in the units of the camera."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from stemcls.store.cropstore import CropStore

_MAD = 1.4826
_OUTLIER = 3.0
_FINE_PX = 0.8
_LEAST = 1e-6
_BRIM_PX = 2
_BLOCK = 256
LEAST_PIXELS = 32
MEASURES = ("level", "noise", "slope y", "slope x")


def background_measures(
    store: CropStore, rows: np.ndarray, mask: np.ndarray, check: Callable[[], None] | None = None
) -> np.ndarray:
    """Measure the background of crops so that neither the cells nor the scaling shows in it.

    The pixels of a store may have been stretched field by field, which makes the background depend
    on the brightest cell; the stretch is undone where the store tells it. Pixels further than 3
    MAD from the median are left out: they are of cells nobody listed, or dirt.

    Args:
        store: The crops.
        rows: (N,) rows.
        mask: (N, H, W) bool, pixels of background.
        check: Called now and then; may raise.
    Returns: (N, 4 C) float32, `MEASURES` of each channel: the median and the logarithm of the
        noise (robust standard deviation of the finest details), as fractions of full scale, and
        the relative slopes across the crop; NaN where fewer than 32 pixels are background.
    """
    gain, low = stretches(store)
    white = float(np.iinfo(store.dtype).max)
    found = np.full((len(rows), store.n_channels, len(MEASURES)), np.nan, np.float32)
    kernel = np.ones((2 * _BRIM_PX + 1,) * 2, np.uint8)
    height, width = store.size_px
    grid_y, grid_x = np.mgrid[:height, :width]
    grid_y, grid_x = grid_y / height * 2 - 1, grid_x / width * 2 - 1
    for place in range(len(rows)):
        if place % _BLOCK == 0:
            crops = store.read(rows[place : place + _BLOCK])
            if check is not None:
                check()
        crop = crops[place % _BLOCK]
        # Away from the brim a blur reads background alone.
        inside = cv2.erode(mask[place].astype(np.uint8), kernel, borderValue=1) > 0
        if inside.sum() < LEAST_PIXELS:
            continue
        field = store.field_index[rows[place]]
        for channel in range(store.n_channels):
            plane = crop[..., channel].astype(np.float32)
            plane = (plane / white) * gain[field, channel] + low[field, channel]
            found[place, channel] = _measure(plane, inside, grid_y, grid_x)
    return found.reshape(len(rows), -1)


def stretches(store: CropStore) -> tuple[np.ndarray, np.ndarray]:
    """Return (F, C) gain and offset that turn a channel in 0 to 1 back into the file's own units.

    They are 1 and 0 where pixels were not stretched, or where a channel is a mean of slices.
    """
    shape = (len(store.fields), store.n_channels)
    gain, low = np.ones(shape), np.zeros(shape)
    lows, highs = store.fields.scale_low, store.fields.scale_high
    if lows is None or highs is None:
        return gain, low
    slices = lows.shape[1]
    if store.n_channels < slices:
        return gain, low
    full = float(np.nanmax(highs)) if np.isfinite(highs).any() else 1.0
    for channel in range(store.n_channels):
        source = 0 if slices == 1 else channel
        if source >= slices:
            continue
        known = np.isfinite(lows[:, source]) & np.isfinite(highs[:, source])
        low[known, channel] = lows[known, source] / full
        gain[known, channel] = (highs[known, source] - lows[known, source]) / full
    return gain, low


def _measure(
    plane: np.ndarray, inside: np.ndarray, grid_y: np.ndarray, grid_x: np.ndarray
) -> np.ndarray:
    values = plane[inside]
    middle = np.median(values)
    spread = _MAD * np.median(np.abs(values - middle))
    kept = inside & (np.abs(plane - middle) <= _OUTLIER * spread + _LEAST)
    values = plane[kept].astype(np.float64)
    level = float(np.median(values))
    details = (plane - cv2.GaussianBlur(plane, (0, 0), _FINE_PX))[kept]
    noise = _MAD * float(np.median(np.abs(details)))
    y, x = grid_y[kept], grid_x[kept]
    system = np.stack([np.ones_like(y), y, x], axis=1)
    slopes = np.linalg.lstsq(system, values, rcond=None)[0][1:]
    unit = max(abs(level), 0.01)
    return np.array([level, np.log(noise + _LEAST), slopes[0] / unit, slopes[1] / unit])
