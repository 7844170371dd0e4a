"""Small images and small stores with known content."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest


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
