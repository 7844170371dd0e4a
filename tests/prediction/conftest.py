"""Fields of nine discs, a store of them, and the card of a model that learned from it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import tifffile

from stemcls.config.imaging import BuildConfig, DetectConfig
from stemcls.models.saved import ModelCard
from stemcls.models.seen import seen_in_store
from stemcls.store.build import build_store
from stemcls.store.cropstore import CropStore

CENTRES = [(y, x) for y in (40, 100, 160) for x in (40, 100, 160)]


def discs(seed: int, amplitude: int = 70, base: int = 60, radius: int = 9) -> np.ndarray:
    """Return a field (200, 200) uint8 of nine discs."""
    field = base + np.random.default_rng(seed).normal(0, 3, (200, 200))
    for y, x in CENTRES:
        cv2.circle(field, (x, y), radius, base + amplitude, -1)
    return np.clip(np.rint(field), 0, 255).astype(np.uint8)


def write(
    path: Path, pixels: np.ndarray, names: tuple[str, ...] = (), size_um: float | None = None
) -> Path:
    """Write (Y, X) or (C, Y, X) as OME-TIFF."""
    path.parent.mkdir(parents=True, exist_ok=True)
    about = {"axes": "CYX" if pixels.ndim == 3 else "YX"}
    if names:
        about["Channel"] = {"Name": list(names) if pixels.ndim == 3 else names[0]}
    if size_um:
        about |= {"PhysicalSizeX": size_um, "PhysicalSizeY": size_um,
                  "PhysicalSizeXUnit": "µm", "PhysicalSizeYUnit": "µm"}
    tifffile.imwrite(path, pixels, ome=True, photometric="minisblack", metadata=about)
    return path


def store_of(folder: Path, out: Path, **settings: object) -> CropStore:
    """Build a store of the fields of a folder."""
    detect = DetectConfig(diameter_px=19.0)
    build_store(folder, out, BuildConfig(kind="cells", crop_px=24, detect=detect, **settings))
    return CropStore.open(out)


def card_of(store: CropStore) -> ModelCard:
    """Return the card that training would write."""
    return ModelCard(
        store.classes or ("a",), store.size_px, store.channels, str(store.dtype),
        store.pixel_size_um, store.config["kind"], store.config, seen=seen_in_store(store),
    )
