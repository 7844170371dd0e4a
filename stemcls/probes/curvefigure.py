"""Draw a learning curve by cells and by groups, readable in grey."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from stemcls.evaluation.figures import COLOURS, new_figure
from stemcls.probes.curve import Extrapolation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Ends that matplotlib leaves out.
_UNKNOWN = (np.nan, np.nan)


def draw_curve(document: dict[str, Any], found: dict[str, Extrapolation]) -> Figure:
    """Draw points with their intervals, the fit with its band, and the value at twice the size.

    A value whose interval is not known is drawn without one.

    Args:
        document: Of `learning_curve`.
        found: The fits of its branches.
    """
    figure = new_figure(4.4 * len(found) + 0.4, 3.8)
    panels = np.atleast_1d(figure.subplots(1, len(found), sharey=True))
    for axes, (by, fit), colour in zip(panels, found.items(), COLOURS, strict=False):
        points = [point for point in document["points"] if point["by"] == by]
        sizes = np.array([point[by] for point in points])
        scores = np.array([point["score"] for point in points])
        ends = np.array([point["interval"] or _UNKNOWN for point in points])
        grid = np.geomspace(sizes[0], 2 * sizes[-1], 60)
        band = np.quantile([fit.laws.at(n) for n in grid], (0.025, 0.975), axis=1)
        axes.fill_between(grid, *band, color=colour, alpha=0.18, lw=0, label="95 % of fits")
        axes.plot(grid, [fit.law.at(n)[0] for n in grid], color=colour, lw=1.8, label="fit")
        axes.errorbar(
            sizes, scores, np.abs(ends.T - scores), fmt="o", color="black", ms=4.5, lw=1,
            capsize=2.5, label="measured, 95 %",
        )
        double = document["at_double"][by]
        low, high = double["interval"] or _UNKNOWN
        axes.errorbar(
            [2 * sizes[-1]], [double["value"]],
            [[np.maximum(double["value"] - low, 0)], [np.maximum(high - double["value"], 0)]],
            fmt="D", mfc="white", color=colour, ms=6.5, lw=1.4, capsize=4, label="at twice as many",
        )  # fmt: skip
        axes.set_xscale("log")
        axes.set_xticks([], [], minor=True)
        ticks = [*sizes[[0, len(sizes) // 2, -1]], 2 * sizes[-1]]
        axes.set_xticks(ticks, [f"{tick:.0f}" for tick in ticks])
        axes.set_xlabel(f"training {by if by == 'cells' else document['groups']}")
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel(document["metric"].replace("_", " "))
    panels[0].legend(frameon=False, fontsize=8, loc="lower right")
    return figure
