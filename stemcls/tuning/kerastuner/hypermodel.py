"""Our networks and their training as a hypermodel of KerasTuner."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import keras
import keras_tuner
import numpy as np

from stemcls.config.experiment import Experiment, ModelConfig, StageConfig
from stemcls.errors import InputError
from stemcls.models.build import add_head
from stemcls.models.inference import predict
from stemcls.models.losses import make_loss
from stemcls.store.splits import make_split
from stemcls.store.verify import open_verified
from stemcls.training.compiling import compile_classifier
from stemcls.training.memory import crop_reader
from stemcls.training.optimizer import make_optimizer
from stemcls.training.plan import Job, extractor_for
from stemcls.training.schedule import PLATEAU_DIVISOR, rate_of
from stemcls.training.stages import LEAST_WATCHED, loaders
from stemcls.training.trainable import set_trainable
from stemcls.tuning.space.default import default_space
from stemcls.tuning.space.space import SearchSpace


class StemclsHyperModel(keras_tuner.HyperModel):
    """The classifier of an experiment, for the Tuner and the oracle of your choice.

    Training and validation crops are those of the experiment's split; its test crops are left
    alone. The objectives are `val_loss` and `val_accuracy`. Unlike `stemcls tune`, which trains
    heads on features computed once, every step here runs the whole network.

    Args:
        experiment: What trials have in common; its `store` is read.
        space: What differs between them; None: `default_space` of the experiment.
        settings: Of `keras_tuner.HyperModel`.
    Raises:
        InputError: The store cannot be used, the space does not fit the experiment, or a stage
            solves for its head.
    """

    def __init__(
        self, experiment: Experiment, space: SearchSpace | None = None, **settings: Any
    ) -> None:
        solved = [stage.name for stage in experiment.plan if stage.optimizer == "lbfgs"]
        if solved:
            raise InputError(
                f"stages.{solved[0]}.optimizer is lbfgs, but KerasTuner trains step by step: "
                "expected auto, adam, adamw or sgd, or `stemcls tune`, which solves for heads"
            )
        self._base = experiment
        self._space = space or default_space(experiment)
        self._space.check(experiment)
        self._store = open_verified(Path(experiment.store))
        self._split = make_split(self._store, experiment.split, experiment.seed)
        self._read = crop_reader(self._store)
        self._features: dict[ModelConfig, np.ndarray] = {}
        super().__init__(**settings)

    def build(self, hp: Any) -> Any:
        """Declare the space on `hp`; return the compiled model of the values that it has."""
        experiment = self.experiment(hp)
        job = self._job(experiment)
        keras.utils.set_random_seed(experiment.seed)
        extractor = extractor_for(job)
        model = add_head(
            extractor, experiment.model, len(self._split.classes),
            self._features_of(experiment, extractor), experiment.seed,
        )
        _compile(model, experiment.plan[0], experiment, len(self._split.classes))
        return model

    def fit(
        self, hp: Any, model: Any, *, callbacks: Sequence[Any] = (), epochs: int | None = None,
        initial_epoch: int = 0, **options: Any,
    ) -> Any:
        """Train the model stage by stage, on crops; the best epoch's weights are kept.

        Unlike in `fit_stage` a later stage is kept whether or not it gained more than chance: the
        Tuner takes score and weights from the epochs themselves.

        Args:
            hp: Those that the model was built from.
            model: From `build`.
            callbacks: Of the Tuner.
            epochs, initial_epoch: Of the last stage, as Hyperband sets them; one that begins later
                than 0 goes on with weights that were loaded, so the stages before are not run.
            options: Of `keras.Model.fit`.
        Returns: the keras.callbacks.History of the last stage.
        """
        experiment = self.experiment(hp)
        history = None
        plan = experiment.plan
        for number, stage in enumerate(plan):
            last = number == len(plan) - 1
            if initial_epoch and not last:
                continue
            _compile(model, stage, experiment, len(self._split.classes))
            history = self._fit_stage(
                model, experiment, stage, number, callbacks,
                (initial_epoch, epochs or stage.epochs) if last else (0, stage.epochs), options,
            )
        return history

    def experiment(self, hp: Any) -> Experiment:
        """Return the experiment of the values that `hp` has, for `stemcls train --config`."""
        return self._space.experiment(self._base, self._space.declare(hp))

    def _fit_stage(
        self, model: Any, experiment: Experiment, stage: StageConfig, number: int,
        callbacks: Sequence[Any], epochs: tuple[int, int], options: dict[str, Any],
    ) -> Any:
        job = self._job(experiment)
        with loaders(
            (
                self._read, job.training_samples(), stage.batch_size, (experiment.seed, number),
                experiment.balance, experiment.augment, epochs[0],
            ),
            (self._read, job.validation_samples(), max(stage.batch_size, LEAST_WATCHED)),
        ) as (batches, watched):
            return model.fit(
                batches, steps_per_epoch=batches.steps_per_epoch, validation_data=watched,
                shuffle=False, initial_epoch=epochs[0], epochs=epochs[1],
                callbacks=[*callbacks, *_callbacks(stage)],
                **{"verbose": 0, **options},
            )

    def _job(self, experiment: Experiment) -> Job:
        # There is no run here, and what is asked of the job needs none.
        return Job(experiment, self._store, self._split, cast(Any, None), self._read)

    def _features_of(self, experiment: Experiment, extractor: Any) -> np.ndarray | None:
        """Return what scales the head's inputs, computed once for each way to extract features."""
        if not experiment.pretrained:
            return None
        head = ModelConfig()
        key = dataclasses.replace(
            experiment.model, dense=head.dense, dropout=head.dropout, l2=head.l2
        )
        if key not in self._features:
            self._features[key] = predict(extractor, self._read, self._split.train)
        return self._features[key]


def _compile(model: Any, stage: StageConfig, experiment: Experiment, n_classes: int) -> None:
    backbone = set_trainable(model, stage, experiment.pretrained)
    loss = make_loss(experiment.model, n_classes)
    compile_classifier(model, make_optimizer(stage, backbone), loss)


def _callbacks(stage: StageConfig) -> list[Any]:
    found = [
        keras.callbacks.EarlyStopping(
            monitor="val_loss", patience=stage.patience, restore_best_weights=True
        ),
    ]
    if stage.schedule == "plateau":
        found.append(keras.callbacks.ReduceLROnPlateau(
            factor=1.0 / PLATEAU_DIVISOR, patience=-(-stage.patience // 2), min_delta=0.0
        ))
    else:
        found.append(keras.callbacks.LearningRateScheduler(lambda epoch: rate_of(stage, epoch)))
    return found
