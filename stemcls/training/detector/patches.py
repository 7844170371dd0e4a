"""Cut and draw the patches that the detector is trained on, with what it should answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from stemcls.imaging.detection.pyramid import CANONICAL_PX, even_contrast
from stemcls.training.detector.network import STRIDE
from stemcls.training.detector.shapes import Patch, draw_patch

EDGE_PX = 112
_MARGIN_PX = 24  # drawn around a patch, so that contrast is measured as inside a field
_DRAWN = 0.3  # share of patches that are drawn
_BANK = 2500  # scenes drawn; each comes back, turned and disturbed in other ways
_FILTERED = 0.25  # share of those cut that are seen through a filter
_USUAL_SCALES = 0.6  # share of patches at about the canonical scale
_SCALE_SPREAD, _ALL_SCALES = 0.45, (-1.8, 3.3)  # octaves
_HEAT_SIGMA = 0.18  # of a peak, in diameters
_SCALE_TOLERANCE = 0.5  # octaves: how narrowly the network answers to the canonical size
_LEAST_HEAT = 0.02


@dataclass(frozen=True, eq=False)
class KnownField:
    """A field of which every cell is known, reduced step by step for quick cutting.

    Attributes:
        levels: (C, Y, X) float32 each, every next one half as large.
        centers_px: (N, 2) y, x in pixels of the first.
        diameter_px: (N,) likewise.
    """

    levels: tuple[np.ndarray, ...]
    centers_px: np.ndarray
    diameter_px: np.ndarray

    @classmethod
    def of(
        cls, pixels: np.ndarray, centers_px: np.ndarray, diameter_px: np.ndarray
    ) -> KnownField:
        """Return the field of (C, Y, X) pixels of any dtype."""
        planes = pixels.astype(np.float32)
        spread = planes.std(axis=(1, 2), keepdims=True)
        levels = [planes / (spread + 1e-6)]
        while min(levels[-1].shape[1:]) >= 64:
            height, width = levels[-1].shape[1:]
            size = width // 2, height // 2
            levels.append(np.stack([
                cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in levels[-1]
            ]))
        return cls(tuple(levels), np.asarray(centers_px), np.asarray(diameter_px))


def batches(
    kinds: Sequence[tuple[float, Sequence[KnownField]]], batch: int, seed: int,
    drawn: float = _DRAWN,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield batches without end.

    Args:
        kinds: Weight of each kind of field, and its fields.
        batch: Patches in a batch.
        seed: All chance follows from it.
        drawn: Share of patches that are drawn instead of cut.
    Yields: (n, 112, 112, 1) float32 and (n, 56, 56, 3) float32 as `detector_loss` wants them.
    """
    rng = np.random.default_rng(seed)
    weights = np.array([weight for weight, _ in kinds], float)
    bank: list[Patch] = []
    while True:
        made = []
        for _ in range(batch):
            if not len(kinds) or rng.random() < drawn:
                if len(bank) < _BANK:
                    bank.append(draw_patch(rng, _outer(), _octaves(rng)))
                    scene = bank[-1]
                else:
                    scene = _turned(bank[int(rng.integers(_BANK))], rng)
                made.append(_finished(scene, rng))
            else:
                fields = kinds[int(rng.choice(len(kinds), p=weights / weights.sum()))][1]
                cut = _cut(fields[int(rng.integers(len(fields)))], rng)
                made.append(_finished(cut, rng))
        yield np.stack([one for one, _ in made]), np.stack([answer for _, answer in made])


def _outer() -> int:
    return EDGE_PX + 2 * _MARGIN_PX


def _octaves(rng: np.random.Generator) -> float:
    if rng.random() < _USUAL_SCALES:
        return float(rng.normal(0, _SCALE_SPREAD))
    return float(rng.uniform(*_ALL_SCALES))


def _turned(scene: Patch, rng: np.random.Generator) -> Patch:
    """Return the scene turned by quarters, and flipped or not."""
    pixels, centers = scene.pixels, scene.centers_px
    last = len(pixels) - 1
    for _ in range(int(rng.integers(4))):
        # np.rot90: (y, x) goes to (last - x, y).
        pixels = np.rot90(pixels)
        centers = np.stack([last - centers[:, 1], centers[:, 0]], axis=1)
    if rng.random() < 0.5:
        pixels = pixels[:, ::-1]
        centers = np.stack([centers[:, 0], last - centers[:, 1]], axis=1)
    return Patch(np.ascontiguousarray(pixels), centers, scene.diameter_px)


