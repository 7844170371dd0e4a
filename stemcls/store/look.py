"""Draw what a new store holds: crops of each class, and one field of each with its cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from stemcls.config.imaging import BuildConfig
from stemcls.config.options import from_mapping
from stemcls.errors import StemclsError
from stemcls.imaging.extract import open_image
from stemcls.imaging.field import Detections
from stemcls.imaging.tuning.contactsheet import Row, Tile, write_sheet
from stemcls.imaging.tuning.tile import TILE_PX, choose_window, draw_tile, picture_of
from stemcls.store.cropstore import CropStore
from stemcls.store.sources import Source

_MOST_CLASSES = 24
_ACROSS, _MOST_CROPS = 5, 20
_GAP_PX = 2
_UNLABELLED = "(unlabelled)"


def draw_look(store: Path, sources: Sequence[Source], warnings: list[dict[str, Any]]) -> str | None:
    """Draw NAME-look.png beside a store; nothing that exists is replaced.

    Args:
        store: A finished store.
        sources: The images it was built from.
        warnings: Gets one where nothing could be drawn.
    Returns: The picture's path, or None.
    """
    path, number = store.with_name(f"{store.stem}-look.png"), 1
    while path.exists():
        number += 1
        path = store.with_name(f"{store.stem}-look-{number}.png")
    try:
        _draw(CropStore.open(store), {source.name: source for source in sources}, path)
    except (StemclsError, OSError, ValueError, MemoryError, ImportError, cv2.error) as error:
        warnings.append({
            "kind": "no-look", "message": f"no picture of the store could be drawn: {error}",
            "paths": [str(path)],
        })
        return None
    return str(path)


def _draw(store: CropStore, sources: Mapping[str, Source], path: Path) -> None:
    config = from_mapping(BuildConfig, store.config)
    shown = [*range(len(store.classes)), *([-1] if (store.labels < 0).any() else [])]
    rows = []
    for label in shown[:_MOST_CLASSES]:
        mine = np.flatnonzero(store.labels == label)
        name = store.classes[label] if label >= 0 else _UNLABELLED
        tiles = [_crops(store, mine)]
        if config.kind == "cells":
            tiles.append(_field(store, mine, config, sources))
        rows.append(Row(f"{name}: {len(mine)} crops", tuple(tiles)))
    headings = [[f"crops of {store.size_px[1]}x{store.size_px[0]} px"]]
    if config.kind == "cells":
        headings.append(["a field, with the cells that are in the store"])
    if len(shown) > _MOST_CLASSES:
        headings[0].append(f"{_MOST_CLASSES} of {len(shown)} classes")
    write_sheet(path, headings, rows, legend=False)


def _crops(store: CropStore, rows: np.ndarray) -> Tile:
    """Return evenly spread crops of some rows side by side."""
    places = np.linspace(0, len(rows) - 1, min(len(rows), _MOST_CROPS)).round().astype(int)
    crops = store.read(np.sort(rows[places]))
    edge = (TILE_PX - (_ACROSS - 1) * _GAP_PX) // _ACROSS
    height, width = crops.shape[1:3]
    scale = edge / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    lines = -(-len(crops) // _ACROSS)
    step_y, step_x = size[1] + _GAP_PX, size[0] + _GAP_PX
    sheet = np.full((lines * step_y, _ACROSS * step_x, 3), 255, np.uint8)
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    for number, crop in enumerate(_colours(crops)):
        line, column = divmod(number, _ACROSS)
        top, left = line * step_y, column * step_x
        sheet[top : top + size[1], left : left + size[0]] = cv2.resize(
            crop, size, interpolation=way
        )
    shown = len(crops)
    return Tile(sheet[:TILE_PX, :TILE_PX], f"{shown} of {len(rows)}" if shown < len(rows) else "")


def _colours(crops: np.ndarray) -> np.ndarray:
    """Return (N, H, W, 3) uint8 of crops of any depth and number of channels."""
    if crops.dtype != np.uint8:
        low, high = np.percentile(crops, (0.1, 99.9))
        scaled = (crops.astype(np.float32) - low) * (255 / max(high - low, 1))
        crops = np.clip(scaled, 0, 255).astype(np.uint8)
    channels = crops.shape[3]
    return crops[..., [0, 0, 0] if channels == 1 else [0, 1, 1] if channels == 2 else [0, 1, 2]]


def _field(
    store: CropStore, rows: np.ndarray, config: BuildConfig, sources: Mapping[str, Source]
) -> Tile:
    """Return the field with a usual number of crops of these rows, its cells drawn in."""
    fields, counts = np.unique(store.field_index[rows], return_counts=True)
    usual = np.argsort(counts, kind="stable")[len(counts) // 2]
    name = store.fields.path[fields[usual]]
    source = sources[name]
    image = open_image(source.place, config).field
    here = rows[store.field_index[rows] == fields[usual]]
    radius = np.asarray(store.radius_px[here], np.float32)
    known = radius[np.isfinite(radius)]
    fallback = float(np.median(known)) if len(known) else store.size_px[0] / 4
    radius = np.where(np.isfinite(radius), radius, fallback).astype(np.float32)
    cells = Detections(store.centers_px[here], radius, np.ones(len(here), np.float32))
    window = choose_window(image.pixels.shape[1:], 2 * fallback)
    picture = draw_tile(picture_of(image, window), window, cells)
    return Tile(picture, f"{name}: {len(here)} cells")
