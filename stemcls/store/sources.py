"""The images that a store is built from, and what is known about each before it is read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stemcls.imaging.listing.positions import Position
from stemcls.imaging.listing.walk import PassedOver
from stemcls.notices import Notice


@dataclass(frozen=True, slots=True)
class KnownCell:
    """One cell whose centre a table gives; `radius_px` is NaN where it does not say."""

    y_px: float
    x_px: float
    label: str | None = None
    radius_px: float = math.nan
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """One image and what is known about it before it is read.

    Attributes:
        path: The file.
        name: Its path below the source folder, or as the manifest gives it.
        label: Class, or None.
        group: Donor, line, mouse or experiment, or None.
        cells: Known centres, or None where none were given.
        problem: Why it cannot be used, or None.
        scene: Position of the file to read, by name or number from 0; "" where nothing is chosen.
        time: Time point to read, as in `ReadConfig.time`; "" where nothing is chosen.
        z: Focal plane to read, as in `ReadConfig.z`; "" where nothing is chosen.
        metadata: Further columns of the manifest (plate, well, passage, ...), name to text.
        files: The files of a sample that is stored as one file per channel; empty otherwise.
        channels: Names of those channels.
    """

    path: Path
    name: str
    label: str | None = None
    group: str | None = None
    cells: tuple[KnownCell, ...] | None = None
    problem: str | None = None
    scene: str = ""
    time: str = ""
    z: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    channels: tuple[str, ...] = ()

    @property
    def place(self) -> Position:
        """What to read: the file, the position of it, or the files of its channels."""
        scene, time = self.scene.lstrip("#"), f"t={self.time}" if self.time else ""
        title = "+".join(self.channels) or " ".join(filter(None, (scene, time)))
        return Position(
            self.path, self.scene, self.time, self.z, title, self.files, self.channels,
            self.problem,
        )

    @property
    def is_part(self) -> bool:
        """Whether the image is not just what its file holds."""
        return bool(self.scene or self.time or self.files)


@dataclass(frozen=True, slots=True)
class Listing:
    """Everything that was found for a build.

    Attributes:
        sources: The images, in a fixed order; one with a `problem` will be skipped.
        skipped: Images, or what may be images, that no reader is there for.
        ignored: What was passed over by name.
        notices: What is odd about the list as a whole.
    """

    sources: list[Source]
    skipped: tuple[PassedOver, ...] = ()
    ignored: tuple[PassedOver, ...] = ()
    notices: tuple[Notice, ...] = ()
