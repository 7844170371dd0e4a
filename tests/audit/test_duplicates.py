"""Copies of crops are found whatever was done to them, and different cells are none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from stemcls.audit.align import aligned_likeness
from stemcls.audit.duplicates import find_twins
from stemcls.bench.copies import CHANGES
from stemcls.config.imaging import BuildConfig, SimulateConfig
from stemcls.imaging.simulation.simulate import simulate_field
from stemcls.store.build import build_store
from stemcls.store.cropstore import CropStore

EDGE_PX = 56
SHARED = Path(__file__).parents[2].parent / "shared"


@pytest.fixture(scope="module")
def cells() -> list[np.ndarray]:
    """Forty different cells of simulated DIC fields, (56, 56) uint8."""
    crops = []
    for seed in range(4):
        config = SimulateConfig(size_px=512, cells=30, slices=1, clusters=0, seed=seed)
        pixels, truth = simulate_field(config, 0, seed)
        field = cv2.normalize(np.asarray(pixels)[0], None, 0, 255, cv2.NORM_MINMAX, cv2.CV_8U)
        for y_px, x_px in truth.centers_px:
            y, x = int(y_px) - EDGE_PX // 2, int(x_px) - EDGE_PX // 2
            if min(y, x) >= 0 and max(y, x) + EDGE_PX <= 512 and len(crops) < 10 * (seed + 1):
                crops.append(field[y : y + EDGE_PX, x : x + EDGE_PX])
    return crops


def stored(folder: Path, crops: list[np.ndarray]) -> CropStore:
    """Build a store of ready-made crops, in order."""
    (folder / "src" / "a").mkdir(parents=True)
    for number, crop in enumerate(crops):
        cv2.imwrite(str(folder / "src" / "a" / f"{number:04}.png"), np.ascontiguousarray(crop))
    build_store(
        folder / "src", folder / "s.h5", BuildConfig(kind="crops"), look=False, force=True
    )
    return CropStore.open(folder / "s.h5")


@pytest.mark.parametrize("change", CHANGES)
def test_changed_copies_are_found_and_nothing_else(
    tmp_path: Path, cells: list[np.ndarray], change: str
) -> None:
    kept: Callable[[np.ndarray], np.ndarray] = CHANGES["the same pixels"]
    copied = cells[:10]
    store = stored(tmp_path, [*map(kept, cells), *map(CHANGES[change], copied)])
    found = {tuple(pair) for pair in find_twins(store, np.arange(len(store))).pairs.tolist()}
    wanted = {(k, len(cells) + k) for k in range(len(copied))}
    assert len(found & wanted) >= 9
    assert found <= wanted


def test_different_cells_and_blank_crops_are_no_copies(
    tmp_path: Path, cells: list[np.ndarray]
) -> None:
    blank = np.full_like(cells[0], 7)
    store = stored(tmp_path, [*cells, blank, blank + 1])
    assert len(find_twins(store, np.arange(len(store))).pairs) == 0


def test_one_cell_cut_twice_a_pixel_apart_is_found() -> None:
    files = sorted((SHARED / "cases" / "shifted-twins").glob("*.png"))
    if len(files) != 2:
        pytest.skip("the real crops (../shared/cases/shifted-twins) are not on this machine")
    one, other = (cv2.imread(str(path), cv2.IMREAD_GRAYSCALE).astype(np.float32) for path in files)
    details, finest = aligned_likeness(one / one.std(), other / other.std())
    assert details > 0.93
    assert finest > 0.8


def test_what_was_not_compared_is_counted(
    tmp_path: Path, cells: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stemcls.audit.duplicates.MOST_ALIGNED", 2)
    store = stored(tmp_path, [*cells[:6], *cells[:6]])
    found = find_twins(store, np.arange(len(store)))
    assert len(found.pairs) == 2
    assert found.n_unaligned >= 4
    monkeypatch.setattr("stemcls.audit.duplicates.MOST_ALIGNED", 100)
    monkeypatch.setattr("stemcls.audit.duplicates.PATIENCE", 0)
    assert len(find_twins(store, np.arange(len(store))).pairs) == 0
