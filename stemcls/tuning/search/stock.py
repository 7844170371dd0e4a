"""KerasTuner's own Bayesian search, asked for one suggestion from a given history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from stemcls.tuning.search.history import Trial
from stemcls.tuning.space.space import SearchSpace


def by_keras_tuner(
    space: SearchSpace, trials: Sequence[Trial], number: int, seed: int, maximise: bool
) -> dict[str, Any] | None:
    """Return what stock `BayesianOptimizationOracle` suggests, repeats included.

    Its state is made anew from the history: a suggestion depends on nothing else. What it cannot
    use it does not see: failed trials. Loads Keras.
    """
    import keras_tuner

    declared = keras_tuner.HyperParameters()
    space.declare(declared)
    oracle = keras_tuner.oracles.BayesianOptimizationOracle(
        objective=keras_tuner.Objective("score", "max" if maximise else "min"),
        hyperparameters=declared, seed=seed + 1, max_trials=None,
    )
    # It draws from one stream for all trials; here each number has a stretch of its own.
    oracle._seed_state = (seed + 1) * 1_000_003 + number * 1_009
    oracle._random_state = np.random.RandomState([seed, number])
    for trial in trials:
        if not trial.lost and trial.state != "pending":
            _tell(oracle, trial, "COMPLETED")
    pending = [trial for trial in trials if trial.state == "pending"]
    if pending and oracle.trials:
        # It judges pending trials by the last fit.
        oracle.gpr.fit(*oracle._vectorize_trials())
    for trial in pending:
        oracle.ongoing_trials[str(trial.number)] = _tell(oracle, trial, "RUNNING")
    values = oracle.populate_space(str(number))["values"]
    return None if values is None else space.pruned(_plain(values))


def _tell(oracle: Any, trial: Trial, status: str) -> Any:
    from keras_tuner.engine.trial import Trial as Told

    hyperparameters = oracle.hyperparameters.copy()
    hyperparameters.values = dict(trial.values)
    told = Told(hyperparameters=hyperparameters, trial_id=str(trial.number), status=status)
    told.score = trial.score
    oracle.trials[told.trial_id] = told
    oracle._record_values(told)
    return told


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value.item() if isinstance(value, np.generic) else value
        for key, value in values.items()
    }
