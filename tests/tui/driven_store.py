"""A store that a gallery has something to show of: blobs of two classes, dark and bright fields."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from .conftest import write_store


def write_blobs(path: Path, n_crops: int = 30) -> Path:
    """Write crops of 32x32x3 whose class is the size of their blob, of three fields unlike."""
    write_store(path, n_crops)
    rows = np.arange(n_crops)
    y, x = np.mgrid[:32, :32] - 15.5
    with h5py.File(path, "r+") as file:
        width = np.where(rows % 4 == 0, 9.0, 4.0)[:, None, None]
        blob = 60 * np.exp(-(y**2 + x**2) / (2 * width**2)) + 10 * (1 + rows % 3)[:, None, None]
        del file["images"], file["fields/brightness"], file["center_px"], file["radius_px"]
        file["images"] = np.stack([blob, blob, 0.5 * blob], axis=-1).astype(np.uint8)
        file["fields/brightness"] = np.array([40.0, 80.0, 120.0], np.float32)
        file["fields/focus"] = np.array([3.0, 2.0, np.nan], np.float32)
        file["center_px"] = np.stack([rows * 2.0, rows * 3.0], axis=1).astype(np.float32)
        file["radius_px"] = np.where(rows % 4 == 0, 9.0, 4.0).astype(np.float32)
    return path
