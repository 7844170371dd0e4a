"""Change a training crop at random by one combined affine map, blur, contrast, gain and noise."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

from stemcls.config.experiment import AugmentConfig

NORMALS = 2**20
_LEVELS = np.arange(256, dtype=np.float32)


def augment(crops: np.ndarray, config: AugmentConfig, rng: np.random.Generator) -> np.ndarray:
    """Flip, rotate, scale and shift each crop in one bilinear resample, then change its light.

    After the resample come a blur, contrast about the crop's mean with brightness, and noise.

    Args:
        crops: (N, H, W, C) uint8 or uint16.
        config: Ranges; all zero and `flip` off returns the crops unchanged.
        rng: Source of randomness; the same state gives the same result on every backend.
    Returns: (N, H, W, C) of the same dtype; outside the crop its mirror image is seen.
    Source: rotation, horizontal flip and brightness, Wang 2023; flips with p = 0.5 on both axes,
        shift 10 %, rotation +-90 degrees, scale +-20 %, Khalkhali 2025. Contrast, noise and blur
        are our additions and off by default.
    """
    count, height, width = crops.shape[:3]
    maps = affine_maps(count, (height, width), config, rng)
    gain = np.ones(count) + config.brightness * rng.uniform(-1.0, 1.0, count)
    contrast = np.ones(count) + config.contrast * rng.uniform(-1.0, 1.0, count)
    blur_px = np.asarray(rng.random(count)) * config.blur_px
    noise = np.asarray(rng.random(count)) * (config.noise * np.iinfo(crops.dtype).max)
    starts = np.asarray(rng.integers(0, NORMALS, count))
    moves = not np.allclose(maps, np.eye(2, 3))
    lightens = bool(config.brightness or config.contrast)
    result = np.empty_like(crops)
    for index, crop in enumerate(crops):
        changed = crop
        if moves:
            changed = cv2.warpAffine(
                changed, maps[index], (width, height),
                flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101,
            )
        if config.blur_px:
            changed = _blurred(changed, blur_px[index])
        if lightens:
            changed = _lightened(changed.reshape(crop.shape), gain[index], contrast[index])
        if config.noise:
            changed = _noisy(changed.reshape(crop.shape), noise[index], starts[index])
        result[index] = changed.reshape(crop.shape)
    return result


def _blurred(crop: np.ndarray, sigma_px: float) -> np.ndarray:
    # Narrower than this a Gaussian is one pixel wide.
    if sigma_px < 0.1:
        return crop
    return cv2.GaussianBlur(crop, (0, 0), sigma_px, borderType=cv2.BORDER_REFLECT_101)


def _lightened(crop: np.ndarray, gain: float, contrast: float) -> np.ndarray:
    """Scale the distance from the mean by `contrast`, and everything by `gain`."""
    mean = float(np.mean(cv2.mean(crop)[: crop.shape[-1]])) if contrast != 1.0 else 0.0
    slope, offset = np.float32(gain * contrast), np.float32(gain * (1.0 - contrast) * mean)
    if crop.dtype == np.uint8:
        levels = np.rint(_LEVELS * slope + offset)
        return cv2.LUT(crop, np.minimum(np.maximum(levels, 0), 255).astype(np.uint8))
    changed = np.rint(crop.astype(np.float32) * slope + offset)
    return np.clip(changed, 0, np.iinfo(crop.dtype).max).astype(crop.dtype)


def _noisy(crop: np.ndarray, sigma: float, start: int) -> np.ndarray:
    """Add normal noise, cut from one table at a random place: drawing it anew costs more."""
    table = _normals()
    if crop.size > NORMALS:
        table = np.resize(table, crop.size + NORMALS)
    normals = table[start : start + crop.size].reshape(crop.shape)
    depth = cv2.CV_8U if crop.dtype == np.uint8 else cv2.CV_16U
    return cv2.addWeighted(crop, 1.0, normals, sigma, 0.0, dtype=depth)


@cache
def _normals() -> np.ndarray:
    table = np.random.default_rng(0).standard_normal(NORMALS, np.float32)
    return np.concatenate([table, table])


def affine_maps(
    count: int, size_px: tuple[int, int], config: AugmentConfig, rng: np.random.Generator
) -> np.ndarray:
    """Return (N, 2, 3) float64 maps for cv2.warpAffine, each about the crop's centre."""
    angle = np.deg2rad(config.rotate_deg) * rng.uniform(-1.0, 1.0, count)
    scale = 1.0 + config.zoom * rng.uniform(-1.0, 1.0, count)
    across_down = np.array(size_px[::-1])
    shift = config.shift * across_down * rng.uniform(-1.0, 1.0, (count, 2))
    flipped = (rng.random((count, 2)) < 0.5) & config.flip
    signs = np.where(flipped, -1.0, 1.0).reshape(count, 2)
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.stack(
        [cosine * signs[:, 0], -sine * signs[:, 1], sine * signs[:, 0], cosine * signs[:, 1]],
        axis=1,
    ).reshape(count, 2, 2)
    middle = (across_down - 1) / 2.0
    offset = middle + shift - linear @ middle
    return np.concatenate([linear, offset[:, :, None]], axis=2)
