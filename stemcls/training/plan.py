"""Run the stages of an experiment one after another, or go on where they were interrupted."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import keras
import numpy as np

from stemcls import atomic
from stemcls.config.experiment import Experiment, ModelConfig, StageConfig
from stemcls.evaluation.evaluation import Evaluation, evaluate_predictions
from stemcls.evaluation.predictions import Predictions
from stemcls.evaluation.runfiles import predictions_of
from stemcls.models.build import (
    add_head,
    build_extractor,
    extractor_of_model,
    head_of,
    resizing_note,
)
from stemcls.models.inference import SOLVED, predict, view_numbers
from stemcls.models.parallel import predict_batches
from stemcls.models.precision import computes_exactly
from stemcls.store.cropstore import CropStore
from stemcls.store.splits import Split
from stemcls.training.batches import Samples
from stemcls.training.exact import solve_stage
from stemcls.training.featurecache import FeatureCache
from stemcls.training.features import FeatureBank, affordable_views, cache_folder, make_bank
from stemcls.training.memory import spare_memory_bytes
from stemcls.training.sampling import class_weights
from stemcls.training.stages import Context, crop_data, feature_data, fit_stage

HEAD_BATCH = 1024


@dataclass(frozen=True, eq=False)
class Job:
    """What the steps of one run share.

    Attributes:
        experiment, store, split, context: Of the run.
        read: Reads rows of the store to crops.
        score_last: Score the last stage as those before it, for a run whose model is not kept.
        feature_rows: Rows whose features are kept together, so that other runs find them; None: all
            rows of the split.
    """

    experiment: Experiment
    store: CropStore
    split: Split
    context: Context
    read: Callable[[np.ndarray], np.ndarray]
    score_last: bool = False
    feature_rows: np.ndarray | None = None

    def n_views(self, asked: int) -> int:
        """Return how many flips and quarter turns `asked` comes to with crops of this shape."""
        return len(view_numbers(self.store.size_px, asked))

    def training_samples(self) -> Samples:
        """Return the training crops; weighted where they are not drawn to a balance."""
        targets = self.split.targets(self.store, self.split.train)
        by_class = self.experiment.balance == "class-weights"
        weights = class_weights(targets, "class-weights" if by_class else "none")
        return Samples(self.split.train, targets, weights)

    def validation_samples(self) -> Samples:
        """Return the crops that early stopping watches, weighted unless balance is none."""
        targets = self.split.targets(self.store, self.split.validation)
        return Samples(
            self.split.validation, targets, class_weights(targets, self.experiment.balance),
            self.split.units_of(self.store, self.split.validation),
        )

    def evaluate(self, probabilities: np.ndarray) -> Evaluation:
        """Return the metrics of probabilities of the test rows."""
        return evaluate_predictions(
            predictions_of(self.store, self.split, self.split.scored_rows, probabilities),
            seed=self.experiment.seed,
        )


def extractor_for(job: Job) -> Any:
    """Return the part below the head, as `build_extractor` does, for the crops of the job."""
    return extractor_of_store(job.experiment.model, job.store)


def extractor_of_store(model: ModelConfig, store: CropStore) -> Any:
    """Return the part below the head, as `build_extractor` does, for the crops of a store."""
    white = float(np.iinfo(store.dtype).max)
    return build_extractor(model, store.size_px, store.n_channels, white)


@dataclass(frozen=True, eq=False)
class Trained:
    """What `run_stages` leaves.

    Attributes:
        model: Whole, trained.
        stages: The test metrics after each stage; of the last one where `job.score_last`.
        evaluation: Of the last stage, where its features were at hand; None where the network must
            be run.
        unseen: What heads that had not seen them said of the crops that were trained on, None where
            no head was solved for.
    """

    model: Any
    stages: dict[str, Any]
    evaluation: Evaluation | None = None
    unseen: Predictions | None = None


def run_stages(job: Job, extractor: Any = None, start: Any = None) -> Trained:
    """Run the stages.

    Args:
        job: What they share.
        extractor: From `extractor_for`; None builds one.
        start: A whole model to go on from, trained in place; None puts a new head on the extractor.
    """
    experiment, context = job.experiment, job.context
    plan = experiment.plan
    kept = context.checkpoint.read()
    begun = 0
    if kept:
        context.journal.restore(kept["history"])
        begun = [stage.name for stage in plan].index(kept["stage"])
    note = resizing_note(experiment.model, job.store.size_px)
    if note:
        context.journal.log(note)
    if start is not None:
        model, extractor = start, extractor_of_model(start)
        banks = _Banks(job, extractor)
    else:
        extractor = extractor or extractor_for(job)
        banks = _Banks(job, extractor)
        solved = experiment.is_exact(plan[0])
        # What is solved for brings no penalty or dropout to the stages behind it.
        head = replace(experiment.model, dropout=0.0, l2=0.0) if solved else experiment.model
        model = add_head(
            extractor, head, len(job.split.classes),
            _features_to_scale(job, extractor, banks, filled=solved or kept is not None),
            experiment.seed,
        )
    folder = context.journal.run.path / "evaluation"
    # A run that was stopped in the stage behind the solved head finds its loss in the checkpoint.
    solved_loss = kept["found_loss"] if kept and experiment.is_exact(plan[begun - 1]) else None
    stages = (context.journal.run.read_json("evaluation/stages.json") or {}) if kept else {}
    best, found, evaluation = math.inf, None, None
    for number, stage in enumerate(plan[begun:], start=begun):
        changed = start is not None or any(s.trainable != "none" for s in plan[:number])
        last = stage is plan[-1]
        if experiment.is_exact(stage):
            found = solve_stage(job, model, stage, _bank(job, stage, banks, changed), last)
            best = solved_loss = found.loss
        else:
            best = _fit(job, model, stage, number, banks, changed, best)
        cheap = last and stage.trainable == "none" and computes_exactly()
        if job.score_last or not last or cheap:
            by_hand = None
            if found is not None and experiment.is_exact(stage):
                by_hand = found.fit.head.probabilities
            evaluation = _score(job, model, stage, banks, changed, by_hand)
        if evaluation is not None and (job.score_last or not last):
            stages[stage.name] = evaluation.metrics
            folder.mkdir(exist_ok=True)
            atomic.write_json(folder / "stages.json", stages)
        evaluation = evaluation if last else None
    if not experiment.is_exact(plan[-1]) and not job.score_last:
        found = None
        if solved_loss is not None and best == solved_loss:
            # No later stage changed anything, so the validation crops are free to be learned from.
            stage = next(stage for stage in reversed(plan) if experiment.is_exact(stage))
            bank = _bank(job, stage, banks, start is not None)
            found, evaluation = solve_stage(job, model, stage, bank, last=True), None
    if found is None:
        return Trained(model, stages, evaluation)
    return Trained(solved_model(model), stages, evaluation, found.unseen(job))


def solved_model(model: Any) -> Any:
    """Return the model under the name by which `predict` knows a head that was solved for."""
    return keras.Model(model.input, model.output, name=SOLVED)


def _bank(job: Job, stage: StageConfig, banks: _Banks, changed: bool) -> FeatureBank:
    """Return features of the views that a stage learns from, and of those that score it."""
    wanted = max(job.n_views(stage.views), job.n_views(job.experiment.test_views))
    return banks.get(wanted, changed)


def _fit(
    job: Job, model: Any, stage: StageConfig, number: int, banks: _Banks, changed: bool,
    best: float,
) -> float:
    context = job.context
    train, validation = job.training_samples(), job.validation_samples()
    if stage.trainable != "none":
        data = crop_data(job.read, train, validation, job.experiment.augment)
        return fit_stage(model, stage, number, data, context, best)
    if changed:
        # Its checkpoints hold the head alone, but the backbone is not that of the weights file.
        kept = context.checkpoint.read()
        if kept and kept["stage"] == stage.name:
            context.checkpoint.restore_base(stage.name, model)
        else:
            context.checkpoint.save_base(stage.name, model)
    bank = _bank(job, stage, banks, changed)
    views = min(job.n_views(stage.views), len(bank.views))
    data = feature_data(bank, train, validation, views, spare_memory_bytes())
    return fit_stage(model, stage, number, data, context, best)


def _score(
    job: Job, model: Any, stage: StageConfig, banks: _Banks, changed: bool,
    solved: Callable[[np.ndarray], np.ndarray] | None,
) -> Evaluation:
    views = job.experiment.test_views
    if stage.trainable != "none":
        return job.evaluate(predict(model, job.read, job.split.scored_rows, views=views))
    views = job.n_views(views)
    bank, rows = _bank(job, stage, banks, changed), job.split.scored_rows
    if len(bank.views) < views:
        found = solved_model(model) if solved else model
        return job.evaluate(predict(found, job.read, rows, views=views))
    if solved:
        return job.evaluate(solved(bank.averaged(rows, views, math.inf)[:]))
    head = partial(predict_batches, head_of(model), batch_size=HEAD_BATCH)
    outputs = [head(bank.read(rows, view)) for view in range(views)]
    return job.evaluate(np.mean(outputs, axis=0))


def _features_to_scale(
    job: Job, extractor: Any, banks: _Banks, filled: bool
) -> np.ndarray | None:
    if not job.experiment.pretrained:
        return None
    if filled:
        # The weights come from the checkpoint, or are solved for; only their shape matters here.
        return np.zeros((1, extractor.output_shape[-1]), dtype=np.float32)
    return banks.get(1, changed=False).read(job.split.train, 0)


class _Banks:
    """Features of all crops of the run: on disk for the first backbone, in memory for a later."""

    def __init__(self, job: Job, extractor: Any) -> None:
        self._job, self._extractor = job, extractor
        self._latest: tuple[bool, int, FeatureBank] | None = None

    def get(self, views: int, changed: bool) -> FeatureBank:
        """Return at least `views` views; `changed`: an earlier stage has moved the backbone."""
        if self._latest and self._latest[:2] == (changed, views):
            return self._latest[2]
        job, context = self._job, self._job.context
        place = cache_folder(context.journal.run.path)
        folder = None if changed else place
        rows = job.feature_rows
        if rows is None:
            rows = job.split.rows
        shape = (len(rows), int(self._extractor.output_shape[-1]))
        asked, views = views, affordable_views(shape, views, place)
        if views < asked:
            context.journal.warn(
                f"features of {asked} views of {len(rows)} crops do not fit on the disk of "
                f"{place}: {views} are kept"
            )
        bank = make_bank(
            self._extractor, job.experiment.model, job.store, job.read, rows, views,
            FeatureCache(folder), context.journal, context.interruption,
        )
        self._latest = (changed, asked, bank)
        return bank
