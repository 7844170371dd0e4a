"""Lay crops side by side as contact sheets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stemcls.display.colours import as_colours, levels_of
from stemcls.evaluation.figures import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TILE_IN = 0.62


@dataclass(frozen=True, eq=False)
class Strip:
    """One line of a contact sheet.

    Attributes:
        title: What its crops have in common.
        images: (N, H, W, C) as stored; may be empty.
        captions: N short texts.
        gap_after: Leave room after so many crops (0: nowhere).
    """

    title: str
    images: np.ndarray
    captions: Sequence[str]
    gap_after: int = 0


def draw_sheet(strips: Sequence[Strip], heading: str, columns: int) -> Figure:
    """Draw lines of crops with a title above each line and a caption below each crop.

    Args:
        strips: The lines; crops of all have one size.
        heading: Above all.
        columns: Room for so many crops in a line.
    """
    everything = [strip.images for strip in strips if len(strip.images)]
    # All are stretched alike, so that their brightness can be compared.
    levels = levels_of(np.concatenate([images.ravel() for images in everything])) if (
        everything
    ) else None
    height, width = everything[0].shape[1:3] if everything else (1, 1)
    tall = TILE_IN * height / width
    heights = [tall + 0.5 if len(strip.images) else 0.25 for strip in strips]
    page = 0.35 + sum(heights)
    wide = (columns + 0.6) * (TILE_IN + 0.06) + 0.2
    figure = new_figure(wide, page, layout=None)
    figure.text(0.1 / wide, 1 - 0.2 / page, heading, size=9, weight="bold", va="center")
    top = 1 - 0.35 / page
    for strip, room in zip(strips, heights, strict=True):
        figure.text(0.1 / wide, top - 0.09 / page, strip.title, size=7.5, va="center")
        shown = as_colours(strip.images, levels) if len(strip.images) else ()
        for place, (image, caption) in enumerate(zip(shown, strip.captions, strict=False)):
            moved = place + (0.5 if strip.gap_after and place >= strip.gap_after else 0)
            left = (0.1 + moved * (TILE_IN + 0.06)) / wide
            axes = figure.add_axes(
                (left, top - (0.18 + tall) / page, TILE_IN / wide, tall / page)
            )
            axes.imshow(image, interpolation="nearest", aspect="auto")
            axes.set_axis_off()
            axes.text(0.5, -0.04, caption, size=5.5, ha="center", va="top",
                      transform=axes.transAxes)
        top -= room / page
    return figure
