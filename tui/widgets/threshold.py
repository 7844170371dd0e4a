"""ROC curves, and one class's numbers as its threshold moves by key."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.timer import Timer
from textual.widgets import Static

from tui.commands import bindings
from tui.drawing import bar, number
from tui.scored import Scored
from tui.thresholds import Numbers
from tui.widgets.scores import interval

if TYPE_CHECKING:
    from textual_plotext import PlotextPlot

_STEPS = 100
_HALF = 50
_BAR = 14
_OTHERS_DRAWN = 5
_PLOT_AFTER_SECONDS = 0.04


class ThresholdPane(Horizontal, can_focus=True):
    """The ROC curve of a class with the threshold on it, and what it comes to in numbers."""

    PLACE = "threshold"
    BINDINGS: ClassVar[list[BindingType]] = bindings("threshold")
    DEFAULT_CSS = """
    ThresholdPane > #roc { width: 1fr; height: 1fr; }
    ThresholdPane > #numbers { width: 40; height: 1fr; padding: 0 1; overflow-y: auto; }
    ThresholdPane:focus > #numbers { border-left: solid $accent; }
    ThresholdPane > #numbers { border-left: solid $panel; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._scored: Scored | None = None
        self._metrics: dict[str, Any] = {}
        self._class = 0
        self._step = _HALF
        self._plot: PlotextPlot | None = None
        self._waiting: Timer | None = None

    def compose(self) -> ComposeResult:
        """A place for the plot, the numbers."""
        yield Vertical(id="roc")
        yield Static("", id="numbers", markup=False)

    def show(self, scored: Scored | None, metrics: dict[str, Any], problem: str = "") -> None:
        """Show predictions, beside the metrics they gave; or why there are none."""
        if scored is not self._scored and scored is not None:
            # Of two classes the last is the positive one.
            self._class = len(scored.classes) - 1 if len(scored.classes) == 2 else 0
            self._step = _HALF
        self._scored, self._metrics = scored, metrics
        if scored is None:
            self.query_one("#numbers", Static).update(Text(problem))
        self._draw()
        self._fetch_plot()

    @property
    def threshold(self) -> float:
        """Where it stands, 0 to 1."""
        return self._step / _STEPS

    @work(exclusive=True)
    async def _fetch_plot(self) -> None:
        # Plotext takes half a second to import, and most visits to a run do not come here.
        if self._plot is None:
            module = await asyncio.to_thread(import_module, "textual_plotext")
            self._plot = module.PlotextPlot()
            await self.query_one("#roc").mount(self._plot)
            self._draw()

    def action_move(self, steps: int) -> None:
        """Move the threshold by so many hundredths."""
        self._step = min(max(self._step + steps, 0), _STEPS)
        self._draw()

    def action_reset(self) -> None:
        """Back to one half."""
        self._step = _HALF
        self._draw()

    def action_turn(self, step: int) -> None:
        """Go to another class."""
        if self._scored is not None:
            self._class = (self._class + step) % len(self._scored.classes)
            self._draw()

    def _draw(self) -> None:
        scored = self._scored
        if scored is None:
            return
        numbers = scored.sweeps[self._class].at(self.threshold)
        name = scored.classes[self._class]
        measured = (self._metrics.get("per_class") or {}).get(name) or {}
        self.query_one("#numbers", Static).update(_in_words(scored, name, numbers, measured))
        # The curves cost most; while a key is held down only the last ones are drawn.
        if self._waiting is not None:
            self._waiting.stop()
        self._waiting = self.set_timer(_PLOT_AFTER_SECONDS, self._draw_curves)

    def _draw_curves(self) -> None:
        plot, scored = self._plot, self._scored
        if plot is None or scored is None:
            return
        numbers = scored.sweeps[self._class].at(self.threshold)
        plt = plot.plt
        plt.clear_figure()
        plt.xlim(0, 1)
        plt.ylim(0, 1)
        plt.xticks([0, 0.5, 1])
        plt.yticks([0, 0.5, 1])
        plt.plot([0, 1], [0, 1], marker=".", color="gray")
        others = [place for place in range(len(scored.classes)) if place != self._class]
        for place in others[:_OTHERS_DRAWN] if len(scored.classes) > 2 else ():
            false, true = scored.sweeps[place].roc(60)
            plt.plot(false.tolist(), true.tolist(), marker="dot", color="gray")
        false, true = scored.sweeps[self._class].roc()
        plt.plot(false.tolist(), true.tolist(), marker="braille", color="blue")
        specificity = numbers.specificity
        plt.scatter(
            [1 - (1.0 if specificity is None else specificity)], [numbers.sensitivity or 0.0],
            marker="●", color="orange",
        )
        plt.title(f"ROC: {scored.classes[self._class]}")
        plt.xlabel("1 - specificity")
        plt.ylabel("sensitivity")
        plot.refresh()


def _in_words(
    scored: Scored, name: str, numbers: Numbers, measured: dict[str, Any]
) -> Text:
    rest = "the other class" if len(scored.classes) == 2 else "all others"
    text = Text()
    text.append(f"{name} against {rest}\n", "bold")
    text.append(f"AUROC {number(measured.get('auroc'))} {interval(measured, 'auroc')}\n\n")
    text.append(f"threshold  {numbers.threshold:.2f}  ", "bold")
    text.append(f"{bar(numbers.threshold, _BAR):<{_BAR}}\n", "cyan")
    share = numbers.n_called / max(len(scored.score), 1)
    text.append(f"called     {numbers.n_called} of {len(scored.score)} ({share:.1%})\n\n")
    for key in ("sensitivity", "specificity", "ppv", "npv", "f1"):
        value = getattr(numbers, key)
        text.append(f"{key:<11} {number(value)}  ")
        text.append(f"{bar(value or 0.0, _BAR)}\n", "cyan")
    text.append(
        f"\nright: {numbers.tp} called, {numbers.tn} not\n"
        f"wrong: {numbers.fp} called, {numbers.fn} missed\n"
    )
    text.append(
        "\nA threshold that is chosen on these crops flatters them; choose it on others.", "dim"
    )
    return text
