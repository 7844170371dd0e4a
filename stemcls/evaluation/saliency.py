"""Say whether heat maps look at the cell or at what lies around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

CELL, BACKGROUND, UNSURE, UNKNOWN = "cell", "background", "unsure", "unknown"
# A cell that fills more of the crop leaves too little background to tell.
MOST_AREA = 0.85
# Without an interval, a share of the map that is so much above that of the area counts.
CLEAR = 0.05


def look_of(inside: Mapping[str, Any] | None) -> str:
    """Return what a map looks at: `CELL`, `BACKGROUND`, `UNSURE` or `UNKNOWN`.

    Args:
        inside: `mass`, the mean share of the map inside the cell, 0 to 1; `area`, the share of the
            crop that the cell covers, which a map without preference would have; `gain_ci`, the
            95 % interval of their difference, None or missing where there is none. None: the size
            of the cell is unknown.
    """
    if not inside or inside["area"] > MOST_AREA:
        return UNKNOWN
    gain = inside["mass"] - inside["area"]
    if gain <= 0:
        return BACKGROUND
    ends = inside.get("gain_ci")
    return CELL if (ends[0] > 0 if ends else gain > CLEAR) else UNSURE


def conclusion(method: str, inside: Mapping[str, Any] | None) -> str:
    """Say in a sentence what the maps of a method look at."""
    look = look_of(inside)
    if not inside:
        return f"{method}: the size of the cells is unknown, so cell and background cannot be told"
    shares = (
        f"{inside['mass']:.0%} of the map lies inside the cell, which covers "
        f"{inside['area']:.0%} of the crop"
    )
    return {
        CELL: f"{method} looks at the cell: {shares}",
        BACKGROUND: f"{method} looks at the background: {shares}, no more than a map without "
        "preference would have",
        UNSURE: f"{method} hardly prefers the cell to the background: {shares}",
        UNKNOWN: f"{method}: {shares}, which leaves too little background to tell",
    }[look]


def of_run(rows: Sequence[Mapping[str, Any]]) -> tuple[str, str] | None:
    """Return what the maps of a run look at, and that in a sentence; None without maps.

    The first method that is asked about a class decides; one that is not, where there is no other.
    """
    if not rows:
        return None
    row = next((row for row in rows if row.get("class_aware", True)), rows[0])
    return look_of(row.get("inside")), conclusion(row["method"], row.get("inside"))
