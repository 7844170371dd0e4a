"""Curves of the marked runs and the end of the selected one's log, as they grow."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Static

from tui.epochs import Curve, CurveReader
from tui.jobs import output_path
from tui.listing import Row
from tui.tail import last_lines
from tui.widgets.plot import Line, Plot

REFRESH_SECONDS = 1.0
LOG_LINES = 60
# Of the words that the process of a dead run left on stderr.
LAST_WORDS = 6
CURVES_AT_MOST = 10
WIDE_COLUMNS = 110


@dataclass(frozen=True)
class _Seen:
    curves: list[Curve]
    names: list[str]
    log: list[str]


class RunDetail(Horizontal):
    """Curves and log side by side; on a narrow screen one of the two."""

    DEFAULT_CSS = """
    RunDetail { height: 2fr; min-height: 8; border-top: solid $panel; }
    RunDetail > #run-log {
        width: 1fr; height: 1fr; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis;
    }
    RunDetail > Plot { width: 1fr; height: 1fr; }
    RunDetail.-narrow.-log > Plot { display: none; }
    RunDetail.-narrow.-curves > #run-log { display: none; }
    """

    def __init__(self) -> None:
        super().__init__(classes="-curves")
        self._reader = CurveReader()
        self._compared: list[tuple[Row, str]] = []
        self._selected: Row | None = None
        self._value = ""
        self._offered: list[str] = []
        self._wanted = asyncio.Event()

    def compose(self) -> ComposeResult:
        """Curves, log."""
        yield Plot(id="run-curves")
        yield Static("", id="run-log", markup=False)

    def on_resize(self) -> None:
        """Show both where there is room."""
        self.set_class(self.size.width < WIDE_COLUMNS, "-narrow")
        self._wanted.set()

    def show(self, compared: list[tuple[Row, str]], selected: Row | None) -> None:
        """Show these runs' curves and the selected one's log, from now on as they grow."""
        self._compared, self._selected = compared, selected
        self._wanted.set()

    def turn(self) -> None:
        """Show the other of the two."""
        log = self.has_class("-curves")
        self.set_class(log, "-log")
        self.set_class(not log, "-curves")

    def next_value(self) -> None:
        """Draw the next value that the runs tell."""
        if self._offered:
            place = self._offered.index(self._value) if self._value in self._offered else -1
            self._value = self._offered[(place + 1) % len(self._offered)]
            self._wanted.set()

    @work(exclusive=True)
    async def follow(self) -> None:
        """Read on until the screen is left."""
        while self.screen.is_current:
            self._wanted.clear()
            compared, selected, name = self._compared, self._selected, self._value
            seen = await asyncio.to_thread(self._read, compared, selected, name)
            if not self.query(Plot):
                return  # the UI was closed meanwhile
            if self._value == name or not self._value:
                self._draw(seen)
            try:
                await asyncio.wait_for(self._wanted.wait(), REFRESH_SECONDS)
            except TimeoutError:
                continue

    def _read(
        self, compared: list[tuple[Row, str]], selected: Row | None, name: str
    ) -> _Seen:
        paths = [row["path"] for row, _ in compared if row["path"]]
        curves, names = self._reader.read(paths, name)
        if name not in names and names:
            curves, _ = self._reader.read(paths, names[0])
        return _Seen(curves[:CURVES_AT_MOST], names, [] if selected is None else log_of(selected))

    def _draw(self, seen: _Seen) -> None:
        self._offered = seen.names
        if self._value not in self._offered:
            self._value = self._offered[0] if self._offered else ""
        plot = self.query_one(Plot)
        lines = _lines(seen.curves, self._compared)
        told = ", ".join(dict.fromkeys(line.label for line in lines))
        title = f"{self._value} by epoch: {told}" if lines else "no epoch has ended yet"
        plot.show(lines, title)
        room = max(self.size.height - 1, 1)
        log = seen.log or ["The log is empty."]
        self.query_one("#run-log", Static).update(Text("\n".join(log[-room:])))


def log_of(row: Row) -> list[str]:
    """Return the end of a run's log, and of a dead one the last words of its process."""
    if not row["path"]:
        return last_lines(row["job"].log, LOG_LINES) if "job" in row else []
    path = Path(row["path"])
    lines = last_lines(path / "log.txt", LOG_LINES)
    if row["state"] in ("crashed", "failed"):
        words = last_lines(output_path(path), LAST_WORDS)
        lines += ["-- last words of its process --", *words] if words else []
    return lines


def _lines(curves: list[Curve], compared: list[tuple[Row, str]]) -> list[Line]:
    lines = []
    for curve in curves:
        for colour, (row, mark) in enumerate(compared):
            if row["path"] in (curve.key, str(Path(curve.key).parents[1])):
                lines.append(Line(f"{mark} {row['title']}", curve.x, curve.y, mark, colour))
    return lines
