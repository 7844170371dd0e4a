"""Say what groups of a store are called."""

from __future__ import annotations

from stemcls.store.cropstore import CropStore

_IRREGULAR = {"mouse": "mice", "person": "people", "series": "series", "embryo": "embryos"}


def plural(noun: str) -> str:
    """Return the plural of what a group is: donor -> donors, field of view -> fields of view."""
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


def group_nouns(store: CropStore) -> str:
    """Return what the groups of a store are, plural; fields, where none were named."""
    return plural(store.group_what if store.has_groups else "field")
