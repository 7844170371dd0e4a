"""Change a training crop at random by one combined affine map, blur, contrast, gain and noise."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

from stemcls.config.experiment import AugmentConfig

NORMALS = 2**20


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
    groups = _grouped(crops)
    results = [np.empty_like(group) if moves else group.copy() for group in groups]
    for index in range(count):
        parts = [result[index] for result in results]
        for group, changed in zip(groups, parts, strict=True):
            if moves:
                cv2.warpAffine(
                    group[index], maps[index], (width, height), dst=changed,
                    flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101,
                )
            # Narrower than this a Gaussian is one pixel wide.
            if blur_px[index] > 0.1:
                cv2.GaussianBlur(
                    changed, (0, 0), blur_px[index], dst=changed, borderType=cv2.BORDER_REFLECT_101
                )
        if lightens:
            _lighten(parts, gain[index], contrast[index], crops.shape[-1])
        if config.noise:
            for number, changed in enumerate(parts):
                place = (starts[index] + number * NORMALS // len(parts)) % NORMALS
                _add_noise(changed, noise[index], place)
    return _joined(results, crops.shape[-1])


def _grouped(crops: np.ndarray) -> list[np.ndarray]:
    """Return channels one alone or four at a time, (N, H, W, 1 or 4), the last group filled up.

    OpenCV resamples two channels less exactly than one or four, three more slowly than four, and
    more than four not in every function.
    """
    channels = crops.shape[-1]
    if channels == 1:
        return [crops]
    if channels == 3:
        return [_recoloured(crops, cv2.COLOR_BGR2BGRA, 4)]
    groups = [crops[..., first : first + 4] for first in range(0, channels, 4)]
    missing = (0, -groups[-1].shape[-1] % 4)
    if groups[-1].shape[-1] > 1:
        groups[-1] = np.pad(groups[-1], ((0, 0), (0, 0), (0, 0), missing))
    return [np.ascontiguousarray(group) for group in groups]


def _joined(groups: list[np.ndarray], channels: int) -> np.ndarray:
    """Return the channels of `_grouped` together again, (N, H, W, `channels`)."""
    if channels == 3:
        return _recoloured(groups[0], cv2.COLOR_BGRA2BGR, 3)
    return groups[0] if channels == 1 else np.concatenate(groups, axis=-1)[..., :channels]


def _recoloured(crops: np.ndarray, code: int, channels: int) -> np.ndarray:
    """Return (N, H, W, `channels`) by one of OpenCV's conversions of colours."""
    count, height, width, before = crops.shape
    flat = cv2.cvtColor(crops.reshape(count * height, width, before), code)
    return np.asarray(flat.reshape(count, height, width, channels))


def _lighten(parts: list[np.ndarray], gain: float, contrast: float, channels: int) -> None:
    """Scale the distance from the crop's mean by `contrast`, and all by `gain`, in place."""
    mean = 0.0
    if contrast != 1.0:
        mean = float(np.mean(np.concatenate([cv2.mean(part) for part in parts])[:channels]))
    for part in parts:
        cv2.addWeighted(part, gain * contrast, part, 0.0, gain * (1.0 - contrast) * mean, dst=part)


def _add_noise(crop: np.ndarray, sigma: float, start: int) -> None:
    """Add normal noise, cut from one table at a random place: drawing it anew costs more."""
    table = _normals()
    if crop.size > NORMALS:
        table = np.resize(table, crop.size + NORMALS)
    normals = table[start : start + crop.size].reshape(crop.shape)
    depth = cv2.CV_8U if crop.dtype == np.uint8 else cv2.CV_16U
    cv2.addWeighted(crop, 1.0, normals, sigma, 0.0, dst=crop, dtype=depth)


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
