"""Find blobs as maxima of a scale-normalised Laplacian of Gaussian, and prune overlaps."""

from __future__ import annotations

import cv2
import numpy as np
from scipy.spatial import cKDTree

_DISC_RESPONSE = 2 / np.e  # response at the centre of a full disc whose radius is sigma * sqrt(2)
_SIZE_SPREAD = 0.5  # usual spread of log radius in one field


def log_spaced(smallest: float, largest: float, count: int) -> np.ndarray:
    """Return `count` scales from smallest to largest with one more beyond each end.

    The two extra scales are there to be compared with: a maximum on one of them lies outside.
    """
    single = count == 1 or smallest == largest
    inner = np.array([np.sqrt(smallest * largest)]) if single else np.geomspace(
        smallest, largest, count
    )
    ratio = 1.25 if single else inner[1] / inner[0]
    return np.concatenate([[inner[0] / ratio], inner, [inner[-1] * ratio]])


def find_blobs(
    foreground: np.ndarray, sigmas_px: np.ndarray, threshold: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the bright blobs of a plane that is 0 outside of its edges.

    Args:
        foreground: (Y, X) float32 in [0, 1].
        sigmas_px: Ascending scales; maxima on the first and the last are left out.
        threshold: Least response, where 1 is a full, isolated disc.
    Returns: (N, 2) y and x with sub-pixel parts, (N,) sigma, (N,) response.
    Source: Lindeberg 1998, scale-normalised derivatives (doi:10.1023/A:1008045108935).
    """
    pad = int(3 * sigmas_px[-1]) + 1
    blurred = cv2.copyMakeBorder(foreground, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=0)
    layers = []
    reached = 0.0
    for sigma in sigmas_px:
        blurred = cv2.GaussianBlur(blurred, (0, 0), float(np.sqrt(sigma**2 - reached**2)))
        reached = sigma
        response = cv2.Laplacian(blurred, cv2.CV_32F, ksize=1)[pad:-pad, pad:-pad]
        layers.append(response * np.float32(-(sigma**2) / _DISC_RESPONSE))
    stack = np.stack(layers)
    around = np.stack([cv2.dilate(layer, np.ones((3, 3), np.uint8)) for layer in stack])
    is_peak = (stack >= around) & (stack > threshold)
    is_peak[1:] &= stack[1:] >= around[:-1]
    is_peak[:-1] &= stack[:-1] >= around[1:]
    is_peak[[0, -1]] = False
    layer, y, x = np.nonzero(is_peak)
    peak = stack[layer, y, x]
    height, width = foreground.shape
    up = stack[layer, np.maximum(y - 1, 0), x]
    down = stack[layer, np.minimum(y + 1, height - 1), x]
    left = stack[layer, y, np.maximum(x - 1, 0)]
    right = stack[layer, y, np.minimum(x + 1, width - 1)]
    centers = np.stack([y + _vertex(up, peak, down), x + _vertex(left, peak, right)], axis=1)
    finer = _vertex(stack[layer - 1, y, x], peak, stack[layer + 1, y, x])
    steps = np.log(sigmas_px)
    sigma = np.exp(np.interp(layer + finer, np.arange(len(steps)), steps))
    return centers, sigma, peak


def typical_radius(radius_px: np.ndarray, score: np.ndarray) -> float:
    """Return the median radius, each blob weighing its area and, steeply, its score."""
    order = np.argsort(radius_px)
    weight = np.cumsum(radius_px[order] ** 2 * score[order] ** 4)
    return float(radius_px[order][np.searchsorted(weight, weight[-1] / 2)])


def prune_overlaps(
    centers_px: np.ndarray, radius_px: np.ndarray, score: np.ndarray, overlap: float
) -> np.ndarray:
    """Choose blobs, best first, that overlap no better one by more than `overlap`.

    Better means a larger score after discounting unusual sizes, so that two touching cells win
    against the one blob that covers both.

    Args:
        centers_px: (N, 2).
        overlap: Largest shared area, fraction of the smaller disc.
    Returns: Indices of the blobs kept, by descending score.
    """
    if not len(score):
        return np.zeros(0, dtype=np.intp)
    unusual = np.log(radius_px / typical_radius(radius_px, score)) / _SIZE_SPREAD
    order = np.argsort(-score * np.exp(-0.5 * unusual**2), kind="stable")
    tree = cKDTree(centers_px)
    rank = np.empty(len(order), dtype=np.intp)
    rank[order] = np.arange(len(order))
    alive = np.ones(len(order), dtype=bool)
    for best in order:
        if not alive[best]:
            continue
        near = np.array(tree.query_ball_point(centers_px[best], radius_px[best] + radius_px.max()))
        near = near[alive[near] & (rank[near] > rank[best])]
        distance = np.linalg.norm(centers_px[near] - centers_px[best], axis=1)
        shared = disc_overlap(distance, radius_px[best], radius_px[near])
        alive[near[shared > overlap]] = False
    kept = np.flatnonzero(alive)
    return kept[np.argsort(-score[kept], kind="stable")]


def disc_overlap(distance: np.ndarray, radius_a: float, radius_b: np.ndarray) -> np.ndarray:
    """Return the area two discs share, as a fraction of the smaller disc.

    Args:
        distance: (N,) between the centres.
        radius_b: (N,) radii of the other discs.
    """
    smaller, larger = np.minimum(radius_a, radius_b), np.maximum(radius_a, radius_b)
    d = np.clip(distance, np.maximum(larger - smaller, 1e-9), radius_a + radius_b)
    with np.errstate(divide="ignore", invalid="ignore"):
        a = np.arccos(np.clip((d**2 + smaller**2 - larger**2) / (2 * d * smaller), -1, 1))
        b = np.arccos(np.clip((d**2 + larger**2 - smaller**2) / (2 * d * larger), -1, 1))
    lens = smaller**2 * (a - np.sin(2 * a) / 2) + larger**2 * (b - np.sin(2 * b) / 2)
    return np.where(distance <= larger - smaller, 1.0, lens / (np.pi * smaller**2))


def _vertex(before: np.ndarray, peak: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return where the parabola through three values peaks, in steps from the middle one."""
    bend = before - 2 * peak + after
    flat = np.abs(bend) < 1e-9
    return np.where(flat, 0.0, np.clip((before - after) / (2 * np.where(flat, 1, bend)), -0.5, 0.5))
