"""Turn fields, crops and stores into the crops that a model takes, one file at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from stemcls.config.imaging import BuildConfig, DetectConfig, ReadConfig
from stemcls.config.options import from_mapping
from stemcls.errors import InputError
from stemcls.imaging.crops import crop_scale, cut_crops, resize_whole, share_core
from stemcls.imaging.detection.detect import detect
from stemcls.imaging.listing.fields import FieldList, list_fields
from stemcls.imaging.listing.positions import JOINS, Position
from stemcls.imaging.listing.walk import STORE_SUFFIXES
from stemcls.imaging.prepare import Prepared, prepare
from stemcls.models.saved import ModelCard
from stemcls.store.cropstore import CropStore
from stemcls.store.harvest import OFF_FIELD, SHARED_CORE

KINDS = ("auto", "cells", "crops")
SAME_SCALE = 0.05


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
    """

    path: Path | Position
    n: int
    read: Callable[[np.ndarray], np.ndarray]
    centers_px: np.ndarray
    radius_px: np.ndarray
    paths: list[str]
    image: np.ndarray | None = None
    dropped: dict[str, int] = field(default_factory=dict)


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
    read = build_of(card).read
    joined = read.scene if read.scene in JOINS else ""
    return replace(read, scene=scene or joined, time=time or read.time, z=z or read.z)


def build_of(card: ModelCard) -> BuildConfig:
    """Return how the training store of a model was built."""
    # A store that does not know of this rule was built without it.
    return from_mapping(BuildConfig, {"core": 0.0, **card.build})


@dataclass(frozen=True, eq=False)
class Opened:
    """One image as the model's training store would have read it.

    Attributes:
        path: The file.
        prepared: Its field and composite.
        build: Settings of the store.
        kind: "cells" to be found, or "crops", the image being one.
    """

    path: Path | Position
    prepared: Prepared
    build: BuildConfig
    kind: str


def load_sample(
    path: Path | Position, card: ModelCard, detection: DetectConfig | None, kind: str,
    pixel_size_um: float = 0.0, read: ReadConfig | None = None,
) -> Sample:
    """Read one file the way the model's training store was built.

    Args:
        path: A field, a crop or a store.
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
    if isinstance(path, Path) and path.suffix.lower() in STORE_SUFFIXES:
        return _from_store(path, card)
    opened = _open(path, card, kind, pixel_size_um, read)
    if opened.kind == "crops":
        return _whole(opened, card)
    image, build = opened.prepared.image, opened.build
    scale = _scale_of_crops(opened, card)
    crop_px = card.size_px[0]
    cells = detect(opened.prepared.field, detection or build.detect)
    shared = share_core(cells.centers_px, crop_px / scale, build.core)
    alone = np.flatnonzero(~shared)
    crops, kept = cut_crops(image, cells.centers_px[alone], crop_px, build.edge, scale)
    dropped = {
        **cells.rejected, SHARED_CORE: int(shared.sum()), OFF_FIELD: len(alone) - len(kept),
    }
    rows = alone[kept]
    return Sample(
        path, len(crops), crops.__getitem__, cells.centers_px[rows], cells.radius_px[rows],
        [str(path)] * len(crops), image, {why: count for why, count in dropped.items() if count},
    )


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
    opened = _open(path, card, kind, pixel_size_um)
    if opened.kind == "crops":
        return _whole(opened, card).read(np.arange(1))[0]
    scale = _scale_of_crops(opened, card)
    crops, kept = cut_crops(
        opened.prepared.image, np.array([center_px], dtype=np.float32), card.size_px[0],
        opened.build.edge, scale,
    )
    if not len(kept):
        raise InputError(f"a crop around y {center_px[0]:g}, x {center_px[1]:g} leaves {path}")
    return crops[0]


def _open(
    path: Path | Position, card: ModelCard, kind: str, pixel_size_um: float,
    read: ReadConfig | None = None,
) -> Opened:
    build = build_of(card)
    if read is not None:
        build = replace(build, read=read)
    if pixel_size_um:
        build = replace(build, pixel_size_um=pixel_size_um)
    prepared = prepare(path, build)
    image = prepared.image
    if str(image.dtype) != card.dtype or image.shape[2] != len(card.channels):
        raise InputError(
            f"{path} gives {image.shape[2]} channel(s) of {image.dtype}, the model takes "
            f"{len(card.channels)} of {card.dtype}; it was trained on other images"
        )
    if kind == "auto":
        whole = image.shape[:2] == card.size_px
        kind = "crops" if whole or card.kind != "cells" else "cells"
    return Opened(path, prepared, build, kind)


def _scale_of_crops(opened: Opened, card: ModelCard) -> float:
    """Return pixels of a crop per pixel of the field.

    Raises:
        InputError: The model takes no crops around cells, or not of a field like this.
    """
    path, image, build = opened.path, opened.prepared.image, opened.build
    crop_px, across_px = card.size_px
    if card.kind == "fields" or crop_px != across_px:
        raise InputError(
            f"the model was trained on {'whole fields' if card.kind == 'fields' else 'crops'} of "
            f"{crop_px}x{across_px} px, not on square crops around cells; leave out --kind cells"
        )
    field = opened.prepared.field
    scale = crop_scale(field, build.crop_um, crop_px)
    if not build.crop_um:
        _check_scale(path, field.pixel_size_um, card.pixel_size_um)
    if min(image.shape[:2]) < crop_px / scale:
        raise InputError(
            f"{path} is {image.shape[0]}x{image.shape[1]} px, smaller than one crop of the model "
            f"({crop_px / scale:.0f} px)"
        )
    return scale


def _check_scale(path: Path | Position, found_um: float | None, wanted_um: float | None) -> None:
    if found_um and wanted_um and abs(found_um / wanted_um - 1) > SAME_SCALE:
        raise InputError(
            f"{path} has {found_um:.4g} um a pixel, the model was trained on {wanted_um:.4g}: its "
            "cells would have another size in the crop; export at the scale of training, or train "
            "on a store built with --crop-um"
        )


def _whole(opened: Opened, card: ModelCard) -> Sample:
    path, image = opened.path, opened.prepared.image
    resize = card.kind == "fields" or (card.kind == "crops" and opened.build.size_px is not None)
    height, width = image.shape[:2]
    if (height, width) != card.size_px:
        if not resize:
            raise InputError(
                f"{path} is {height}x{width} px, the model takes crops of {card.size_px[0]}x"
                f"{card.size_px[1]} px; for a field with cells to find say --kind cells"
            )
        image = resize_whole(image, card.size_px)
    center = np.array([[(height - 1) / 2, (width - 1) / 2]], dtype=np.float32)
    radius = np.array([min(height, width) / 2], dtype=np.float32)
    return Sample(path, 1, image[None].__getitem__, center, radius, [str(path)])


def _from_store(path: Path, card: ModelCard) -> Sample:
    store = CropStore.open(path)
    card.check_crops(store)
    names = [str(store.fields.path[index]) for index in store.field_index]
    return Sample(path, len(store), store.read, store.centers_px, store.radius_px, names)


def load_samples(
    paths: Sequence[Path | Position], card: ModelCard, detection: DetectConfig | None, kind: str,
    pixel_size_um: float = 0.0, read: ReadConfig | None = None,
) -> Iterator[Sample | tuple[Path | Position, str]]:
    """Yield each file's sample, or the file and why it was skipped."""
    for path in paths:
        try:
            yield load_sample(path, card, detection, kind, pixel_size_um, read)
        except InputError as error:
            yield path, str(error)
