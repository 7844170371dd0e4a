"""Write what was found of explained cells: overlays, panels, figures and arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from stemcls.display.colours import as_colours, legend_of
from stemcls.evaluation.figures import write_figure
from stemcls.explain.arrays import write_maps
from stemcls.explain.explain import Explanation
from stemcls.explain.overlays import caption, picture_name, slug, write_overlays
from stemcls.explain.panels import draw_mean_maps, draw_pixel_scores, mean_maps, write_panel
from stemcls.explain.selection import Cells
from stemcls.explain.subject import Subject


def write_explanations(
    out: Path, found: list[Explanation], images: np.ndarray, cells: Cells, subject: Subject,
    radius_px: np.ndarray,
) -> dict[str, Any]:
    """Write overlays, panels, figures and arrays to a folder.

    Args:
        out: The folder.
        found: Of each method, of the same crops.
        images: (N, H, W, C) the crops.
        cells: What they are, and which are pictured.
        subject: Where they come from.
        radius_px: (N,) in pixels of the crop.
    Returns: `files` (overlays), `pictures` and `figures` (heading to files), `arrays`.
    """
    pictured, classes = cells.pictured, subject.classes
    called = [classes[index] for index in cells.predicted]
    truth = [classes[index] if index >= 0 else None for index in cells.truth]
    spoken = [classes[index] for index in found[0].targets]
    files: list[str] = []
    for one in found:
        files += write_overlays(
            _part(one, pictured), images[pictured], out / slug(one.method),
            cells.rows[pictured].tolist(), _of(truth, pictured), _of(called, pictured),
            cells.scores[pictured].tolist(), _of(spoken, pictured),
        )
    shown = as_colours(images, subject.store.levels)
    panels: dict[int, Path] = dict(zip(pictured.tolist(), map(Path, files), strict=False))
    if len(found) > 1:
        (out / "panels").mkdir()
        for at in pictured.tolist():
            stem = out / "panels" / picture_name(cells.rows[at], truth[at], called[at])
            title = caption(cells.rows[at], truth[at], called[at], float(cells.scores[at]))
            heats = {one.method: one.heatmaps[at] for one in found}
            (panels[at],) = write_panel(stem, shown[at], heats, title)
    figures = {}
    means = mean_maps(found, images, cells, classes)
    if means:
        legend = legend_of(subject.store.channels)
        heading = "Mean crop and mean maps by class" + (f" ({legend})" if legend else "")
        (figures[heading],) = write_figure(
            draw_mean_maps(means), out / "mean-maps", suffixes=(".png",), dpi=110, crop=False
        )
    if (cells.truth[cells.sampled] >= 0).any():
        (figures["Pixel scores of true positives and true negatives"],) = write_figure(
            draw_pixel_scores(found, cells, classes), out / "pixel-scores", suffixes=(".png",)
        )
    arrays = out / "maps.h5"
    write_maps(arrays, found, images, cells, classes, radius_px)
    pictures = {
        title: [panels[int(at)] for at in part] for title, part in cells.pictures.items()
    }
    return {"files": files, "pictures": pictures, "figures": figures, "arrays": arrays}


def _part(one: Explanation, positions: np.ndarray) -> Explanation:
    return Explanation(
        one.heatmaps[positions], one.targets[positions], one.probabilities[positions], one.layer,
        one.method,
    )


def _of(names: list[Any], positions: np.ndarray) -> list[Any]:
    return [names[position] for position in positions]
