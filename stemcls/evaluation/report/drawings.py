"""Draw the figures of a report, in the order of its reader, and turn them into data of a page."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stemcls.evaluation import charts, figures, sheets
from stemcls.evaluation.bygroup import score_groups
from stemcls.evaluation.figures import COLOURS, new_figure, write_figure
from stemcls.evaluation.labelerrors import draw_label_errors, find_label_errors
from stemcls.evaluation.page import file_data
from stemcls.evaluation.report.source import Source
from stemcls.progress import Update
from stemcls.store.units import unit_names

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Larger vector drawings are slower to show than the same in pixels.
_MOST_SVG_BYTES = 600_000
_SHEET_DPI = 110


@dataclass(frozen=True, eq=False)
class Planned:
    """A figure to be drawn.

    Attributes:
        name: Of its file.
        title, caption: For its reader.
        draw: Returns the figure, or None where there is nothing to show.
        vector: Whether it is lines and text, not pictures of cells.
        half: Whether two fit side by side on a page.
    """

    name: str
    title: str
    caption: str
    draw: Callable[[], Any]
    vector: bool = True
    half: bool = False


def planned(source: Source) -> list[Planned]:
    """Return the figures of a report in order: what is confused, where, which cells, curves."""
    predictions, metrics = source.evaluation.predictions, source.metrics
    store, by, what = source.store, source.splits[0].by, source.unit
    groups = score_groups(predictions, unit_names(store, by) if store is not None else None)
    plan = [Planned(
        "confusion", "Confusion matrix", "A row is a true class; each entry is a count, and its "
        "share of the row.",
        lambda: figures.draw_confusion(source.evaluation.confusion, predictions.classes),
    )]
    if by != "crop" and len(groups) > 1:
        plan.append(Planned(
            "groups", f"By {what}", "Share that is right in each by itself, worst first.",
            lambda: charts.draw_groups(groups, what, metrics),
        ))
    if store is not None:
        plan += [
            Planned(
                f"cells-{index + 1}", f"Cells that are {name}",
                "The surest and least sure of every entry of the matrix.",
                partial(sheets.draw_class_sheet, predictions, store, index), vector=False,
            )
            for index, name in enumerate(predictions.classes)
            if (predictions.labels == index).any()
        ]
        suspects = find_label_errors(predictions)
        if suspects:
            plan.append(Planned(
                "label-errors", "Doubtful labels", "Crops that the model confidently takes for "
                "another class.", lambda: draw_label_errors(suspects, predictions, store),
                vector=False,
            ))
    return [*plan, *_curves(source)]


def _curves(source: Source) -> list[Planned]:
    predictions, metrics = source.evaluation.predictions, source.metrics
    return [
        Planned("roc", "ROC", "One class against all others.",
                lambda: figures.draw_roc(predictions, metrics)),
        Planned("precision-recall", "Precision and recall", "One class against all others; chance "
                "is the class's share.", lambda: charts.draw_precision_recall(predictions)),
        Planned("scores", "Scores", "Probability of a class among its own crops and all others.",
                lambda: charts.draw_scores(predictions)),
        Planned("reliability", "Reliability", "Share that is right over the prediction score; on "
                "the diagonal, scores mean what they say.",
                lambda: charts.draw_reliability(metrics), half=True),
        *(
            Planned(
                f"loss-{number}", f"Loss of {part.name}" if source.is_folds else "Loss",
                "Training and validation loss of every epoch; lines divide stages.",
                partial(draw_history, history), half=True,
            )
            for number, (part, history) in enumerate(
                zip(source.parts, source.history, strict=True), start=1
            )
        ),
    ]


def drawn(source: Source, update: Update | None = None) -> list[dict[str, Any]]:
    """Return title, caption, data and `half` of every figure of a report, in order."""
    plan, pictures = planned(source), []
    for number, one in enumerate(plan, start=1):
        figure = one.draw()
        if figure is not None:
            pictures.append({
                "title": one.title, "caption": one.caption, "half": one.half,
                "data": figure_data(figure, one.vector),
            })
        if update:
            update(number, len(plan), one.title)
    return pictures


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
    if len(rows) < 2:
        return None  # a line of one point shows nothing
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
