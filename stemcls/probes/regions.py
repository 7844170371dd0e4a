"""Say which pixels of a crop show its cell, and which show background alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stemcls.store.cropstore import CropStore

# A disc this much wider than a large cell holds its halo and what focus smears out.
HALO = 1.35
_LARGE_CELL = 0.95
_FRAME = 0.1
LEAST_BACKGROUND = 0.08


@dataclass(frozen=True, eq=False)
class Regions:
    """Masks of crops.

    Attributes:
        cell: (N, H, W) bool: the crop's own cell, less what belongs to a neighbour.
        background: (N, H, W) bool: no known cell.
        how: In words, where they come from.
    """

    cell: np.ndarray
    background: np.ndarray
    how: str


def find_regions(store: CropStore, rows: np.ndarray) -> Regions:
    """Return the masks of some crops.

    Every disc has one radius, that of a large cell of the store, for a mask cut to each cell would
    itself tell its size. Where the store knows no radii the outer tenth of a crop is taken for
    background and the disc inside it for the cell.

    Args:
        store: The crops.
        rows: (N,) rows.
    """
    height, width = store.size_px
    known = store.radius_px[np.isfinite(store.radius_px) & (store.radius_px > 0)]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    middle = np.array([height // 2, width // 2], np.float32)
    if len(known) < 0.5 * len(store):
        return _framed(len(rows), height, width)
    radius_px = HALO * float(np.quantile(known, _LARGE_CELL))
    scale = crop_scales(store)
    own_px = radius_px * scale[store.field_index[rows]]
    inside = (y - middle[0]) ** 2 + (x - middle[1]) ** 2 <= own_px[:, None, None] ** 2
    others = np.zeros_like(inside)
    centers = store.centers_px.astype(np.float32)
    order = np.argsort(store.field_index, kind="stable")
    starts = np.searchsorted(store.field_index[order], np.arange(len(store.fields) + 1))
    for place, row in enumerate(rows):
        field = store.field_index[row]
        mates = order[starts[field] : starts[field + 1]]
        offset = (centers[mates] - centers[row]) * scale[field] + middle
        reach = own_px[place]
        near = (
            (mates != row) & (np.abs(offset[:, 0] - middle[0]) < height / 2 + reach)
            & (np.abs(offset[:, 1] - middle[1]) < width / 2 + reach)
        )
        for cy, cx in offset[near]:
            others[place] |= (y - cy) ** 2 + (x - cx) ** 2 <= reach**2
    # Pixels between two cells belong to neither; the crop's own cell keeps its core.
    core = (y - middle[0]) ** 2 + (x - middle[1]) ** 2 <= (own_px[:, None, None] / HALO) ** 2
    return Regions(
        (inside & ~others) | core, ~inside & ~others,
        f"discs of {radius_px:.1f} px of the field, for every known cell",
    )


def crop_scales(store: CropStore) -> np.ndarray:
    """Return (F,) float64, pixels of a crop per pixel of each field it was cut from."""
    crop_um = float(store.config.get("crop_um") or 0.0)
    if not crop_um:
        return np.ones(len(store.fields))
    scale = store.size_px[0] * store.fields.pixel_size_um / crop_um
    return np.where(np.isfinite(scale), scale, 1.0)


def _framed(n: int, height: int, width: int) -> Regions:
    y, x = np.mgrid[:height, :width]
    margin_y, margin_x = max(1, round(_FRAME * height)), max(1, round(_FRAME * width))
    frame = (
        (y < margin_y) | (y >= height - margin_y) | (x < margin_x) | (x >= width - margin_x)
    )
    ry, rx = height / 2 - margin_y, width / 2 - margin_x
    disc = ((y + 0.5 - height / 2) / ry) ** 2 + ((x + 0.5 - width / 2) / rx) ** 2 <= 1
    return Regions(
        np.broadcast_to(disc, (n, height, width)), np.broadcast_to(frame, (n, height, width)),
        "the store knows no radii: the outer tenth of each crop against the disc inside it",
    )
