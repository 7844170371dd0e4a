"""Read what OME-XML says of an image: channels, pixel size, time and stage position."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from xml.etree import ElementTree

from stemcls.imaging.readers.scene import finite, micrometres, moment, positive, square


@dataclass(frozen=True)
class OmeImage:
    """One Image element; fields as in `Scene`."""

    name: str
    channels: tuple[str, ...]
    pixel_size_um: float | None
    acquired: datetime | None
    position_um: tuple[float, float] | None


def ome_images(xml: str) -> list[OmeImage]:
    """Return the images that OME-XML describes, in its order."""
    root = ElementTree.fromstring(xml)
    return [_image(one) for one in root if _tag(one) == "Image"]


def _image(image: ElementTree.Element) -> OmeImage:
    pixels = next(_children(image, "Pixels"), image)
    names = [
        channel.get("Name") or channel.get("Fluor") or ""
        for channel in _children(pixels, "Channel")
    ]
    sizes = [
        positive(pixels.get(f"PhysicalSize{axis}"))
        * micrometres(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
        for axis in "XY"
    ]
    date = next((one.text for one in image if _tag(one) == "AcquisitionDate"), None)
    return OmeImage(
        image.get("Name") or "", tuple(names), square(*sizes), moment(date), _position(pixels)
    )


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
