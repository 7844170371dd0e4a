"""How many copies of crops an audit finds, for each way of making one, and how many it makes up."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from stemcls.bench.measure import need, result

CROPS = 100
WANTED = 0.9
MARGIN_PX = 4
Change = Callable[[np.ndarray], np.ndarray]


def copies(data: Path) -> list[dict[str, Any]]:
    """Put crops of real images and changed copies of them into one store, and look for pairs.

    `ours` is the share of copies that were found. Every crop is of another cell, so that any other
    pair is a false one, unless the set itself holds copies: `others` counts the pairs that are
    found without ours.
    """
    need(data / "fields", data / "ht1080")
    rows = []
    for name, crops in _sets(data):
        alone = _pairs(crops, None)
        for change, made in CHANGES.items():
            found = _pairs(crops, made)
            ours = {(k, k + len(crops)) for k in range(len(crops))}
            share = len(found & ours) / len(crops)
            made_up = {pair for pair in found - ours if (pair[0] % len(crops)) != (
                pair[1] % len(crops)) and tuple(sorted(k % len(crops) for k in pair)) not in alone}
            rows.append(result(
                f"copies, {name}, {change}", share, WANTED, "share found", 1.0, None,
                higher_is_better=True, crops=len(crops), others=len(alone), made_up=len(made_up),
            ))
    return rows


def _sets(data: Path) -> Iterator[tuple[str, list[np.ndarray]]]:
    """Yield a name and up to `CROPS` square uint8 crops; ht1080 was used to choose limits."""
    files = sorted((data / "ht1080").rglob("*.png")) or sorted((data / "ht1080").rglob("*.jpg"))
    yield "ht1080", [_grey(path) for path in files[:: max(1, len(files) // CROPS)]][:CROPS]
    for name in ("nih3t3", "usiigaci_small", "hela_h2b"):
        yield name, _cut(data / "fields" / name)


def _cut(folder: Path) -> list[np.ndarray]:
    with folder.with_suffix(".csv").open(encoding="utf-8") as file:
        cells = list(csv.DictReader(file))
    edge = 2 * int(2 * np.median([float(cell["radius_px"]) for cell in cells])) + 2 * MARGIN_PX
    crops = []
    for cell in np.random.default_rng(0).permutation(np.array(cells, object)):
        field = _grey(folder / cell["field"])
        y, x = (int(float(cell[key])) - edge // 2 for key in ("y_px", "x_px"))
        if min(y, x) >= 0 and y + edge <= field.shape[0] and x + edge <= field.shape[1]:
            crops.append(field[y : y + edge, x : x + edge])
        if len(crops) == CROPS:
            break
    return crops


def _pairs(crops: list[np.ndarray], change: Change | None) -> set[tuple[int, int]]:
    """Return the pairs found among crops, followed by their changed copies."""
    from stemcls.audit.duplicates import find_twins
    from stemcls.config.imaging import BuildConfig
    from stemcls.store.build import build_store
    from stemcls.store.cropstore import CropStore

    with tempfile.TemporaryDirectory(prefix="stemcls-bench-") as name:
        folder = Path(name)
        for part, made in (("a", _kept), ("b", change)):
            (folder / "src" / part).mkdir(parents=True)
            for number, crop in enumerate(crops if made is not None else crops[:1]):
                path = folder / "src" / part / f"{number:04}.png"
                cv2.imwrite(str(path), np.ascontiguousarray((made or _kept)(crop)))
        build_store(
            folder / "src", folder / "store.h5", BuildConfig(kind="crops"), look=False, force=True
        )
        store = CropStore.open(folder / "store.h5")
        rows = np.arange(len(crops) if change is None else len(store))
        return {tuple(pair) for pair in find_twins(store, rows).pairs.tolist()}


def _grey(path: Path) -> np.ndarray:
    read = np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
    image = read if read.ndim == 2 else read.mean(axis=2)
    low, high = np.percentile(image, (0.1, 99.9))
    stretched = np.clip((image - low) / max(high - low, 1) * 255, 0, 255)
    return np.asarray(image if read.dtype == np.uint8 else stretched).astype(np.uint8)


def _window(down: int, across: int) -> Change:
    def cut(crop: np.ndarray) -> np.ndarray:
        edge = crop.shape[0] - 2 * MARGIN_PX
        y, x = MARGIN_PX + down, MARGIN_PX + across
        return crop[y : y + edge, x : x + edge]

    return cut


def _jpeg(quality: int) -> Change:
    def squeeze(crop: np.ndarray) -> np.ndarray:
        _, data = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, quality])
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_UNCHANGED))

    return squeeze


def _turned(degrees: float, zoom: float = 1.0) -> Change:
    def turn(crop: np.ndarray) -> np.ndarray:
        edge = crop.shape[0]
        matrix = cv2.getRotationMatrix2D(((edge - 1) / 2, (edge - 1) / 2), degrees, zoom)
        return cv2.warpAffine(crop, matrix, (edge, edge), borderMode=cv2.BORDER_REFLECT)

    return turn


def _then(*changes: Change) -> Change:
    def all_of(crop: np.ndarray) -> np.ndarray:
        for change in changes:
            crop = change(crop)
        return crop

    return all_of


_kept = _window(0, 0)
CHANGES: dict[str, Change] = {
    "the same pixels": _kept,
    "JPEG 90": _then(_kept, _jpeg(90)),
    "JPEG 75": _then(_kept, _jpeg(75)),
    "JPEG 50": _then(_kept, _jpeg(50)),
    "shifted 1 px": _window(1, -1),
    "shifted 3 px": _window(-3, 2),
    "shifted 2 px, JPEG 75": _then(_window(2, 2), _jpeg(75)),
    "mirrored, darker": _then(_kept, lambda crop: (crop[:, ::-1] * 0.7 + 10).astype(np.uint8)),
    "a quarter turn, JPEG 75": _then(_kept, lambda crop: np.rot90(crop).copy(), _jpeg(75)),
    "turned 5 degrees": _then(_turned(5), _kept),
    "enlarged by a tenth": _then(_turned(0, 1.1), _kept),
}
