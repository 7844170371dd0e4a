"""A learning curve of a store: split it once, describe its crops, measure, draw and write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from stemcls import atomic
from stemcls.config.experiment import SplitConfig
from stemcls.config.options import to_mapping
from stemcls.config.probes import CurveConfig
from stemcls.errors import InputError
from stemcls.evaluation.intervals import percentile_interval
from stemcls.interruption import Interruption
from stemcls.probes.curve import (
    Branch,
    Extrapolation,
    Material,
    advice,
    extrapolate,
    measure_branch,
    points_of,
)
from stemcls.probes.draws import BY
from stemcls.progress import Update
from stemcls.store.cropstore import CropStore
from stemcls.store.splits import Split, make_split
from stemcls.store.units import group_nouns, unit_index
from stemcls.training.simple import store_features

METRIC_WORDS = {
    "mean_recall": "mean recall", "accuracy": "accuracy", "auroc": "AUROC", "f1_macro": "macro F1",
}


def learning_curve(
    store: CropStore, config: CurveConfig, workspace: Path, interruption: Interruption,
    update: Update | None = None,
) -> tuple[dict[str, Any], dict[str, tuple[Branch, Extrapolation]]]:
    """Measure the learning curve of a store by cells and by groups.

    Args:
        store: Labelled crops.
        config: Settings.
        workspace: Its saved_models/.features keeps features of backbones.
        interruption: May stop it.
        update: Called as update(done, total, note).
    Returns: `points`, `fit` and `at_double` (each by cells and groups), `advice`, `missing`, ...
        and what they were made from.
    Raises:
        InputError: The store cannot be split, or weights cannot be had.
        CancelledError: It was asked to stop.
    """
    split = make_split(
        store, SplitConfig(validation=config.held_out, test=0.0, classes=config.classes),
        config.seed,
    )
    material = _material(store, split, config, workspace, interruption, update)
    found: dict[str, tuple[Branch, Extrapolation]] = {}
    missing: dict[str, str] = {}
    for number, by in enumerate(BY):
        if update is not None:
            update(number, len(BY), f"by {by}")
        branch = measure_branch(
            by, material, config.fractions, config.repeats, config.metric, config.seed,
            interruption.check,
        )
        if isinstance(branch, str):
            missing[by] = branch
            continue
        found[by] = (branch, extrapolate(branch, config.resamples, config.seed))
    if not found:
        raise InputError(f"{store.path} is too small for a learning curve: {missing}")
    nouns = group_nouns(store)
    doubled = {
        by: extrapolation.to_document(float(branch.sizes[-1]), by)
        for by, (branch, extrapolation) in found.items()
    }
    words = METRIC_WORDS[config.metric]
    document = {
        "store": str(store.path), "store_hash": store.content_hash, "metric": config.metric,
        "classes": material.classes,
        "train": {"cells": len(split.train), "groups": len(np.unique(material.group))},
        "validation": {
            "cells": len(split.validation), "groups": len(np.unique(material.held_group)),
        },
        "groups": nouns,
        "points": [point for branch, _ in found.values() for point in points_of(branch)],
        "fit": {by: _fit_document(one) for by, (_, one) in found.items()},
        "at_double": doubled,
        "advice": advice(doubled, nouns, words),
        "missing": missing,
        "settings": to_mapping(config),
    }
    return document, found


def write_curve(
    out: Path, document: dict[str, Any], found: dict[str, tuple[Branch, Extrapolation]]
) -> list[Path]:
    """Write curve.json and the figure to a folder that is made for them.

    Raises:
        InputError: The folder exists.
    """
    from stemcls.evaluation.figures import write_figure
    from stemcls.probes.curvefigure import draw_curve

    atomic.check_new(out)
    with atomic.new_folder(out) as temporary:
        figure = draw_curve(document, {by: one for by, (_, one) in found.items()})
        files = write_figure(figure, temporary / "curve")
        atomic.write_json(temporary / "curve.json", document)
    return [*atomic.moved(files, temporary, out), out / "curve.json"]


def _material(
    store: CropStore, split: Split, config: CurveConfig, workspace: Path,
    interruption: Interruption, update: Update | None,
) -> Material:
    rows = np.sort(np.concatenate([split.train, split.validation]))
    if config.features == "simple":
        features = store_features(store, rows, None, interruption.check)
    else:
        from stemcls.probes.frozen import frozen_features

        features = frozen_features(store, rows, config.model, workspace, interruption, update)
    unit = unit_index(store, "field" if split.by == "field" else "group")
    train, held = np.searchsorted(rows, split.train), np.searchsorted(rows, split.validation)
    return Material(
        features[train], split.targets(store, split.train), unit[split.train],
        features[held], split.targets(store, split.validation), unit[split.validation],
        split.classes,
    )


def _fit_document(found: Extrapolation) -> dict[str, Any]:
    law, laws = found.law, found.laws
    document: dict[str, Any] = {
        "form": "score(n) = ceiling - amount * (n / unit) ** -exponent", "unit": law.unit
    }
    for key in ("ceiling", "amount", "exponent"):
        document[key] = float(getattr(law, key)[0])
        document[f"{key}_interval"] = percentile_interval(getattr(laws, key))
    return document
