"""Match the labels of a store that a model has never seen with the classes that it knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.config.options import read_toml
from stemcls.errors import InputError, check_known, nearest
from stemcls.evaluation.metrics import CALIBRATION, HEADLINE, compute_metrics
from stemcls.evaluation.predictions import Predictions
from stemcls.store.classes import places_among
from stemcls.store.cropstore import CropStore
from stemcls.store.names import normal_name
from stemcls.store.tables import read_table


@dataclass(frozen=True, eq=False)
class Matched:
    """Crops of a store whose labels a model knows.

    Attributes:
        rows: (n,) int64, rows of the store.
        labels: (n,) int64, classes of the model.
        left_out: Why crops are not scored, and how many for each reason.
        missing: Classes of the model without a crop.
    """

    rows: np.ndarray
    labels: np.ndarray
    left_out: dict[str, int]
    missing: tuple[str, ...]


def read_label_map(path: Path) -> dict[str, str]:
    """Read which class of the model each label of a store is; "" leaves a label out.

    Args:
        path: TOML file of lines `"name in the store" = "class of the model"`; or, with another
            suffix than .toml, a table with the columns label and class.
    Raises:
        InputError: No such file, or something else in it, or a label that is there twice.
    """
    if path.suffix.lower() != ".toml":
        return _label_table(path)
    found = read_toml(path)
    for name, target in found.items():
        if not isinstance(target, str):
            raise InputError(
                f"{path}: expected lines of \"name in the store\" = \"class of the model\", found "
                f"{name} = {target!r}"
            )
    return {normal_name(name): normal_name(target) for name, target in found.items()}


def _label_table(path: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    table = read_table(path, ("label", "class"))
    for line, row in table:
        name = normal_name(row["label"])
        if not name:
            raise InputError(f"{table.path} line {line}: the label is empty")
        if name in found:
            raise InputError(f"{table.path} line {line}: {name!r} is there twice; keep one line")
        found[name] = normal_name(row["class"])
    return found


def match_labels(
    store: CropStore, classes: tuple[str, ...], label_map: Mapping[str, str] | None = None
) -> Matched:
    """Find the crops whose label is a class of the model, by name or as `label_map` says.

    Raises:
        InputError: The map names what is not there, or no crop is left.
    """
    label_map = dict(label_map or {})
    for name, target in label_map.items():
        check_known(
            name, store.classes,
            f"the label map names {name!r}, but {store.path} has no such class",
        )
        if target:
            check_known(
                target, classes,
                f"the label map turns {name!r} into {target!r}, but the model has no such class",
            )
    names = [label_map.get(name, name) for name in store.classes]
    place = places_among(names, classes)
    labels = place[store.labels]
    left_out = {
        f"class {name}" + ("" if label_map.get(name) == "" else _hint(name, classes)): n
        for number, name in enumerate(store.classes)
        if place[number] < 0 and (n := int((store.labels == number).sum()))
    }
    if n_unlabelled := int((store.labels < 0).sum()):
        left_out["no label"] = n_unlabelled
    rows = np.flatnonzero(labels >= 0)
    if not (store.labels >= 0).any():
        raise InputError(
            f"{store.path} has no labelled crop, so nothing can be scored; `stemcls populations` "
            "describes unlabelled samples"
        )
    if not len(rows):
        raise InputError(
            f"{store.path} has no crop of the model's classes ({', '.join(classes)}); its classes: "
            f"{', '.join(store.classes)}. Where names differ, say so "
            "in a file of lines \"its name\" = \"our name\" and give it as --label-map"
        )
    counts = np.bincount(labels[rows], minlength=len(classes))
    missing = tuple(name for name, n in zip(classes, counts.tolist(), strict=True) if not n)
    return Matched(rows, labels[rows], left_out, missing)


def beside_internal(
    internal: Predictions, missing: tuple[str, ...], seed: int = 0
) -> dict[str, Any]:
    """Score the run's own test crops of the classes that an external store has.

    An external set without a class must not be compared with an internal one that has it.

    Args:
        internal: Predictions of the run's own test split.
        missing: Classes to leave out.
        seed: Of the resampling.
    Returns: `n`, `n_groups`, and the headline and calibration numbers with intervals; empty where
        none of its crops is left.
    """
    kept = np.array([name not in missing for name in internal.classes])[internal.labels]
    if not kept.any():
        return {}
    metrics = compute_metrics(internal.take(np.flatnonzero(kept)), seed=seed)
    keys = ("n", "n_groups", *(f for key in (*HEADLINE, *CALIBRATION) for f in (key, f"{key}_ci")))
    return {key: metrics[key] for key in keys}


def _hint(name: str, classes: tuple[str, ...]) -> str:
    told = nearest(name, classes)
    return f" (the model has none of that name{told})" if "did you mean" in told else ""
