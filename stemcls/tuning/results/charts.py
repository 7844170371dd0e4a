"""Draw a study: its progress, its trials side by side, what mattered, and what it cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from stemcls.evaluation.figures import COLOURS, fitted, new_figure
from stemcls.tuning.results.importance import Importance
from stemcls.tuning.space.dimensions import Dimension
from stemcls.tuning.study.journal import Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, ORANGE, _, RED = COLOURS[:4]
MOST_ROWS = 20


def draw_progress(records: Sequence[Record], objective: str) -> Figure:
    """Draw the score of each trial and the best so far.

    Rings: trials given up early, with the mean of the folds they had; crosses at the foot: failed.
    """
    figure = new_figure(7.2, 3.6)
    axes = figure.add_subplot()
    finished = [(r.number, r.as_trial()) for r in records if r.state == "finished"]
    stopped = [(r.number, r.as_trial()) for r in records if r.state == "stopped"]
    for number, trial in finished:
        axes.errorbar(
            number, trial.score or 0.0, yerr=trial.sd or 0.0, fmt="o", color=BLUE, ms=4, lw=0.8,
            label="mean and SD over folds" if number == finished[0][0] else None,
        )
    axes.plot(
        [n for n, _ in stopped], [t.score or 0.0 for _, t in stopped], "o", mfc="none",
        color="0.5", ms=5, label="given up early" if stopped else None,
    )
    failed = [r.number for r in records if r.state == "failed"]
    axes.plot(
        failed, np.zeros(len(failed)), "x", color=RED, ms=5, clip_on=False,
        transform=axes.get_xaxis_transform(), label="failed" if failed else None,
    )
    if finished:
        best = np.maximum.accumulate([t.score or 0.0 for _, t in finished])
        axes.step([n for n, _ in finished], best, where="post", color=ORANGE, label="best so far")
    axes.set_xlabel("trial (0: the initial configuration)")
    axes.set_ylabel(objective.replace("_", " "))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(fontsize=8, frameon=False)
    return figure


def draw_importance(found: Sequence[Importance]) -> Figure:
    """Draw bars of how much the score depends on each dimension."""
    figure = new_figure(6.0, 0.32 * max(len(found), 2) + 0.9)
    axes = figure.add_subplot()
    if not found:
        axes.text(0.5, 0.5, "too few trials to tell", ha="center", va="center")
        axes.set_axis_off()
        return figure
    places = np.arange(len(found))[::-1]
    axes.barh(places, [f.share for f in found], xerr=[f.sd for f in found], color=BLUE, height=0.6)
    axes.set_yticks(places, [fitted(f.key, 40) for f in found], fontsize=8)
    axes.set_xlabel("share of importance (shuffling the values, SD over shufflings)")
    axes.set_xlim(left=0)
    return figure


def draw_coordinates(
    dimensions: Sequence[Dimension], records: Sequence[Record], objective: str
) -> Figure:
    """Draw each trial as a line through its values, dark for a good score.

    Where a dimension is not active the line passes below its axis.
    """
    from matplotlib.colors import Normalize

    shown = [r for r in records if r.as_trial().score is not None]
    figure = new_figure(max(1.25 * (len(dimensions) + 1), 4.0), 4.4)
    axes = figure.add_subplot()
    scores = np.array([r.as_trial().score for r in shown], dtype=np.float64)
    low, high = (scores.min(), scores.max()) if len(scores) else (0.0, 1.0)
    norm = Normalize(low, high if high > low else low + 1e-9)
    from matplotlib import colormaps

    colours = colormaps["Blues"]
    order = np.argsort(scores, kind="stable")
    for place in order:
        record = shown[place]
        line = [
            d.position_of(record.values[d.key]) if d.key in record.values else -0.12
            for d in dimensions
        ]
        goodness = float(norm(scores[place]))
        axes.plot(
            range(len(line) + 1), [*line, goodness], color=colours(0.2 + 0.8 * goodness),
            lw=0.6 + 1.4 * goodness,
        )
    for place, dimension in enumerate(dimensions):
        axes.axvline(place, color="0.6", lw=0.8)
        for at, text in _ticks(dimension):
            axes.text(place + 0.04, at, text, fontsize=6.5, va="center", color="0.25")
    axes.axvline(len(dimensions), color="0.6", lw=0.8)
    for at, score in ((0.0, low), (1.0, high)):
        axes.text(len(dimensions) + 0.04, at, f"{score:.3f}", fontsize=6.5, va="center")
    names = [fitted(d.key.replace("stages.", "").replace("model.", ""), 16) for d in dimensions]
    axes.set_xticks(
        range(len(dimensions) + 1), [*names, objective.replace("_", " ")], fontsize=7, rotation=30,
        ha="right", rotation_mode="anchor",
    )
    axes.set_yticks([])
    axes.set_ylim(-0.18, 1.06)
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)
    return figure


def draw_spread(records: Sequence[Record], objective: str, marks: Mapping[int, str]) -> Figure:
    """Draw the folds of the leading trials, best mean on top.

    Args:
        records: All trials; the 20 best that were finished are drawn.
        objective: Its name.
        marks: Words beside some trials' numbers.
    """
    finished = [r for r in records if r.state == "finished"]
    leading = sorted(finished, key=lambda r: (-(r.as_trial().score or 0.0), r.number))[:MOST_ROWS]
    figure = new_figure(6.4, 0.3 * max(len(leading), 2) + 0.9)
    axes = figure.add_subplot()
    for place, record in enumerate(reversed(leading)):
        trial = record.as_trial()
        axes.errorbar(
            trial.score or 0.0, place, xerr=trial.sd or 0.0, fmt="o", color=BLUE, ms=5, lw=1.2,
            capsize=2,
        )
        axes.plot(record.scores, np.full(len(record.scores), place), "o", mfc="none", color="0.4",
                  ms=4)
    labels = [f"{r.number} {marks.get(r.number, '')}".strip() for r in reversed(leading)]
    axes.set_yticks(range(len(leading)), labels, fontsize=8)
    axes.set_ylabel("trial")
    axes.set_xlabel(f"{objective.replace('_', ' ')}: folds, mean and SD")
    return figure


def draw_times(records: Sequence[Record]) -> Figure:
    """Draw how long each trial took, all its folds together."""
    figure = new_figure(7.2, 2.6)
    axes = figure.add_subplot()
    seconds = np.array([r.seconds for r in records])
    size, unit = next(
        (size, unit) for size, unit in ((3600, "hours"), (60, "minutes"), (1, "seconds"))
        if seconds.max(initial=0.0) >= 1.5 * size or size == 1
    )
    given_up = [r.state in ("stopped", "failed") for r in records]
    axes.bar(
        [r.number for r in records], seconds / size,
        color=["0.65" if early else BLUE for early in given_up],
    )
    axes.set_xlabel("trial (grey: given up or failed)")
    axes.set_ylabel(unit)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def _ticks(dimension: Dimension) -> list[tuple[float, str]]:
    if dimension.choices:
        values: Sequence[Any] = dimension.values()
    else:
        values = [v for v in (dimension.low, dimension.high) if v is not None]
    ticks = [(dimension.position_of(v), v if isinstance(v, str) else f"{v:.4g}") for v in values]
    return [(at, text) for at, text in ticks if math.isfinite(at)]
