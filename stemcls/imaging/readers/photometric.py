"""Say what the samples of a TIFF page mean, and turn them into grey, colour or channels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from stemcls.imaging.readers.scene import (
    ALPHA_DROPPED,
    RGB,
    NotReadError,
    bits_of_maximum,
    turned_remark,
    upright,
)

_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB, _PALETTE, _MASK, _CMYK, _YCBCR = range(7)
_CIELAB, _ICCLAB = 8, 9
_NAMES = {
    _MASK: "a transparency mask", 10: "ITU L*a*b*", 32803: "raw data of a colour camera (CFA)",
    32844: "LogL", 32845: "LogLuv", 34892: "linear raw data", 51177: "a depth map",
}  # fmt: skip
_COLOURS = {_RGB: 3, _CMYK: 4, _YCBCR: 3, _CIELAB: 3, _ICCLAB: 3}
_JPEG = 7
# Compressions that know nothing of colour: what comes out is what was put in.
_COLOURLESS = {1, 5, 8, 32773, 32946, 34925, 50000}
_CONVERTED = {
    _CMYK: "its CMYK colours were converted to red, green, blue without a printer's profile",
    _CIELAB: "its L*a*b* colours were converted to red, green, blue (sRGB)",
    _ICCLAB: "its L*a*b* colours were converted to red, green, blue (sRGB)",
}


@dataclass(frozen=True)
class Meaning:
    """What the samples of a page are; equal for pages that can be planes of one image.

    Attributes:
        photometric: The tag's value.
        stored: Samples of a pixel as stored.
        kept: Numbers of the samples beyond the colours that are channels, not alpha.
        dtype: Of the pixels that `develop` gives.
        sample_bits: Bits of a stored sample.
        bits: Bits that the values use where those are fewer than the type's; None: all.
        orientation: 1 to 8, as in TIFF.
        remarks: What the user should know.
    """

    photometric: int
    stored: int
    kept: tuple[int, ...]
    dtype: np.dtype
    sample_bits: int
    bits: int | None
    orientation: int
    remarks: tuple[str, ...]

    @property
    def samples(self) -> int:
        """Colour samples of a developed pixel: 3 for red, green, blue; else 1."""
        coloured = self.photometric in (*_COLOURS, _PALETTE)
        return 3 if coloured and not self.kept else 1

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the grey channels of a developed pixel; empty where it is one or a colour."""
        if not self.kept:
            return ()
        if self.photometric in _COLOURS:
            return (*RGB, *(f"extra-{number}" for number in range(1, len(self.kept) + 1)))
        return tuple(f"channel-{number}" for number in range(1, len(self.kept) + 2))


def meaning_of(page: Any) -> Meaning:
    """Read from the tags of a page what its samples are.

    Raises:
        NotReadError: A kind of samples that cannot be turned into grey, colour or channels.
    Source: Adobe TIFF 6.0, sections 8, 16, 18, 20, 21, 23.
    """
    page = page.keyframe
    photometric = int(page.photometric)
    stored = int(page.samplesperpixel)
    if page.dtype is None:
        raise NotReadError(f"its samples have {page.bitspersample} bits, which are not read")
    remarks = []
    if 262 not in page.tags:
        photometric = _MIN_IS_BLACK
        remarks.append("it does not say what its samples mean; taken as grey or channels")
    if photometric == _RGB and stored < 3:
        photometric = _MIN_IS_BLACK  # confocal microscopes call one or two channels RGB
    if photometric not in (_MIN_IS_WHITE, _MIN_IS_BLACK, _PALETTE, *_COLOURS):
        name = _NAMES.get(photometric, f"of an unknown kind ({photometric})")
        raise NotReadError(f"its samples are {name}, which is not read; save it as grey or RGB")
    colours = _COLOURS.get(photometric, 1)
    if stored < colours:
        raise NotReadError(f"it has {stored} samples a pixel, expected {colours}")
    kept = _channels_beyond(page, colours)
    if photometric == _PALETTE and kept:
        raise NotReadError("it has a palette and further samples; save it as RGB")
    if stored - colours > len(kept):
        remarks.append(ALPHA_DROPPED)
    if photometric in _CONVERTED:
        remarks.append(_CONVERTED[photometric])
    bits = _sample_bits(page)
    _check_convertible(page, photometric, bits)
    orientation = int(_value(page, 274, 1))
    if not 1 <= orientation <= 8:
        orientation = 1
    if orientation != 1:
        remarks.append(turned_remark(orientation))
    dtype = page.dtype.newbyteorder("=")
    if bits < 8 or photometric == _PALETTE:
        dtype = np.dtype(np.uint8)
    used = bits if 8 < bits < 8 * dtype.itemsize and dtype.kind == "u" else None
    if used is None and dtype.kind == "u" and dtype.itemsize > 1:
        used = bits_of_maximum(_value(page, 281, 0), 8 * dtype.itemsize)
    return Meaning(
        photometric, stored, kept, dtype, bits, used, orientation, tuple(remarks)
    )


