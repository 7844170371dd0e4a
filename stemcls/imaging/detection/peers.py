"""Find cells with Cellpose or StarDist, where these are installed."""

from __future__ import annotations

from typing import Any

import numpy as np

from stemcls.config.imaging import DetectConfig
from stemcls.extras import check_extra
from stemcls.imaging.detection.selection import detections_of
from stemcls.imaging.field import Detections, Field

_STARDIST_MODEL = "2D_versatile_fluo"


def find_with_cellpose(field: Field, config: DetectConfig) -> Detections:
    """Find cells with Cellpose's default model, slices as its channels.

    Raises:
        InputError: The package is not installed.
    Source: Stringer et al. 2021 (doi:10.1038/s41592-020-01018-x).
    """
    _check_installed("cellpose")
    from cellpose import core, models

    model = _Models.get("cellpose", lambda: models.CellposeModel(gpu=core.use_gpu()))
    masks = model.eval(
        np.moveaxis(field.pixels[:3], 0, -1), diameter=config.diameter_px or None
    )[0]
    return _from_masks(np.asarray(masks), field, config)


def find_with_stardist(field: Field, config: DetectConfig) -> Detections:
    """Find nuclei with StarDist's model for fluorescence, on the mean of the slices.

    Raises:
        InputError: The package is not installed.
    Source: Schmidt et al. 2018 (doi:10.1007/978-3-030-00934-2_30).
    """
    _check_installed("stardist")
    from csbdeep.utils import normalize
    from stardist.models import StarDist2D

    model = _Models.get("stardist", lambda: StarDist2D.from_pretrained(_STARDIST_MODEL))
    masks, _ = model.predict_instances(normalize(field.pixels.mean(axis=0, dtype=np.float32)))
    return _from_masks(np.asarray(masks), field, config)


def _from_masks(masks: np.ndarray, field: Field, config: DetectConfig) -> Detections:
    """Return the centroid and the radius of equal area of each mask; all score 1."""
    from skimage.measure import regionprops_table

    table = regionprops_table(masks, properties=("centroid", "equivalent_diameter_area"))
    centers = np.stack([table["centroid-0"], table["centroid-1"]], axis=1)
    radius = np.asarray(table["equivalent_diameter_area"]) / 2
    score = np.ones(len(radius))
    return detections_of(centers, radius, score, field.pixels.shape[1:], config)


def _check_installed(package: str) -> None:
    check_extra(f"--method {package}", [package], package, "use --method log")


class _Models:
    """Models that were loaded, one of each kind: loading takes longer than a field."""

    _loaded: dict[str, Any] = {}  # noqa: RUF012

    @classmethod
    def get(cls, name: str, load: Any) -> Any:
        """Return the model of that name, loading it the first time."""
        if name not in cls._loaded:
            cls._loaded[name] = load()
        return cls._loaded[name]
