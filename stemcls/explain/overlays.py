"""Pictures of explanations: the crop, its heat map, and one laid over the other."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stemcls.display.colours import as_colours
from stemcls.errors import InputError
from stemcls.evaluation.figures import cut, new_figure, write_figure
from stemcls.explain.explain import Explanation

HEAT = "inferno"
FOR_AND_AGAINST = "RdBu_r"
COVER = 0.6
LONGEST_SLUG = 40


def write_overlays(
    explanation: Explanation,
    images: np.ndarray,
    folder: Path,
    rows: Sequence[int],
    truth: Sequence[str | None],
    predicted: Sequence[str],
    scores: Sequence[float],
    target_names: Sequence[str] | None = None,
) -> list[str]:
    """Write one PNG per crop, atomically: crop, heat map and overlay side by side.

    Args:
        explanation: Of these crops.
        images: (N, H, W, C) uint8 or uint16, as stored.
        folder: Made if missing.
        rows: N rows of the store; they begin the file names.
        truth: N true class names, None where unlabelled.
        predicted: N predicted class names.
        scores: N prediction scores in [0, 1].
        target_names: N names of the classes that the maps speak for; None: the predicted ones.
    Returns: N paths, in the order of the crops.
    Raises:
        InputError: The arguments differ in length, or a row comes twice.
    """
    n = len(explanation)
    spoken = predicted if target_names is None else target_names
    lengths = {len(part) for part in (images, rows, truth, predicted, scores, spoken)}
    if lengths != {n} or len(set(rows)) != n:
        raise InputError(
            f"expected an image, a row of its own, truth, prediction and score for each of {n} "
            f"heat maps, found {sorted(lengths)} of them and {len(set(rows))} different rows"
        )
    shown = as_colours(images)
    paths = []
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(n):
        stem = folder / picture_name(rows[index], truth[index], predicted[index])
        paths += _write_overlay(
            stem, shown[index], explanation.heatmaps[index],
            caption(rows[index], truth[index], predicted[index], scores[index]),
            f"{explanation.method}: {spoken[index]}",
        )
    return [str(path) for path in paths]


def picture_name(row: int, truth: str | None, predicted: str) -> str:
    """Return the name, without suffix, of the picture of a store's row."""
    return f"row-{int(row):06d}_{slug(truth or 'unlabelled')}_as_{slug(predicted)}"


def caption(row: int, truth: str | None, predicted: str, score: float) -> str:
    """Return what one says of a cell above its pictures."""
    return f"row {row}: {truth or 'unlabelled'}, predicted {predicted} ({score:.2f})"


def shades_of(heat: np.ndarray) -> tuple[str, float]:
    """Return the colour map of a map and the value at its lower end: -1 where any is negative."""
    return (FOR_AND_AGAINST, -1.0) if heat.min() < 0 else (HEAT, 0.0)


def blended(crop: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Lay a map over a grey crop, the more opaque the stronger it is.

    Args:
        crop: (H, W, 3) in [0, 1], from `as_colours`.
        heat: (H, W) in [-1, 1].
    Returns: (H, W, 3) in [0, 1].
    """
    import matplotlib

    name, low = shades_of(heat)
    coloured = matplotlib.colormaps[name]((heat - low) / (1 - low))[..., :3]
    cover = COVER * np.abs(heat)[..., None]
    return (1 - cover) * crop.mean(axis=-1, keepdims=True) + cover * coloured


def slug(name: str) -> str:
    """Return a class name as a safe part of a file name: ASCII letters, digits, + and -."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9+]+", "-", plain).strip("-")[:LONGEST_SLUG] or "class"


def _write_overlay(
    stem: Path, crop: np.ndarray, heat: np.ndarray, title: str, map_title: str
) -> list[Path]:
    figure = new_figure(7.5, 2.8, layout=None)  # laying out by itself takes most of the time
    colours, low = shades_of(heat)
    for left, picture, name in (
        (0.01, crop, "crop"), (0.325, heat, map_title), (0.695, blended(crop, heat), "overlay"),
    ):
        axes = figure.add_axes((left, 0.02, 0.3, 0.8))
        drawn = axes.imshow(picture, cmap=colours, vmin=low, vmax=1, interpolation="nearest")
        axes.set_title(cut(name, 30), size=9)
        axes.set_axis_off()
        if picture is heat:
            place = figure.add_axes((0.632, 0.06, 0.012, 0.72))
            bar = figure.colorbar(drawn, cax=place, ticks=(low, (low + 1) / 2, 1))
            bar.ax.tick_params(labelsize=7)
    figure.suptitle(cut(title, 95), size=10)
    return write_figure(figure, stem, suffixes=(".png",), dpi=110, crop=False)
