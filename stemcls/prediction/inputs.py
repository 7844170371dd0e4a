"""Turn fields, crops and stores into the crops that a model takes, one file at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from stemcls.config.imaging import BuildConfig, DetectConfig, ReadConfig
from stemcls.config.options import from_mapping
from stemcls.errors import InputError
from stemcls.imaging.crops import crop_scale
from stemcls.imaging.extract import Extracted, extract, open_image
from stemcls.imaging.listing.fields import FieldList, list_fields
from stemcls.imaging.listing.positions import JOINS, Position, as_position
from stemcls.imaging.listing.walk import STORE_SUFFIXES, shown
from stemcls.imaging.prepare import Prepared
from stemcls.imaging.tuning.scoring import KnownCells
from stemcls.models.saved import ModelCard
from stemcls.notices import Notice
from stemcls.store.sources import Source
from stemcls.store.verify import open_verified

KINDS = ("auto", "cells", "crops")
SAME_SCALE = 0.05
AT_BORDER = "at the border: filled by reflection"
FITTED = "of another size: brought to that of the model's crops"
_MOST_SHRINKING = 1.25  # an image that is larger than a crop by more than this is something else


@dataclass(frozen=True, eq=False)
class Sample:
    """The crops of one file, or of one store.

    Attributes:
        path: The file, or which position of it.
        n: Crops.
        read: Rows (n,) to crops (n, H, W, C).
        centers_px: (N, 2) y, x in the file named by `paths`.
        radius_px: (N,).
        paths: (N,) file that each crop is from.
        image: (Y, X, C) composite to draw on; None for crops and stores.
        dropped: Why found cells were left out, and how many for each reason.
        scene: Position of the file that was read; "" where it has only one, or for stores.
        notes: (N,) what is odd about each crop, "" for most.
        notices: What is odd about the file.
    """

    path: Path | Position
    n: int
    read: Callable[[np.ndarray], np.ndarray]
    centers_px: np.ndarray
    radius_px: np.ndarray
    paths: list[str]
    image: np.ndarray | None = None
    dropped: dict[str, int] = field(default_factory=dict)
    scene: str = ""
    notes: list[str] = field(default_factory=list)
    notices: tuple[Notice, ...] = ()


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
    pixel_size_um: float = 0.0, read: ReadConfig | None = None,
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

    Raises:
        InputError: Unreadable, outside the training store's limits of quality, or other channels
            or crop size than the model takes.
    """
    place = _place(source)
    if place.problem:
        raise InputError(place.problem)
    if place.path.suffix.lower() in STORE_SUFFIXES:
        return _from_store(place.path, card)
    opened = _open(place, card, kind, pixel_size_um, read)
    build = opened.build
    if build.kind != "cells":
        return _sample(opened, _whole(opened, card))
    _check_cells(opened, card)
    if detection is not None:
        build = replace(build, detect=detection)
    return _sample(opened, extract(opened.prepared, build))


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
    if build.scale == "auto" and build.recorded.dtype and "uint8" not in build.recorded.dtype:
        # Every image of training was scaled by its own range, so an 8-bit one is too.
        build = replace(build, scale="field")
    return replace(build, match_px=0.0)


def _by_name(prepared: Prepared, build: BuildConfig) -> BuildConfig:
    """Return the settings that take the slices of training by name, where their order differs."""
    wanted, there = build.recorded.slices, prepared.field.channels
    found = tuple(there[number] for number in prepared.composite.slices)
    if build.channels == "grey" or found == wanted or not wanted or len(set(wanted)) < len(wanted):
        return build
    if not set(wanted) <= set(there) or any("," in name for name in wanted):
        return build
    return replace(build, channels=",".join(wanted))


