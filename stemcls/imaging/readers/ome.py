"""Read what OME-XML says: images with their channels and sizes, and which file holds a plane."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from xml.etree import ElementTree

import numpy as np

from stemcls.imaging.readers.scene import finite, micrometres, moment, positive, square

_ROOT_CHARACTERS = 4000
_ROOT_UUID = re.compile(r"""<(?:\w+:)?OME\b[^>]*?\bUUID\s*=\s*["']([^"']*)["']""")


@dataclass(frozen=True)
class Member:
    """A file of a set, as OME-XML names it; empty strings where it does not.

    Attributes:
        name: File name.
        uuid: As in the file's own OME element.
    """

    name: str = ""
    uuid: str = ""


@dataclass(frozen=True)
class Block:
    """A run of planes.

    Attributes:
        member: The file that holds them.
        ifd: Number of its first page.
        count: Pages; None: all that the file has.
        first: Number of the first plane, counted over all axes.
    """

    member: Member
    ifd: int
    count: int | None
    first: int


@dataclass(frozen=True)
class OmeImage:
    """One Image element; name, channels, pixel_size_um, acquired, position_um as in `Scene`.

    Attributes:
        axes: Lengths of T, Z and C, slowest first; C without what is stored as samples.
        shape: Rows and columns.
        stored: Samples of a pixel.
        bits: SignificantBits, or None.
        blocks: Where the planes are.
        modulo: Whether an axis has a further one folded into it.
    """

    name: str
    channels: tuple[str, ...]
    pixel_size_um: float | None
    acquired: datetime | None
    position_um: tuple[float, float] | None
    axes: dict[str, int]
    shape: tuple[int, int]
    stored: int
    bits: int | None
    blocks: tuple[Block, ...]
    modulo: bool

    def places(self, pages: Callable[[Member], int]) -> dict[int, tuple[Member, int]]:
        """Return file and page of each plane, by its number over all axes.

        Args:
            pages: Counts the pages of a file.
        Raises:
            ValueError: The file claims planes that the image does not have.
        """
        total = math.prod(self.axes.values())
        found: dict[int, tuple[Member, int]] = {}
        for block in self.blocks:
            count = block.count
            if count is None:
                count = min(pages(block.member) - block.ifd, total - block.first)
            for step in range(min(count, total - block.first)):
                found[block.first + step] = (block.member, block.ifd + step)
        return found


@dataclass(frozen=True)
class OmeDocument:
    """An OME element: its images, its own UUID, and the file that has the rest if it has none."""

    images: tuple[OmeImage, ...]
    uuid: str
    elsewhere: str


def ome_uuid(xml: str) -> str:
    """Return the UUID of the file itself, without parsing the rest, which may be long."""
    found = _ROOT_UUID.search(xml[:_ROOT_CHARACTERS])
    return found.group(1) if found else ""


def ome_document(xml: str) -> OmeDocument:
    """Read OME-XML.

    Raises:
        ValueError: It is damaged.
    """
    root = ElementTree.fromstring(xml)
    folded = any(
        "modulo" in one.get("Namespace", "").casefold()
        for one in root.iter() if _tag(one) in ("XMLAnnotation", "Annotation")
    )  # fmt: skip
    elsewhere = next((one.get("MetadataFile", "") for one in _children(root, "BinaryOnly")), "")
    images = tuple(_image(one, folded) for one in _children(root, "Image"))
    return OmeDocument(images, root.get("UUID", ""), elsewhere)


def _image(image: ElementTree.Element, folded: bool) -> OmeImage:
    pixels = next(_children(image, "Pixels"), image)
    channels = list(_children(pixels, "Channel"))
    stored = max([int(finite(one.get("SamplesPerPixel")) or 1) for one in channels], default=1)
    names = tuple(one.get("Name") or one.get("Fluor") or "" for one in channels)
    sizes = [
        positive(pixels.get(f"PhysicalSize{axis}"))
        * micrometres(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
        for axis in "XY"
    ]
    order = pixels.get("DimensionOrder", "XYCZT")
    lengths = {axis: max(1, int(finite(pixels.get(f"Size{axis}")) or 1)) for axis in "TZC"}
    lengths["C"] = max(1, lengths["C"] // stored)
    axes = {axis: lengths[axis] for axis in reversed(order) if axis in lengths}
    date = next((one.text for one in image if _tag(one) == "AcquisitionDate"), None)
    bits = int(positive(pixels.get("SignificantBits")))
    return OmeImage(
        image.get("Name") or "", names, square(*sizes), moment(date), _position(pixels), axes,
        (int(positive(pixels.get("SizeY"))), int(positive(pixels.get("SizeX")))), stored,
        bits or None, tuple(_blocks(pixels, axes)) or (Block(Member(), 0, None, 0),), folded,
    )  # fmt: skip


def _blocks(pixels: ElementTree.Element, axes: dict[str, int]) -> Iterator[Block]:
    for data in _children(pixels, "TiffData"):
        place = [int(finite(data.get(f"First{axis}")) or 0) for axis in axes]
        if any(n >= length for n, length in zip(place, axes.values(), strict=True)):
            continue  # ImageJ leaves such behind when it crops
        first = int(np.ravel_multi_index(place, tuple(axes.values())))
        given = data.get("PlaneCount") or data.get("NumPlanes")
        count = int(finite(given) or 0) if given else (1 if data.get("IFD") else None)
        uuid = next(_children(data, "UUID"), None)
        member = Member()
        if uuid is not None:
            member = Member(uuid.get("FileName", ""), (uuid.text or "").strip())
        yield Block(member, int(finite(data.get("IFD")) or 0), count, first)


def _position(pixels: ElementTree.Element) -> tuple[float, float] | None:
    """Return stage y and x of the first plane; a unit that is no length tells nothing."""
    plane = next(_children(pixels, "Plane"), None)
    if plane is None:
        return None
    found = []
    for axis in "YX":
        value = finite(plane.get(f"Position{axis}"))
        # OME's default unit is "reference frame", of unknown length.
        unit = micrometres(plane.get(f"Position{axis}Unit"))
        if value is None or not unit:
            return None
        found.append(value * unit)
    return found[0], found[1]


def _children(element: ElementTree.Element, tag: str) -> Iterator[ElementTree.Element]:
    return (one for one in element if _tag(one) == tag)


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]