def develop(page: Any, meaning: Meaning, plane: np.ndarray) -> np.ndarray:
    """Turn a stored plane into what a viewer shows.

    Args:
        page: Where the plane comes from; its palette and coefficients are its own.
        meaning: Of that page.
        plane: (Y, X) or (Y, X, stored).
    Returns: (Y, X) grey, (Y, X, 3) red, green, blue, or (Y, X, C) channels; upright.
    """
    page = page.keyframe
    stored = plane[..., None] if plane.ndim == 2 else plane
    colours = _COLOURS.get(meaning.photometric, 1)
    convert = _CONVERSIONS.get(meaning.photometric)
    made = stored[..., :colours]
    if meaning.photometric == _PALETTE:
        made = _looked_up(page, stored[..., 0])
    else:
        made = _to_full_bytes(made, meaning)
        if convert is not None and not (meaning.photometric == _YCBCR and _is_jpeg(page)):
            made = convert(page, meaning, made)
    if meaning.kept:
        rest = _to_full_bytes(stored[..., list(meaning.kept)], meaning)
        if meaning.photometric == _MIN_IS_WHITE:
            rest = _inverted(page, meaning, rest)
        made = np.concatenate([made, rest], axis=2)
    if made.shape[2] == 1:
        made = made[..., 0]
    return upright(made, meaning.orientation)


def _channels_beyond(page: Any, colours: int) -> tuple[int, ...]:
    """Return the samples beyond the colours that are no alpha; a missing tag says nothing."""
    beyond = range(colours, int(page.samplesperpixel))
    kinds = [int(kind) for kind in page.extrasamples][-len(beyond) or None :] if beyond else []
    kinds = [0] * (len(beyond) - len(kinds)) + kinds
    return tuple(number for number, kind in zip(beyond, kinds, strict=True) if kind not in (1, 2))


def _sample_bits(page: Any) -> int:
    bits = page.bitspersample
    if isinstance(bits, tuple):
        if len(set(bits)) > 1:
            raise NotReadError(f"its samples have {bits} bits; save it with one depth for all")
        bits = bits[0]
    return int(bits)


def _check_convertible(page: Any, photometric: int, bits: int) -> None:
    kind = page.dtype.kind
    if photometric == _MIN_IS_WHITE and kind not in "ub":
        raise NotReadError(
            f"white is its lowest value (MinIsWhite) and its pixels are {page.dtype}, whose range "
            "nothing says; save it with black as the lowest value"
        )
    if photometric == _PALETTE and (320 not in page.tags or kind not in "ub"):
        raise ValueError("it says it has a palette, and has none")
    if photometric == _CMYK:
        ink = int(_value(page, 332, 1))
        if ink != 1 or kind != "u" or bits not in (8, 16):
            raise NotReadError("its inks are not CMYK of 8 or 16 bits; save it as RGB")
    if photometric in (_CIELAB, _ICCLAB) and bits != 8:
        raise NotReadError(f"its colours are L*a*b* of {bits} bits; save it as RGB")
    if photometric == _YCBCR and not _is_jpeg(page):
        if int(page.compression) not in _COLOURLESS or bits != 8:
            raise NotReadError(f"its colours are YCbCr of {bits} bits; save it as RGB")
        if tuple(_value(page, 530, (2, 2))) != (1, 1):
            raise NotReadError("its colours are YCbCr of reduced size; save it as RGB")


