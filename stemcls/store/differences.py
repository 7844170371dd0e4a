"""Find differences between classes, or within them, that lie in the files and not in the cells."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from stemcls.errors import InputError
from stemcls.imaging.readers import READERS, suffix_of
from stemcls.notices import Notice

MIXED_SCALES = 0.05
_MUCH, _SOME, _FEW = 0.5, 0.2, 3  # shares of two classes this far apart, images this many


@dataclass(frozen=True)
class Fact:
    """One property of a file.

    Attributes:
        kind: Of the notice.
        name: What it is called.
        mend: What makes files alike.
    """

    kind: str
    name: str
    mend: str


_FACTS = {
    "depth": Fact(
        "mixed-bit-depth", "bit depth",
        "export all images with one depth; --scale field brings each to 8 bit by its own range",
    ),
    "format": Fact("mixed-formats", "file format", "export all images in one format"),
    "slices": Fact(
        "mixed-channels", "channels",
        "--channels chooses the slices that all have, by name, in one order",
    ),
    "pixel": Fact(
        "mixed-scales", "pixel size", "--crop-um N cuts all crops at one scale"
    ),
    "size": Fact("mixed-sizes", "size of the crops", "cut all crops to one size"),
}


@dataclass(eq=False)
class Differences:
    """Counts what the files of each class are like; memory grows with the kinds, not the files.

    Args:
        kind: cells, crops or fields.
        scale: As `BuildConfig.scale`; with field and store depth is no shortcut.
        crop_um: As `BuildConfig.crop_um`; pixel sizes do not matter where it is given.
    """

    kind: str
    scale: str = "auto"
    crop_um: float = 0.0
    _counts: dict[str, dict[str | None, Counter[str]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(Counter))
    )
    _sizes_um: list[float] = field(default_factory=list)
    _example: dict[tuple[str, str | None, str], str] = field(default_factory=dict)
    _odd: dict[str, dict[str, list[str]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )

    def add(self, facts: Mapping[str, Any], labels: Sequence[str | None]) -> None:
        """Take up one image: what `Glimpse.facts` or a journal entry holds, and its classes."""
        for key, value in self._values(facts).items():
            for label in set(labels):
                self._counts[key][label][value] += 1
                self._example.setdefault((key, label, value), facts["path"])
            self._odd[key][value].append(facts["path"])

    def _values(self, facts: Mapping[str, Any]) -> dict[str, str]:
        suffix = suffix_of(PurePosixPath(facts["path"]))  # type: ignore[arg-type]
        bits = f" of {facts['bits']} bits" if facts.get("bits") else ""
        values = {
            "format": READERS[suffix].format if suffix else "",
            "slices": ", ".join(facts["slices"]),
        }
        if self.scale in ("auto", "none"):
            values["depth"] = facts["dtype"] + bits
        if facts["pixel_size_um"] and not self.crop_um:
            values["pixel"] = f"{self._alike(facts['pixel_size_um']):.4g} um"
        if self.kind == "crops":
            _, height, width = facts["shape"]
            values["size"] = f"{width}x{height} px"
        return values

    def _alike(self, size_um: float) -> float:
        """Return an earlier pixel size that this one is like, else itself."""
        for known in self._sizes_um:
            if max(known, size_um) <= min(known, size_um) * (1 + MIXED_SCALES):
                return known
        self._sizes_um.append(size_um)
        return size_um

    def between_classes(self) -> str | None:
        """Return a sentence on what tells classes apart beside their cells; None: nothing."""
        found = []
        for key, by_label in self._counts.items():
            said = self._difference(key, {k: v for k, v in by_label.items() if k is not None})
            if said:
                found.append(said)
        return "; ".join(found) or None

    def _difference(self, key: str, by_label: Mapping[str, Counter[str]]) -> str | None:
        labels = sorted(by_label)
        for one in labels:
            for other in labels[labels.index(one) + 1 :]:
                if key == "size" and set(by_label[one]) & set(by_label[other]):
                    continue  # ready-made crops vary in size by nature
                if _far_apart(by_label[one], by_label[other]):
                    sides = (self._side(key, label, by_label[label]) for label in (one, other))
                    fact = _FACTS[key]
                    return f"{fact.name}: {', '.join(sides)} ({fact.mend})"
        return None

    def _side(self, key: str, label: str, counts: Counter[str]) -> str:
        value, count = counts.most_common(1)[0]
        example = self._example[key, label, value]
        return f"{label} {value} in {count} of {counts.total()} images, as {example}"

    def within(self) -> list[Notice]:
        """Return a notice for each property in which a minority of images differs."""
        notices = []
        for key, by_value in self._odd.items():
            if key in ("size", "pixel") or len(by_value) < 2:  # which have notices of their own
                continue
            usual = max(by_value, key=lambda value: len(by_value[value]))
            odd = [path for value, paths in by_value.items() if value != usual for path in paths]
            others = ", ".join(value or "unknown" for value in by_value if value != usual)
            fact = _FACTS[key]
            notices.append(Notice(
                fact.kind,
                f"{fact.name.upper()}: {others} among {usual}; a network can tell such "
                f"images apart by it; {fact.mend}", tuple(odd),
            ))
        return notices


def _far_apart(one: Counter[str], other: Counter[str]) -> bool:
    """Tell whether two classes have some value so unequally often that it gives them away."""
    for value in one | other:
        shares = (one[value] / one.total(), other[value] / other.total())
        apart = abs(shares[0] - shares[1])
        images = apart * min(one.total(), other.total())
        if apart > _MUCH or (apart > _SOME and images >= _FEW):
            return True
    return False


def check_classes(found: Differences, force: bool) -> Notice | None:
    """Refuse classes that can be told apart by their files.

    Args:
        found: Of the images of the store.
        force: Go on, and return what is wrong.

    Raises:
        InputError: Names the classes, the difference, files, and the way on.
    """
    said = found.between_classes()
    if said is None:
        return None
    message = (
        f"the classes differ in how their images were recorded, and a network would learn that in "
        f"place of the cells: {said}"
    )
    if not force:
        raise InputError(f"{message}; make them alike, or say --force to build all the same")
    return Notice("classes-differ", message)
