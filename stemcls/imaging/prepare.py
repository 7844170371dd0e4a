"""From a file to the image that crops are cut from: the one way of building and of prediction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from stemcls.config.imaging import BuildConfig, ReadConfig
from stemcls.errors import InputError
from stemcls.imaging.background import Background
from stemcls.imaging.composite import (
    Composite,
    check_content,
    choose_slices,
    compose_slices,
    empty_slices,
)
from stemcls.imaging.field import Field
from stemcls.imaging.listing.positions import Position, as_position, read_position
from stemcls.imaging.quality import (
    Quality,
    background_of,
    brighten,
    check_quality,
    flatten,
    measure_quality,
)
from stemcls.imaging.readers.arrays import is_crop_arrays, read_crop_arrays
from stemcls.notices import Notice

SAMPLE_PIXELS = 2**16


@dataclass(frozen=True, eq=False)
class Prepared:
    """A field that is good enough, and its composite.

    Attributes:
        field: As read, its pixel size filled in from the settings where the file does not say.
        composite: What the network sees; `composite.image` is (Y, X, C).
        quality: Of the slices that take part, before anything was done to them.
        notices: What is odd, in the same words for every field with the same problem.
    """

    field: Field
    composite: Composite
    quality: Quality
    notices: tuple[Notice, ...]

    @property
    def image(self) -> np.ndarray:
        """(Y, X, C) uint8 or uint16."""
        return self.composite.image


def prepare(path: Path | Position, build: BuildConfig) -> Prepared:
    """Read a field, judge it, even out its light and make its composite.

    Args:
        path: The file, or which position of it.
        build: Settings of the store, with numbers in `scale_range` where it says scale=store.

    Raises:
        InputError: Unreadable, blank, outside the limits of `build.quality`, or without the slices
            that `build.channels` names.
    """
    field, slices, surfaces, quality = _read(path, build)
    notices = notices_of(field) + tuple(
        Notice(
            "empty-slice",
            f"slice {n + 1} ({field.channels[n]}) is nearly black or empty, yet part of the crop; "
            "--channels names those that count",
        )
        for n in empty_slices(field, slices)
    )
    composite = compose_slices(
        _flattened(field, slices, surfaces, build), slices, build.channels, build.scale,
        (build.scale_low, build.scale_high), build.scale_range,
    )
    if build.quality.target_brightness:
        bright = brighten(composite.image, build.quality.target_brightness)
        composite = replace(composite, image=bright)
    return Prepared(field, composite, quality, notices)


def read_image(path: Path | Position, read: ReadConfig, pixel_size_um: float = 0.0) -> Field:
    """Read the planes of a file that settings name.

    Args:
        path: The file, or which position of it.
        read: Which planes.
        pixel_size_um: Edge of a pixel where the file does not say; 0: unknown.

    Raises:
        InputError: As `read_position`.
    """
    place = as_position(path)
    if is_crop_arrays(place.path):
        field = _crop_of(place.path, place.scene)
    else:
        field = read_position(place, read)
    if field.pixel_size_um is None and pixel_size_um:
        field = replace(field, pixel_size_um=pixel_size_um)
    return field


def array_crops(path: Path) -> tuple[np.ndarray, np.ndarray | None, tuple[str, ...]]:
    """Return images, labels and names of a file of crops, as `read_crop_arrays`; kept for the next.

    Raises:
        InputError: As `read_crop_arrays`.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    return _array_crops(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=1)
def _array_crops(
    path: Path, changed_ns: int, size: int  # noqa: ARG001 - of the file that is kept
) -> tuple[np.ndarray, np.ndarray | None, tuple[str, ...]]:
    return read_crop_arrays(path)


def _crop_of(path: Path, scene: str) -> Field:
    """Return one crop of a file of crops, its number from 0 as the scene."""
    images, _, _ = array_crops(path)
    if not scene.isdecimal() or int(scene) >= len(images):
        raise InputError(
            f"{path} holds {len(images)} crops; expected the number of one, 0 to "
            f"{len(images) - 1}, as the scene, found {scene!r}"
        )
    image = images[int(scene)]
    image = image[..., None] if image.ndim == 2 else image
    count = image.shape[2]
    names = {1: ("grey",), 3: ("red", "green", "blue")}
    return Field(
        np.moveaxis(image, 2, 0), path,
        names.get(count, tuple(f"channel {number + 1}" for number in range(count))),
    )


def notices_of(field: Field) -> tuple[Notice, ...]:
    """Return what the reader wants to be known of a field."""
    return tuple(Notice("file", remark) for remark in field.remarks)


def read_content(path: Path | Position, build: BuildConfig) -> Field:
    """Read a field in which there is something to see.

    Raises:
        InputError: Unreadable or blank.
    """
    field = read_image(path, build.read)
    check_content(field)
    return field


def sample_slices(path: Path | Position, build: BuildConfig) -> list[np.ndarray]:
    """Return evenly spread pixels of each slice that takes part, as `prepare` would scale them.

    Returns: One (n,) array per slice, n at most `SAMPLE_PIXELS` or a little more.

    Raises:
        InputError: As `prepare`.
    """
    field, slices, surfaces, _ = _read(path, build)
    pixels = _flattened(field, slices, surfaces, build).pixels
    step = max(1, int(np.ceil((pixels[0].size / SAMPLE_PIXELS) ** 0.5)))
    return [pixels[n][::step, ::step].ravel() for n in slices]


def _read(
    path: Path | Position, build: BuildConfig
) -> tuple[Field, tuple[int, ...], list[Background], Quality]:
    """Return a field that is good enough, the slices that take part, their backgrounds, quality.

    There are no backgrounds of crops: one cell fills a crop.
    """
    field = read_image(path, build.read, build.pixel_size_um)
    check_content(field)
    slices = choose_slices(field, build.channels)
    planes = [field.pixels[n] for n in slices]
    surfaces = [] if build.kind == "crops" else [background_of(plane) for plane in planes]
    quality = measure_quality(planes, build.quality.bits or field.bits or 0, surfaces or None)
    check_quality(quality, build.quality)
    return field, slices, surfaces, quality


def _flattened(
    field: Field, slices: tuple[int, ...], surfaces: list[Background], build: BuildConfig
) -> Field:
    if build.quality.flatten == "none":
        return field
    if not surfaces:
        raise InputError("--flatten needs fields with a background; it is of no use for crops")
    pixels = field.pixels.copy()
    for number, surface in zip(slices, surfaces, strict=True):
        pixels[number] = flatten(field.pixels[number], surface)
    return replace(field, pixels=pixels)
