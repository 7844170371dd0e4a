"""Draw ever larger parts of a training set: of its cells, or of its groups."""

from __future__ import annotations

import numpy as np

BY = ("cells", "groups")


def nested_ranks(labels: np.ndarray, seed: int) -> np.ndarray:
    """Put rows in a random order within each class; return (n,) places, above 0 and up to 1.

    Rows whose place is at most f are a share f of every class, at least one row of each, and part
    of every larger share.
    """
    random = np.random.default_rng(seed)
    place = np.empty(len(labels))
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        place[members] = np.arange(len(members)) / len(members)
    return place


def drawn_rows(
    by: str, fraction: float, labels: np.ndarray, group: np.ndarray, seed: int
) -> np.ndarray:
    """Return a mask of the rows that one draw of a share of the cells, or of the groups, takes.

    Args:
        by: cells (of all groups) or groups (with all their cells).
        fraction: Above 0 and up to 1; at least one cell, or group, of each class.
        labels, group: (n,) int.
        seed: Draws of one seed are nested.
    """
    if by == "cells":
        return nested_ranks(labels, seed) < fraction
    _, dense = np.unique(group, return_inverse=True)
    counts = np.zeros((int(dense.max()) + 1, int(labels.max()) + 1), np.int64)
    np.add.at(counts, (dense, labels), 1)
    # Groups that hold all classes are one kind; those of few classes are drawn class by class.
    kinds = counts.argmax(axis=1)
    kinds[(counts > 0).all(axis=1)] = -1
    chosen = nested_ranks(kinds, seed) < fraction
    return np.asarray(chosen[dense])
