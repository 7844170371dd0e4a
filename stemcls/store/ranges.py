"""Measure what holds for a whole store in a pass before the crops: ranges, size of a cell."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from stemcls.config.imaging import BuildConfig
from stemcls.errors import CancelledError, InputError, StemclsError
from stemcls.imaging.detection.clues import Clues, gather_clues
from stemcls.imaging.detection.settle import SAMPLE_FIELDS, decide, is_clear, no_size
from stemcls.imaging.detection.survey import evenly_spread
from stemcls.imaging.levels import visible_range
from stemcls.imaging.prepare import read_content, sample_slices
from stemcls.progress import Update
from stemcls.store.sources import Source
from stemcls.store.workers import Crew, WorkerStartError

MOST_FIELDS = 64


def measure_ranges(
    sources: list[Source], config: BuildConfig, crew: Crew, stopped: Callable[[], bool],
    update: Update | None = None,
) -> tuple[float, ...]:
    """Return low and high of each channel in turn, percentiles of the pixels of all fields.

    Up to 64 fields are all looked at, of more 64 evenly spread ones; of each, evenly spread
    pixels. Fields that cannot be read or are left out for their quality do not count, nor those
    with another number of slices than the first.

    Args:
        sources: All images of the store.
        config: With scale=store and no scale_range.
        crew: Reads the fields.
        stopped: Says whether somebody asked to stop.
        update: Called with fields done, fields in all, and a note.

    Raises:
        InputError: Not one field could be used.
        CancelledError: Stopped.
    """
    chosen = spread(sources, MOST_FIELDS)
    pooled: list[list[np.ndarray]] = []
    reason = "none is usable"
    for source, get in watched(
        crew.in_order(chosen, partial(_sampled, config=config)), len(chosen),
        "range of channels", stopped, update,
    ):
        try:
            slices = get()
        except WorkerStartError:
            raise
        except (StemclsError, OSError) as error:
            reason = f"{source.name}: {error}"
        else:
            if not pooled or len(slices) == len(pooled[0]):
                pooled.append(slices)
    if not pooled:
        raise InputError(f"no crops: no field could be used to measure --scale store ({reason})")
    ends: list[float] = []
    for parts in zip(*pooled, strict=True):
        pixels = np.concatenate(parts)[None]
        low, high = visible_range(pixels, (config.scale_low, config.scale_high))
        ends += [low, high if high > low else low + 1.0]
    return tuple(ends)


def measure_diameter(
    sources: list[Source], config: BuildConfig, crew: Crew, stopped: Callable[[], bool],
    update: Update | None = None,
) -> tuple[float, tuple[str, ...]]:
    """Return the usual diameter of a cell, pixels, and what is doubtful about it.

    From 3 or up to 6 evenly spread fields.

    Fields that cannot be used do not count. It is 0 where all fields were looked at and nothing
    looks like a cell.

    Raises:
        InputError: No estimate can be trusted.
        CancelledError: Stopped.
    """
    # Where all places are known, the size is still needed, for crops and for predictions.
    searched = [one for one in sources if one.cells is None or config.match_px] or sources
    chosen = spread(searched, SAMPLE_FIELDS)
    clues: list[Clues] = []
    # Halves that are spread alike, because a crew cannot be stopped within one for nothing.
    for part in (chosen[::2], chosen[1::2]):
        if is_clear(clues):
            break
        for _, get in watched(
            crew.in_order(part, partial(_clues, config=config)), len(part),
            "diameter of cells", stopped, update,
        ):
            try:
                clues.append(get())
            except WorkerStartError:
                raise
            except (StemclsError, OSError):
                continue  # the build itself meets this field again, and lists it
    settled = decide(clues, config.detect)
    diameter = settled.config.diameter_px
    if not diameter and len(spread(searched, len(searched))) > len(chosen):
        raise InputError(f"no crops: {no_size(len(clues), len(searched))}")
    return diameter, settled.notices


def spread(sources: Sequence[Source], most: int) -> list[Source]:
    """Return at most `most` usable sources, evenly spread over the list."""
    usable = [source for source in sources if source.problem is None]
    return evenly_spread(usable, most)


def watched(
    ahead: Iterator[tuple[Source, Callable[[], Any]]], total: int, what: str,
    stopped: Callable[[], bool], update: Update | None,
) -> Iterator[tuple[Source, Callable[[], Any]]]:
    """Pass on what a crew yields, telling how far it is.

    Raises:
        CancelledError: Stopped.
    """
    for done, (source, get) in enumerate(ahead, start=1):
        if stopped():
            raise CancelledError(
                f"stopped while the {what} was being measured; run the same command again"
            )
        yield source, get
        if update is not None:
            update(done, total, f"{what}, {source.name}")


def _clues(source: Source, config: BuildConfig) -> Clues:
    return gather_clues(read_content(source.place, config), config.detect)


def _sampled(source: Source, config: BuildConfig) -> list[np.ndarray]:
    return sample_slices(source.place, config)
