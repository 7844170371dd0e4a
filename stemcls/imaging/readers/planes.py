"""Choose which planes of an image become the slices of a field, and read only those."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from stemcls.config.imaging import ReadConfig
from stemcls.errors import InputError, nearest
from stemcls.imaging.field import Field
from stemcls.imaging.readers.scene import RGB, Scene

PROJECTIONS = ("max", "mean")
_OPTIONS = {"scene": "scene", "T": "time", "Z": "z", "C": "channel-plane"}
_STEMS = {"C": "channel", "Z": "z", "T": "t", "scene": "scene"}
_WORDS = {"scene": "scene", "T": "time point", "Z": "focal plane", "C": "channel"}
# The last of these is projected first: a z stack belongs to one time point.
_PROJECTION_ORDER = ("scene", "T", "C", "Z")


@dataclass(frozen=True)
class Plan:
    """Which planes of a scene are wanted: each axis has a number, max, mean or slices."""

    scene: Scene
    choices: Mapping[str, int | str]

    @property
    def slices(self) -> str | None:
        """The axis whose planes become the slices, or None for a single plane."""
        return next((axis for axis, choice in self.choices.items() if choice == "slices"), None)


def plan(path: Path, scenes: Sequence[Scene], read: ReadConfig) -> Plan:
    """Settle every axis by the user's choices and by the rule of the sole longer axis.

    Raises:
        InputError: A choice names what the file does not have, or an axis is left open.
    """
    scene = _choose_scene(path, scenes, read.scene)
    given = {"scene": "", "T": read.time, "Z": read.z, "C": read.channel}
    if "scene" in scene.axes:
        given["scene"] = read.scene
    choices: dict[str, int | str] = {}
    for axis, wish in given.items():
        names = scene.channels if axis == "C" else ()
        length = scene.axes.get(axis, 1)
        choice = _parsed(path, axis, wish, length, names)
        if axis in scene.axes:
            choices[axis] = choice
    choices = {axis: choices.get(axis, "") for axis in scene.axes}
    for axis, length in scene.axes.items():
        if length == 1:
            choices[axis] = 0
    asked = [axis for axis, choice in choices.items() if choice == "slices"]
    left = [axis for axis, choice in choices.items() if choice == ""]
    if scene.samples == 1 and not asked and len(left) == 1:
        choices[left[0]] = "slices"
        left = []
    if left or len(asked) > (scene.samples == 1):
        _refuse(path, scene, left, asked)
    return Plan(scene, choices)


def field_of(path: Path, wanted: Plan) -> Field:
    """Read the planes that a plan names; what is projected is held one plane at a time."""
    scene, axis = wanted.scene, wanted.slices
    numbers = range(scene.axes[axis]) if axis else range(1)
    planes = [
        _projected(scene, {**wanted.choices, **({axis: number} if axis else {})})
        for number in numbers
    ]
    pixels = planes[0][..., None] if scene.samples == 1 else planes[0]
    pixels = np.moveaxis(pixels, -1, 0) if len(planes) == 1 else np.stack(planes)
    if scene.samples not in (1, 3):
        raise ValueError(f"its pixels have {scene.samples} samples, expected grey or colour")
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * np.uint8(255)
    bits, remarks = scene.bits, scene.remarks
    if bits is not None and int(pixels.max(initial=0)) >= 2**bits:
        bits = None
        remarks = (*remarks, "it says that its values use fewer bits than they do; all are taken")
    return Field(
        np.ascontiguousarray(pixels), path, _names(wanted, len(pixels)), scene.pixel_size_um,
        scene.acquired, scene.position_um, bits, remarks,
    )


def bytes_of(wanted: Plan) -> int:
    """Return how much memory the planes of a plan take, or those that are projected into one."""
    scene = wanted.scene
    plane = math.prod(scene.shape) * scene.samples * scene.dtype.itemsize
    kept = scene.axes[wanted.slices] if wanted.slices else 1
    if any(choice == "mean" for choice in wanted.choices.values()):
        return plane * kept + math.prod(scene.shape) * scene.samples * 8
    return plane * kept


def listed(axes: Mapping[str, int], among: Sequence[str] | None = None) -> str:
    """Return `T=7, Z=5`: the axes longer than 1, or those named."""
    names = [axis for axis in axes if (axis in among if among is not None else axes[axis] > 1)]
    return ", ".join(f"{axis}={axes[axis]}" for axis in names)


def options_for(axes: Sequence[str]) -> str:
    """Return the command-line options that settle these axes."""
    return ", ".join(f"--{_OPTIONS[axis]} N|max|mean|slices" for axis in axes if axis in _OPTIONS)


def _choose_scene(path: Path, scenes: Sequence[Scene], wish: str) -> Scene:
    if not scenes:
        raise InputError(f"{path} holds no images; export it again from the microscope software")
    names = tuple(scene.name for scene in scenes)
    choice = _parsed(path, "scene", wish, len(scenes), names)
    if len(scenes) == 1:
        return scenes[0]
    if choice == "":
        shown = "; ".join(_shown(number, scene) for number, scene in enumerate(scenes[:8]))
        more = f"; and {len(scenes) - 8} more" if len(scenes) > 8 else ""
        raise InputError(
            f"{path} holds {len(scenes)} images ({shown}{more}), expected one; "
            "choose with --scene N, or its name"
        )
    if isinstance(choice, int):
        return scenes[choice]
    first = scenes[0]
    kind = (dict(first.axes), first.shape, first.dtype, first.samples)
    for other in scenes:
        if (dict(other.axes), other.shape, other.dtype, other.samples) != kind:
            raise InputError(
                f"{path}: --scene {choice} needs scenes of one size and type, found "
                f"{_shown(0, first)} and {_shown(list(scenes).index(other), other)}; "
                "choose one with --scene N"
            )

    def read(index: Mapping[str, int]) -> np.ndarray:
        return scenes[index["scene"]].read({a: n for a, n in index.items() if a != "scene"})

    return replace(
        first, name="", axes={"scene": len(scenes), **first.axes}, read=read, position_um=None
    )


def _shown(number: int, scene: Scene) -> str:
    size = "x".join(map(str, scene.shape))
    parts = (str(number), repr(scene.name) if scene.name else "", listed(scene.axes), size)
    return " ".join(part for part in parts if part)


def _parsed(path: Path, axis: str, wish: str, length: int, names: Sequence[str]) -> int | str:
    """Return the number, projection or `slices` that a wish means; empty for no wish."""
    wish = wish.strip()
    if wish in ("", "slices", *PROJECTIONS):
        return wish
    option = f"--{_OPTIONS[axis]} {wish}"
    count = f"{length} {_WORDS[axis]}{'s' if length > 1 else ''}"
    matches = [number for number, name in enumerate(names) if name == wish]
    matches = matches or [
        number for number, name in enumerate(names) if name.casefold() == wish.casefold()
    ]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise InputError(
            f"{path}: {option} could be any of the numbers {', '.join(map(str, matches))}; "
            "give the number"
        )
    known = ", ".join(f"{number} {name!r}" for number, name in enumerate(names[:24]) if name)
    if re.fullmatch("#[0-9]+", wish):  # a number, whatever the names are
        wish = wish[1:]
    if wish.isdecimal():
        if int(wish) < length:
            return int(wish)
        raise InputError(
            f"{path}: {option} is out of range: the file has {count}, numbered "
            f"0 to {length - 1}{f' ({known})' if known else ''}"
        )
    allowed = [*(name for name in names if name), *PROJECTIONS, "slices"]
    has = known or count
    raise InputError(
        f"{path}: {option} is no number from 0 to {length - 1}, no name and no projection"
        f"{nearest(wish, allowed)} (the file has {has})"
    )


def _refuse(path: Path, scene: Scene, left: list[str], asked: list[str]) -> None:
    if len(asked) > 1:
        raise InputError(
            f"{path}: {' and '.join(f'--{_OPTIONS[axis]}' for axis in asked)} both ask for "
            f"slices ({listed(scene.axes, asked)}), but one axis can become the slices; give one "
            "of them a number, max or mean"
        )
    if scene.samples > 1 and asked:
        raise InputError(
            f"{path} is a colour image: red, green and blue are its slices; give "
            f"--{_OPTIONS[asked[0]]} a number, max or mean"
        )
    lengths = listed(scene.axes, [*left, *asked])
    options = options_for(left)
    nameless = [axis for axis in left if axis not in _OPTIONS]
    if scene.samples > 1:
        start = f"{path} is a colour image with more axes ({lengths}, S={scene.samples})"
    else:
        start = f"{path} has more than one axis beside Y and X ({lengths})"
    if nameless and (len(nameless) > 1 or scene.samples > 1 or asked or not options):
        end = f"axis {nameless[0]} has no option: export the file without it"
    else:
        end = f"choose with {options}"
    raise InputError(f"{start}, so what is a slice is ambiguous; {end}")


def _projected(scene: Scene, choices: Mapping[str, int | str]) -> np.ndarray:
    """Return one plane in the dtype of the file, after all projections."""
    open_axes = [axis for axis, choice in choices.items() if choice in PROJECTIONS]
    if not open_axes:
        plane = scene.read({axis: int(choice) for axis, choice in choices.items()})
        expected = (*scene.shape, scene.samples) if scene.samples > 1 else scene.shape
        if plane.shape != expected:
            raise ValueError(f"a plane has the shape {plane.shape}, expected {expected}")
        return plane
    order = {axis: place for place, axis in enumerate(_PROJECTION_ORDER)}
    axis = min(open_axes, key=lambda name: order.get(name, len(order)))

    planes = (_projected(scene, {**choices, axis: n}) for n in range(scene.axes[axis]))
    if choices[axis] == "max":
        return functools.reduce(np.maximum, planes)
    total = functools.reduce(np.add, planes, np.zeros((), np.float64))
    mean = total / scene.axes[axis]
    return (np.rint(mean) if scene.dtype.kind in "uib" else mean).astype(scene.dtype)


def _names(wanted: Plan, count: int) -> tuple[str, ...]:
    scene, axis = wanted.scene, wanted.slices
    if scene.samples > 1:
        return RGB if count == 3 else ("grey",)
    if axis == "C" and any(scene.channels):
        return tuple(
            (scene.channels[n] if n < len(scene.channels) else "") or f"channel-{n + 1}"
            for n in range(count)
        )
    if axis:
        stem = _STEMS.get(axis, "slice")
        return tuple(f"{stem}-{number}" for number in range(1, count + 1))
    chosen = wanted.choices.get("C", 0)
    if isinstance(chosen, str):
        return (f"channel-{chosen}",)
    if chosen < len(scene.channels) and scene.channels[chosen]:
        return (scene.channels[chosen],)
    return ("grey",) if scene.axes.get("C", 1) == 1 else (f"channel-{chosen + 1}",)
