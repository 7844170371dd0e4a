"""Turn numbers into short text: bars, intervals, curves, times and shades."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.text import Text

# A mark and a word for each state, so that it reads without colour as well.
STATES = {
    "queued": ("‖", "cyan"),
    "starting": ("…", "cyan"),
    "waiting": ("·", "cyan"),
    "running": ("▶", "green"),
    "stalled": ("?", "yellow"),
    "crashed": ("✗", "bold red"),
    "finished": ("✓", "bold"),
    "failed": ("✗", "red"),
    "unreadable": ("!", "red"),
    "cancelled": ("■", "yellow"),
    "stopped": ("■", "yellow"),
}
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_HEIGHTS = "▁▂▃▄▅▆▇█"


def state_text(state: str) -> Text:
    """Return a run's state as mark and word, coloured."""
    mark, style = STATES.get(state, (" ", ""))
    return Text(f"{mark} {state}", style=style)


def number(value: Any, digits: int = 3) -> str:
    """Return a number for a table, a dash where there is none."""
    if value is None or value != value:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.{digits}f}"


def bar(share: float, width: int) -> str:
    """Return a bar of `width` cells at most for a share of 0 to 1, in eighths of a cell."""
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    return "█" * (eighths // 8) + (_EIGHTHS[eighths % 8] if eighths % 8 else "")


def interval_bar(value: float | None, low: float | None, high: float | None, width: int) -> str:
    """Draw a value of 0 to 1 and its interval on a line of `width` cells."""
    def cell(share: float) -> int:
        return round(min(max(share, 0.0), 1.0) * (width - 1))

    line = ["·"] * width
    if low is not None and high is not None:
        line[cell(low) : cell(high) + 1] = "─" * (cell(high) - cell(low) + 1)
    if value is not None:
        line[cell(value)] = "●"
    return "".join(line)


def curve(values: Sequence[float | None], width: int) -> str:
    """Draw the last `width` values as a line of block heights, lowest to highest."""
    known = [value for value in values if value is not None][-width:]
    if not known:
        return ""
    low, high = min(known), max(known)
    span = (high - low) or 1.0
    return "".join(_HEIGHTS[round((value - low) / span * (len(_HEIGHTS) - 1))] for value in known)


def duration(seconds: float) -> str:
    """Return seconds as 12s, 3m05s or 2h07m."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def shade(share: float, right: bool) -> str:
    """Return a Rich style for a cell of a confusion matrix.

    Args:
        share: Share of the row, 0 to 1; more is lighter, so that it also reads in grey.
        right: On the diagonal (blue), else an error (orange).
    """
    share = min(max(share, 0.0), 1.0)
    full = (110, 180, 255) if right else (255, 165, 70)
    dark = (24, 28, 36)
    red, green, blue = (round(d + (f - d) * share) for d, f in zip(dark, full, strict=True))
    ink = "black" if share > 0.45 else "white"
    return f"{ink} on rgb({red},{green},{blue})"
