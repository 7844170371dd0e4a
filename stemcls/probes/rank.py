"""Rank the backbones whose weights are here by what logistic regression makes of their features."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.config.experiment import ModelConfig, SplitConfig
from stemcls.errors import InputError
from stemcls.evaluation.metrics import compute_metrics
from stemcls.evaluation.predictions import Predictions
from stemcls.interruption import Interruption
from stemcls.models.backbones import backbone_named
from stemcls.models.build import build_extractor
from stemcls.models.inference import view_numbers
from stemcls.models.parallel import predict_batches
from stemcls.models.pooling import block_widths
from stemcls.models.weights.cache import weights_states
from stemcls.progress import Update, prefixed
from stemcls.store.cropstore import CropStore
from stemcls.store.splits import labelled_pool
from stemcls.training.featurecache import FeatureCache
from stemcls.training.features import cache_folder, make_bank
from stemcls.training.logistic import fit_logistic
from stemcls.training.memory import crop_reader, spare_memory_bytes

VIEWS = 4
# Crops that the speed of a network is measured on, after as many that warm it up.
TIMED = 64
# Width of a 95 % interval in standard errors.
_ERRORS = 2 * 1.96


@dataclass(frozen=True)
class Ranked:
    """One backbone on one store.

    Attributes:
        name: Of the backbone.
        alpha: Its width multiplier.
        weights: imagenet, or a file.
        score: Mean recall of rows whose groups the fit had not seen.
        score_ci: 95 %, resampling groups; None where groups are too few.
        seconds: What one view of all crops takes the network.
        parameters: Of what is below the head.
    """

    name: str
    alpha: float
    weights: str
    score: float
    score_ci: tuple[float, float] | None
    seconds: float
    parameters: int


class _Listener:
    def __init__(self, update: Update | None) -> None:
        self._update = update
        self.warnings: list[str] = []

    def progress(self, done: int, total: int, note: str) -> None:
        """Pass it on."""
        if self._update:
            self._update(done, total, note)

    def warn(self, message: str) -> None:
        """Keep it."""
        self.warnings.append(message)


def candidates(
    names: tuple[str, ...] = (), files: Mapping[str, str] | None = None
) -> list[ModelConfig]:
    """Return what can be ranked: each backbone and width whose weights are in a cache, or in files.

    Args:
        names: Only these backbones; empty: all.
        files: Backbone, or backbone:alpha -> weights file, besides those of the caches.
    Raises:
        InputError: An unknown backbone, or no weights at all.
    """
    found = [_of_file(name, file) for name, file in (files or {}).items()]
    for name in (*names, *(model.backbone for model in found)):
        backbone_named(name)
    given = {model.backbone for model in found}
    found += [
        ModelConfig(backbone=state.backbone, alpha=state.alpha)
        for state in weights_states()
        if state.state in ("ok", "unchecked") and (not names or state.backbone in names)
        and state.backbone not in given
    ]
    if not found:
        raise InputError(
            "no weights of a backbone are in the cache"
            + (f" for {', '.join(names)}" if names else "")
            + ": `stemcls weights list` says what there is and where to get it, `stemcls weights "
            "import FILE --backbone NAME` puts it there, and --file NAME=FILE ranks a file as it is"
        )
    return found


def _of_file(name: str, file: str) -> ModelConfig:
    backbone, _, alpha = name.partition(":")
    try:
        return ModelConfig(backbone=backbone, alpha=float(alpha or 1.0), weights=file)
    except ValueError:
        raise InputError(
            f"{name}: expected a backbone, or backbone:alpha as in MobileNet:0.25"
        ) from None


def rank(
    store: CropStore, models: list[ModelConfig], split: SplitConfig, seed: int, workspace: Path,
    interruption: Interruption, update: Update | None = None,
) -> Iterator[Ranked]:
    """Yield each backbone's score, in the order given.

    Args:
        store: Labelled crops.
        models: From `candidates`.
        split: Classes, and what is kept together.
        seed: Of the inner folds.
        workspace: Its saved_models/.features keeps the features for later runs.
        interruption: May stop it.
        update: Called as update(done, total, note).
    Raises:
        InputError: A class lives in a single group, so nothing can be left out.
    """
    rows, targets, unit, classes = labelled_pool(store, split)
    read, listener = crop_reader(store), _Listener(update)
    for number, config in enumerate(models, start=1):
        interruption.check()
        listener._update = prefixed(update, f"{number}/{len(models)} {config.backbone}")
        extractor = build_extractor(
            config, store.size_px, store.n_channels, float(np.iinfo(store.dtype).max)
        )
        cache = FeatureCache(cache_folder(workspace / "saved_models" / "rank"))
        views = len(view_numbers(store.size_px, VIEWS))
        bank = make_bank(
            extractor, config, store, read, rows, views, cache, listener, interruption
        )
        fit = fit_logistic(
            bank.averaged(rows, views, spare_memory_bytes()), targets, len(classes), unit,
            blocks=block_widths(extractor), seed=seed, check=interruption.check,
        )
        if fit.unseen is None:
            raise InputError(
                f"a class of {store.path} lives in a single group, so no fold can leave it out: "
                "add groups, or rank by crops with --split-by crop"
            )
        seen = fit.chosen
        metrics = compute_metrics(
            Predictions(rows[seen], targets[seen], fit.unseen, unit[seen], classes), seed=seed
        )
        ci = metrics["mean_recall_ci"]
        yield Ranked(
            config.backbone, config.alpha, config.weights, metrics["mean_recall"],
            None if ci is None else (float(ci[0]), float(ci[1])),
            _seconds(extractor, read(rows[:TIMED])) * len(rows) / min(TIMED, len(rows)),
            int(extractor.count_params()),
        )


def fastest_of_the_best(ranked: list[Ranked]) -> Ranked:
    """Return the fastest backbone that is within one standard error of the best.

    Source: the one-standard-error rule, Breiman et al. 1984, section 3.4.3.
    """
    best = max(ranked, key=lambda row: row.score)
    error = 0.0 if best.score_ci is None else (best.score_ci[1] - best.score_ci[0]) / _ERRORS
    near = [row for row in ranked if row.score >= best.score - error]
    return min(near, key=lambda row: row.seconds)


def _seconds(extractor: Any, crops: np.ndarray) -> float:
    predict_batches(extractor, crops, TIMED)
    begun = time.perf_counter()
    predict_batches(extractor, crops, TIMED)
    return time.perf_counter() - begun
