"""The surest and least sure cells of every entry of a confusion matrix, as contact sheets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stemcls.evaluation.figures import LONGEST_NAME, fitted, write_figure
from stemcls.evaluation.pictures import Strip, draw_sheet
from stemcls.evaluation.predictions import Predictions

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from stemcls.store.cropstore import CropStore

EACH = 6


def extremes(predictions: Predictions, truth: int, called: int, each: int = EACH) -> np.ndarray:
    """Return places in `predictions` of one matrix entry: the surest, then the least sure.

    Args:
        predictions: What was scored.
        truth, called: Class numbers of the entry.
        each: How many of either; an entry of fewer crops is given whole, surest first.
    Returns: (n,) int, n up to 2 `each`.
    """
    there = np.flatnonzero((predictions.labels == truth) & (predictions.predicted == called))
    there = there[np.argsort(-predictions.score[there], kind="stable")]
    return there if len(there) <= 2 * each else np.append(there[:each], there[-each:])


def draw_class_sheet(predictions: Predictions, store: CropStore, truth: int) -> Figure:
    """Draw the crops of one true class, a line for each class they were called."""
    strips = []
    for called, name in enumerate(predictions.classes):
        places = extremes(predictions, truth, called)
        n = int(((predictions.labels == truth) & (predictions.predicted == called)).sum())
        cut = len(places) < n or len(places) == 2 * EACH
        what = "right" if called == truth else "wrong"
        sides = "surest, then least sure" if cut else "surest first"
        strips.append(
            Strip(
                title=f"called {fitted(name, LONGEST_NAME)} ({what}): "
                + (f"{n:,} cells, {sides}" if n else "none"),
                images=store.read(predictions.rows[places]),
                captions=[
                    f"{row}: {score:.2f}" for row, score in
                    zip(predictions.rows[places], predictions.score[places], strict=True)
                ],
                gap_after=EACH if cut else 0,
            )
        )
    name = fitted(predictions.classes[truth], LONGEST_NAME)
    heading = f"truly {name} (row of the store: prediction score)"
    return draw_sheet(strips, heading, 2 * EACH)


def write_sheets(folder: Path, predictions: Predictions, store: CropStore) -> list[Path]:
    """Write `cells-1` and so on, one for each true class that has crops, as PNG and SVG."""
    paths = []
    for truth in np.unique(predictions.labels).tolist():
        figure = draw_class_sheet(predictions, store, truth)
        paths += write_figure(figure, folder / f"cells-{truth + 1}")
    return paths
