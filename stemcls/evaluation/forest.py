"""Draw the scores of several runs, fold by fold, and their differences to one of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from stemcls.evaluation.comparison import METRICS
from stemcls.evaluation.figures import COLOURS, fitted, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ALPHA = 0.05
_SPREAD = 0.16  # half height over which the folds of a run are laid


def draw_comparison(document: dict[str, Any]) -> Figure:
    """Draw one column per metric: scores above, differences to the reference below.

    Scores: rings are folds, a dot and bar their mean and SD; of a single run the score and its 95 %
    interval. Differences: with 95 % interval; filled where Holm's p is below 0.05. Readable
    without colour.

    Args:
        document: From `lay_side_by_side`.
    """
    runs = document["runs"]
    paired = [run for run in runs if run["differences"]]
    heights = [len(runs)] + ([len(paired)] if paired else [])
    # Room for the titles and scales of each row besides 0.42 inches a run.
    size = [0.42 * n + 0.9 for n in heights]
    figure = new_figure(2.0 * len(METRICS) + 3.4, sum(size))
    panels = figure.subplots(
        len(heights), len(METRICS), squeeze=False, gridspec_kw={"height_ratios": size}
    )
    for column, key in enumerate(METRICS):
        _scores(panels[0, column], runs, key)
        if paired:
            _differences(panels[1, column], paired, key)
        for row, names in enumerate((runs, paired)[: len(heights)]):
            _finish(panels[row, column], names if column == 0 else None, len(names))
        panels[0, column].set_title(key.replace("_", " "), fontsize=10)
    spread = "mean and SD over folds" if runs[0]["n_folds"] else "score and 95 % interval"
    panels[0, len(METRICS) // 2].set_xlabel(
        spread if len({bool(run["n_folds"]) for run in runs}) == 1
        else "folds: mean and SD; single runs: score and 95 % interval"
    )
    if paired:
        panels[1, len(METRICS) // 2].set_xlabel(
            f"difference to {document['reference']}, 95 % interval; filled: Holm's p < 0.05"
        )
    return figure


def _scores(axes: Axes, runs: list[dict[str, Any]], key: str) -> None:
    for place, run in enumerate(runs):
        score, colour = run["metrics"][key], _colour(run)
        if not math.isfinite(score["mean"]):
            continue
        low, high = score["ci"] or (math.nan, math.nan)
        if run["n_folds"]:
            low, high = score["mean"] - score["sd"], score["mean"] + score["sd"]
            heights = place + np.linspace(-_SPREAD, _SPREAD, len(score["values"]))
            axes.plot(score["values"], heights, "o", mfc="none", mec="0.55", ms=4, mew=0.8)
        axes.plot([low, high], [place, place], color=colour, lw=2)
        axes.plot(score["mean"], place, "o", color=colour, ms=6)


def _differences(axes: Axes, paired: list[dict[str, Any]], key: str) -> None:
    axes.axvline(0, color="0.7", lw=1, ls=(0, (1, 3)))
    for place, run in enumerate(paired):
        found = run["differences"][key]
        if not math.isfinite(found["difference"]):
            continue
        axes.plot(found["ci"] or [], [place, place] if found["ci"] else [], color="black", lw=1.6)
        sure = found["p_holm"] < _ALPHA
        axes.plot(found["difference"], place, "o", color="black", ms=6,
                  mfc="black" if sure else "white")  # fmt: skip


def _finish(axes: Axes, names: list[dict[str, Any]] | None, n: int) -> None:
    axes.set_ylim(n - 0.5, -0.5)
    shown = [fitted(run["run"], 40) for run in names or []]
    axes.set_yticks(range(n), shown or [""] * n, fontsize=8.5)
    axes.tick_params(axis="x", labelsize=8)
    axes.locator_params(axis="x", nbins=4)
    axes.spines[["top", "right"]].set_visible(False)


def _colour(run: dict[str, Any]) -> str:
    return COLOURS[3] if run["reference"] else COLOURS[0]
