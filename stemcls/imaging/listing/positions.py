"""One file, many fields: a position and a time point of a file each count as one image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.config.imaging import ReadConfig
from stemcls.errors import InputError
from stemcls.imaging.field import Field
from stemcls.imaging.listing.walk import head_of, shown
from stemcls.imaging.readers import READERS, describe_file, read_field, suffix_of
from stemcls.imaging.readers.ifds import is_one_page
from stemcls.imaging.readers.planes import PROJECTIONS

ALL = "all"
_PICTURES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp")
# Words of --scene and --time that join what they name, so that a file stays one field.
JOINS = (*PROJECTIONS, "slices")


@dataclass(frozen=True, slots=True)
class Position:
    """One image to read: a file, one position or time point of it, or a sample of several files.

    Attributes:
        path: The file; of several the first.
        scene: Which of its scenes, as in `ReadConfig.scene`; "" where there is no choice.
        time: Which of its time points, as in `ReadConfig.time`; "" where there is no choice.
        z: Which focal plane, as in `ReadConfig.z`; "" where there is no choice.
        title: What tells it apart from others of its file, such as "Pos1 t=3"; "" for the only one.
        files: The files of a sample that is stored as one file per channel; empty otherwise.
        channels: Names of those channels.
        problem: Why it cannot be used, or None.
    """

    path: Path
    scene: str = ""
    time: str = ""
    z: str = ""
    title: str = ""
    files: tuple[Path, ...] = ()
    channels: tuple[str, ...] = ()
    problem: str | None = None

    def __str__(self) -> str:
        return self.called(str(self.path))

    @property
    def name(self) -> str:
        """The file's bare name, with the title where there is one."""
        return self.called(self.path.name)

    def called(self, name: str) -> str:
        """Return a name of the file as that of this position, safe to show and to write."""
        return shown(name) + (f"[{self.title}]" if self.title else "")

    def reading(self, read: ReadConfig) -> ReadConfig:
        """Return what to read of `path`."""
        scene, time = (
            mine or ("" if asked.strip() == ALL else asked)
            for mine, asked in ((self.scene, read.scene), (self.time, read.time))
        )
        return replace(read, scene=scene, time=time, z=self.z or read.z)


def as_position(place: Path | Position) -> Position:
    """Return a file as a position."""
    return place if isinstance(place, Position) else Position(Path(place))


def read_position(place: Path | Position, read: ReadConfig | None = None) -> Field:
    """Read one image: a file, a position of it, or the channels of a sample from their files.

    Raises:
        InputError: As `read_field`, or the files of a sample do not fit together.
    """
    position, read = as_position(place), read or ReadConfig()
    if position.problem:
        raise InputError(position.problem)
    if not position.files:
        return read_field(position.path, position.reading(read))
    fields = [read_field(file, position.reading(read)) for file in position.files]
    planes = [_only_plane(field) for field in fields]
    first = planes[0]
    for field, plane in zip(fields, planes, strict=True):
        if plane.shape != first.shape or plane.dtype != first.dtype:
            raise InputError(
                f"{shown(field.path)} is {_size(plane)}, but {shown(fields[0].path)} of the same "
                f"sample is {_size(first)}: one file per channel needs files of one size and type"
            )
    return replace(
        fields[0], pixels=np.stack(planes), channels=position.channels,
        pixel_size_um=next((one.pixel_size_um for one in fields if one.pixel_size_um), None),
    )


def expand_positions(path: Path, read: ReadConfig) -> list[Position]:
    """Return every field of a file: one per position and chosen time point.

    Args:
        path: An image file.
        read: `scene`: "" or "all" for all of them, or their names or numbers, with commas between;
            `time`: "all", or numbers with commas between. Words that join (max, mean, slices)
            leave a file one field.
    Returns: At least one position. One that cannot be read has a `problem`, or will say so when
        it is read.
    """
    if _holds_one(path):
        return [Position(path)]
    try:
        scenes = describe_file(path)["scenes"]
    except InputError:
        return [Position(path)]  # whoever reads it says why
    wanted = _chosen_scenes(path, scenes, read.scene)
    if isinstance(wanted, Position):
        return [wanted]
    return [
        position for number in wanted
        for position in _times(path, scenes, number, read)
    ]


