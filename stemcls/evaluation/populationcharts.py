"""Draw the composition of a sample, and where its brightest cells belong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stemcls.evaluation.figures import COLOURS, fitted, new_figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from stemcls.evaluation.populations import Gate, Population
    from stemcls.evaluation.proportions import Share

_HATCHES = ("", "//", "..", "xx", "\\\\", "++", "oo")
_CURVE_BINS = 40


def draw_composition(population: Population) -> Figure:
    """Draw the share of each class with its interval, and how it changes with the score cut."""
    k = len(population.classes)
    figure = new_figure(max(5.4, 2.6 + 1.1 * k * max(1, len(population.cuts)) / 2), 3.8)
    axes = figure.add_subplot()
    rows: list[tuple[str, Sequence[Share]]] = [
        (f"all\n{len(population.called):,} cells", population.shares)
    ]
    rows += [(f"score ≥ {cut.cut:g}\n{cut.kept:,} cells", cut.shares) for cut in population.cuts]
    _draw_bars(axes, rows, population.classes)
    axes.set_xlabel(population.said_of_intervals, fontsize=8.5)
    return figure


def draw_gate(population: Population, gate: Gate) -> Figure:
    """Draw the intensities of each predicted class with medians and the gate, and who is in it."""
    figure = new_figure(8.6, 3.8)
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    values = population.intensity(gate.measure)
    known = np.isfinite(values)
    bins = int(np.clip(np.sqrt(known.sum()), 8, _CURVE_BINS))
    edges = np.histogram_bin_edges(values[known], bins=bins)
    for index, name in enumerate(population.classes):
        own = values[known & (population.called == index)]
        if not len(own):
            continue
        colour = COLOURS[index % len(COLOURS)]
        line = ("-", "--", ":", "-.")[index % 4]
        median = float(np.median(own))
        left.hist(
            own, bins=edges, weights=np.full(len(own), 1 / len(own)), histtype="step", lw=1.7,
            color=colour, ls=line, label=f"{fitted(name, 24)}: median {_short(median)}",
        )
        left.axvline(median, ymax=0.06, color=colour, lw=2.5, ls=line)
    left.axvline(gate.threshold, color="black", lw=1.2)
    left.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1))
    left.set_xlabel(
        f"{gate.measure.removeprefix('intensity_')}, raw (line: top {gate.top_percent:g} %)"
    )
    left.set_ylabel("share of the class")
    left.spines[["top", "right"]].set_visible(False)
    rows = [
        (f"gate\n{gate.n:,} cells", gate.shares),
        (f"rest\n{sum(share.n for share in gate.outside):,} cells", gate.outside),
    ]
    _draw_bars(right, rows, population.classes)
    return figure


def _draw_bars(
    axes: Axes, rows: Sequence[tuple[str, Sequence[Share]]], classes: Sequence[str]
) -> None:
    width = 0.8 / len(classes)
    for index, name in enumerate(classes):
        places = np.arange(len(rows)) + (index - (len(classes) - 1) / 2) * width
        shares = [shares[index] for _, shares in rows]
        heights = np.array([share.share for share in shares])
        axes.bar(
            places, np.nan_to_num(heights), width, label=fitted(name, 24), edgecolor="black",
            color=f"{0.9 - 0.7 * index / max(len(classes) - 1, 1):.2f}", lw=0.7,
            hatch=_HATCHES[index % len(_HATCHES)],
        )
        for place, share in zip(places, shares, strict=True):
            if share.share_ci:
                axes.vlines(place, *share.share_ci, color=COLOURS[3], lw=1.6)
    axes.set_xticks(range(len(rows)), [name for name, _ in rows], fontsize=8)
    axes.set_ylim(0, 1)
    axes.set_ylabel("share of cells")
    axes.legend(frameon=False, fontsize=8, ncols=2, loc="lower left", bbox_to_anchor=(0, 1))
    axes.spines[["top", "right"]].set_visible(False)


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
