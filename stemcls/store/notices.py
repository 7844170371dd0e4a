"""Gather what is odd about the images of a build, and refuse what a network would misuse."""

from __future__ import annotations

import array
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from stemcls.config.imaging import BuildConfig, RecordedConfig
from stemcls.notices import Notice, gathered
from stemcls.store.differences import MIXED_SCALES, Differences, check_classes
from stemcls.store.settle import check_crop


class Findings:
    """What a build says of its images as a whole, from their journal entries in order.

    Args:
        config: How the store is built, with nothing left open.

    Attributes:
        dropped: Why cells were left out, and how many for each reason.
        at_border: Crops that were filled by reflection.
        duplicates: Images with the pixels of an earlier one.
    """

    def __init__(self, config: BuildConfig) -> None:
        self._config = config
        self._alike = Differences(config.kind, config.scale, config.crop_um)
        self._notices: list[Notice] = []
        self._sizes: dict[float, list[str]] = defaultdict(list)
        self._radii = array.array("f")
        self._first: dict[str, tuple[str, str]] = {}
        self._copies: list[tuple[str, str, bool]] = []
        self._types: Counter[str] = Counter()
        self._bits: Counter[int] = Counter()
        self._slices: Counter[tuple[str, ...]] = Counter()
        self.dropped: Counter[str] = Counter()
        self.at_border = 0

    def add(self, entry: dict[str, Any]) -> None:
        """Take up one image that was used."""
        path, labels = entry["path"], entry["labels"]
        self._notices += [Notice(kind, said, (path,)) for kind, said in entry["warnings"]]
        self._alike.add(entry, labels)
        self.dropped.update(entry["dropped"])
        self.at_border += sum(entry["at_border"])
        self._radii.extend(entry["radius_px"])
        if entry["pixel_size_um"]:
            self._sizes[entry["pixel_size_um"]].append(path)
        self._types[entry["dtype"]] += 1
        self._slices[tuple(entry["slices"])] += 1
        if entry["bits"]:
            self._bits[entry["bits"]] += 1
        label = str(labels[0]) if labels else ""
        first, of = self._first.setdefault(entry["pixels_sha256"], (path, label))
        if first != path:
            self._copies.append((path, first, of != label))

    @property
    def duplicates(self) -> int:
        """Images with the pixels of an earlier one."""
        return len(self._copies)

    def checked(self, force: bool) -> list[Notice]:
        """Refuse classes that files give away, and crops that cut cells.

        Raises:
            InputError: Says what is wrong, unless `force` makes notices of it.
        """
        found = [check_classes(self._alike, force)]
        if self._config.kind == "cells" and not self._config.detect.diameter_px:
            usual = self.diameter()["diameter_px"] or 0.0
            pixel_um = next(iter(self._sizes), None)
            found.append(check_crop(self._config.crop_px, usual, self._config, pixel_um, force))
        return [one for one in found if one is not None]

    def listed(self) -> list[Notice]:
        """Return every other warning once, the gravest first, with the images it is about."""
        grave = [self._mixed_scales(), *self._equal()]
        return [
            *(one for one in grave if one is not None), *self._alike.within(),
            *gathered(self._notices),
        ]

    def diameter(self) -> dict[str, float | None]:
        """Return diameter_px, the usual one of the cells, and diameter_um where both are known."""
        usual = self._config.detect.diameter_px
        if not usual and self._config.kind == "cells":
            radii = np.array(self._radii)
            known = radii[np.isfinite(radii)]
            usual = round(2 * float(np.median(known)), 2) if len(known) else 0.0
        one_scale = self._sizes and max(self._sizes) <= min(self._sizes) * (1 + MIXED_SCALES)
        size_um = float(np.median(list(self._sizes))) if one_scale else None
        return {
            "diameter_px": usual or None,
            "diameter_um": round(usual * size_um, 2) if usual and size_um else None,
        }

    def recorded(self, size_px: Sequence[int], warnings: Sequence[str]) -> RecordedConfig:
        """Return what the store keeps of its images, for predictions to compare with."""
        sizes = sorted(self._sizes)
        return RecordedConfig(
            dtype=tuple(name for name, _ in self._types.most_common()),
            bits=tuple(bits for bits, _ in self._bits.most_common()),
            slices=self._slices.most_common(1)[0][0] if self._slices else (),
            pixel_size_um=(sizes[0], sizes[-1]) if sizes else (),
            size_px=tuple(size_px), warnings=tuple(warnings),
        )

    def _equal(self) -> list[Notice]:
        notices = []
        for differ, said in (
            (True, "EQUAL IMAGES IN TWO CLASSES: they have the pixels of another image, which is "
             "in another class; one of the two labels is wrong"),
            (False, "they have the pixels of another image, maybe under another name; a copy in "
             "training and one in test flatter every score"),
        ):
            pairs = [(one, first) for one, first, apart in self._copies if apart is differ]
            if pairs:
                one, first = pairs[0]
                notices.append(Notice(
                    "equal-images", f"{said}; the first: {one} equals {first}",
                    tuple(path for path, _ in pairs),
                ))
        return notices

    def _mixed_scales(self) -> Notice | None:
        if self._config.crop_um or not self._sizes:
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