def _holds_one(path: Path) -> bool:
    """Say, without the cost of opening it, whether a file holds one picture only."""
    suffix = suffix_of(path)
    if suffix in _PICTURES and READERS[suffix].recognises(head_of(path)):
        return True
    return is_one_page(path)


def _chosen_scenes(
    path: Path, scenes: Sequence[dict[str, Any]], wish: str
) -> list[int | None] | Position:
    """Return numbers of scenes, None for one that needs no choice, or the file as it is."""
    wish = wish.strip()
    names = [scene["name"] for scene in scenes]
    if wish in JOINS:
        return Position(path, scene=wish) if len(scenes) > 1 else [None]
    if wish in ("", ALL):
        if len(scenes) == 1:
            return [None]
        if not wish and suffix_of(path) in (".tif", ".tiff") and not any(names):
            return Position(path)  # thumbnails and labels lie beside the image: ask, as always
        return list(range(len(scenes)))
    if wish in names:
        return [names.index(wish)] if names.count(wish) == 1 else Position(path, scene=wish)
    chosen: list[int | None] = []
    for part in (one.strip() for one in wish.split(",") if one.strip()):
        same = [n for n, name in enumerate(names) if name.casefold() == part.casefold()]
        if len(same) == 1:
            chosen.append(same[0])
        elif (number := part.removeprefix("#")).isdecimal() and int(number) < len(scenes):
            chosen.append(int(number))
        else:
            return Position(path, scene=part)  # which reading refuses, with what there is
    return list(dict.fromkeys(chosen)) or [None]


def _times(
    path: Path, scenes: Sequence[dict[str, Any]], number: int | None, read: ReadConfig
) -> Iterator[Position]:
    scene = scenes[number or 0]
    chosen, title = "", ""
    if number is not None and len(scenes) > 1:
        chosen, title = _scene_wish(scenes, number)
    count, wish = scene["axes"].get("T", 1), read.time.strip()
    if count == 1 and wish in ("", ALL, *JOINS):
        yield Position(path, chosen, title=title)
    elif not wish:
        yield Position(
            path, chosen, title=title, problem=f"{shown(path)} holds {count} time points: --time "
            "all makes each a field, --time 0 or --time 0,5 takes some, --time max or mean joins "
            "them",
        )
    elif wish == ALL:
        for point in range(count):
            yield Position(path, chosen, str(point), title=f"{title} t={point}".strip())
    elif "," in wish:
        for part in dict.fromkeys(one.strip() for one in wish.split(",") if one.strip()):
            yield Position(path, chosen, part, title=f"{title} t={part}".strip())
    else:
        yield Position(path, chosen, wish, title=title)


def _scene_wish(scenes: Sequence[dict[str, Any]], number: int) -> tuple[str, str]:
    """Return what chooses a scene, and what people call it: its name where that is its own."""
    name = scenes[number]["name"]
    folded = Counter(scene["name"].strip().casefold() for scene in scenes)
    own = (
        name and name == name.strip() and folded[name.casefold()] == 1
        and name not in (*JOINS, ALL)
    )
    if own:
        return name, shown(name)
    return f"#{number}", f"#{number}" if str(number) in folded else str(number)


def _only_plane(field: Field) -> np.ndarray:
    """Return the (Y, X) plane of a file that holds one channel.

    A picture in one pure colour, or grey stored as colour, counts as the plane that it was.
    """
    pixels = field.pixels
    if len(pixels) == 1:
        return pixels[0]
    if field.channels == ("red", "green", "blue"):
        full = [plane for plane in pixels if plane.any()]
        if len(full) <= 1 or all(np.array_equal(plane, full[0]) for plane in full[1:]):
            return full[0] if full else pixels[0]
    raise InputError(
        f"{shown(field.path)} holds {len(pixels)} slices ({', '.join(field.channels)}), but one "
        "file per channel needs one slice in each; --z or --channel-plane chooses, colour "
        "pictures must be exported as grey"
    )


def _size(plane: np.ndarray) -> str:
    return f"{plane.shape[0]}x{plane.shape[1]} px of {plane.dtype}"
