"""Compare images and stores with what a model was trained on: convert, refuse, or warn."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from stemcls.config.imaging import BuildConfig
from stemcls.errors import InputError
from stemcls.imaging.prepare import Prepared
from stemcls.models.channels import by_name
from stemcls.models.saved import ModelCard
from stemcls.models.seen import Seen, contrast_of
from stemcls.notices import Notice

SAME_SCALE = 0.05
FLAGGED_CONTRAST = 0.25  # standard deviations of a crop
# How far beyond the range of the training fields a value may lie, as a factor.
REACH = {"brightness": 1.3, "focus": 1.5, "diameter_px": 1.3}
_CLIPPED = 0.05  # more clipped pixels than in training, as a share of all
WORDS = {
    "brightness": ("brightness", "unusual-brightness", "brightness (mean V of HSV)"),
    "focus": ("focus", "unusual-focus", "focus score"),
    "diameter_px": ("size of cells", "unusual-size", "usual cell, in pixels of a crop,"),
}
# What the `notes` of a table says of a warning about the whole file.
SHORT = {
    "channels-reordered": "channels put in the order of training",
    "channels-unnamed": "name of its channel not checked",
    "bit-depth": "other bit depth than in training: rescaled",
    "pixel-size-unknown": "pixel size unknown: scale not checked",
    "other-scale": "other pixel size than in training",
    "unusual-brightness": "brightness outside that of training",
    "unusual-focus": "sharpness outside that of training",
    "unusual-size": "size of cells outside that of training",
    "clipped": "more clipped pixels than in training",
    "inverted-contrast": "contrast the other way round than in training",
    "unfamiliar-cells": "many cells unlike those of training",
}


@dataclass(frozen=True)
class Fitted:
    """How an image becomes what a model takes.

    Attributes:
        build: Settings to open it with.
        notices: What had to be converted, and what could not be checked.
    """

    build: BuildConfig
    notices: tuple[Notice, ...] = ()


def fit_field(card: ModelCard, prepared: Prepared, build: BuildConfig, chosen: str = "") -> Fitted:
    """Say how a field has to be read so that it is like those of training.

    Args:
        card: Of the model.
        prepared: The field, opened with `build`.
        build: Settings of the training store, with `channels` as the user chose them.
        chosen: The user's choice of channels, in the order of training; "": none was made.

    Raises:
        InputError: Its channels or its depth cannot be made those of training.
    """
    seen = card.training
    named, notices = by_name(prepared, build, seen, chosen)
    deep, said = _by_depth(prepared, named, seen, card)
    return Fitted(deep, (*notices, *said))


def check_field(
    card: ModelCard, prepared: Prepared, build: BuildConfig, converted: bool = False
) -> list[Notice]:
    """Return what is unusual about a field, beside the training fields.

    Args:
        card: Of the model.
        prepared: The field, opened as `fit_field` says.
        build: Settings that it was opened with.
        converted: Its depth was converted, so that its raw brightness is not compared.

    Raises:
        InputError: It has other channels or another depth than the model takes.
    """
    image, seen = prepared.image, card.training
    if str(image.dtype) != card.dtype or image.shape[2] != len(card.channels):
        raise InputError(
            f"{prepared.field.path} gives {image.shape[2]} channel(s) of {image.dtype}, the model "
            f"takes {len(card.channels)} of {card.dtype}; {_expected(seen)}"
        )
    size = prepared.field.pixel_size_um
    found: list[Notice] = []
    if (seen.pixel_size_um or card.pixel_size_um) and not size:
        usual = seen.pixel_size_um[0] if seen.pixel_size_um else card.pixel_size_um
        found.append(Notice(
            "pixel-size-unknown",
            "it does not say how large its pixels are, so the scale could not be checked (training "
            f"had {usual:.4g} um a pixel): cells of another size in the crop may be called wrongly;"
            " --pixel-size-um says it",
        ))
    elif size and build.kind != "cells" and build.size_px is None:
        found += other_scale(size, card.pixel_size_um)
    quality = prepared.quality
    if not converted:
        found += unusual("brightness", quality.brightness, seen)
    found += unusual("focus", quality.focus, seen)
    if seen.saturated and quality.saturated > seen.saturated[2] + _CLIPPED:
        found.append(Notice(
            "clipped",
            "more of its pixels are clipped than in training, where at most "
            f"{seen.saturated[2]:.1%} were: what is there cannot be seen any more; expose it less",
        ))
    return found


def check_crops_seen(card: ModelCard, crops: np.ndarray, diameter_px: float) -> list[Notice]:
    """Return what is unusual about the crops of one field.

    Args:
        card: Of the model.
        crops: (n, H, W, C), some of them.
        diameter_px: Of the usual cell, in pixels of a crop; NaN: unknown.
    """
    seen = card.training
    found = unusual("diameter_px", diameter_px, seen)
    if len(crops) and seen.contrast and len(seen.contrast) == crops.shape[3]:
        medians = np.median(contrast_of(crops), axis=0)
        turned = [
            name for name, value, usual in zip(card.channels, medians, seen.contrast, strict=True)
            if turned_over(float(value), usual)
        ]
        if turned:
            found.append(Notice(
                "inverted-contrast",
                f"its cells are {'darker' if _bright(seen, card, turned[0]) else 'brighter'} than "
                "their surroundings, the other way round than in training "
                f"({', '.join(turned)}): another modality, or an inverted image?",
            ))
    return found


def unusual(what: str, value: float, seen: Seen) -> list[Notice]:
    """Return a notice where a measure of a field lies outside the range of the training fields."""
    usual: tuple[float, ...] = getattr(seen, what)
    if not outside(value, usual, REACH[what]):
        return []
    name, kind, full = WORDS[what]
    side = "below" if value < usual[0] else "above"
    return [Notice(
        kind,
        f"its {name} lies {side} that of the training fields ({full} there from {usual[0]:.3g} to "
        f"{usual[2]:.3g}): the model has seen nothing like it, so look at its answers",
    )]


SCALED = {
    "kept": "kept as they are in the files", "own": "scaled by each field's own range",
    "store": "scaled by one range for all",
}
def _by_depth(
    prepared: Prepared, build: BuildConfig, seen: Seen, card: ModelCard
) -> tuple[BuildConfig, list[Notice]]:
    """Return settings that bring a field of another depth to values as in training.

    Raises:
        InputError: Nothing says how.
    """
    field = prepared.field
    dtype = field.pixels.dtype
    if not seen.dtypes or dtype.name in seen.dtypes or not seen.scale:
        return build, []
    told = f"its pixels are {dtype.name}, those of training {', '.join(seen.dtypes)}"
    if seen.scale == "own":
        return replace(build, scale="field"), [
            Notice("bit-depth", f"{told}: it was scaled by its own range, as those were")
        ]
    if dtype.kind != "u" or not all(name.startswith("uint") for name in seen.dtypes):
        raise InputError(_other_depth(field.path, told, seen))
    top, top_there = _full(prepared, build), _full_of(seen)
    level = prepared.quality.brightness * _file_top(prepared, build) / top
    if not top or not seen.brightness or outside(level, seen.brightness, 1.15):
        raise InputError(_other_depth(field.path, told, seen))
    count = len(prepared.composite.slices)
    if seen.scale == "store" and len(build.scale_range) == 2 * count:
        scaled = tuple(value * top / top_there for value in build.scale_range)
    elif card.dtype == "uint8":
        scaled = (0.0, float(top)) * count
    else:
        raise InputError(_other_depth(field.path, told, seen))
    return replace(build, scale="store", scale_range=scaled), [Notice(
        "bit-depth",
        f"{told}: its values from 0 to {top:g} were brought to the range of training, which fits "
        "the brightness there",
    )]


def _file_top(prepared: Prepared, build: BuildConfig) -> float:
    """Return the value that `Quality.brightness` took as 255."""
    pixels = prepared.field.pixels
    bits = build.quality.bits or prepared.field.bits
    return float(2**bits - 1 if bits and pixels.dtype == np.uint16 else np.iinfo(pixels.dtype).max)


def _full(prepared: Prepared, build: BuildConfig) -> float:
    """Return the top of the range that a file uses: as it says, else the depth that holds it."""
    pixels, bits = prepared.field.pixels, build.quality.bits or prepared.field.bits
    if pixels.dtype.itemsize == 1:
        return 255.0
    if not bits:
        most = int(pixels.max())
        bits = next((bits for bits in (8, 10, 12, 14, 16) if most < 2**bits), 16)
    return float(2**bits - 1)


def _full_of(seen: Seen) -> float:
    if seen.dtypes[0] == "uint8":
        return 255.0
    return float(2 ** (seen.bits[0] if seen.bits else 16) - 1)


def _other_depth(path: object, told: str, seen: Seen) -> str:
    return (
        f"{path}: {told} and {SCALED.get(seen.scale, 'treated differently')}: nothing says which "
        f"values are the same, so the model would misread it; export it as {seen.dtypes[0]}, with "
        "the settings of the training images, or train on a store built with --scale field"
    )


def _expected(seen: Seen) -> str:
    slices = f" ({', '.join(seen.slices)})" if seen.slices else ""
    return f"it was trained on other images{slices}; export it as those were, or say --channels"


def other_scale(found: float, wanted: float | None) -> list[Notice]:
    if not wanted or abs(found / wanted - 1) <= SAME_SCALE:
        return []
    return [Notice(
        "other-scale",
        f"it has {found:.4g} um a pixel, training had {wanted:.4g}: cells have another size than "
        "the model knows",
    )]


def outside(value: float, usual: tuple[float, ...], factor: float) -> bool:
    """Tell whether a positive value is beyond the 1st or 99th percentile by a factor.

    Half of the training range, on a log scale, counts as further room: few fields show less than
    the range that many would.
    """
    if len(usual) != 3 or not np.isfinite(value) or usual[0] <= 0:
        return False
    reach = factor * float(usual[2] / usual[0]) ** 0.5
    return bool(value < usual[0] / reach or value > usual[2] * reach)


def turned_over(value: float, usual: tuple[float, ...]) -> bool:
    if len(usual) != 3 or not np.isfinite(value) or abs(value) < FLAGGED_CONTRAST:
        return False
    least, middle, most = usual
    return bool(least * most > 0 and abs(middle) >= FLAGGED_CONTRAST and value * middle < 0)


def _bright(seen: Seen, card: ModelCard, channel: str) -> bool:
    return seen.contrast[card.channels.index(channel)][1] > 0


