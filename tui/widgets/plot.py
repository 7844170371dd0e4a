"""A plot of curves and points that can be told apart without colour as well."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from textual_plotext import PlotextPlot

# A letter for each curve, and colours after Okabe and Ito that show on light and dark.
MARKS = "oxa*bcdeghk"
COLOURS = (
    (0, 158, 115), (230, 159, 0), (86, 180, 233), (204, 121, 167), (213, 94, 0), (120, 130, 220),
)
# So many times a curve carries its mark.
MARKS_ON_CURVE = 6
TICKS_AT_MOST = 8


@dataclass(frozen=True)
class Line:
    """What is drawn in one colour.

    Attributes:
        label: Its name, for who writes the title.
        x, y: Points, one at least.
        mark: A character.
        colour: Place among the colours.
        joined: Whether a line goes through the points.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    mark: str = "o"
    colour: int = 0
    joined: bool = True


class Plot(PlotextPlot):
    """Lines over one pair of axes; drawn anew only when they change."""

    can_focus = False
    DEFAULT_CSS = """
    Plot { min-height: 6; }
    """

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._shown: tuple[object, ...] = ()

    def show(
        self, lines: Sequence[Line], title: str, ticks: Sequence[tuple[float, str]] = ()
    ) -> None:
        """Draw these lines.

        Args:
            lines: None gives an empty pair of axes.
            title: Above.
            ticks: Places and names on the x axis; none: whole numbers.
        """
        wanted = (tuple(lines), title, tuple(ticks))
        if wanted == self._shown:
            return
        self._shown = wanted
        plt = self.plt
        plt.clear_data()
        plt.clear_figure()
        plt.title(title)
        for line in lines:
            colour = COLOURS[line.colour % len(COLOURS)]
            if line.joined and len(line.x) > 1:
                plt.plot(line.x, line.y, marker="braille", color=colour)
            step = max(1, len(line.x) // MARKS_ON_CURVE) if line.joined else 1
            plt.scatter(line.x[::-step], line.y[::-step], marker=line.mark, color=colour)
        places = list(ticks) or _whole_numbers([x for line in lines for x in line.x])
        if places:
            plt.xticks([place for place, _ in places], [name for _, name in places])
        self.refresh()


def _whole_numbers(x: Sequence[float]) -> list[tuple[float, str]]:
    if not x:
        return []
    low, high = math.floor(min(x)), math.ceil(max(x))
    step = max(1, -(-(high - low) // TICKS_AT_MOST))
    return [(float(place), str(place)) for place in range(low, high + 1, step)]
