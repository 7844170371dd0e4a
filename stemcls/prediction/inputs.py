"""Turn fields, crops and stores into the crops that a model takes, one file at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from stemcls.config.imaging import BuildConfig, DetectConfig, ReadConfig
from stemcls.config.options import from_mapping
from stemcls.errors import InputError
from stemcls.imaging.composite import CHANNELS
from stemcls.imaging.crops import crop_scale
from stemcls.imaging.extract import Extracted, extract, open_image
from stemcls.imaging.listing.fields import FieldList, list_fields
from stemcls.imaging.listing.positions import JOINS, Position, as_position
from stemcls.imaging.listing.walk import STORE_SUFFIXES, shown
from stemcls.imaging.prepare import Prepared, read_image
from stemcls.imaging.tuning.scoring import KnownCells
from stemcls.models.cardcheck import (
    SAME_SCALE,
    check_crops_seen,
    check_field,
    fit_field,
)
from stemcls.models.channels import match_names, reordered
from stemcls.models.saved import ModelCard
from stemcls.models.seen import diameter_of
from stemcls.notices import Notice
from stemcls.prediction.sample import AT_BORDER, Sample, sample_of_store, well_of, with_notes
from stemcls.store.sources import Source

KINDS = ("auto", "cells", "crops")
FITTED = "of another size: brought to that of the model's crops"
_LOOKED_AT = 64  # crops of a field whose contrast is compared with training
_MOST_SHRINKING = 1.25  # an image that is larger than a crop by more than this is something else


def expand(
    paths: Sequence[Path], read: ReadConfig | None = None, exclude: Sequence[str] = (),
    channels: str = "",
) -> FieldList:
    """List what is to be predicted: fields, one for each position of a file, and crop stores.

    Args:
        paths: Fields, crops, folders of them, or stores.
        read: Which positions and time points count.
        exclude: Patterns of what to leave out of folders.
        channels: How one file per channel is put together, see `list_fields`.

    Raises:
        InputError: A path does not exist, or nothing was found.
    """
    found = list_fields(paths, read, exclude, channels, stores=True)
    if not found.names and not found.stores:
        raise InputError("--exclude leaves nothing to predict")
    return found


def reading_of(card: ModelCard, scene: str = "", time: str = "", z: str = "") -> ReadConfig:
    """Return which planes of new files a model takes: as it was trained, or as said here.

    Every position of a new file counts, unless the model learned from joined ones.
    """
    read = recipe_of(card).read
    joined = read.scene if read.scene in JOINS else ""
    return replace(read, scene=scene or joined, time=time or read.time, z=z or read.z)


@dataclass(frozen=True, eq=False)
class Opened:
    """One image as the model's training store would have read it.

    Attributes:
        path: The file, and which position of it.
        prepared: Its field and composite.
        build: Settings of the store; kind is "crops" or "fields" where the image is one.
        notices: How it differs from the images of training.
    """

    path: Position
    prepared: Prepared
    build: BuildConfig
    notices: tuple[Notice, ...] = ()


def load_sample(
    source: Path | Position | Source, card: ModelCard, detection: DetectConfig | None, kind: str,
    pixel_size_um: float = 0.0, read: ReadConfig | None = None, channels: str = "",
) -> Sample:
    """Read one file the way the model's training store was built.

    Args:
        source: A field, a crop or a store; a `Source` may name one scene, time point or plane.
        card: Of the model.
        detection: How to find cells; None repeats the training store's settings.
        kind: "cells" looks for cells in each image, "crops" takes each image as one crop; "auto"
            takes an image of exactly the crop size as a crop, and others as the store did.
        pixel_size_um: Edge of a pixel where a file does not say; 0: as the training store had it.
        read: Which planes of a file, from `reading_of`; None: as the training store had it.
        channels: Names or numbers of the file's slices, in the order of those of training; "":
            they are matched by name.

    Raises:
        InputError: Unreadable, outside the training store's limits of quality, or what cannot be
            made like the images of training: other channels, depth, scale or crop size.
    """
    place = _place(source)
    if place.problem:
        raise InputError(place.problem)
    if place.path.suffix.lower() in STORE_SUFFIXES:
        return sample_of_store(place.path, card)
    opened = _open(place, card, kind, pixel_size_um, read, channels)
    build = opened.build
    if build.kind != "cells":
        return _sample(opened, _whole(opened, card), card)
    _check_cells(opened, card)
    if detection is not None:
        build = replace(build, detect=detection)
    return _sample(opened, extract(opened.prepared, build), card)


def _place(source: Path | Position | Source) -> Position:
    return source.place if isinstance(source, Source) else as_position(source)


def crop_at(
    path: Path, card: ModelCard, center_px: tuple[float, float], kind: str = "auto",
    pixel_size_um: float = 0.0,
) -> np.ndarray:
    """Return the crop that `load_sample` cuts around a cell, without looking for cells again.

    Args:
        path: A field, or a crop (whose only crop it is).
        card, kind, pixel_size_um: As for `load_sample`.
        center_px: Of the cell, y and x.
    Returns: (H, W, C) as stored.
    Raises:
        InputError: As `load_sample`, or the crop would leave the field.
    """
    opened = _open(as_position(path), card, kind, pixel_size_um)
    if opened.build.kind != "cells":
        return _whole(opened, card).images[0]
    _check_cells(opened, card)
    place = KnownCells(np.array([center_px], np.float32), np.full(1, np.nan, np.float32))
    found = extract(opened.prepared, opened.build, place)
    if not len(found.images):
        raise InputError(f"a crop around y {center_px[0]:g}, x {center_px[1]:g} leaves {path}")
    return found.images[0]


def recipe_of(card: ModelCard) -> BuildConfig:
    """Return the settings that the training store was made with, its usual diameter included."""
    # A store that does not know of these rules was built without them.
    build = from_mapping(BuildConfig, {"core": 0.0, "edge": "drop", **card.build})
    return replace(build, match_px=0.0)


def _open(
    place: Position, card: ModelCard, kind: str, pixel_size_um: float,
    read: ReadConfig | None = None, channels: str = "",
) -> Opened:
    build = recipe_of(card)
    if read is not None:
        build = replace(build, read=read)
    if pixel_size_um:
        build = replace(build, pixel_size_um=pixel_size_um)
    if channels:
        build = replace(build, channels=channels)
    prepared, build, chosen = _first_look(place, card, build, channels)
    fitted = fit_field(card, prepared, build, channels)
    if fitted.build != build:
        build, prepared = fitted.build, open_image(place, fitted.build)
    image = prepared.image
    if kind == "auto":
        whole = image.shape[:2] == card.size_px
        kind = "crops" if whole or card.kind != "cells" else "cells"
    if kind == "crops" and card.kind == "fields":
        kind = "fields"
    build = _for_kind(build, kind, card)
    converted = any(one.kind == "bit-depth" for one in fitted.notices)
    odd = check_field(card, prepared, build, converted)
    return Opened(place, prepared, build, (*chosen, *fitted.notices, *odd))


def _first_look(
    place: Position, card: ModelCard, build: BuildConfig, channels: str
) -> tuple[Prepared, BuildConfig, tuple[Notice, ...]]:
    """Open an image, by the names of its channels where the settings of training do not choose."""
    try:
        return open_image(place, build), build, ()
    except InputError:
        wanted = card.training.slices
        if channels or not wanted or build.channels not in CHANNELS:
            raise
        there = read_image(place, build.read).channels
        found = match_names(wanted, there)
        if found is None or len(there) == len(wanted):
            raise
        numbers = ",".join(str(number + 1) for number in found)
        build = replace(build, channels=numbers)
        return open_image(place, build), build, (reordered(there, wanted, "chosen"),)


def _for_kind(build: BuildConfig, kind: str, card: ModelCard) -> BuildConfig:
    """Return the settings of the store for images that are fields with cells, or one sample."""
    if kind == "cells":
        return replace(build, kind=kind, crop_px=card.size_px[0], resize="")
    if kind == build.kind:
        return build
    return replace(build, kind=kind, crop_px=0, crop_um=0.0)


def _check_cells(opened: Opened, card: ModelCard) -> None:
    """Refuse to look for cells for a model that takes no crops around them, or not of this scale.

    Raises:
        InputError: Says why.
    """
    path, build = opened.path, opened.build
    crop_px, across_px = card.size_px
    if card.kind == "fields" or crop_px != across_px:
        raise InputError(
            f"the model was trained on {'whole fields' if card.kind == 'fields' else 'crops'} of "
            f"{crop_px}x{across_px} px, not on square crops around cells; leave out --kind cells"
        )
    image = opened.prepared.field
    crop_px = round(crop_px / crop_scale(image, build.crop_um, crop_px))
    if not build.crop_um:
        _check_scale(path, image.pixel_size_um, card.pixel_size_um)
    height, width = opened.prepared.image.shape[:2]
    if min(height, width) < crop_px:
        raise InputError(
            f"{path} is {height}x{width} px, smaller than one crop of the model ({crop_px} px)"
        )


def _check_scale(path: Path | Position, found_um: float | None, wanted_um: float | None) -> None:
    if found_um and wanted_um and abs(found_um / wanted_um - 1) > SAME_SCALE:
        raise InputError(
            f"{path} has {found_um:.4g} um a pixel, the model was trained on {wanted_um:.4g}: its "
            "cells would have another size in the crop; export at the scale of training, or train "
            "on a store built with --crop-um"
        )


def _whole(opened: Opened, card: ModelCard) -> Extracted:
    """Return the image as its only crop, of the size that the model takes.

    Raises:
        InputError: It has another size, and the training store resized nothing.
    """
    height, width = opened.prepared.image.shape[:2]
    build = opened.build
    resized = card.kind == "fields" or (card.kind == "crops" and build.size_px is not None)
    if card.kind == "crops" and build.fit == "pad":
        larger = max(height / card.size_px[0], width / card.size_px[1])
        resized = larger <= _MOST_SHRINKING
    if (height, width) != card.size_px and not resized:
        raise InputError(
            f"{opened.path} is {height}x{width} px, the model takes crops of {card.size_px[0]}x"
            f"{card.size_px[1]} px; for a field with cells to find say --kind cells"
        )
    return extract(opened.prepared, opened.build)


def _sample(opened: Opened, found: Extracted, card: ModelCard) -> Sample:
    height, width = opened.prepared.image.shape[:2]
    radius = found.radius_px
    if opened.build.kind != "cells":
        radius = np.full(len(radius), min(height, width) / 2, np.float32)
    place, count = opened.path, len(found.images)
    path = shown(place.path)
    differs = opened.build.kind == "crops" and (height, width) != found.images.shape[1:3]
    fitted = FITTED if differs else ""
    cells = opened.build.kind == "cells"
    looked = np.linspace(0, count - 1, min(count, _LOOKED_AT)).astype(int)
    usual = diameter_of(found.radius_px, found.scale or 1.0) if cells else np.nan
    compared = check_crops_seen(card, found.images[looked], usual) if card.kind != "fields" else []
    notices = (*opened.notices, *compared)
    return Sample(
        opened.path, count, found.images.__getitem__, found.centers_px, radius, [path] * count,
        opened.prepared.image if opened.build.kind == "cells" else None,
        {why: count for why, count in found.dropped.items() if count}, place.title,
        with_notes([AT_BORDER if over else fitted for over in found.at_border], notices),
        tuple(replace(one, paths=(str(place),)) for one in (*notices, *found.notices)),
        wells=[well_of(place.scene)] * count,
    )


def load_samples(
    sources: Sequence[Path | Position | Source], card: ModelCard, detection: DetectConfig | None,
    kind: str, pixel_size_um: float = 0.0, read: ReadConfig | None = None, channels: str = "",
) -> Iterator[Sample | tuple[Path | Position, str]]:
    """Yield each file's sample, or the file and why it was skipped."""
    for source in sources:
        try:
            yield load_sample(source, card, detection, kind, pixel_size_um, read, channels)
        except InputError as error:
            yield _place(source), str(error)
        except (OSError, MemoryError) as error:
            place = _place(source)
            yield place, f"{place} cannot be read: {error or type(error).__name__}"
