"""Change a training crop at random by one combined affine map and a gain."""

from __future__ import annotations

import cv2
import numpy as np

from stemcls.config.experiment import AugmentConfig


def augment(crops: np.ndarray, config: AugmentConfig, rng: np.random.Generator) -> np.ndarray:
    """Flip, rotate, scale and shift each crop in one bilinear resample, then scale its brightness.

    Args:
        crops: (N, H, W, C) uint8 or uint16.
        config: Ranges; all zero and `flip` off returns the crops unchanged.
        rng: Source of randomness; the same state gives the same result on every backend.
    Returns: (N, H, W, C) of the same dtype; outside the crop its mirror image is seen.
    Source: rotation, horizontal flip and brightness, Wang 2023; flips with p = 0.5 on both axes,
        shift 10 %, rotation +-90 degrees, scale +-20 %, Khalkhali 2025.
    """
    count, height, width = crops.shape[:3]
    maps = affine_maps(count, (height, width), config, rng)
    gains = np.asarray(1.0 + config.brightness * rng.uniform(-1.0, 1.0, count))
    white = np.iinfo(crops.dtype).max
    moves = not np.allclose(maps, np.eye(2, 3))
    result = np.empty_like(crops)
    for index, crop in enumerate(crops):
        changed = crop
        if moves:
            changed = cv2.warpAffine(
                crop, maps[index], (width, height),
                flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101,
            ).reshape(crop.shape)
        if config.brightness:
            bright = changed.astype(np.float32) * np.float32(gains[index])
            changed = np.clip(np.rint(bright), 0, white)
        result[index] = changed
    return result


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
