"""What a split of a store keeps together, groups, fields or crops, and what these are called."""

from __future__ import annotations

import numpy as np

from stemcls.store.cropstore import CropStore

_IRREGULAR = {"mouse": "mice", "person": "people", "series": "series", "embryo": "embryos"}


def unit_index(store: CropStore, by: str) -> np.ndarray:
    """Return (N,) int, the number of each crop's unit; `by` is group, field or crop."""
    if by == "crop":
        return np.arange(len(store))
    return store.group_index if by == "group" else store.field_index


def unit_names(store: CropStore, by: str) -> dict[int, str]:
    """Return number to name of the units of `unit_index`; crops have none."""
    return dict(enumerate({"group": store.group_names, "field": store.fields.path}.get(by, ())))


def unit_noun(store: CropStore, by: str) -> str:
    """Return what a unit of `unit_index` is, in words."""
    return store.group_what if by == "group" else by


def group_nouns(store: CropStore) -> str:
    """Return what the groups of a store are, plural; fields, where none were named."""
    return plural(store.group_what if store.has_groups else "field")


def plural(noun: str) -> str:
    """Return the plural: donor -> donors, field of view -> fields of view, a or b -> as or bs."""
    return " or ".join(map(_plural, noun.split(" or ")))


def _plural(noun: str) -> str:
    head, of, rest = noun.partition(" of ")
    if head in _IRREGULAR:
        many = _IRREGULAR[head]
    elif head.endswith(("s", "x", "ch", "sh")):
        many = f"{head}es"
    elif head.endswith("y") and head[-2:-1] not in "aeiou":
        many = f"{head[:-1]}ies"
    else:
        many = f"{head}s"
    return many + of + rest