def _differences(prepared: Prepared, build: BuildConfig, turned: bool) -> Iterator[Notice]:
    """Yield what tells an image from those of training, where the store recorded them.

    Args:
        prepared: The image.
        build: Settings it was opened with.
        turned: Whether its slices were put into the order of training.
    """
    field, seen = prepared.field, build.recorded
    dtype = field.pixels.dtype.name
    if seen.dtype and dtype not in seen.dtype:
        done = (
            "it is scaled by its own range, as those were"
            if build.scale in ("field", "store") else
            "its brightness may lie elsewhere; export it as those of training were"
        )
        yield Notice(
            "other-bit-depth",
            f"its pixels are {dtype}, those of training were {', '.join(seen.dtype)}: {done}",
        )
    found = tuple(field.channels[number] for number in prepared.composite.slices)
    if seen.slices and build.channels != "grey" and found != seen.slices:
        yield Notice(
            "other-channels",
            f"its slices are {', '.join(found)}, those of training {', '.join(seen.slices)}: the "
            "model may see other things than it learned; export with the same names and order",
        )
    elif turned:
        yield Notice(
            "other-order",
            f"its slices come in another order than those of training ({', '.join(seen.slices)}) "
            "and were matched by name",
        )
    if seen.pixel_size_um and not field.pixel_size_um and not build.crop_um:
        yield Notice(
            "unknown-scale",
            "it does not say how large its pixels are, so nobody can tell whether its cells have "
            "the size of those of training; --pixel-size-um says it",
        )


def _open(
    path: Position, card: ModelCard, kind: str, pixel_size_um: float,
    read: ReadConfig | None = None,
) -> Opened:
    build = recipe_of(card)
    if read is not None:
        build = replace(build, read=read)
    if pixel_size_um:
        build = replace(build, pixel_size_um=pixel_size_um)
    prepared = open_image(path, build)
    named = _by_name(prepared, build)
    turned = named is not build
    if turned:
        build, prepared = named, open_image(path, named)
    image = prepared.image
    if str(image.dtype) != card.dtype or image.shape[2] != len(card.channels):
        raise InputError(
            f"{path} gives {image.shape[2]} channel(s) of {image.dtype}, the model takes "
            f"{len(card.channels)} of {card.dtype}; it was trained on other images"
        )
    if kind == "auto":
        whole = image.shape[:2] == card.size_px
        kind = "crops" if whole or card.kind != "cells" else "cells"
    if kind == "crops" and card.kind == "fields":
        kind = "fields"
    notices = tuple(_differences(prepared, build, turned))
    return Opened(path, prepared, _for_kind(build, kind, card), notices)


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


def _sample(opened: Opened, found: Extracted) -> Sample:
    height, width = opened.prepared.image.shape[:2]
    radius = found.radius_px
    if opened.build.kind != "cells":
        radius = np.full(len(radius), min(height, width) / 2, np.float32)
    place, count = opened.path, len(found.images)
    path = shown(place.path)
    differs = opened.build.kind == "crops" and (height, width) != found.images.shape[1:3]
    fitted = FITTED if differs else ""
    return Sample(
        opened.path, count, found.images.__getitem__, found.centers_px, radius, [path] * count,
        opened.prepared.image if opened.build.kind == "cells" else None,
        {why: count for why, count in found.dropped.items() if count}, place.title,
        [AT_BORDER if over else fitted for over in found.at_border],
        tuple(replace(one, paths=(str(place),)) for one in (*opened.notices, *found.notices)),
    )


def _from_store(path: Path, card: ModelCard) -> Sample:
    store = open_verified(path)
    card.check_crops(store)
    names = [str(store.fields.path[index]) for index in store.field_index]
    border = store.at_border if store.at_border is not None else np.zeros(len(store), bool)
    return Sample(
        path, len(store), store.read, store.centers_px, store.radius_px, names,
        notes=[AT_BORDER if over else "" for over in border],
    )


def load_samples(
    sources: Sequence[Path | Position | Source], card: ModelCard, detection: DetectConfig | None,
    kind: str, pixel_size_um: float = 0.0, read: ReadConfig | None = None,
) -> Iterator[Sample | tuple[Path | Position, str]]:
    """Yield each file's sample, or the file and why it was skipped."""
    for source in sources:
        try:
            yield load_sample(source, card, detection, kind, pixel_size_um, read)
        except InputError as error:
            yield _place(source), str(error)
