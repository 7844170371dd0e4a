"""Turn the slices of a field into the channels a network sees."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from stemcls.errors import InputError, check_known, nearest
from stemcls.imaging.field import Field
from stemcls.imaging.levels import PERCENTILES, to_8_bit, visible_range

CHANNELS = ("auto", "grey", "rgb", "all")
SCALES = ("auto", "none", "field", "store")
_MOST_SLICES = 4
_MOST_MERGED = 128  # of OpenCV 5; 4.x takes 512
_EMPTY = 0.05  # of the strongest slice's level and contrast
_BLACK_8_BIT = 2
_SAMPLE_EDGE = 128


@dataclass(frozen=True, eq=False)
class Composite:
    """What a network sees of a field, and how it was made.

    Attributes:
        image: (Y, X, C) uint8 or uint16.
        slices: Numbers, from 0, of the source slices that take part, in order.
        ranges: (len(slices), 2) the raw values that became 0 and 255; NaN where left as they were.
    """

    image: np.ndarray
    slices: tuple[int, ...]
    ranges: np.ndarray


def compose(field: Field, channels: str = "auto", scale: str = "auto") -> np.ndarray:
    """Make an image (Y, X, C) with 1, 3 or more channels; see `compose_slices`."""
    slices = choose_slices(field, channels)
    return compose_slices(field, slices, channels, scale).image


def choose_slices(field: Field, channels: str) -> tuple[int, ...]:
    """Say which slices of a field take part in its composite, in order.

    Args:
        channels: auto: all of up to three, of 4 the last (near black in DIC sets) is dropped;
            grey and all: all; rgb: as auto; else names or numbers (from 1) of any number of
            slices, separated by commas, in the order wanted.
    Returns: Numbers from 0.

    Raises:
        InputError: More than 4 slices without a choice, or a name or number that is not there.
    Source: the slice rule is that of Khalkhali et al. 2025.
    """
    count = len(field.pixels)
    if channels in ("grey", "all"):
        return tuple(range(count))
    if channels in CHANNELS:
        if count > _MOST_SLICES:
            raise InputError(
                f"{field.path} has {count} slices ({', '.join(field.channels[:8])}), at most 4 "
                "are taken without asking; choose by name or number (from 1), as in "
                f"--channels '{','.join(field.channels[:2])}', or --channels all or grey"
            )
        return tuple(range(min(count, 3)))
    wanted = [part.strip() for part in channels.split(",") if part.strip()]
    if not wanted:
        raise InputError(
            f"channels: {channels!r} names no slice; {field.path} has {', '.join(field.channels)}"
        )
    slices = tuple(_slice_number(field, name) for name in wanted)
    if len(set(slices)) < len(slices):
        raise InputError(f"channels: {channels!r} names one slice of {field.path} twice")
    return slices


def compose_slices(
    field: Field, slices: tuple[int, ...], channels: str = "auto", scale: str = "auto",
    percentiles: tuple[float, float] = PERCENTILES, scale_range: tuple[float, ...] = (),
) -> Composite:
    """Make an image of chosen slices: 1 is grey, 2 are red and green with an empty blue, 3 RGB.

    Four and more become as many channels.

    Args:
        slices: From `choose_slices`.
        channels: grey: the mean of the slices. rgb: 1 slice is repeated three times.
        scale: auto: 8-bit pixels stay; others are scaled as with field. none: 8-bit and 16-bit
            pixels stay. field: each slice of this field between its own percentiles, to 0-255.
            store: between the numbers of `scale_range`, the same for every field.
        percentiles: Low and high, 0 to 100.
        scale_range: Low and high of each slice in turn.
    Returns: uint8, or uint16 with `scale="none"` and 16-bit files.

    Raises:
        InputError: An unknown word, a dtype that cannot stay as it is, or another number of
            slices than `scale_range` is for.
    """
    check_known(scale, SCALES, f"scale: {scale!r} is not a choice")
    pixels = field.pixels
    kept = scale == "none" or (scale == "auto" and pixels.dtype == np.uint8)
    if kept and pixels.dtype not in (np.uint8, np.uint16):
        raise InputError(
            f"{field.path} holds {pixels.dtype} pixels, which scale=none cannot keep (only 8-bit "
            "and 16-bit unsigned); use scale=auto"
        )
    planes = [pixels[number] for number in slices]
    ranges = np.full((len(slices), 2), np.nan)
    if not kept:
        if scale == "store":
            ranges[:] = _given_ranges(field, len(slices), scale_range)
        else:
            ranges[:] = [visible_range(plane, percentiles) for plane in planes]
        planes = [
            to_8_bit(plane, low, high) for plane, (low, high) in zip(planes, ranges, strict=True)
        ]
    if channels == "grey" and len(planes) > 1:
        grey = np.rint(np.mean(planes, axis=0, dtype=np.float32)).astype(planes[0].dtype)
        planes = [grey]
    elif len(planes) == 2:
        planes = [*planes, np.zeros_like(planes[0])]
    elif len(planes) == 1 and channels == "rgb":
        planes = planes * 3
    return Composite(_merged(planes), slices, ranges)


def _merged(planes: list[np.ndarray]) -> np.ndarray:
    """Return (Y, X, C) of planes (Y, X), by OpenCV where it can: it is faster."""
    if len(planes) > _MOST_MERGED:
        return np.stack(planes, axis=-1)
    image = cv2.merge([np.ascontiguousarray(plane) for plane in planes])
    return image.reshape(*image.shape[:2], len(planes))


def empty_slices(field: Field, slices: tuple[int, ...]) -> list[int]:
    """Return which of the slices are (nearly) black or empty.

    A slice is empty where its brightest pixels (99.9th percentile) are black in an 8-bit file (2
    or less), or where both its level and its contrast are below 5 % of those of the field's
    strongest slice. A grid of
    about 128 pixels a side is looked at.
    """
    step = max(1, max(field.pixels.shape[1:]) // _SAMPLE_EDGE)
    ends = [np.percentile(plane[::step, ::step], PERCENTILES) for plane in field.pixels]
    strongest = max(high for _, high in ends)
    widest = max(high - low for low, high in ends)
    found = []
    for number in slices:
        low, high = ends[number]
        faint = high <= _EMPTY * strongest and high - low <= _EMPTY * widest
        black = field.pixels.dtype == np.uint8 and high <= _BLACK_8_BIT
        if faint or black or high == low:
            found.append(number)
    return found


def check_content(field: Field) -> None:
    """Refuse a field in which there is nothing to see.

    Raises:
        InputError: Every slice is constant (blank), or some pixels are NaN or infinite.
    """
    if field.pixels.dtype.kind == "f" and not np.isfinite(field.pixels).all():
        raise InputError(f"{field.path} holds NaN or infinite pixels; replace them with numbers")
    if all(_is_constant(plane) for plane in field.pixels):
        raise InputError(
            f"{field.path} is blank: every pixel is {field.pixels[0, 0, 0]}; take it out of the "
            "input"
        )


def _is_constant(plane: np.ndarray) -> bool:
    sample = plane[::64, ::64]
    return bool(sample.min() == sample.max() and plane.min() == plane.max())


def _slice_number(field: Field, name: str) -> int:
    if name in field.channels:
        return field.channels.index(name)
    if name.isdecimal():
        if 1 <= int(name) <= len(field.channels):
            return int(name) - 1
        raise InputError(
            f"channels: {field.path} has no slice {name}, it has {len(field.channels)}: "
            f"{', '.join(field.channels)} (numbers count from 1)"
        )
    alike = [n for n, one in enumerate(field.channels) if one.lower() == name.lower()]
    if len(alike) == 1:
        return alike[0]
    raise InputError(
        f"channels: {name!r} is not a choice and no channel of {field.path}, which has "
        f"{', '.join(field.channels)}{nearest(name, (*CHANNELS, *field.channels))}"
    )


def _given_ranges(field: Field, count: int, scale_range: tuple[float, ...]) -> np.ndarray:
    if len(scale_range) != 2 * count:
        raise InputError(
            f"{field.path}: {count} slices take part, the scale range of the store is for "
            f"{len(scale_range) // 2} (low and high of each); choose as many with --channels"
        )
    return np.reshape(scale_range, (count, 2))
