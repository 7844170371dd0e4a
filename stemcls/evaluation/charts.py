"""Draw what a confusion matrix hides: precision and recall, scores, calibration, groups."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from stemcls.evaluation.bygroup import GroupScore
from stemcls.evaluation.figures import (
    COLOURS,
    INDENT,
    finish_curves,
    fitted,
    new_figure,
    series_style,
)
from stemcls.evaluation.naming import title_of
from stemcls.evaluation.precisionrecall import precision_recall
from stemcls.evaluation.predictions import Predictions

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_GROUPS = 40
_SCORE_BINS = np.linspace(0, 1, 21)


def draw_precision_recall(predictions: Predictions) -> Figure:
    """Draw precision over recall, one curve per class against all others."""
    figure = new_figure(7.4, 4.6)
    axes = figure.add_subplot()
    handles, captions = [], []
    for index, name in enumerate(predictions.classes):
        positive = predictions.labels == index
        recall, precision, average = precision_recall(predictions.probabilities[:, index], positive)
        if not math.isfinite(average):
            continue
        handles += axes.plot(
            recall, precision, lw=1.8, drawstyle="steps-pre", **series_style(index)
        )
        captions.append(
            f"{average:.3f}  {fitted(name, 28)} (chance {positive.mean():.3f})".replace(
                "\n", INDENT
            )
        )
    finish_curves(
        figure, axes, handles, captions, "average precision", "recall (sensitivity)",
        "precision (PPV)",
    )
    return figure


def draw_scores(predictions: Predictions) -> Figure:
    """Draw, for every class, the probability it got from its own crops and from all others."""
    k = len(predictions.classes)
    columns = min(k, 3)
    rows = math.ceil(k / columns)
    figure = new_figure(2.7 * columns + 0.4, 2.1 * rows + 0.5)
    panels = np.atleast_1d(figure.subplots(rows, columns, squeeze=False)).ravel()
    for index, axes in enumerate(panels):
        if index >= k:
            axes.set_axis_off()
            continue
        own = predictions.labels == index
        given = predictions.probabilities[:, index]
        for values, style in (
            (given[own], {"color": "0.75", "edgecolor": "0.4", "label": "of the class"}),
            (given[~own], {"histtype": "step", "color": "black", "lw": 1.4, "label": "of others"}),
        ):
            if len(values):
                share = np.full(len(values), 1 / len(values))
                axes.hist(values, bins=_SCORE_BINS, weights=share, **style)
        axes.set_title(fitted(predictions.classes[index], 30), fontsize=8.5)
        axes.set_xlim(0, 1)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=7)
    panels[0].legend(frameon=False, fontsize=7)
    figure.supxlabel("probability of the class", fontsize=8.5)
    figure.supylabel("share of crops", fontsize=8.5)
    return figure


def draw_reliability(metrics: Mapping[str, Any], after: Mapping[str, Any] | None = None) -> Figure:
    """Draw the share that is right over the prediction score; the diagonal is what is wanted.

    Args:
        metrics: Of `compute_metrics`.
        after: The same crops with calibrated scores, drawn beside them.
    """
    figure = new_figure(4.6, 5.0)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    upper.plot([0, 1], [0, 1], color="0.6", lw=1, ls=(0, (1, 3)))
    first = "as trained: " if after else ""
    styles = ((metrics, "black", "o", "-", first), (after, "0.5", "s", "--", "calibrated: "))
    for found, colour, marker, line, name in styles:
        if not found:
            continue
        bins = found["reliability"]
        label = f"{name}{title_of('ece')} {found['ece']:.3f}"
        upper.plot([b["score"] for b in bins], [b["right"] for b in bins], color=colour,
                   marker=marker, ls=line, lw=1.4, ms=5, label=label, clip_on=False, zorder=3)
        lower.step([b["low"] for b in bins] + [bins[-1]["high"]],
                   [b["n"] for b in bins] + [bins[-1]["n"]], where="post", color=colour, ls=line)
    upper.set(xlim=(0, 1), ylim=(0, 1), ylabel="share that is right")
    upper.legend(frameon=False, fontsize=8, loc="upper left")
    lower.set_ylim(bottom=0)
    lower.set(xlabel="prediction score (largest probability)", ylabel="crops")
    for axes in (upper, lower):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def draw_groups(groups: Sequence[GroupScore], what: str, metrics: Mapping[str, Any]) -> Figure:
    """Draw the share that is right in every group, worst at the top, and the whole as a line.

    Args:
        groups: From `score_groups`; of more than `MOST_GROUPS` the worst are drawn.
        what: What a group is, in words.
        metrics: Of the whole.
    """
    shown = groups[:MOST_GROUPS]
    figure = new_figure(6.4, 0.24 * len(shown) + 1.3)
    axes = figure.add_subplot()
    places = np.arange(len(shown))
    ends = np.array([group.accuracy_ci for group in shown])
    value = np.array([group.accuracy for group in shown])
    axes.hlines(places, ends[:, 0], ends[:, 1], color="0.55", lw=1.6)
    axes.plot(value, places, ls="", marker="o", color="black", ms=5)
    axes.axvline(metrics["accuracy"], color=COLOURS[0], lw=1.2, ls="--")
    axes.set_yticks(places, [f"{fitted(g.name, 34)} (n = {g.n:,})" for g in shown], fontsize=8)
    axes.set(xlim=(-0.02, 1.02), ylim=(len(shown) - 0.4, -0.6))
    axes.set_xlabel(f"{title_of('accuracy', metrics)} (bars: 95 % over crops; dashed: all)")
    more = f", worst {len(shown)} of {len(groups)}" if len(shown) < len(groups) else ""
    axes.set_title(f"by {what}{more}", fontsize=9, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    return figure
