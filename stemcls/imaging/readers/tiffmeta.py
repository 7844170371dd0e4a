"""Read what the private tags of TIFF files say: counts of planes, pixel size, time, channels."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import tifffile

from stemcls.imaging.readers.scene import finite, micrometres, moment, positive, square

_COARSEST_BELIEVED_UM = 20.0
_METRE_UM = 1e6


@dataclass(frozen=True)
class About:
    """What a file says of all of its series; fields as in `Scene`.

    Attributes:
        named: Whether the names of its series are of use.
    """

    pixel_size_um: float | None = None
    acquired: datetime | None = None
    channels: tuple[str, ...] = ()
    named: bool = True


def about_file(file: tifffile.TiffFile) -> About:
    """Read pixel size, time and channel names, in this order: LSM, STK, SVS, ImageJ, plain."""
    if file.is_lsm:
        return _about_lsm(file.lsm_metadata or {})
    if file.is_stk:
        return _about_stk(file)
    acquired = _acquired(file)
    if file.is_svs:
        found = re.search(r"MPP\s*=\s*([0-9.]+)", file.pages.first.description)
        size = positive(found.group(1)) if found else 0.0
        return About(square(size, size), acquired, named=False)
    return About(_pixel_size_um(file), acquired)


def check_counts(file: tifffile.TiffFile, series: list[Any]) -> None:
    """Refuse a file that holds fewer planes than ImageJ or tifffile wrote down.

    Raises:
        ValueError: Says both numbers.
    """
    found = sum(math.prod(n for a, n in zip(one.axes, one.shape, strict=True) if a not in "YXS")
                for one in series)  # fmt: skip
    planes = file.pages.first.tags.get(33629)  # of MetaMorph
    if planes is not None and planes.count > found:
        raise ValueError(f"MetaMorph wrote down {planes.count} planes, the file holds {found}")
    if file.is_imagej:
        about = file.imagej_metadata or {}
        loops = [int(finite(about.get(name)) or 1) for name in ("channels", "slices", "frames")]
        claimed = max(int(finite(about.get("images")) or 1), math.prod(loops))
        # The samples of a colour page count as channels of ImageJ's.
        samples = file.pages.first.samplesperpixel
        if claimed > found * max(1, samples):
            raise ValueError(f"ImageJ wrote down {claimed} planes, the file holds {found}")
    elif file.is_shaped:
        claimed_px = sum(math.prod(one["shape"]) for one in file.shaped_metadata or ())
        found_px = sum(math.prod(one.shape) for one in series)
        if claimed_px > found_px:
            raise ValueError(f"its description says {claimed_px} pixels in all, not all are there")


def _about_lsm(lsm: dict[str, Any]) -> About:
    colours = lsm.get("ChannelColors") or {}
    names = colours.get("ColorNames") or ()
    size = square(*(positive(lsm.get(f"VoxelSize{axis}")) * _METRE_UM for axis in "XY"))
    return About(size, None, tuple(map(str, names)), named=False)


def _about_stk(file: tifffile.TiffFile) -> About:
    stk = file.stk_metadata or {}
    unit = str(stk.get("CalibrationUnits") or "").replace("\0", "")
    size = square(
        *(positive(stk.get(f"{axis}Calibration")) * micrometres(unit) for axis in "XY")
    )
    created = stk.get("DatetimeCreated")
    first = created[0] if created is not None and len(created) else None
    return About(size, moment(str(first)) if first is not None else None, named=False)


def _acquired(file: tifffile.TiffFile) -> datetime | None:
    tag = file.pages[0].tags.get("DateTime")
    text = str(tag.value) if tag is not None else ""
    return moment(text[:10].replace(":", "-") + text[10:])  # TIFF writes 2024:05:01 12:00:00


def _pixel_size_um(file: tifffile.TiffFile) -> float | None:
    """Return the edge of a square pixel, or None where nothing trustworthy says it."""
    tags = file.pages[0].tags
    unit = 0.0
    believed = math.inf
    if file.is_imagej:
        unit = micrometres(str((file.imagej_metadata or {}).get("unit", "")))
    elif "ResolutionUnit" in tags and int(tags["ResolutionUnit"].value) == 3:
        unit, believed = 1e4, _COARSEST_BELIEVED_UM
    per_unit = [_resolution(tags, f"{axis}Resolution") for axis in "XY"]
    size = square(*(unit / pixels if pixels else 0.0 for pixels in per_unit))
    return size if size is not None and size <= believed else None


def _resolution(tags: Any, name: str) -> float:
    """Return pixels per unit, 0 where the tag is missing or senseless."""
    if name not in tags:
        return 0.0
    above, below = tags[name].value
    return above / below if below else 0.0
