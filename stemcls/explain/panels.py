"""Figures that lay explanations side by side: methods of one cell, mean maps, pixel scores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stemcls.display.colours import as_colours
from stemcls.evaluation.figures import COLOURS, cut, fitted, new_figure, write_figure
from stemcls.explain.explain import Explanation
from stemcls.explain.overlays import FOR_AND_AGAINST, HEAT, blended, shades_of
from stemcls.explain.pixelscore import SALIENT
from stemcls.explain.selection import Cells

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TILE_IN = 1.55


def write_panel(
    stem: Path, crop: np.ndarray, heats: dict[str, np.ndarray], title: str
) -> list[Path]:
    """Draw one cell as each of several methods sees it, with colour bars.

    Args:
        stem: Path without suffix.
        crop: (H, W, 3) in [0, 1].
        heats: Method -> (H, W) map in [-1, 1].
        title: Above the row.
    """
    pictures = [("crop", crop), *((name, blended(crop, heat)) for name, heat in heats.items())]
    rows = [[(cut(name, 22), picture) for name, picture in pictures]]
    figure = _tiles(rows, [""], signed=_signs(heats.values()))
    figure.suptitle(cut(title, 30 * len(pictures)), size=9)
    return write_figure(figure, stem, suffixes=(".png",), dpi=110, crop=False)


def mean_maps(
    explanations: Sequence[Explanation], images: np.ndarray, cells: Cells, classes: Sequence[str]
) -> dict[str, dict[str, np.ndarray]]:
    """Average the maps of the sampled cells that were explained for each class.

    Returns: Class -> `crop` (H, W, 3) and each method (H, W); classes without a cell are left out.
    """
    shown = as_colours(images)
    found: dict[str, dict[str, np.ndarray]] = {}
    for index, name in enumerate(classes):
        kept = cells.sampled & (explanations[0].targets == index)
        if kept.any():
            found[name] = {"crop": shown[kept].mean(axis=0)} | {
                one.method: one.heatmaps[kept].mean(axis=0) for one in explanations
            }
    return found


def draw_mean_maps(means: dict[str, dict[str, np.ndarray]]) -> Figure:
    """Draw the mean crop and the mean map of every method, one class a row."""
    heats = [part[name] for part in means.values() for name in part if name != "crop"]
    rows = [
        [
            (cut(name, 22), part[name] if name == "crop" else _coloured(part[name]))
            for name in part
        ]
        for part in means.values()
    ]
    return _tiles(rows, [fitted(name, 14) for name in means], signed=_signs(heats))


def draw_pixel_scores(
    explanations: Sequence[Explanation], cells: Cells, classes: Sequence[str]
) -> Figure:
    """Draw the pixel scores of true positives beside those of true negatives, class by class."""
    width = max(3.2, 0.9 * len(classes) + 1.2)
    figure = new_figure(width * len(explanations), 3.2)
    panels = figure.subplots(1, len(explanations), squeeze=False)[0]
    for axes, one in zip(panels, explanations, strict=True):
        for index in range(len(classes)):
            is_true, is_called = cells.truth == index, cells.predicted == index
            parts = {
                "true positives": is_true & is_called,
                "true negatives": ~is_true & ~is_called & (cells.truth >= 0),
            }
            for side, (name, kept) in enumerate(parts.items()):
                _box(axes, index + 0.36 * side - 0.18, one.pixel_score[kept & cells.sampled],
                     COLOURS[side], name if index == 0 and axes is panels[0] else None)
        axes.set_xticks(range(len(classes)), [fitted(name, 12) for name in classes])
        axes.set_title(one.method, size=10)
        axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel(f"pixel score (saliency from {SALIENT:g} on, mean of all pixels)", size=8)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return figure


def _box(axes: Any, place: float, values: np.ndarray, colour: str, label: str | None) -> None:
    if label:
        axes.plot([], [], color=colour, lw=5, label=label)
    if not len(values):
        return
    axes.boxplot(
        [values], positions=[place], widths=0.3, showfliers=False, manage_ticks=False,
        medianprops={"color": "black"}, boxprops={"color": colour}, whiskerprops={"color": colour},
        capprops={"color": colour},
    )
    spread = np.linspace(-0.09, 0.09, len(values))  # so that dots do not hide each other
    axes.plot(place + spread, values, ".", color=colour, ms=3, alpha=0.6)


def _signs(heats: Any) -> set[bool]:
    return {bool(heat.min() < 0) for heat in heats}


def _coloured(heat: np.ndarray) -> np.ndarray:
    import matplotlib

    name, low = shades_of(heat)
    return matplotlib.colormaps[name]((heat - low) / (1 - low))[..., :3]


def _tiles(
    rows: list[list[tuple[str, np.ndarray]]], labels: list[str], signed: set[bool]
) -> Figure:
    """Draw pictures in a grid, names above the first row, with a colour bar per kind of map."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    n_columns, n_rows = max(map(len, rows)), len(rows)
    left, right, top = 0.9 if any(labels) else 0.05, 0.5 * len(signed) + 0.25, 0.55
    width, height = left + TILE_IN * n_columns + right, top + TILE_IN * n_rows + 0.05
    figure = new_figure(width, height, layout=None)
    for y, row in enumerate(rows):
        bottom = 1 - (top + TILE_IN * (y + 1)) / height
        for x, (name, picture) in enumerate(row):
            axes = figure.add_axes((
                (left + TILE_IN * x + 0.03) / width, bottom,
                (TILE_IN - 0.06) / width, (TILE_IN - 0.06) / height,
            ))
            axes.imshow(picture, interpolation="nearest")
            axes.set_axis_off()
            if y == 0:
                axes.set_title(name, size=8)
        figure.text(0.05 / width, bottom + TILE_IN / 2 / height, labels[y], size=8, va="center")
    for place, sign in enumerate(sorted(signed)):
        colours, low = (FOR_AND_AGAINST, -1) if sign else (HEAT, 0)
        at = (width - right + 0.08 + 0.5 * place) / width
        bar = figure.add_axes((at, 0.12 / height, 0.09 / width, (height - top - 0.25) / height))
        figure.colorbar(ScalarMappable(Normalize(low, 1), colours), cax=bar)
        bar.tick_params(labelsize=6)
    return figure
