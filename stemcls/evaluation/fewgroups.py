"""Say where groups are too few for an interval, and what gives more of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from stemcls.evaluation.intervals import LEAST_GROUPS
from stemcls.store.classes import class_index
from stemcls.store.cropstore import CropStore
from stemcls.store.splits import Split
from stemcls.store.units import plural, unit_index, unit_noun

FOLDS = "stemcls train STORE --folds 4 tests every group once"
MORE_GROUPS = "only more groups of these classes would give them"
_MOST_FOLDS = 5


def groups_of_classes(labels: np.ndarray, groups: np.ndarray, k: int) -> list[int]:
    """Return how many groups hold crops of each of k classes.

    Args:
        labels: (N,) int, class of each crop; below 0 none.
        groups: (N,) int, its group.
    """
    pairs = np.unique(np.stack([labels, groups])[:, labels >= 0], axis=1)
    return np.bincount(pairs[0].astype(np.int64), minlength=k).tolist()


def few_note(counts: Mapping[str, int], remedy: str = FOLDS) -> str:
    """Say which of the scored classes have too few groups for an interval; empty where none has.

    Args:
        counts: Class to its number of groups; classes without crops count for nothing.
        remedy: What gives more groups, a sentence without its point.
    """
    few = {name: n for name, n in counts.items() if 0 < n < LEAST_GROUPS}
    if not few:
        return ""
    shown = list(few.items())[:6]
    named = ", ".join(f"{name} {n}" for name, n in shown)
    more = f" and {len(few) - len(shown)} more classes" if len(few) > len(shown) else ""
    return (
        f"no interval where a class has fewer than {LEAST_GROUPS} independent groups among the "
        f"scored crops ({named}{more}): {remedy}"
    )


def propose_folds(store: CropStore, split: Split) -> str:
    """Say in one line that folds would test more groups than one split does; empty where not.

    Args:
        store: That the split is of.
        split: Of a single training.
    """
    if split.by == "crop":
        return ""
    unit, k = unit_noun(store, split.by), len(split.classes)
    groups, labels = unit_index(store, split.by), class_index(store, split.classes)
    side = split.scored_rows
    tested = groups_of_classes(labels[side], groups[side], k)
    rows = np.sort(np.concatenate([split.train, split.validation, split.test]))
    there = groups_of_classes(labels[rows], groups[rows], k)
    few = [(n, of, name) for n, of, name in zip(tested, there, split.classes, strict=True)
           if n < LEAST_GROUPS]
    if not few:
        return ""
    n, of, name = min(few)
    said = f"only {n} of {of} {plural(unit)} of {name} test, too few for an interval"
    least = min(there)
    if least < LEAST_GROUPS:
        return f"{said}; intervals need {LEAST_GROUPS} or more {plural(unit)} of every class"
    return f"{said}; --folds {min(least, _MOST_FOLDS)} would test every {unit} once"
