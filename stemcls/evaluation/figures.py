"""Draw confusion matrices and ROC curves that the colour-blind can read."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from stemcls.atomic import replacing
from stemcls.evaluation.fonts import fonts_for, number_words
from stemcls.evaluation.numbertext import interval_text
from stemcls.evaluation.predictions import Predictions
from stemcls.evaluation.roc import roc_points
from stemcls.safetext import safe_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito 2008, without yellow (too light on white); black is kept for the average.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#7F7F7F")
LINES = ("-", "--", ":")
LONGEST_NAME = 40
INDENT = "\n" + 11 * " "


def new_figure(
    width_in: float, height_in: float, layout: Literal["constrained"] | None = "constrained"
) -> Figure:
    """Return an empty figure that needs no screen and leaves no global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in), layout=layout)
    FigureCanvasAgg(figure)
    return figure


def write_figure(
    figure: Figure,
    stem: Path,
    suffixes: Sequence[str] = (".png", ".svg"),
    dpi: float = 160,
    crop: bool = True,
) -> list[Path]:
    """Write `figure` to `stem` with each suffix, atomically; the same figure, the same bytes.

    With `crop` the page fits what is drawn. Text in SVG stays text, which browsers show in fonts of
    their own; in other formats words that no installed font has become numbers, which a line below
    the figure explains.
    """
    import matplotlib

    settings: Any = {
        "svg.fonttype": "none", "svg.hashsalt": stem.name, "pdf.fonttype": 42,
    }
    texts: list[Any] = figure.findobj(lambda artist: hasattr(artist, "set_parse_math"))
    families, lacking = fonts_for({one for text in texts for one in text.get_text()})
    for text in texts:
        text.set_parse_math(False)
        text.set_text(safe_text(text.get_text(), keep="\n"))
        text.set_fontfamily(families)
    paths = [stem.with_name(stem.name + suffix) for suffix in suffixes]
    # Those that keep text as it is come first.
    for path in sorted(paths, key=lambda path: path.suffix != ".svg"):
        metadata: Any = {"Date": None} if path.suffix == ".svg" else None
        metadata = {"CreationDate": None} if path.suffix == ".pdf" else metadata
        if lacking and path.suffix != ".svg":
            number_words(figure, texts, lacking)
            lacking = set()
        with matplotlib.rc_context(settings), warnings.catch_warnings(), replacing(path) as file:
            warnings.filterwarnings("ignore", message="Glyph .* missing from")
            figure.savefig(
                file, dpi=dpi, bbox_inches="tight" if crop else None, metadata=metadata
            )
    return paths


def fitted(name: str, width: int = 20) -> str:
    """Return a class name, cut to `LONGEST_NAME`, on lines of about `width` characters."""
    short = cut(name, LONGEST_NAME)
    return "\n".join(textwrap.wrap(short, width, break_on_hyphens=False)) or short


def cut(text: str, longest: int) -> str:
    """Return a text of at most `longest` characters, the end of a longer one as an ellipsis."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def series_style(index: int) -> dict[str, Any]:
    """Return colour and line of the curve of one class, different for each of the first 21."""
    return {
        "color": COLOURS[index % len(COLOURS)], "ls": LINES[index // len(COLOURS) % len(LINES)]
    }


def finish_curves(
    figure: Figure, axes: Axes, handles: Sequence[Any], captions: Sequence[str], what: str,
    across: str, up: str,
) -> None:
    """Scale and label the axes of curves of rates, and say beside them what each curve is.

    Args:
        figure, axes: Of the curves.
        handles, captions: Of each curve.
        what: What the captions' numbers are.
        across, up: Names of the two rates.
    """
    if handles:
        figure.legend(
            handles, captions, loc="outside right upper", title=what, frameon=False,
            fontsize=8.5, alignment="left", title_fontsize=9,
        )
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal", xlabel=across, ylabel=up)
    axes.spines[["top", "right"]].set_visible(False)


def draw_confusion(confusion: np.ndarray, labels: Sequence[str]) -> Figure:
    """Draw counts, and each row's share as text and shade.

    Args:
        confusion: (K, K) counts, rows are the truth.
        labels: K class names.
    """
    k = len(labels)
    support = confusion.sum(axis=1, keepdims=True)
    share = np.divide(confusion, support, out=np.zeros(confusion.shape), where=support > 0)
    edge = max(0.72 * k, 3.0)
    figure = new_figure(edge + 2.2, edge + 1.6)
    axes = figure.add_subplot()
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    size = 10 if k <= 6 else 8
    for row in range(k):
        for column in range(k):
            part = f"{share[row, column]:.0%}" if support[row, 0] else "none"
            axes.text(
                column, row, f"{confusion[row, column]:,}\n{part}",
                ha="center", va="center", size=size,
                color="white" if share[row, column] > 0.5 else "black",
            )
    names = [fitted(name) for name in labels]
    slanted = max(map(len, labels)) > 0.9 * edge / k * 10
    axes.set_xticks(range(k), names, rotation=40 if slanted else 0, rotation_mode="anchor",
                    ha="right" if slanted else "center", va="top" if not slanted else "center")
    axes.set_yticks(
        range(k), [f"{name}\n(n = {n:,})" for name, n in zip(names, support[:, 0], strict=True)]
    )
    axes.set_xlabel("predicted")
    axes.set_ylabel("truth")
    bar = figure.colorbar(image, ax=axes, shrink=0.8, label="share of the true class")
    bar.ax.yaxis.set_major_formatter("{x:.1f}")
    return figure


def draw_roc(predictions: Predictions, metrics: Mapping[str, Any]) -> Figure:
    """Draw one curve per class, one against all, and their mean.

    Args:
        predictions: What was scored.
        metrics: Its `compute_metrics`, for the areas in the legend.
    """
    figure = new_figure(7.4, 4.6)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="0.7", lw=1, ls=(0, (1, 3)))
    curves, handles, captions = [], [], []
    for index, name in enumerate(predictions.classes):
        area = metrics["per_class"][name]["auroc"]
        if not np.isfinite(area):
            continue
        false, true, _ = roc_points(
            predictions.probabilities[:, index], predictions.labels == index
        )
        curves.append((false, true))
        handles += axes.plot(false, true, lw=1.8, **series_style(index))
        captions.append(f"{area:.3f}  {fitted(name, 28)}".replace("\n", INDENT))
    if curves:
        grid = np.unique(np.concatenate([false for false, _ in curves]))
        mean = np.mean([np.interp(grid, false, true) for false, true in curves], axis=0)
        handles += axes.plot(np.append(0, grid), np.append(0, mean), color="black", lw=2.4)
        captions.append(f"{metrics['auroc']:.3f}  mean of classes{_interval(metrics)}")
    finish_curves(
        figure, axes, handles, captions, "area under the curve",
        "false positive rate (1 - specificity)", "true positive rate (sensitivity)",
    )
    return figure


def _interval(metrics: Mapping[str, Any]) -> str:
    interval = metrics.get("auroc_ci")
    return f"{INDENT}95 %: {interval_text(interval)}" if interval else ""
