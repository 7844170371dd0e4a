"""What every format's reader yields: the images of a file, whose planes are read one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np

_MICROMETRES = {
    "pm": 1e-6, "å": 1e-4, "nm": 1e-3, "µm": 1.0, "μm": 1.0, "um": 1.0, "\\u00b5m": 1.0,
    "micron": 1.0, "microns": 1.0, "micrometer": 1.0, "micrometre": 1.0, "mm": 1e3, "cm": 1e4,
    "m": 1e6, "picometer": 1e-6, "picometre": 1e-6, "angstrom": 1e-4, "nanometer": 1e-3,
    "nanometre": 1e-3, "millimeter": 1e3, "millimetre": 1e3, "centimeter": 1e4,
    "centimetre": 1e4, "meter": 1e6, "metre": 1e6,
}  # fmt: skip
RGB = ("red", "green", "blue")
ALPHA_DROPPED = "its transparency (alpha) was dropped"


class NotReadError(ValueError):
    """A sound file holds what is not read, or lacks a file that belongs to it."""


@dataclass(frozen=True, eq=False)
class Scene:
    """One image of a file (scene, position, series); opening it reads no pixels.

    Attributes:
        name: As the file calls it, or empty.
        axes: Lengths of the axes beside Y, X and colour samples, in the order of the file.
            T, Z and C mean time, depth and channel; other names are the format's own.
        shape: Rows and columns.
        dtype: Of the pixels.
        read: Gives the plane at an index of every axis: (Y, X), or (Y, X, samples) in the order
            red, green, blue.
        samples: Colour samples of a pixel; 1 for a grey plane.
        channels: A name for each entry of axis C, empty where the file names none.
        pixel_size_um: Edge of a square pixel, or None.
        acquired: Start of the recording, with a time zone only where the file names one.
        position_um: Stage y and x, or None.
        bits: Bits that the values use, where the file says that those are fewer than the type's.
        remarks: What the user should know, sentences without the name of the file.
    """

    name: str
    axes: Mapping[str, int]
    shape: tuple[int, int]
    dtype: np.dtype
    read: Callable[[Mapping[str, int]], np.ndarray]
    samples: int = 1
    channels: tuple[str, ...] = ()
    pixel_size_um: float | None = None
    acquired: datetime | None = None
    position_um: tuple[float, float] | None = None
    bits: int | None = None
    remarks: tuple[str, ...] = ()


def micrometres(unit: str | None) -> float:
    """Return how many micrometres a unit of length is, 0 where it is none."""
    return _MICROMETRES.get((unit or "").strip().lower(), 0.0)


def positive(value: object) -> float:
    """Return a finite number above 0, and 0 for anything else."""
    number = finite(value)
    return number if number is not None and number > 0 else 0.0


def finite(value: object) -> float | None:
    """Return a finite number, and None for anything else."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None


def square(x: float, y: float) -> float | None:
    """Return the edge of a pixel if both edges are known and within 1 % of each other."""
    if x <= 0 or abs(x - y) > 0.01 * x:
        return None
    return float(x)


def moment(text: str | None) -> datetime | None:
    """Return the date and time of an ISO 8601 text, fractions cut to microseconds."""
    if not text:
        return None
    whole, dot, rest = text.strip().partition(".")
    digits = len(rest) - len(rest.lstrip("0123456789"))
    fraction = f".{rest[:digits][:6]:0<6}" if dot and digits else ""
    try:
        return datetime.fromisoformat(f"{whole}{fraction}{rest[digits:]}")
    except ValueError:
        return None


def fewer_bits(bits: object, dtype: np.dtype) -> int | None:
    """Return the bits that a file says its values use, None where they say nothing new.

    Args:
        bits: What the file says, of any type.
        dtype: Of the pixels; only whole numbers without sign have a range of bits.
    """
    number = finite(bits)
    if number is None or dtype.kind != "u" or not 8 <= number < 8 * dtype.itemsize:
        return None
    return int(number)


def upright(plane: np.ndarray, orientation: int) -> np.ndarray:
    """Turn or mirror a plane as its orientation tag asks, so that it is as a viewer shows it.

    Args:
        plane: (Y, X) or (Y, X, samples), as stored.
        orientation: 1 to 8.
    Source: Adobe TIFF 6.0, tag 274; Exif has the same numbers.
    """
    if orientation >= 5:
        plane = np.swapaxes(plane, 0, 1)
    if orientation in (3, 4, 7, 8):
        plane = plane[::-1]
    if orientation in (2, 3, 6, 7):
        plane = plane[:, ::-1]
    return plane


def upright_shape(shape: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Return rows and columns of a plane after `upright`."""
    return shape if orientation < 5 else (shape[1], shape[0])


def turned_remark(orientation: int) -> str:
    """Say that `upright` changed something: places measured in ImageJ are those before it."""
    done = {2: "mirrored", 3: "turned by 180 degrees", 4: "flipped", 6: "turned to the right",
            8: "turned to the left"}.get(orientation, "turned and mirrored")  # fmt: skip
    return (
        f"it was {done} as its orientation tag says, as most viewers do; places of cells must be "
        "those in such a viewer (ImageJ does not turn it)"
    )


def bits_of_maximum(value: object, whole: int) -> int | None:
    """Return how many bits a largest possible value like 4095 stands for, None for any other.

    Args:
        value: A number, or several that must be equal.
        whole: Bits of the type; a range as large says nothing.
    """
    given = set(value) if isinstance(value, tuple | list) else {value}
    number = given.pop() if len(given) == 1 else None
    if not isinstance(number, int | np.integer) or int(number) < 255:
        return None
    bits = (int(number) + 1).bit_length() - 1
    return bits if int(number) + 1 == 2**bits and bits < whole else None
