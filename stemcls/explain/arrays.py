"""Keep maps as HDF5, with shapes, units and sources, so that others can measure on them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stemcls import atomic
from stemcls.explain.explain import Explanation
from stemcls.explain.methods import METHODS
from stemcls.explain.selection import Cells

FORMAT = "stemcls-explanations"
VERSION = 1


def write_maps(
    path: Path,
    explanations: Sequence[Explanation],
    images: np.ndarray,
    cells: Cells,
    classes: Sequence[str],
    radius_px: np.ndarray,
) -> None:
    """Write crops, what the model says of them, and the maps of every method, atomically.

    Args:
        path: A new .h5 file.
        explanations: One per method, each of the N cells.
        images: (N, H, W, C) as stored.
        cells: The N cells.
        classes: K names.
        radius_px: (N,) in pixels of the crop, NaN where unknown.
    """
    import h5py

    text = h5py.string_dtype()
    with atomic.replacing(path) as temporary, h5py.File(temporary, "w") as out:
        out.attrs.update(format=FORMAT, version=VERSION)
        out.attrs["classes"] = np.array(list(classes), dtype=object).astype(text)
        _put(out, "crops", images, "N, H, W, C", "as stored")
        _put(out, "rows", cells.rows, "N", "row of the store")
        _put(out, "truth", cells.truth, "N", "index into classes, -1: unknown")
        _put(out, "predicted", cells.predicted, "N", "index into classes")
        _put(out, "score", cells.scores, "N", "probability of the predicted class")
        _put(out, "sampled", cells.sampled, "N", "drawn at random, so part of statistics")
        _put(out, "radius_px", radius_px, "N", "pixels of the crop, NaN: unknown")
        for found in explanations:
            row = METHODS[found.method]
            group = out.create_group(f"methods/{found.method}")
            group.attrs.update(
                layer=found.layer, source=row.source, class_aware=row.class_aware,
                signed=row.signed,
            )
            _put(
                group, "heatmaps", found.heatmaps, "N, H, W",
                "share of the largest absolute value of the crop's map",
            )
            _put(group, "targets", found.targets, "N", "index into classes, followed")
            _put(group, "pixel_score", found.pixel_score, "N", "mean of all pixels, 0 to 1")


def _put(group: object, name: str, values: np.ndarray, axes: str, units: str) -> None:
    dataset = group.create_dataset(name, data=values)  # type: ignore[attr-defined]
    dataset.attrs.update(axes=axes, units=units)
