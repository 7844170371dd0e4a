"""Write numbers and intervals the way every table and page shows them."""

from __future__ import annotations

import math
from collections.abc import Sequence


def number_text(value: float | None, form: str = "z.3f") -> str:
    """Return a count in full, any other number in `form`, and - where there is none or NaN."""
    if value is None or math.isnan(value):
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:{form}}"


def interval_text(
    ends: Sequence[float] | None, form: str = "z.3f", missing: str = "-"
) -> str:
    """Return `low to high`, or `missing` where there is no interval."""
    return f"{ends[0]:{form}} to {ends[1]:{form}}" if ends else missing


def with_interval(
    value: float | None, ends: Sequence[float] | None, form: str = "z.3f"
) -> str:
    """Return `value (low to high)`, the value alone without an interval, and - without either."""
    text = number_text(value, form)
    return f"{text} ({interval_text(ends, form)})" if ends and text != "-" else text
