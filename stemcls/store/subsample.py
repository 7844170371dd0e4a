"""Take a random share of the images of each class and group, when there are more than needed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from stemcls.store.sources import Source


def subsample(sources: Sequence[Source], share: float, seed: int) -> list[Source]:
    """Draw a share of the images of every class and group, at least one of each.

    Args:
        sources: All images.
        share: Above 0 to 1.
        seed: Of the draw; the same images are drawn for the same list.
    Returns: The images drawn, in the order they came.
    Source: 90,000 of 600,000 imaging-flow images used, Parthasarathy 2024.
    """
    if share >= 1:
        return list(sources)
    strata: dict[tuple[str | None, str | None], list[int]] = defaultdict(list)
    for number, source in enumerate(sources):
        strata[source.label, source.group].append(number)
    rng = np.random.default_rng(seed)
    drawn = [
        number
        for members in strata.values()
        for number in rng.permutation(members)[: max(1, round(share * len(members)))]
    ]
    return [sources[number] for number in sorted(drawn)]
