"""Turn the slices of a field into the channels a network sees."""

from __future__ import annotations

import numpy as np

from stemcls.errors import InputError, nearest
from stemcls.imaging.field import Field

CHANNELS = ("auto", "grey", "rgb")
SCALES = ("auto", "none")
_PERCENTILES = (0.1, 99.9)


def compose(field: Field, channels: str = "auto", scale: str = "auto") -> np.ndarray:
    """Make an image with 1 or 3 channels of a field's slices.

    Args:
        channels: auto: 1 slice stays grey, 2 become red and green with an empty blue, 3 become
            red, green, blue, of 4 the last (near black in DIC sets) is dropped. grey: the mean of
            all slices. rgb: as auto, and 1 slice is repeated three times.
        scale: auto: 8-bit pixels stay; others are scaled, each channel of this field between its
            0.1 and 99.9 percentiles, to 0-255. none: 8-bit and 16-bit pixels stay.
    Returns: (Y, X, C) uint8, or uint16 with `scale="none"` and 16-bit files.

    Raises:
        InputError: More than 4 slices, an unknown word, or a dtype that cannot stay as it is.
    Source: the slice rule is that of Khalkhali et al. 2025.
    """
    if channels not in CHANNELS:
        raise InputError(f"channels: {channels!r} is not a choice{nearest(channels, CHANNELS)}")
    if scale not in SCALES:
        raise InputError(f"scale: {scale!r} is not a choice{nearest(scale, SCALES)}")
    count = len(field.pixels)
    if channels != "grey" and count > 4:
        raise InputError(
            f"{field.path} has {count} slices ({', '.join(field.channels[:8])}), at most 4 make a "
            "composite; choose channels=grey, or export the slices that matter"
        )
    pixels = field.pixels if channels == "grey" else field.pixels[:3]
    kept = scale == "none" or pixels.dtype == np.uint8
    if kept and pixels.dtype not in (np.uint8, np.uint16):
        raise InputError(
            f"{field.path} holds {pixels.dtype} pixels, which scale=none cannot keep (only 8-bit "
            "and 16-bit unsigned); use scale=auto"
        )
    planes = pixels if kept else np.stack([_to_8_bit(plane) for plane in pixels])
    if channels == "grey" and count > 1:
        planes = np.rint(planes.mean(axis=0, keepdims=True)).astype(planes.dtype)
    elif len(planes) == 2:
        planes = np.concatenate([planes, np.zeros_like(planes[:1])])
    elif len(planes) == 1 and channels == "rgb":
        planes = np.repeat(planes, 3, axis=0)
    return np.ascontiguousarray(np.moveaxis(planes, 0, 2))


def check_content(field: Field) -> None:
    """Refuse a field in which there is nothing to see.

    Raises:
        InputError: Every slice is constant (blank), or some pixels are NaN or infinite.
    """
    if field.pixels.dtype.kind == "f" and not np.isfinite(field.pixels).all():
        raise InputError(f"{field.path} holds NaN or infinite pixels; replace them with numbers")
    flat = field.pixels.reshape(len(field.pixels), -1)
    if (flat.min(axis=1) == flat.max(axis=1)).all():
        raise InputError(
            f"{field.path} is blank: every pixel is {flat[0, 0]}; take it out of the input"
        )


def _to_8_bit(plane: np.ndarray) -> np.ndarray:
    low, high = np.percentile(plane, _PERCENTILES)
    if high <= low:  # constant but for a few pixels
        low, high = float(plane.min()), float(plane.max())
    if high <= low:
        return np.zeros(plane.shape, np.uint8)
    scaled = (plane.astype(np.float32) - np.float32(low)) * np.float32(255.0 / (high - low))
    return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)
