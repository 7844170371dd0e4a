"""Show crops in figures: as colours, and laid side by side as contact sheets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

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


def colours_of(images: np.ndarray, limits: tuple[float, float] | None = None) -> np.ndarray:
    """Return crops as colours: (N, H, W, 3) float32 in [0, 1].

    Args:
        images: (N, H, W, C) uint8, shown as they are, or deeper, stretched alike. One channel is
            grey; of two, the second is green and blue together; of more, the first three count.
        limits: What becomes black and white in deep images; None: their 0.1 and 99.9 percentiles.
    """
    values = images.astype(np.float32)
    if images.dtype == np.uint8:
        limits = (0.0, 255.0)
    elif limits is None:
        limits = tuple(np.percentile(values, [0.1, 99.9])) if values.size else (0.0, 1.0)
    low, high = limits
    values = np.clip((values - low) / max(high - low, 1e-6), 0, 1)
    channels = images.shape[-1]
    if channels == 1:
        return np.repeat(values, 3, axis=-1)
    return values[..., [0, 1, 1] if channels == 2 else [0, 1, 2]]


def draw_sheet(strips: Sequence[Strip], heading: str, columns: int) -> Figure:
    """Draw lines of crops with a title above each line and a caption below each crop.

    Args:
        strips: The lines; crops of all have one size.
        heading: Above all.
        columns: Room for so many crops in a line.
    """
    everything = [strip.images for strip in strips if len(strip.images)]
    deep = [images for images in everything if images.dtype != np.uint8]
    limits = None
    if deep:
        low, high = np.percentile(np.concatenate([images.ravel() for images in deep]), [0.1, 99.9])
        limits = float(low), float(high)
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
        shown = colours_of(strip.images, limits) if len(strip.images) else ()
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