def _cut(field: KnownField, rng: np.random.Generator) -> Patch:
    """Cut a patch at a random scale, turn and flip, around a cell or anywhere."""
    edge = _outer()
    height, width = field.levels[0].shape[1:]
    row = int(rng.integers(len(field.centers_px)))
    usual = float(np.median(field.diameter_px))
    size = field.diameter_px[row] if rng.random() < 0.5 else usual
    zoom = CANONICAL_PX * 2.0 ** _octaves(rng) / size
    level = int(np.clip(np.floor(np.log2(max(1.0, 1 / zoom))), 0, len(field.levels) - 1))
    middle = (
        field.centers_px[row] + rng.normal(0, 0.3 * edge, 2) / zoom if rng.random() < 0.8
        else rng.uniform((0, 0), (height, width))
    )
    turn = rng.uniform(0, 2 * np.pi)
    flip = rng.choice([-1, 1])
    stretch = np.exp(rng.normal(0, 0.06, 2))
    # From y, x of the field to y, x of the patch.
    matrix = zoom * np.diag(stretch) @ np.array(
        [[np.cos(turn), -np.sin(turn)], [flip * np.sin(turn), flip * np.cos(turn)]]
    )
    offset = (edge - 1) / 2 - matrix @ middle
    step = 2.0**level
    planes = field.levels[level]
    mix = rng.dirichlet(np.ones(len(planes))) if len(planes) > 1 else np.ones(1)
    # Pixels of a reduced plane: the middle of its first lies (step - 1) / 2 further in.
    reduced = matrix * step
    start = offset + matrix @ np.full(2, (step - 1) / 2)
    swapped = np.array([
        [reduced[1, 1], reduced[1, 0], start[1]], [reduced[0, 1], reduced[0, 0], start[0]],
    ])
    pixels = np.zeros((edge, edge), np.float32)
    for share, plane in zip(mix.astype(np.float32), planes, strict=True):
        pixels += share * cv2.warpAffine(
            plane, swapped, (edge, edge), flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT_101,
        )
    if zoom * step < 0.75:
        pixels = cv2.GaussianBlur(pixels, (0, 0), 0.4)
    centers = field.centers_px @ matrix.T + offset
    diameter = field.diameter_px * zoom * float(np.sqrt(stretch.prod()))
    near = (np.abs(centers - edge / 2) < edge / 2 + diameter[:, None]).all(axis=1)
    return Patch(pixels, centers[near], diameter[near])


def _finished(patch: Patch, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    plane = _disturbed(patch.pixels.astype(np.float32), rng)
    inner = slice(_MARGIN_PX, _MARGIN_PX + EDGE_PX)
    even = even_contrast(plane)[inner, inner]
    return even[..., None], heat_of(patch.centers_px - _MARGIN_PX, patch.diameter_px)


def _disturbed(plane: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Vary what differs between microscopes."""
    low, high = np.percentile(plane[::3, ::3], [0.5, 99.5])
    plane = (plane - low) / (high - low + 1e-6)
    if rng.random() < _FILTERED:
        plane = _filtered(plane, rng)
        plane = (plane - plane.mean()) / (4 * plane.std() + 1e-6) + 0.5
    if rng.random() < 0.4:
        plane = np.clip(plane, 0, 1.5) ** np.float32(np.exp(rng.normal(0, 0.4)))
    if rng.random() < 0.5:
        plane = -plane
    if rng.random() < 0.4:
        plane = cv2.GaussianBlur(plane, (0, 0), float(rng.uniform(0.3, 1.8)))
    if rng.random() < 0.5:
        slope = np.linspace(-1, 1, len(plane), dtype=np.float32)
        strength = rng.normal(0, 0.3, 2).astype(np.float32)
        plane = plane + strength[0] * slope[:, None] + strength[1] * slope
    if rng.random() < 0.6:
        noise = rng.standard_normal(plane.shape, np.float32)
        if rng.random() < 0.4:
            noise = cv2.GaussianBlur(noise, (0, 0), 0.8)
        plane = plane + noise * np.float32(np.exp(rng.uniform(-5, -1.2)))
    return plane.astype(np.float32)


def _filtered(plane: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    kind = rng.integers(3)
    smooth = cv2.GaussianBlur(plane, (0, 0), float(rng.uniform(0.6, 1.5)))
    if kind == 0:
        angle = rng.uniform(0, 2 * np.pi)
        down, across = np.gradient(smooth)
        return (np.sin(angle) * down + np.cos(angle) * across).astype(np.float32)
    if kind == 1:
        return plane - cv2.GaussianBlur(plane, (0, 0), float(rng.uniform(3, 12)))
    down, across = np.gradient(smooth)
    return np.hypot(down, across).astype(np.float32)


def heat_of(centers_px: np.ndarray, diameter_px: np.ndarray) -> np.ndarray:
    """Return (56, 56, 3): heat, size in octaves from the canonical one, and weight.

    Each cell is a Gaussian whose height falls with the octaves between the cell and the canonical
    size, so that cells of another scale answer weakly and the scale selects itself.
    """
    edge = EDGE_PX // STRIDE
    truth = np.zeros((edge, edge, 3), np.float32)
    truth[..., 2] = 1.0
    at = (np.arange(edge) + 0.5) * STRIDE - 0.5
    for (y, x), diameter in zip(centers_px, diameter_px, strict=True):
        octaves = float(np.log2(diameter / CANONICAL_PX))
        height = float(np.exp(-0.5 * (octaves / _SCALE_TOLERANCE) ** 2))
        sigma = _HEAT_SIGMA * diameter
        if height < _LEAST_HEAT or not (
            -3 * sigma < y < EDGE_PX + 3 * sigma and -3 * sigma < x < EDGE_PX + 3 * sigma
        ):
            continue
        down = np.exp(-0.5 * ((at - y) / sigma) ** 2)
        across = np.exp(-0.5 * ((at - x) / sigma) ** 2)
        peak = height * np.outer(down, across).astype(np.float32)
        higher = peak > truth[..., 0]
        truth[..., 0][higher] = peak[higher]
        truth[..., 1][higher] = np.clip(octaves, -1.5, 1.5)
    return truth
