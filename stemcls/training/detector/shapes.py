"""Draw patches of cells of no particular kind: any outline, fill, rim, halo, texture and optics."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from stemcls.imaging.detection.pyramid import CANONICAL_PX

_CORNERS = 40
_TRIES = 12  # at placing each cell
_MOST_CELLS = 100


@dataclass(frozen=True, eq=False)
class Patch:
    """A patch and the cells whose centres lie in or near it.

    Attributes:
        pixels: (edge, edge) float32, any scale of grey.
        centers_px: (N, 2) y, x, pixel centres are whole numbers.
        diameter_px: (N,).
    """

    pixels: np.ndarray
    centers_px: np.ndarray
    diameter_px: np.ndarray


def draw_patch(rng: np.random.Generator, edge: int, octaves: float) -> Patch:
    """Draw cells `octaves` larger than the canonical size.

    Args:
        rng: All chance comes from it.
        edge: Of the patch, pixels.
        octaves: log2 of the mean diameter over the canonical one.
    """
    diameter = CANONICAL_PX * 2.0**octaves
    centers, diameters = _places(rng, edge, diameter)
    look = _Look.random(rng)
    plane = _noise(rng, edge, float(np.exp(rng.uniform(0.0, 3.5)))) * rng.uniform(0.0, 0.15)
    if rng.random() < 0.3:
        plane += _noise(rng, edge, float(rng.uniform(0.7, 3.0))) * rng.uniform(0.0, 0.12)
    order = rng.permutation(len(centers))
    for row in order:
        _draw_cell(plane, rng, look, centers[row], diameters[row])
    _draw_debris(plane, rng, edge, diameter)
    return Patch(_seen(plane, rng, look, diameter), centers, diameters)


@dataclass(frozen=True)
class _Look:
    """What the cells of one patch have in common."""

    fill: float
    fill_spread: float
    dome: float
    texture: float
    texture_px: float
    rim: float
    halo: float
    nucleus: float
    nucleus_size: float
    granules: float
    roughness: float
    elongation: float
    optics: str

    @classmethod
    def random(cls, rng: np.random.Generator) -> _Look:
        def maybe(chance: float, low: float, high: float) -> float:
            return float(rng.uniform(low, high)) if rng.random() < chance else 0.0

        filled = rng.random() < 0.75
        return cls(
            fill=float(rng.choice([-1, 1]) * rng.uniform(0.3, 1.0)) if filled else 0.0,
            fill_spread=float(rng.uniform(0.0, 0.5)),
            dome=float(rng.random()),
            texture=maybe(0.55 if filled else 1.0, 0.15, 0.8),
            texture_px=float(rng.uniform(0.05, 0.25)),
            rim=maybe(0.5 if filled else 0.8, -0.8, 0.8),
            halo=maybe(0.35, -0.8, 0.8),
            nucleus=maybe(0.35, -0.7, 0.7),
            nucleus_size=float(rng.uniform(0.3, 0.6)),
            granules=maybe(0.35, 0.2, 1.0),
            roughness=float(rng.uniform(0.0, 0.35) ** 1.3),
            elongation=float(rng.choice([rng.uniform(1.0, 1.3), rng.uniform(1.0, 2.4)])),
            optics=str(rng.choice(
                ["plain", "relief", "phase", "edges"], p=[0.5, 0.25, 0.17, 0.08]
            )),
        )


def _places(
    rng: np.random.Generator, edge: int, diameter: float
) -> tuple[np.ndarray, np.ndarray]:
    """Place cells one by one: scattered, or each at one that is there, so that they touch."""
    spread = rng.uniform(0.03, 0.25)
    apart = rng.uniform(0.75, 1.15)  # in the sum of two radii
    crowding = rng.random() ** 0.7
    clustered = rng.random() < 0.5
    margin = 0.6 * diameter
    room = (edge + 2 * margin) ** 2 / diameter**2
    wanted = int(min(_MOST_CELLS, 1 + rng.poisson(crowding * room * 0.9)))
    if rng.random() < 0.04:
        wanted = 0
    centers, diameters = np.zeros((0, 2)), np.zeros(0)
    for _ in range(wanted):
        size = diameter * float(np.exp(rng.normal(0, spread)))
        for _ in range(_TRIES):
            if clustered and len(centers) and rng.random() < 0.8:
                at = int(rng.integers(len(centers)))
                angle = rng.uniform(0, 2 * np.pi)
                reach = apart * (size + diameters[at]) / 2 * rng.uniform(1.0, 1.1)
                place = centers[at] + reach * np.array([np.sin(angle), np.cos(angle)])
            else:
                place = rng.uniform(-margin, edge + margin, 2)
            if (place < -margin).any() or (place > edge + margin).any():
                continue
            if (np.hypot(*(centers - place).T) >= apart * (size + diameters) / 2).all():
                centers, diameters = np.vstack([centers, place]), np.append(diameters, size)
                break
    return centers, diameters


def _draw_cell(
    plane: np.ndarray, rng: np.random.Generator, look: _Look, center: np.ndarray, diameter: float
) -> None:
    reach = int(np.ceil(1.6 * diameter * max(1.0, look.elongation**0.5) / 2 + 3))
    top, left = (int(np.floor(at)) - reach for at in center)
    edge = 2 * reach + 1
    low = max(0, top), max(0, left)
    high = min(plane.shape[0], top + edge), min(plane.shape[1], left + edge)
    if low[0] >= high[0] or low[1] >= high[1]:
        return
    mask = _outline(rng, look, edge, center - (top, left), diameter)
    inside = cv2.GaussianBlur(mask, (0, 0), max(0.5, 0.03 * diameter))
    depth = cv2.distanceTransform((mask > 0.5).astype(np.uint8), cv2.DIST_L2, 3)
    deepest = float(depth.max()) + 1e-6
    relative = depth / deepest
    strength = look.fill * (1 + look.fill_spread * rng.uniform(-1, 1))
    body = strength * ((1 - look.dome) + look.dome * np.sqrt(relative * (2 - relative)))
    if look.texture:
        grain = max(0.6, look.texture_px * diameter)
        body = body + look.texture * _noise(rng, edge, grain)
    if look.rim:
        body = body + look.rim * np.exp(-(((depth - 1) / max(1.0, 0.06 * diameter)) ** 2))
    if look.nucleus:
        body = body + look.nucleus * _nucleus(rng, look, edge, center - (top, left), diameter)
    if look.granules:
        body = body + _specks(rng, edge, look.granules, int(rng.integers(3, 25)), diameter)
    cell = (body * inside).astype(np.float32)
    if look.halo:
        outside = cv2.GaussianBlur(mask, (0, 0), max(1.0, 0.1 * diameter)) - inside
        cell += look.halo * 2 * np.maximum(outside, 0)
    part = np.s_[low[0] : high[0], low[1] : high[1]]
    here = np.s_[low[0] - top : high[0] - top, low[1] - left : high[1] - left]
    # A cell covers what is under it, most of the way.
    plane[part] = plane[part] * (1 - 0.8 * inside[here]) + cell[here]


def _outline(
    rng: np.random.Generator, look: _Look, edge: int, center: np.ndarray, diameter: float
) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
    radius = np.ones(_CORNERS)
    for order in range(2, 7):
        swing = look.roughness * rng.normal() / order
        radius += swing * np.cos(order * angle + rng.uniform(0, 2 * np.pi))
    radius = np.maximum(radius, 0.4)
    stretch = look.elongation ** (0.5 * rng.uniform(0.3, 1.0))
    y, x = radius * np.sin(angle) / stretch, radius * np.cos(angle) * stretch
    turn = rng.uniform(0, 2 * np.pi)
    y, x = y * np.cos(turn) + x * np.sin(turn), x * np.cos(turn) - y * np.sin(turn)
    area = 0.5 * abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))))
    scale = diameter / 2 * np.sqrt(np.pi / area)
    # The true centre is that of the area, whatever the corners do.
    corners = np.stack([x - x.mean(), y - y.mean()], axis=1) * scale + center[::-1]
    mask = np.zeros((edge, edge), np.uint8)
    cv2.fillPoly(mask, [np.rint(corners * 16).astype(np.int32)], 255, cv2.LINE_AA, shift=4)
    return mask.astype(np.float32) / 255


def _nucleus(
    rng: np.random.Generator, look: _Look, edge: int, center: np.ndarray, diameter: float
) -> np.ndarray:
    plane = np.zeros((edge, edge), np.uint8)
    place = center + rng.normal(0, 0.08 * diameter, 2)
    axes = look.nucleus_size * diameter / 2 * np.exp(rng.normal(0, 0.15, 2))
    cv2.ellipse(
        plane, (int(place[1] * 16), int(place[0] * 16)),
        (max(8, int(axes[0] * 16)), max(8, int(axes[1] * 16))),
        float(rng.uniform(0, 180)), 0, 360, 255, -1, cv2.LINE_AA, 4,
    )
    soft = cv2.GaussianBlur(plane, (0, 0), max(0.5, 0.03 * diameter)).astype(np.float32) / 255
    if rng.random() < 0.5:
        soft = soft + rng.uniform(-1, 1) * _specks(
            rng, edge, 1.0, int(rng.integers(1, 4)), 2 * diameter
        ) * soft
    return soft


def _specks(
    rng: np.random.Generator, edge: int, strength: float, count: int, diameter: float
) -> np.ndarray:
    """Return dots of about a twentieth of the diameter, bright and dark."""
    plane = np.zeros((edge, edge), np.float32)
    sign = rng.choice([-1, 1])
    for y, x in rng.uniform(0.15 * edge, 0.85 * edge, (count, 2)):
        radius = max(0.5, diameter * rng.uniform(0.015, 0.06))
        kind = sign if rng.random() < 0.8 else -sign
        cv2.circle(
            plane, (int(x * 16), int(y * 16)), int(radius * 16), float(strength * kind), -1,
            cv2.LINE_AA if plane.dtype == np.uint8 else cv2.LINE_8, 4,
        )
    return cv2.GaussianBlur(plane, (0, 0), max(0.5, 0.015 * diameter))


def _draw_debris(plane: np.ndarray, rng: np.random.Generator, edge: int, diameter: float) -> None:
    if rng.random() < 0.5:
        return
    layer = np.zeros_like(plane)
    for _ in range(int(rng.integers(1, 12))):
        y, x = rng.uniform(0, edge, 2)
        strength = float(rng.uniform(0.3, 1.2) * rng.choice([-1, 1]))
        if rng.random() < 0.75:
            size = diameter * rng.uniform(0.03, 0.22)
            cv2.circle(layer, (int(x * 16), int(y * 16)), int(size * 16), strength, -1, 8, 4)
        else:
            end = np.add((y, x), rng.normal(0, diameter, 2))
            cv2.line(
                layer, (int(x), int(y)), (int(end[1]), int(end[0])), strength,
                int(max(1, 0.05 * diameter)),
            )
    plane += cv2.GaussianBlur(layer, (0, 0), 0.8)


def _seen(
    plane: np.ndarray, rng: np.random.Generator, look: _Look, diameter: float
) -> np.ndarray:
    """Return the scene as the optics show it."""
    if look.optics == "relief":
        angle = rng.uniform(0, 2 * np.pi)
        smooth = cv2.GaussianBlur(plane, (0, 0), max(0.6, 0.02 * diameter))
        down, across = np.gradient(smooth)
        slope = np.sin(angle) * down + np.cos(angle) * across
        return slope / (np.abs(slope).std() + 1e-3) + rng.uniform(0, 0.3) * plane
    if look.optics == "phase":
        wide = cv2.GaussianBlur(plane, (0, 0), diameter * rng.uniform(0.1, 0.5) + 1)
        return plane - rng.uniform(0.5, 1.0) * wide
    if look.optics == "edges":
        down, across = np.gradient(cv2.GaussianBlur(plane, (0, 0), max(0.6, 0.02 * diameter)))
        return np.hypot(down, across)
    return plane


def _noise(rng: np.random.Generator, edge: int, grain_px: float) -> np.ndarray:
    """Return (edge, edge) float32 noise of unit deviation, correlated over `grain_px`."""
    coarse = max(1.0, grain_px / 1.5)
    size = int(np.ceil(edge / coarse)) + 4
    plane = rng.standard_normal((size, size), np.float32)
    plane = cv2.GaussianBlur(plane, (0, 0), max(0.4, grain_px / coarse))
    if coarse > 1:
        plane = cv2.resize(plane, None, fx=coarse, fy=coarse, interpolation=cv2.INTER_LINEAR)
    plane = plane[:edge, :edge]
    return plane / (plane.std() + 1e-6)
