"""Gather what is odd about the images of a build: once per kind, with how many and which."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from stemcls.notices import Notice, gathered

MIXED_SCALES = 0.05


class Notices:
    """Warnings of a build, from the journal entries of its images in order."""

    def __init__(self, crop_um: float) -> None:
        self._crop_um = crop_um
        self._notices: list[Notice] = []
        self._sizes: dict[float, list[str]] = defaultdict(list)
        self._slices: list[str] | None = None

    def add(self, entry: dict[str, Any]) -> None:
        """Take up one image that was used."""
        path = entry["path"]
        self._notices += [Notice(kind, said, (path,)) for kind, said in entry["warnings"]]
        if entry["pixel_size_um"]:
            self._sizes[entry["pixel_size_um"]].append(path)
        if self._slices is None:
            self._slices = entry["slices"]
        elif entry["slices"] != self._slices:
            self._notices.append(Notice(
                "mixed-channels",
                f"its slices are {', '.join(entry['slices'])}, those of the first image "
                f"{', '.join(self._slices)}: one channel of the crops shows different things; "
                "--channels chooses slices by name", (path,),
            ))

    def listed(self) -> list[Notice]:
        """Return every warning once, the gravest first, with the images that it is about."""
        mixed = self._mixed_scales()
        return [*([mixed] if mixed else []), *gathered(self._notices)]

    def _mixed_scales(self) -> Notice | None:
        if self._crop_um or not self._sizes:
            return None
        least, most = min(self._sizes), max(self._sizes)
        if most <= least * (1 + MIXED_SCALES):
            return None
        usual = max(self._sizes, key=lambda size: len(self._sizes[size]))
        others = [
            path for size, paths in self._sizes.items() for path in paths
            if max(size, usual) > min(size, usual) * (1 + MIXED_SCALES)
        ]
        return Notice(
            "mixed-scales",
            f"MIXED SCALES: pixels are {least:.4g} to {most:.4g} um, so cells of one size differ "
            f"by a factor of {most / least:.3g} in their crops, and the network can tell images "
            "apart by it; --crop-um N cuts all crops at one scale", tuple(others),
        )
