"""Draw box plots of classes, with the means of donors and what the tests say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stemcls.evaluation.figures import COLOURS, cut, fitted, new_figure
from stemcls.evaluation.statistics import Pair, Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from stemcls.evaluation.morphometry import Comparison, Result

_MOST_BRACKETS = 6
_LONGEST_LINE = 72
_SPREAD = 0.16  # half width over which the means of donors are laid side by side


def p_text(p: float) -> str:
    """Return `p = 0.012`, or `p < 0.0001` where it is smaller."""
    return "p < 0.0001" if p < 1e-4 else f"p = {p:.2g}" if p < 0.1 else f"p = {p:.2f}"


def anova_text(comparison: Comparison) -> str:
    """Return `donors: F(2, 6) = 5.14, p = 0.05`, or why there is no F."""
    anova = comparison.anova
    if anova is None:
        return f"{comparison.n_is}: not tested, {comparison.why_not}"
    return (
        f"{comparison.n_is}: F({anova.df_between}, {anova.df_within}) = {anova.f:.3g}, "
        f"{p_text(anova.p)}"
    )


def draw_boxes(result: Result) -> Figure:
    """Draw a box of cells per class, the mean of every unit on it, and stars between classes.

    Boxes are quartiles and median, whiskers reach to the furthest cells within 1.5 IQR, small
    rings are cells beyond, dots are means of units. Stars are of the test between units, Holm's p,
    and are left away where more than 6 pairs have some. Readable without colour.
    """
    names = list(result.cells.samples)
    figure = new_figure(max(4.4, 1.15 * len(names) + 1.4), 4.6)
    axes = figure.add_subplot()
    boxes = [_box(result.cells.summaries[n], result.cells.samples[n]) for n in names]
    dark = {"color": "black", "linewidth": 1.1}
    axes.bxp(
        [box for box in boxes if box], [i for i, box in enumerate(boxes) if box], widths=0.55,
        patch_artist=True, manage_ticks=False,
        boxprops={"facecolor": "0.88", "edgecolor": "black", "linewidth": 1.1},
        medianprops={"color": "black", "linewidth": 2.2}, whiskerprops=dark, capprops=dark,
        flierprops={"marker": "o", "markersize": 2.5, "markeredgecolor": "0.45",
                    "markerfacecolor": "none", "markeredgewidth": 0.6},
    )  # fmt: skip
    for place, name in enumerate(names):
        means = result.units.samples[name]
        beside = np.linspace(-_SPREAD, _SPREAD, len(means)) if len(means) > 1 else np.zeros(1)
        axes.plot(
            place + beside[: len(means)], means, ls="", marker="o", markersize=6.5, zorder=4,
            markerfacecolor=COLOURS[0], markeredgecolor="white", markeredgewidth=1.0,
        )
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.set_xticks(range(len(names)), [_caption(result, name) for name in names], fontsize=9)
    unit = {"raw": "raw units of the file"}.get(result.measure.unit, result.measure.unit)
    axes.set_ylabel(f"{result.measure.title} ({unit})")
    axes.spines[["top", "right"]].set_visible(False)
    caption = f"boxes and rings: cells; dots: means of {result.units.n_is}"
    starred = [pair for pair in result.units.pairs if pair.stars not in ("", "n.s.")]
    if len(starred) > _MOST_BRACKETS:
        caption += f"; {len(starred)} pairs differ"
    elif starred:
        _draw_brackets(axes, starred, names)
        caption += f"; stars: test between {result.units.n_is}"
    lines = [anova_text(result.units), anova_text(result.cells)]
    axes.set_title("\n".join(cut(line, _LONGEST_LINE) for line in lines), fontsize=8.5, loc="left")
    figure.supxlabel(caption, fontsize=7.5)
    return figure


def _box(summary: Summary, values: np.ndarray) -> dict[str, object] | None:
    if not summary.n:
        return None
    beyond = (values < summary.whisker_low) | (values > summary.whisker_high)
    return {
        "med": summary.median, "q1": summary.q1, "q3": summary.q3,
        "whislo": summary.whisker_low, "whishi": summary.whisker_high, "fliers": values[beyond],
    }  # fmt: skip


def _caption(result: Result, name: str) -> str:
    cells, units = result.cells.summaries[name].n, result.units.summaries[name].n
    return f"{fitted(name, 14)}\n{cells:,} cells\n{units:,} {result.units.n_is}"


def _draw_brackets(axes: Axes, pairs: list[Pair], names: list[str]) -> None:
    nearest = sorted(pairs, key=lambda p: abs(names.index(p.first) - names.index(p.second)))
    low, high = axes.get_ylim()
    step = 0.085 * (high - low)
    for number, pair in enumerate(nearest):
        y = high + number * step
        ends = names.index(pair.first), names.index(pair.second)
        axes.plot([ends[0], *ends, ends[1]], [y - step / 5, y, y, y - step / 5],
                  color="black", lw=0.9)
        axes.text(sum(ends) / 2, y, pair.stars, ha="center", va="bottom", fontsize=11)
    axes.set_ylim(low, high + len(nearest) * step)
