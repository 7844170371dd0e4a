"""Settle what the settings of a build leave open and the images as a whole decide."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from stemcls.config.imaging import BuildConfig
from stemcls.errors import InputError
from stemcls.imaging.detection.settle import wants_diameter, with_method
from stemcls.notices import Notice
from stemcls.progress import Update
from stemcls.store.differences import Differences, check_classes
from stemcls.store.glance import Glimpse, fit_of, glance, kind_of, layout_of
from stemcls.store.ranges import measure_diameter, measure_ranges
from stemcls.store.sources import Source
from stemcls.store.workers import Crew

CELL_PX, FIELD_PX = 64, 512
_FITS_64 = (22.0, 44.0)  # diameters that a crop of 64 px suits, as in the papers
_STEP_PX, _LEAST_PX, _MOST_PX = 8, 16, 4096


@dataclass(frozen=True)
class Settled:
    """What was settled, as plain values in the journal.

    Attributes:
        kind: cells, crops or fields.
        crop_px, resize, fit, scale_range: As in `BuildConfig`.
        diameter_px: Usual diameter of a cell; 0: not known.
        layout: dtype and channels of the crops of most images; None: not known.
        notices: [kind, message, paths] each.
    """

    kind: str
    crop_px: int
    resize: str
    fit: str
    scale_range: tuple[float, ...]
    diameter_px: float
    layout: tuple[str, int] | None
    notices: tuple[tuple[str, str, tuple[str, ...]], ...]

    def document(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @classmethod
    def of(cls, document: dict[str, Any]) -> Settled:
        """Return what a journal kept."""
        layout = document["layout"]
        return cls(**{
            **document, "scale_range": tuple(document["scale_range"]),
            "layout": (str(layout[0]), int(layout[1])) if layout else None,
        })

    def applied(self, config: BuildConfig) -> BuildConfig:
        """Return the settings with nothing left open."""
        # Where no cells are looked for, nothing is said of how.
        found = with_method(config.detect) if self.kind == "cells" else config.detect
        return replace(
            config, kind=self.kind, crop_px=self.crop_px, resize=self.resize, fit=self.fit,
            scale_range=self.scale_range,
            detect=replace(found, diameter_px=self.diameter_px),
        )

    def told(self) -> list[Notice]:
        """Return the notices."""
        return [Notice(kind, message, tuple(paths)) for kind, message, paths in self.notices]


def settle(
    sources: list[Source], config: BuildConfig, crew: Crew, stopped: Callable[[], bool],
    update: Update | None, force: bool,
) -> Settled:
    """Look at a sample of the images, and decide kind, sizes, ranges and layout.

    Args:
        sources: All images.
        config: As the user gave it.
        crew: Reads images.
        stopped: Says whether somebody asked to stop.
        update: Called with images done, images in all, and a note.
        force: Build although classes can be told apart by their files, or crops cut the cells.

    Raises:
        InputError: Something only the user can decide, or what must not be built without force.
        CancelledError: Stopped.
    """
    glimpses = glance(sources, config, crew, stopped, update)
    known = any(source.cells is not None for source in sources)
    kind = "cells" if known and config.kind == "auto" else kind_of(glimpses, config)
    config = replace(config, kind=kind)
    notices: list[Notice] = []
    alike = Differences(kind, config.scale, config.crop_um)
    for one in glimpses:
        alike.add(one.facts, [one.label])
    if not known:  # known cells have classes of their own; they are checked when all is read
        check_classes(alike, force)
    ranges = config.scale_range
    if config.scale == "store" and not ranges:
        ranges = measure_ranges(sources, config, crew, stopped, update)
    diameter, size, fit = 0.0, config.size_px, config.fit
    if kind == "cells":
        diameter, doubts = _diameter(sources, config, crew, stopped, update)
        notices += [Notice("size-of-cells", doubt) for doubt in doubts]
        edge = config.crop_px or _crop_px(_usual_px(config, diameter), config, glimpses)
        size = (edge, edge)
        if config.crop_px and _is_sure(sources, config):
            usual = _usual_px(config, diameter)
            said = check_crop(edge, usual, config, _pixel_um(glimpses), force)
            notices += [said] if said else []
    elif kind == "crops":
        size, fit, said = fit_of(glimpses, config)
        notices += [said] if said else []
    else:
        size = size or (FIELD_PX, FIELD_PX)
    square = size is not None and size[0] == size[1]
    return Settled(
        kind, size[0] if size and square else 0,
        "" if not size or square else f"{size[0]}x{size[1]}", fit, ranges, diameter,
        layout_of(glimpses), tuple((one.kind, one.message, one.paths) for one in notices),
    )


def _diameter(
    sources: list[Source], config: BuildConfig, crew: Crew, stopped: Callable[[], bool],
    update: Update | None,
) -> tuple[float, tuple[str, ...]]:
    """Return the usual diameter of the cells, pixels, and doubts; 0 where nothing tells it.

    Raises:
        InputError: Cells are to be found, and no estimate of their size can be trusted.
    """
    if not wants_diameter(config.detect):
        return config.detect.diameter_px, ()
    radii = np.array([cell.radius_px for source in sources for cell in source.cells or ()])
    if len(radii) and np.isfinite(radii).mean() >= 0.5:
        return round(2 * float(np.nanmedian(radii)), 2), ()
    finds = config.match_px or any(source.cells is None for source in sources)
    try:
        return measure_diameter(sources, config, crew, stopped, update)
    except InputError:
        if finds:
            raise
        # Places are known, and it would only have helped to choose the size of crops.
        return 0.0, ()


def _is_sure(sources: Sequence[Source], config: BuildConfig) -> bool:
    """Tell whether the size of cells is more than an estimate beside places that are known."""
    cells = [cell for source in sources for cell in source.cells or ()]
    given = bool(config.detect.diameter_px) or any(np.isfinite(cell.radius_px) for cell in cells)
    return given or bool(config.match_px) or not cells


def _usual_px(config: BuildConfig, diameter: float) -> float:
    """Return the diameter that settings or images tell; 0: neither."""
    if diameter or not config.detect.max_sigma:
        return diameter
    least = config.detect.min_sigma or config.detect.max_sigma
    return 2 * 2**0.5 * float(np.sqrt(least * config.detect.max_sigma))


def _crop_px(diameter: float, config: BuildConfig, glimpses: Sequence[Glimpse]) -> int:
    """Return the edge of a crop around cells of this diameter: twice it, or the usual 64 px."""
    if not diameter or config.crop_um or _FITS_64[0] <= diameter <= _FITS_64[1]:
        return CELL_PX
    edge = int(np.clip(round(2 * diameter / _STEP_PX) * _STEP_PX, _LEAST_PX, _MOST_PX))
    shorter = [min(one.size_px) for one in glimpses]
    room = int(np.percentile(shorter, 5)) // _STEP_PX * _STEP_PX if shorter else edge
    return room if diameter <= room < edge else edge


def _pixel_um(glimpses: Sequence[Glimpse]) -> float | None:
    known = [one.facts["pixel_size_um"] for one in glimpses if one.facts["pixel_size_um"]]
    return float(np.median(known)) if known else None


def check_crop(
    crop_px: int, diameter: float, config: BuildConfig, pixel_um: float | None, force: bool
) -> Notice | None:
    """Refuse crops that cut the usual cell.

    Args:
        crop_px: Edge of a crop.
        diameter: Usual diameter of a cell, pixels of the field; 0: unknown.
        config: Of the build; with `crop_um` crops cover that.
        pixel_um: Edge of a pixel of the fields, where known.
        force: Go on, and return what is wrong.

    Raises:
        InputError: Says both sizes and what to type.
    """
    covered = float(crop_px)
    if config.crop_um:
        if not pixel_um:
            return None
        covered = config.crop_um / pixel_um
    if not diameter or covered >= diameter:
        return None
    option = f"--crop-um {config.crop_um:g}" if config.crop_um else f"--crop-px {crop_px}"
    better = 2 * diameter * (pixel_um or 1.0) if config.crop_um else 2 * diameter
    message = (
        f"{option} cuts the usual cell: cells are {diameter:.0f} px wide, the crops cover "
        f"{covered:.0f} px of the field; about {better:.0f} suits them"
    )
    if not force:
        raise InputError(
            f"{message}. Leave the option out, say the true size of cells by --diameter-px, or "
            "--force to build all the same"
        )
    return Notice("cut-cells", message)
