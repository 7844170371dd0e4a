"""Solve for the head on a frozen backbone, and for the linear baseline without any network."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from stemcls.config.experiment import StageConfig
from stemcls.evaluation.metrics import compute_metrics
from stemcls.evaluation.predictions import Predictions
from stemcls.evaluation.runfiles import predictions_of
from stemcls.models.build import extractor_of_model
from stemcls.models.pooling import block_widths
from stemcls.training.featurecache import FeatureCache
from stemcls.training.features import FeatureBank, cache_folder
from stemcls.training.logistic import LinearHead, LogisticFit, fit_logistic
from stemcls.training.memory import spare_memory_bytes
from stemcls.training.sampling import class_weights
from stemcls.training.simple import store_features
from stemcls.training.trainable import FIXED

if TYPE_CHECKING:
    from stemcls.training.plan import Job

BASELINE = "simple features (brightness, texture, rings) and logistic regression, no network"
BASELINE_KEYS = ("accuracy", "mean_recall", "auroc")
_SIMPLE_VERSION = 1


@dataclass(frozen=True, eq=False)
class Solved:
    """A head that was solved for.

    Attributes:
        fit: The head, its strength, and what the inner folds said.
        rows: Rows of the store that it was fitted to.
        loss: Class-weighted loss of the validation crops where they were left out, else the loss of
            rows that inner folds left out.
    """

    fit: LogisticFit
    rows: np.ndarray
    loss: float

    def unseen(self, job: Job) -> Predictions | None:
        """Return what was said of each row by a head that had not seen it."""
        if self.fit.unseen is None:
            return None
        return predictions_of(
            job.store, job.split, self.rows[self.fit.chosen], self.fit.unseen
        )


def rows_to_fit(job: Job, last: bool) -> np.ndarray:
    """Return the rows that a head is solved on.

    Args:
        job: Of the run.
        last: No later stage needs the validation crops: then they are fitted to as well, unless
            they are what scores the run.
    """
    split = job.split
    if last and len(split.test):
        return np.sort(np.concatenate([split.train, split.validation]))
    return split.train


def solve_stage(job: Job, model: Any, stage: StageConfig, bank: FeatureBank, last: bool) -> Solved:
    """Solve for the head of `model`, in place; journal it as a stage of one epoch.

    Args:
        job: Of the run.
        model: From `add_head`, one dense layer.
        stage: Its `views` are averaged ahead of the head.
        bank: Features of all rows of the split.
        last: As for `rows_to_fit`.
    """
    journal, split, store = job.context.journal, job.split, job.store
    journal.stage(stage.name, 1)
    begun = time.monotonic()
    rows = rows_to_fit(job, last)
    targets, k = split.targets(store, rows), len(split.classes)
    views = min(job.n_views(stage.views), len(bank.views))
    features = bank.averaged(rows, views, spare_memory_bytes())
    balanced = job.experiment.balance != "none"
    fit = fit_logistic(
        features, targets, k, split.units_of(store, rows),
        blocks=block_widths(extractor_of_model(model)), balanced=balanced,
        seed=job.experiment.seed, check=job.context.interruption.check,
    )
    set_head(model, fit.head)
    found = fit.head.probabilities(np.asarray(features[: len(features)]))
    values = {"loss": _loss(found, targets, balanced)}
    if len(rows) == len(split.train):
        watched = split.targets(store, split.validation)
        loss = _loss(fit.head.probabilities(bank.read(split.validation, 0)), watched, balanced)
    else:
        loss = fit.losses.get(fit.strength, values["loss"])
    values |= {
        "accuracy": float((found.argmax(axis=1) == targets).mean()), "val_loss": loss,
        "seconds": round(time.monotonic() - begun, 3),
    }
    journal.epoch(stage.name, 1, 1, values)
    journal.log(f"{stage.name}: {_told(fit, len(rows), views)}")
    return Solved(fit, rows, loss)


def set_head(model: Any, head: LinearHead) -> None:
    """Put a head into a model whose head is one dense layer, with feature scaling or without."""
    kernel, bias = head.kernel, head.bias
    scale = np.where(np.isfinite(head.scale), head.scale, 1.0).astype(np.float32)
    if FIXED in {layer.name for layer in model.layers}:
        scaling = model.get_layer(FIXED)
        variance = np.maximum(scale**2 - scaling.epsilon, 0.0)
        scaling.set_weights([head.mean, variance])
        kernel = kernel * (np.sqrt(variance + scaling.epsilon) / scale)[:, None]
    else:
        kernel = kernel / scale[:, None]
        bias = bias - head.mean @ kernel
    model.get_layer("logits").set_weights([kernel, bias])


def linear_baseline(job: Job) -> dict[str, Any]:
    """Score logistic regression on simple features, on the split of the run.

    Returns: `name`, and of `BASELINE_KEYS` what `compute_metrics` gives on the rows that score the
        run; `probabilities` of these rows.
    """
    split, store, context = job.split, job.store, job.context
    rows = np.sort(split.rows if job.feature_rows is None else job.feature_rows)
    digest = hashlib.sha256(f"{store.content_hash}{_SIMPLE_VERSION}".encode())
    digest.update(rows.tobytes())
    width = store_features(store, rows[:1]).shape[1]
    values = FeatureCache(cache_folder(context.journal.run.path)).view(
        f"{store.path.stem}-simple-{digest.hexdigest()[:16]}",
        {"store": store.content_hash, "features": "simple"}, 0, (len(rows), width),
        lambda: iter([store_features(store, rows, None, context.interruption.check)]),
        context.interruption.check, context.journal.warn,
    )
    bank = FeatureBank(rows, (values,))
    known = rows_to_fit(job, last=True)
    fit = fit_logistic(
        bank.read(known, 0), split.targets(store, known), len(split.classes),
        split.units_of(store, known), blocks=[width],
        balanced=job.experiment.balance != "none", seed=job.experiment.seed,
        check=context.interruption.check,
    )
    found = fit.head.probabilities(bank.read(split.scored_rows, 0))
    scored = predictions_of(store, split, split.scored_rows, found)
    metrics = compute_metrics(scored, resamples=0)
    return {"name": BASELINE, **{key: metrics[key] for key in BASELINE_KEYS}}


def _loss(probabilities: np.ndarray, targets: np.ndarray, balanced: bool) -> float:
    right = np.maximum(probabilities[np.arange(len(targets)), targets], 1e-7)
    weights = class_weights(targets, "class-weights" if balanced else "none")
    return float((-np.log(right) * weights).mean())


def _told(fit: LogisticFit, rows: int, views: int) -> str:
    said = f"solved for {rows} crops, {views} views averaged, strength {fit.strength:g}"
    if not fit.losses:
        return (
            f"{said}, which could not be chosen: a class lives in a single group, so no inner "
            "fold can leave one out"
        )
    tried = ", ".join(f"{strength:g}: {loss:.3f}" for strength, loss in fit.losses.items())
    return f"{said}; loss of crops that inner folds left out by strength: {tried}"
