"""Look at a sample of the images before a build, and settle what only the images can say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from stemcls.config.imaging import BuildConfig, DetectConfig
from stemcls.errors import InputError, StemclsError
from stemcls.imaging.composite import choose_slices, compose_slices
from stemcls.imaging.objects import find_objects
from stemcls.imaging.prepare import read_image
from stemcls.notices import Notice
from stemcls.progress import Update
from stemcls.store.ranges import spread, watched
from stemcls.store.sources import Source
from stemcls.store.workers import Crew, WorkerStartError

MOST_IMAGES = 256
_LEAST_IMAGES = 12
_CORNER_PX = 8
_SAMPLE_BYTES = 96 * 2**20  # of files
CROP_MOST_PX = 256  # ready-made crops are no larger
_SURELY_CROPS_PX = 128  # no microscope's field is this small
_MAYBE_CROPS_PX = 512
_CENTRED, _CLEARLY_CENTRED = 0.3, 0.45
_FEW = 5  # images, below which one cell in the middle may be chance
_SEVERAL = 3  # whole objects inside an image
_CUTS = 0.75  # of an image's edge, below which crops of a given size are cut from it
_USUAL = 0.9  # share of the images that count as all
_MOST_PADDING = 2.0  # times the usual edge, beyond which padding would be most of a crop


@dataclass(frozen=True)
class Glimpse:
    """What one image is like.

    Attributes:
        name, label: Of its source.
        size_px: Height and width of its composite.
        channels: Of its composite.
        dtype: Of its composite.
        facts: What `differences` compares.
        inside, centred: As `find_objects`; of small images only.
    """

    name: str
    label: str | None
    size_px: tuple[int, int]
    channels: int
    dtype: str
    facts: dict[str, Any]
    inside: int = 0
    centred: float = 0.0

    @property
    def longest_px(self) -> int:
        """The longer edge."""
        return max(self.size_px)


def glance(
    sources: Sequence[Source], config: BuildConfig, crew: Crew, stopped: Callable[[], bool],
    update: Update | None = None,
) -> list[Glimpse]:
    """Open an evenly spread sample of the images; those that cannot be used do not count.

    Args:
        sources: All images of the store.
        config: As the user gave it.
        crew: Opens the images.
        stopped: Says whether somebody asked to stop.
        update: Called with images done, images in all, and a note.

    Raises:
        CancelledError: Stopped.
    """
    chosen = spread(sources, _how_many(sources))
    found = []
    for _, get in watched(
        crew.in_order(chosen, partial(_glimpse, config=config)), len(chosen), "kind of images",
        stopped, update,
    ):
        try:
            found.append(get())
        except WorkerStartError:
            raise
        except (StemclsError, OSError):
            continue  # the build itself meets this image again, and lists it
    return found


def _how_many(sources: Sequence[Source]) -> int:
    sizes = []
    for source in spread(sources, _LEAST_IMAGES):
        try:
            sizes.append(source.path.stat().st_size)
        except OSError:
            continue
    usual = float(np.median(sizes)) if sizes else 1.0
    return int(np.clip(_SAMPLE_BYTES / max(usual, 1.0), _LEAST_IMAGES, MOST_IMAGES))


def _glimpse(source: Source, config: BuildConfig) -> Glimpse:
    if source.problem:
        raise InputError(source.problem)
    field = read_image(source.place, config.read, config.pixel_size_um)
    slices = choose_slices(field, config.channels)
    corner = replace(field, pixels=field.pixels[:, :_CORNER_PX, :_CORNER_PX])
    scale = "field" if config.scale == "store" else config.scale
    composed = compose_slices(corner, slices, config.channels, scale).image
    _, height, width = field.pixels.shape
    one = Glimpse(
        source.name, source.label, (height, width), composed.shape[2], composed.dtype.name,
        {
            "path": source.name, "label": source.label, "dtype": field.pixels.dtype.name,
            "bits": field.bits, "pixel_size_um": field.pixel_size_um,
            "slices": [field.channels[number] for number in slices],
            "channels": list(field.channels), "shape": list(field.pixels.shape),
        },
    )
    if one.longest_px > _MAYBE_CROPS_PX:
        return one
    seen = find_objects(field.pixels)
    return replace(one, inside=seen.inside, centred=seen.centred)


def kind_of(glimpses: Sequence[Glimpse], config: BuildConfig) -> str:
    """Say what the images are, where the settings leave it open: "cells" or "crops".

    Small images with one object in the middle are ready-made crops; so are images of one size of
    at most 128 pixels unless several objects lie in them. Images beyond 512 pixels are fields.

    Raises:
        InputError: They could be either; says what was seen and what to type.
    """
    if config.kind != "auto":
        return config.kind
    if config.detect != DetectConfig() or config.crop_um or config.match_px or not glimpses:
        return "cells"
    longest = np.array([one.longest_px for one in glimpses])
    small = float((longest <= CROP_MOST_PX).mean())
    if small < 1 - _USUAL:
        maybe = [one for one in glimpses if one.longest_px <= _MAYBE_CROPS_PX]
        if len(maybe) < _USUAL * len(glimpses) or len(maybe) < _FEW:
            return "cells"
        if float(np.median([one.centred for one in maybe])) < _CLEARLY_CENTRED:
            return "cells"
    elif small >= _USUAL:
        edge = float(np.median(longest))
        middle = float(np.median([one.centred for one in glimpses]))
        inside = float(np.median([one.inside for one in glimpses]))
        equal = _commonest(glimpses)[1] >= _USUAL * len(glimpses)
        cuts = 0 < config.crop_px < _CUTS * edge
        several = inside >= _SEVERAL
        if (cuts or several) and (middle < _CENTRED or (cuts and several)):
            return "cells"
        if not cuts and not several and (
            (edge <= _SURELY_CROPS_PX and (equal or middle >= _CENTRED))
            or (middle >= _CENTRED and len(glimpses) >= _FEW)
        ):
            return "crops"
    raise InputError(_question(glimpses))


def _question(glimpses: Sequence[Glimpse]) -> str:
    sizes = Counter(one.size_px for one in glimpses)
    (height, width), _ = sizes.most_common(1)[0]
    size = f"{width}x{height} px"
    if len(sizes) > 1:
        edges = [one.longest_px for one in glimpses]
        size = f"{min(edges)} to {max(edges)} px (longer edge), most often {size}"
    objects = float(np.median([one.inside for one in glimpses]))
    middle = sum(one.centred >= _CENTRED for one in glimpses)
    return (
        f"the images could be fields or ready-made crops: {len(glimpses)} were looked at, of "
        f"{size}, usually with {objects:.0f} whole objects inside, and {middle} with one in the "
        "middle; say which: --kind crops (each image is one cell), --kind cells (find the cells "
        "in each), or --kind fields (each image as a whole is one sample)"
    )


def _commonest(glimpses: Sequence[Glimpse]) -> tuple[tuple[int, int], int]:
    return Counter(one.size_px for one in glimpses).most_common(1)[0]


def layout_of(glimpses: Sequence[Glimpse]) -> tuple[str, int] | None:
    """Return dtype and number of channels of most images; None where nothing is known."""
    found = Counter((one.dtype, one.channels) for one in glimpses)
    return found.most_common(1)[0][0] if found else None


def fit_of(
    glimpses: Sequence[Glimpse], config: BuildConfig
) -> tuple[tuple[int, int] | None, str, Notice | None]:
    """Say to what size ready-made crops are brought, how, and what to tell the user.

    Where most have one size, that is it; else a square that holds 95 % of them, or, where padding
    to it would be most of the usual crop, the usual size. auto pads, so that cells keep their
    scale, except in that last case.

    Args:
        glimpses: Of a sample of the images.
        config: Its kind is crops.
    Returns: Height and width (None: nothing is known), pad or resize, and a notice where sizes
        differ.
    """
    if config.size_px is not None or not glimpses:
        return config.size_px, config.fit if config.fit != "auto" else "resize", None
    size, count = _commonest(glimpses)
    edges = np.array([one.longest_px for one in glimpses])
    fit = config.fit if config.fit != "auto" else "pad"
    if count == len(glimpses):
        return size, fit, None
    why = "the size of most"
    if count <= len(glimpses) / 2:
        usual, large = float(np.median(edges)), float(np.percentile(edges, 95))
        why = "which holds 95 % of them"
        if large > _MOST_PADDING * usual:
            large, why = usual, "the usual size, because sizes differ too much for padding"
            fit = config.fit if config.fit != "auto" else "resize"
        size = (round(large), round(large))
    odd = tuple(one.name for one in glimpses if one.size_px != size)
    how = (
        "smaller ones are padded by reflection and larger ones shrunk, so that cells keep their "
        "scale; --fit resize stretches every image instead"
        if fit == "pad" else
        "every image is stretched to it, so the scale of cells differs; --fit pad keeps the scale"
    )
    return size, fit, Notice(
        "mixed-sizes",
        f"ready-made crops of different sizes ({edges.min()} to {edges.max()} px, longer edge) are "
        f"brought to {size[1]}x{size[0]} px, {why}: {how}", odd,
    )
