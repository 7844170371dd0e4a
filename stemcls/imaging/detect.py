"""Find the cells of a field."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from stemcls.config.imaging import DetectConfig
from stemcls.errors import InputError, nearest
from stemcls.imaging.blobs import find_blobs, log_spaced, prune_overlaps, typical_radius
from stemcls.imaging.field import Detections, Field
from stemcls.imaging.foreground import deviation, favour_middles, fill_hollow, soft_foreground

# A disc whose rim was weighed down looks this much smaller, and answers this much less, than a full
# one (measured on drawn discs of 10 to 28 pixels).
_SHRINKAGE = 1.22
_RIM_RESPONSE = 0.63
_WORKING_SIGMA_PX = 2.5  # fields are reduced until the smallest blob has this sigma


def detect(field: Field, config: DetectConfig) -> Detections:
    """Find the cells of `field` with the detector that `config.method` names.

    Returns: Centres, radii (sigma * sqrt 2) and scores, best first; empty where nothing is found.

    Raises:
        InputError: There is no such method, or the field holds NaN or infinite pixels.
    """
    if config.method not in DETECTORS:
        raise InputError(
            f"there is no detector {config.method!r}{nearest(config.method, DETECTORS)}"
        )
    if field.pixels.dtype.kind == "f" and not np.isfinite(field.pixels).all():
        raise InputError(f"{field.path} holds NaN or infinite pixels; mask or replace them first")
    return DETECTORS[config.method](field, config)


def detect_log(field: Field, config: DetectConfig) -> Detections:
    """Find cells as blobs of a soft foreground map.

    The field is reduced until the smallest cell is still well sampled; each channel's deviation
    from a fitted background is measured in noise units and pooled over channels; a local level
    makes dim and bright cells alike; hollow cells are filled, and middles count more than rims,
    which parts touching cells; Laplacian-of-Gaussian maxima over
    scales give centre and size. Blobs that overlap a better one, that the field's edge cuts, or
    that are far smaller than the field's typical cell (debris, platelets, scale bars) are dropped.
    """
    smallest, largest = config.min_sigma / _SHRINKAGE, config.max_sigma / _SHRINKAGE
    factor = max(1.0, smallest / _WORKING_SIGMA_PX)
    _, height, width = field.pixels.shape
    size = (max(1, round(width / factor)), max(1, round(height / factor)))
    evidence = np.zeros((size[1], size[0]), np.float32)
    for plane in field.pixels:
        small = cv2.resize(plane.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        evidence += _evidence(small, plane, config, smallest / factor / 2) ** 2
    evidence = cv2.GaussianBlur(np.sqrt(evidence), (0, 0), 0.7)
    foreground = soft_foreground(evidence, 2 * largest / factor)
    foreground = fill_hollow(foreground, largest / factor)
    foreground = favour_middles(foreground, largest / factor)
    sigmas = log_spaced(smallest, largest, config.num_sigma) / factor
    centers, sigma, score = find_blobs(foreground, sigmas, config.threshold * _RIM_RESPONSE)
    scale = np.array([height / size[1], width / size[0]])
    centers = (centers + 0.5) * scale - 0.5
    radius = sigma * factor * np.sqrt(2) * _SHRINKAGE
    score = score / _RIM_RESPONSE
    kept = prune_overlaps(centers, radius, score, config.overlap)
    centers, radius, score = centers[kept], radius[kept], score[kept]
    kept = _wanted(centers, radius, score, (height, width), config)
    return Detections(
        centers[kept].astype(np.float32),
        radius[kept].astype(np.float32),
        score[kept].astype(np.float32),
    )


DETECTORS: dict[str, Callable[[Field, DetectConfig], Detections]] = {"log": detect_log}


def _evidence(
    small: np.ndarray, plane: np.ndarray, config: DetectConfig, blur_px: float
) -> np.ndarray:
    spread = float(small.max() - small.min())
    if spread == 0:
        return np.zeros_like(small)
    quantum = 0.5 if plane.dtype.kind in "ui" else spread / 512
    return deviation(small, quantum, config.polarity, config.transform, blur_px)


def _wanted(
    centers: np.ndarray,
    radius: np.ndarray,
    score: np.ndarray,
    shape: tuple[int, int],
    config: DetectConfig,
) -> np.ndarray:
    """Return which blobs are inside the border, whole, and not far too small: (N,) bool."""
    if not len(score):
        return np.zeros(0, dtype=bool)
    usual = typical_radius(radius, score)
    to_edge = np.minimum(centers, np.array(shape) - 1 - centers).min(axis=1)
    least = np.maximum(config.border_px, config.edge_radii * np.maximum(radius, usual))
    return (to_edge >= least) & (radius >= config.relative_radius * usual)
