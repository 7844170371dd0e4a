"""Find the cells of a field, by the detector that the settings name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from stemcls.config.imaging import DetectConfig
from stemcls.errors import InputError, check_known
from stemcls.imaging.detection.cellfinder import find_cells
from stemcls.imaging.detection.netfinder import find_with_network
from stemcls.imaging.detection.peers import find_with_cellpose, find_with_stardist
from stemcls.imaging.detection.selection import detections_of
from stemcls.imaging.detection.settle import BLOB_METHODS, settle, wants_diameter
from stemcls.imaging.field import NO_CELLS, Detections, Field
from stemcls.imaging.scalespace.find import find_blobs

_RAW_SIGMAS = (1.0, 50.0)  # skimage's


def detect(field: Field, config: DetectConfig) -> Detections:
    """Find the cells of `field` with the detector that `config.method` names.

    What the settings leave open is settled from this field alone; `settle` does it for a set.

    Returns: Centres, radii and scores, best first; empty where nothing is found, or where the
        diameter is open and nothing looks like a cell of any size.

    Raises:
        InputError: There is no such method, what it needs is not installed, or the field holds
            NaN or infinite pixels, or too few cells for an estimate of the diameter left open.
    """
    check_known(
        config.method, ("auto", *DETECTORS), f"there is no detector {config.method!r}"
    )
    if field.pixels.dtype.kind == "f" and not np.isfinite(field.pixels).all():
        raise InputError(f"{field.path} holds NaN or infinite pixels; mask or replace them first")
    config = settle([field], config).config
    if wants_diameter(config):
        return NO_CELLS
    return DETECTORS[config.method](field, config)


def detect_blobs(field: Field, config: DetectConfig, method: str) -> Detections:
    """Find cells as blobs of a map of cells, or with modality raw of the pixels themselves."""
    if config.modality == "raw":
        return _raw_blobs(field, config, method)
    return find_cells(field, config, method)


def _raw_blobs(field: Field, config: DetectConfig, method: str) -> Detections:
    """Return what skimage.feature's functions of the same settings look for, slice by slice.

    Slices are searched one by one; blobs of several slices stay apart.
    """
    found = [
        find_blobs(
            plane, method, mode=config.mode, min_sigma=config.min_sigma or _RAW_SIGMAS[0],
            max_sigma=config.max_sigma or _RAW_SIGMAS[1], num_sigma=config.num_sigma,
            overlap=config.overlap, polarity=config.polarity,
            threshold="default" if config.threshold is None else config.threshold,
        )
        for plane in field.pixels
    ]
    centers = np.concatenate([blobs.centers_px for blobs in found])
    radius = np.concatenate([blobs.radius_px for blobs in found])
    score = np.concatenate([blobs.response for blobs in found])
    config = replace(config, edge_radii=0, min_relative_radius=0, max_relative_radius=0,
                     size_outliers=0)  # fmt: skip
    return detections_of(centers, radius, score, field.pixels.shape[1:], config)


DETECTORS: dict[str, Callable[[Field, DetectConfig], Detections]] = {
    "net": find_with_network,
    **{method: partial(detect_blobs, method=method) for method in BLOB_METHODS},
    "cellpose": find_with_cellpose,
    "stardist": find_with_stardist,
}
