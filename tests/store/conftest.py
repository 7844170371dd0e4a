"""Small images and small stores with known content."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import pytest

from stemcls.store.cropstore import CropStore


@pytest.fixture
def write_image() -> Callable[..., Path]:
    """Write a noise image of a given seed and shape, or given pixels; return its path."""

    def write(
        path: Path, seed: int = 0, shape: tuple[int, ...] = (16, 16), dtype: str = "uint8",
        pixels: np.ndarray | None = None,
    ) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        if pixels is None:
            most = np.iinfo(dtype).max
            pixels = np.random.default_rng(seed).integers(0, most, shape).astype(dtype)
        assert cv2.imwrite(str(path), pixels[..., ::-1] if pixels.ndim == 3 else pixels)
        return path

    return write


@pytest.fixture
def crops_folder(tmp_path: Path, write_image: Callable[..., Path]) -> Path:
    """SRC with 2 classes of 6 ready-made 16x16 crops; donors d0, d1, d2 in their names."""
    folder = tmp_path / "src"
    for number in range(12):
        label = "aged" if number < 6 else "young"
        write_image(folder / label / f"d{number % 3}_{number:02}.png", seed=number)
    return folder


@pytest.fixture
def foreign_store(tmp_path: Path) -> Callable[..., CropStore]:
    """Write a store in the documented layout by h5py alone, as another program would."""

    def write(
        labels: Any, fields: Any = None, groups: Any = None, name: str = "foreign.h5",
        what: str = "donor", edge: int = 4, **layout: Any,
    ) -> CropStore:
        labels = np.asarray(labels, np.int32)
        n_crops = len(labels)
        fields = np.arange(n_crops) if fields is None else np.asarray(fields)
        n_fields = int(fields.max()) + 1
        named = groups is not None
        groups = np.asarray(groups) if named else fields
        images = np.random.default_rng(0).integers(0, 256, (n_crops, edge, edge, 3), np.uint8)
        text = h5py.string_dtype()
        path = tmp_path / name
        with h5py.File(path, "w") as file:
            file.create_dataset("images", data=images, **layout)
            file["label"] = labels
            classes = [chr(ord("A") + k) for k in range(int(labels.max()) + 1)]
            file["label"].attrs["names"] = np.array(classes, dtype=text)
            file["field"] = fields.astype(np.int32)
            file["group"] = groups.astype(np.int32)
            file["group"].attrs["what"] = what if named else "field"
            if named:
                names = [f"{what} {k}" for k in range(int(groups.max()) + 1)]
                file["group"].attrs["names"] = np.array(names, dtype=text)
            file["center_px"] = np.zeros((n_crops, 2), np.float32)
            file["radius_px"] = np.zeros(n_crops, np.float32)
            file["intensity"] = np.zeros((n_crops, 1), np.float32)
            file["fields/path"] = np.array([f"f{k}.png" for k in range(n_fields)], dtype=text)
            file["fields/sha256"] = np.array(["0" * 64] * n_fields, dtype=text)
            file["fields/shape"] = np.zeros((n_fields, 3), np.int32)
            file["fields/pixel_size_um"] = np.full(n_fields, np.nan)
            file["fields/brightness"] = np.zeros(n_fields, np.float32)
            file["fields/n_cells"] = np.ones(n_fields, np.int32)
            file.attrs.update({
                "format": "stemcls-crops", "version": 1, "config": json.dumps({}),
                "channels": np.array(["red", "green", "blue"], dtype=text),
                "pixel_size_um": 0.5, "content_hash": f"hash of {name}",
            })
        return CropStore.open(path)

    return write
