"""Say in words why a calibration promises less than its numbers seem to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def caveats(document: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each weakness of a calibration, for people; mostly none.

    Args:
        document: Of `calibrate_run`.
    """
    found = []
    if document["temperature"]["at_limit"]:
        found.append(
            "The temperature ran to its limit: the scores say next to nothing of the truth, or "
            "every validation crop is right, and no temperature can help."
        )
    few = [row["name"] for row in document["sets"] if row["n_groups"] < document["least_groups"]]
    if few:
        found.append(
            f"{', '.join(few)}: fewer than {document['least_groups']} validation groups cannot "
            f"promise {1 - document['alpha']:.0%} for a new one, so the class is in every set; a "
            "larger --alpha or more groups (--validation) helps."
        )
    return found
