"""Find the cells of many files with one set of settings, one file in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from stemcls.config.imaging import DetectConfig, ReadConfig
from stemcls.errors import InputError
from stemcls.imaging.detection.settle import (
    SAMPLE_FIELDS,
    Settled,
    no_size,
    settle,
    wants_diameter,
)
from stemcls.imaging.extract import find_cells
from stemcls.imaging.field import Detections, Field
from stemcls.imaging.listing.positions import Position, as_position
from stemcls.imaging.prepare import read_image
from stemcls.progress import Update

Item = TypeVar("Item")
_SAMPLE_BYTES = 256 * 2**20  # of pixels that the estimate of the diameter holds at once

Place = Path | Position
Look = Callable[[Position, Field, Detections], None]


@dataclass(frozen=True, eq=False)
class FoundCells:
    """The cells of one field.

    Attributes:
        path: The file, and which position of it.
        cells: What was found in it.
        pixel_size_um: Edge of a pixel in micrometres, or None where the file does not say.
        blank: Whether all pixels of every slice are alike.
    """

    path: Position
    cells: Detections
    pixel_size_um: float | None
    blank: bool


@dataclass(frozen=True, eq=False)
class Survey:
    """What was found in all files.

    Attributes:
        found: One entry per file that could be read, in the order given.
        skipped: path and reason of each that could not.
        diameter_px: Usual diameter that was looked for, or None where sizes were given as sigmas
            or need none, and where nothing in any field looks like a cell of any size.
        settled: What was found out for the set before any field was searched.
    """

    found: tuple[FoundCells, ...]
    skipped: tuple[dict[str, str], ...]
    diameter_px: float | None
    settled: Settled

    @property
    def estimated_from(self) -> int:
        """Number of fields that the diameter was estimated from; 0 where it was given."""
        return self.settled.estimated_from


def sample_paths(paths: Sequence[Item], count: int, seed: int) -> list[Item]:
    """Draw `count` of the paths at random, in their order; all of them where there are no more."""
    if count >= len(paths):
        return list(paths)
    chosen = np.random.default_rng(seed).choice(len(paths), count, replace=False)
    return [paths[number] for number in sorted(chosen.tolist())]


def survey(
    paths: Sequence[Place],
    config: DetectConfig,
    read: ReadConfig,
    update: Update | None = None,
    look: Look | None = None,
) -> Survey:
    """Find the cells of every file; where the diameter is open, it is estimated once for all.

    Args:
        paths: Image files, or positions of files.
        config: How cells are found.
        read: Which planes of each file.
        update: Called as update(done, total, note) after each file.
        look: Called with each path, field and its cells while the pixels are in memory.

    Raises:
        InputError: Settings that cannot be used, no file that could be read, or no estimate of
            the diameter that can be trusted.
    """
    chosen, sample = settle_paths(paths, config, read)
    config = chosen.config
    found: list[FoundCells] = []
    skipped: list[dict[str, str]] = []
    for path, field in each_field(paths, read, skipped, update, sample):
        cells = find_cells(field, config)
        blank = all(plane.min() == plane.max() for plane in field.pixels)
        found.append(FoundCells(path, cells, field.pixel_size_um, blank))
        if look is not None:
            look(path, field, cells)
    used = 0.0 if config.modality == "raw" else config.diameter_px
    return Survey(tuple(found), tuple(skipped), used or None, chosen)


def each_field(
    paths: Sequence[Place],
    read: ReadConfig,
    skipped: list[dict[str, str]],
    update: Update | None = None,
    at_hand: MutableMapping[Position, Field] | None = None,
) -> Iterator[tuple[Position, Field]]:
    """Yield every field that can be read, and list the files that cannot.

    Args:
        paths: Image files, or positions of files.
        read: Which planes of each file.
        skipped: Gets path and reason of each file that could not be read.
        update: Called as update(done, total, note) after each file.
        at_hand: Fields that were read already; each is let go once it was used.

    Raises:
        InputError: No file could be read.
    """
    for number, path in enumerate(map(as_position, paths), 1):
        try:
            field = (at_hand or {}).pop(path, None) or read_image(path, read)
        except InputError as error:
            if len(paths) == 1:
                raise
            skipped.append({"path": str(path), "reason": str(error)})
        else:
            yield path, field
        if update is not None:
            update(number, len(paths), path.name)
    if len(skipped) == len(paths):
        raise InputError(
            f"none of {len(paths)} files could be read; the first: {skipped[0]['reason']}"
        )


def settle_paths(
    paths: Sequence[Place], config: DetectConfig, read: ReadConfig
) -> tuple[Settled, dict[Position, Field]]:
    """Settle what is left open, from an evenly spread sample of the files.

    Returns: What holds for the set, and the fields that were read for it; none where nothing was
        open. The diameter stays open where all fields were looked at and nothing looks like a cell.

    Raises:
        InputError: No estimate of the diameter can be trusted.
    """
    sample: dict[Position, Field] = {}

    def one_by_one() -> Iterator[Field]:
        for path, field in read_sample(paths, read):
            sample[path] = field
            yield field

    chosen = settle(one_by_one(), config)
    if sample and wants_diameter(chosen.config) and len(sample) < len(paths):
        raise InputError(no_size(len(sample), len(paths)))
    return chosen, sample


def read_sample(
    paths: Sequence[Place], read: ReadConfig
) -> Iterator[tuple[Position, Field]]:
    """Yield up to `SAMPLE_FIELDS` evenly spread fields, fewer where they are very large.

    Files that cannot be read are passed over and others take their place.
    """
    places = [as_position(path) for path in paths]
    spread = evenly_spread(places, SAMPLE_FIELDS)
    first = [*spread[::2], *spread[1::2]]
    others = (path for path in places if path not in set(first))
    room, wanted = _SAMPLE_BYTES, len(first)
    for path in (*first, *others):
        if not wanted or room <= 0:
            return
        try:
            field = read_image(path, read)
        except InputError:
            continue
        room -= field.pixels.nbytes
        wanted -= 1
        yield path, field


def evenly_spread(items: Sequence[Item], most: int) -> list[Item]:
    """Return at most `most` of the items, the first and the last among them."""
    places = np.linspace(0, len(items) - 1, min(most, len(items))).round().astype(int)
    return [items[place] for place in places]


def common_pixel_size(sizes_um: Sequence[float | None]) -> float | None:
    """Return the pixel size that all fields share to 1 %, or None."""
    known = [size for size in sizes_um if size]
    if not known or len(known) < len(sizes_um) or max(known) > 1.01 * min(known):
        return None
    return float(np.mean(known))
