"""Draw the history of a training, and turn figures into data that a page holds inside."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stemcls.evaluation.figures import COLOURS, new_figure, write_figure
from stemcls.evaluation.page import file_data

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Larger vector drawings are slower to show than the same in pixels.
_MOST_SVG_BYTES = 600_000
_SHEET_DPI = 110


def figure_data(figure: Figure, vector: bool = True) -> str:
    """Return a figure as a data: address; as SVG where `vector` and not too large, else PNG."""
    with tempfile.TemporaryDirectory(prefix="stemcls-report-") as folder:
        stem = Path(folder) / "figure"
        if vector:
            (path,) = write_figure(figure, stem, (".svg",))
            if path.stat().st_size <= _MOST_SVG_BYTES:
                return file_data(path)
        (path,) = write_figure(figure, stem, (".png",), dpi=_SHEET_DPI)
        return file_data(path)


def draw_history(history: Sequence[dict[str, str]]) -> Figure | None:
    """Draw the training and validation loss of each epoch, stages divided by lines."""
    rows = [row for row in history if row.get("loss")]
    if not rows:
        return None
    figure = new_figure(6.8, 3.0)
    axes = figure.add_subplot()
    places = range(1, len(rows) + 1)
    for key, colour, line, name in (
        ("loss", "black", "-", "training"), ("val_loss", COLOURS[0], "--", "validation")
    ):
        values = [float(row[key]) if row.get(key) else float("nan") for row in rows]
        axes.plot(places, values, color=colour, ls=line, lw=1.6, label=name)
    begun = ""
    for place, row in zip(places, rows, strict=True):
        if row.get("stage") != begun:
            begun = row.get("stage", "")
            axes.axvline(place - 0.5, color="0.7", lw=0.9)
            axes.text(place - 0.4, 0.98, begun, size=8, va="top", color="0.3",
                      transform=axes.get_xaxis_transform())
    axes.set(xlabel="epoch", ylabel="loss", xlim=(0.5, len(rows) + 0.5))
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return figure
