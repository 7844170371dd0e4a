"""Say of crops where they are from: file, scene and place, for rows of tables."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from stemcls.store.cropstore import CropStore

# As in the tables of `stemcls predict`.
COLUMNS = ("path", "scene", "y_px", "x_px")


def places_of(store: CropStore, rows: Iterable[int]) -> list[tuple[str, str, str, str]]:
    """Return `COLUMNS` of some crops; empty where a column is unknown.

    Args:
        store: That holds them.
        rows: (n,) rows of the store.
    Returns: (n,) the file as the store names it, its scene, and the centre in pixels of the field.
    """
    scenes = getattr(store.fields, "scene", None)
    found = []
    for row in np.asarray(list(rows), dtype=np.int64):
        field = int(store.field_index[row])
        y, x = (f"{value:.2f}" if np.isfinite(value) else "" for value in store.centers_px[row])
        found.append((store.fields.path[field], str(scenes[field]) if scenes else "", y, x))
    return found
