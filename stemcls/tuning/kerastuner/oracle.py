"""Our search as an oracle of KerasTuner, for any search space that is written for it."""

from __future__ import annotations

import math
from typing import Any

import keras_tuner

from stemcls.errors import InputError
from stemcls.tuning.search.history import Trial
from stemcls.tuning.search.suggest import suggest
from stemcls.tuning.space.dimensions import Condition, Dimension
from stemcls.tuning.space.space import SearchSpace


class ExpectedImprovementOracle(keras_tuner.oracles.BayesianOptimizationOracle):
    """Expected improvement, where KerasTuner's own has a confidence bound.

    It knows conditions and names, suggests no setting twice, counts failed trials and scores that
    are not finite as the worst, and depends on its seed (0 included) and its trials alone: an
    oracle that is loaded again goes on as if it had never stopped. Trial 0 has all defaults.

    Args:
        objective: As of every KerasTuner oracle.
        max_trials: How many at most.
        seed: Of the search.
        folds: A trial reports each of its folds as one step of `update_trial`; its score is their
            mean, and their spread tells how sure that is.
        settings: Of `keras_tuner.Oracle`: hyperparameters, allow_new_entries, ...
    """

    def __init__(
        self,
        objective: Any = None,
        max_trials: int = 10,
        seed: int | None = None,
        folds: bool = False,
        **settings: Any,
    ) -> None:
        super().__init__(objective=objective, max_trials=max_trials, seed=seed, **settings)
        if seed is not None:
            # KerasTuner takes 0 for none.
            self.seed = seed
        self._folds = folds

    def populate_space(self, trial_id: str) -> dict[str, Any]:  # noqa: ARG002 - theirs
        """Return the values of the next trial; KerasTuner calls it."""
        space = translate(self.hyperparameters)
        trials = [
            self._as_trial(number, self.trials[name], space)
            for number, name in enumerate(self.start_order)
        ]
        values = suggest(
            space, trials, len(trials), self.seed, "ei", self.objective.direction == "max"
        )
        return {"status": "STOPPED" if values is None else "RUNNING", "values": values}

    def reload(self) -> None:
        """Load the trials of an earlier process; only those that had not ended are run again.

        KerasTuner writes its state a moment before it strikes the trial that just ended.
        """
        super().reload()
        self._retry_queue: list[str] = [
            name for name in self._retry_queue
            if self.trials[name].status not in ("COMPLETED", "FAILED")
        ]

    def score_trial(self, trial: Any) -> None:
        """Score a completed trial: its best step, or the mean of its folds."""
        super().score_trial(trial)
        if self._folds:
            scores = self._scores(trial)
            trial.score = math.fsum(scores) / len(scores)

    def _as_trial(self, number: int, trial: Any, space: SearchSpace) -> Trial:
        states = {"COMPLETED": "finished", "FAILED": "failed", "INVALID": "failed"}
        state = states.get(trial.status, "pending")
        scores: tuple[float, ...] = ()
        if state == "finished":
            scores = self._scores(trial) if self._folds else (trial.score,)
        values = trial.hyperparameters.values
        # What was declared after the trial had its default there.
        known = {d.key: values.get(d.key, d.default) for d in space.dimensions}
        return Trial(number, space.pruned(known), state, scores)

    def _scores(self, trial: Any) -> tuple[float, ...]:
        history = trial.metrics.get_history(self.objective.name)
        return tuple(float(observed.mean()) for observed in history)


def translate(hyperparameters: Any) -> SearchSpace:
    """Return the space that a keras_tuner.HyperParameters declares.

    What can never be active is left out.

    Raises:
        InputError: A condition is on a number that takes any value, or a name comes twice, whose
            values KerasTuner mixes up.
    """
    found: dict[str, Dimension] = {}
    for entry in hyperparameters.space:
        if entry.name in found:
            raise InputError(
                f"{entry.name} is declared twice, under different conditions; KerasTuner mixes up "
                "the values of such a name: give each a name of its own"
            )
        if not entry.conditions:
            found[entry.name] = _dimension(entry, None)
            continue
        # The innermost one: its parent is active only where the outer ones hold.
        parent = found.get(entry.conditions[-1].name)
        values = tuple(v for v in entry.conditions[-1].values if parent and parent.holds(v))
        if parent and values:
            found[entry.name] = _dimension(entry, Condition(parent.key, values))
    return SearchSpace(tuple(found.values()))


def _dimension(entry: Any, when: Condition | None) -> Dimension:
    kind = type(entry).__name__
    if kind == "Boolean":
        return Dimension(key=entry.name, kind="boolean", default=entry.default, when=when)
    if kind in ("Choice", "Fixed"):
        choices = tuple(entry.values) if kind == "Choice" else (entry.value,)
        return Dimension(
            key=entry.name, kind="choice", choices=choices, default=entry.default, when=when
        )
    return Dimension(
        key=entry.name, kind=kind.lower(), low=entry.min_value, high=entry.max_value,
        step=entry.step, log=entry.sampling == "log", default=entry.default, when=when,
    )
