"""Gather what is odd about the images of a build: once per kind, with how many and which."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

MIXED_SCALES = 0.05
_EXAMPLES = 3


class Notices:
    """Warnings of a build, from the journal entries of its images in order."""

    def __init__(self, crop_um: float) -> None:
        self._crop_um = crop_um
        self._paths: dict[str, list[str]] = defaultdict(list)
        self._sizes: dict[float, list[str]] = defaultdict(list)
        self._n_entries = 0
        self._slices: list[str] | None = None

    def add(self, entry: dict[str, Any]) -> None:
        """Take up one image that was used."""
        path = entry["path"]
        self._n_entries += 1
        for sentence in entry["warnings"]:
            self._paths[sentence].append(path)
        if entry["pixel_size_um"]:
            self._sizes[entry["pixel_size_um"]].append(path)
        if self._slices is None:
            self._slices = entry["slices"]
        elif entry["slices"] != self._slices:
            self._paths[
                f"its slices are {', '.join(entry['slices'])}, those of the first image "
                f"{', '.join(self._slices)}: one channel of the crops shows different things; "
                "--channels chooses slices by name"
            ].append(path)

    def listed(self) -> list[dict[str, Any]]:
        """Return [{path, warning, count}], the path of the first image and how many there are."""
        listed = [
            {"path": paths[0], "warning": self._worded(sentence, paths), "count": len(paths)}
            for sentence, paths in self._paths.items()
        ]
        mixed = self._mixed_scales()
        return [mixed, *listed] if mixed else listed

    def _worded(self, sentence: str, paths: list[str]) -> str:
        examples = ", ".join(paths[:_EXAMPLES]) + (", ..." if len(paths) > _EXAMPLES else "")
        return f"{sentence} ({len(paths)} of {self._n_entries} images: {examples})"

    def _mixed_scales(self) -> dict[str, Any] | None:
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
        sentence = (
            f"MIXED SCALES: pixels are {least:.4g} to {most:.4g} um, so cells of one size differ "
            f"by a factor of {most / least:.3g} in their crops, and the network can tell images "
            "apart by it; --crop-um N cuts all crops at one scale"
        )
        return {
            "path": others[0], "warning": self._worded(sentence, others), "count": len(others)
        }