def _is_jpeg(page: Any) -> bool:
    """Tell whether the codec itself gives red, green, blue."""
    return int(page.compression) == _JPEG


def _value(page: Any, code: int, otherwise: Any) -> Any:
    tag = page.tags.get(code)
    return otherwise if tag is None or tag.value is None else tag.value


def _to_full_bytes(samples: np.ndarray, meaning: Meaning) -> np.ndarray:
    """Spread samples of less than 8 bits over 0 to 255, as PNG readers do."""
    if meaning.sample_bits >= 8:
        return samples
    top = 2**meaning.sample_bits - 1
    levels = np.rint(np.arange(256) * (255 / top)).clip(0, 255).astype(np.uint8)
    return levels[samples.astype(np.uint8)]


def _inverted(_: Any, meaning: Meaning, samples: np.ndarray) -> np.ndarray:
    top = 2 ** (meaning.bits or 8 * meaning.dtype.itemsize) - 1
    if meaning.bits and samples.max(initial=0) > top:
        raise ValueError(f"it has pixels above the {top} that it says is its lowest brightness")
    return np.subtract(top, samples, dtype=meaning.dtype)


def _looked_up(page: Any, numbers: np.ndarray) -> np.ndarray:
    colours: np.ndarray = np.asarray(page.tags[320].value, np.uint16).reshape(3, -1)
    if colours.max(initial=0) > 255:  # else an old writer, which put bytes into the table
        colours = colours >> 8
    if numbers.max(initial=0) >= colours.shape[1]:
        raise ValueError(f"its palette has {colours.shape[1]} colours, a pixel names another")
    return np.moveaxis(colours.astype(np.uint8)[:, numbers.astype(np.uint16)], 0, -1)


def _from_cmyk(_: Any, meaning: Meaning, inks: np.ndarray) -> np.ndarray:
    top = float(np.iinfo(meaning.dtype).max)
    light = top - inks.astype(np.float32)
    return np.rint(light[..., :3] * (light[..., 3:] / top)).astype(meaning.dtype)


def _from_ycbcr(page: Any, _: Meaning, samples: np.ndarray) -> np.ndarray:
    red, green, blue = _fractions(_value(page, 529, (299, 1000, 587, 1000, 114, 1000)))
    low_high = _fractions(_value(page, 532, (0, 1, 255, 1, 128, 1, 255, 1, 128, 1, 255, 1)))
    ends = np.reshape(low_high, (3, 2))
    spread = np.array([255.0, 127.0, 127.0]) / (ends[:, 1] - ends[:, 0])
    luma, cb, cr = np.moveaxis((samples - ends[:, 0]) * spread, -1, 0)
    r = luma + cr * (2 - 2 * red)
    b = luma + cb * (2 - 2 * blue)
    g = (luma - blue * b - red * r) / green
    return np.rint(np.stack([r, g, b], axis=-1)).clip(0, 255).astype(np.uint8)


def _fractions(value: tuple) -> list[float]:
    """Return rationals as numbers; tifffile gives them flat: above, below, above, below..."""
    return [above / below for above, below in zip(value[::2], value[1::2], strict=True)]


def _from_lab(_: Any, meaning: Meaning, samples: np.ndarray) -> np.ndarray:
    from PIL import Image, ImageCms

    stored = samples.astype(np.uint8) if samples.dtype != np.int8 else samples.view(np.uint8)
    if meaning.photometric == _ICCLAB:
        stored = stored ^ np.array([0, 128, 128], np.uint8)  # Pillow takes a and b with a sign
    image = Image.frombytes("LAB", stored.shape[1::-1], np.ascontiguousarray(stored).tobytes())
    made = ImageCms.profileToProfile(
        image, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    return np.asarray(made)


_CONVERSIONS: Mapping[int, Callable[[Any, Meaning, np.ndarray], np.ndarray]] = {
    _MIN_IS_WHITE: _inverted, _CMYK: _from_cmyk, _YCBCR: _from_ycbcr, _CIELAB: _from_lab,
    _ICCLAB: _from_lab,
}  # fmt: skip
