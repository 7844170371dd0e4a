"""Measure our search beside stock KerasTuner and random search, on functions with known minima."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from stemcls.bench.measure import result
from stemcls.bench.objectives import OBJECTIVES, Objective
from stemcls.models.backend import installed_backends
from stemcls.tuning.search.history import Trial
from stemcls.tuning.search.suggest import suggest

SEEDS = 10
TRIALS = 36
# Half of stock's trials, or fewer.
TARGET = 2.0
LONG, LONGEST_SECONDS, ROUNDS = 80, 1.0, 3
Run = dict[str, Any]


def stock_trials(data: Path, seeds: int = SEEDS) -> list[dict[str, Any]]:  # noqa: ARG001
    """Count the trials after which our search is as good as stock KerasTuner's after 36.

    Stock takes seconds to a minute a suggestion: minutes for each seed of each objective.

    Returns: `tune-<objective>`: median over the seeds of the trials of each.
    """
    return [
        row_of(name, _runs("ei", name, seeds), _runs("stock", name, seeds)) for name in OBJECTIVES
    ]


def random_trials(data: Path, seeds: int = SEEDS) -> list[dict[str, Any]]:  # noqa: ARG001
    """Compare what our search has found after 36 trials with what as many random ones have.

    Returns: `tune-random-<objective>`: median over the seeds of how far above the minimum.
    """
    rows = []
    for name, objective in OBJECTIVES.items():
        ours, chance = (
            statistics.median(run["incumbents"][-1] - objective.least for run in runs)
            for runs in (_runs("ei", name, seeds), _runs("random", name, seeds))
        )
        rows.append(result(
            f"tune-random-{name}", ours, chance, "above the minimum", 1.0, True, seeds=seeds,
            trials=TRIALS,
        ))
    return rows


def suggestion_seconds(data: Path) -> list[dict[str, Any]]:  # noqa: ARG001
    """Time one suggestion after 80 trials in the conditional space, against the second allowed.

    Returns: `tune-suggestion`, in seconds of the one core that it runs on, so that what else runs
        does not count.
    """
    objective = OBJECTIVES["mixed"]
    trials = search(objective, 0, LONG, "random")
    seconds = []
    for number in range(ROUNDS + 1):
        begun = time.process_time()
        suggest(objective.space, trials, LONG, number, "ei", maximise=False)
        seconds.append(time.process_time() - begun)
    # The first one imports.
    return [result(
        "tune-suggestion", statistics.median(seconds[1:]), LONGEST_SECONDS, "s of one core", 1.0,
        True, trials=LONG,
    )]


def search(objective: Objective, seed: int, count: int, algorithm: str) -> list[Trial]:
    """Run one of our searches, trial by trial."""
    trials: list[Trial] = []
    while len(trials) < count:
        number = len(trials)
        values = suggest(objective.space, trials, number, seed, algorithm, maximise=False)
        if values is None:
            break
        trials.append(objective.tried(values, number, seed))
    return trials


def stock_search(objective: Objective, seed: int, count: int) -> list[Trial]:
    """Run KerasTuner's own Bayesian oracle as it comes.

    Args:
        objective: What to minimise.
        seed: From 0; KerasTuner takes seed + 1, since it ignores 0.
        count: How many trials.
    Returns: its trials, in order; fewer where it gives up.
    """
    import keras_tuner

    found: list[Trial] = []
    space = keras_tuner.HyperParameters()
    objective.space.declare(space)
    with tempfile.TemporaryDirectory(prefix="stemcls-bench-") as folder:
        oracle = keras_tuner.oracles.BayesianOptimizationOracle(
            objective=keras_tuner.Objective("score", "min"), max_trials=count, seed=seed + 1,
            hyperparameters=space,
        )
        oracle.verbose = 0
        oracle._set_project_dir(folder, "search")
        while len(found) < count:
            trial = oracle.create_trial("one")
            if trial.status == "STOPPED":
                break
            done = objective.tried(trial.hyperparameters.values, len(found), seed)
            oracle.update_trial(trial.trial_id, {"score": done.score})
            trial.status = "COMPLETED"
            oracle.end_trial(trial)
            found.append(done)
    return found


def searched(algorithm: str, name: str, seed: int) -> Run:
    """Run a search of 36 trials.

    Returns: `incumbents`: after each trial the value, without noise, of the best trial so far by
        its noisy score; `seconds`: of the search.
    """
    objective = OBJECTIVES[name]
    begun = time.perf_counter()
    if algorithm == "stock":
        trials = stock_search(objective, seed, TRIALS)
    else:
        trials = search(objective, seed, TRIALS, algorithm)
    seconds = time.perf_counter() - begun
    leaders = [
        min(trials[: count + 1], key=lambda trial: trial.score or 0.0)
        for count in range(len(trials))
    ]
    return {
        "incumbents": [objective.value(leader.values) for leader in leaders], "seconds": seconds,
    }


def trials_needed(incumbents: list[float], level: float) -> int:
    """Return after how many trials the incumbent is at `level` or below and stays there."""
    above = [number for number, value in enumerate(incumbents, start=1) if value > level]
    return above[-1] + 1 if above else 1


def row_of(name: str, ours: list[Run], stock: list[Run]) -> dict[str, Any]:
    """Return the row of one objective; where a search never gets there, it counts one trial more.

    Args:
        name: Of the objective.
        ours, stock: The same seeds, in order.
    """
    least = OBJECTIVES[name].least
    levels = [run["incumbents"][-1] for run in stock]
    needed = [
        trials_needed(run["incumbents"], level) for run, level in zip(ours, levels, strict=True)
    ]
    half = TRIALS // 2 - 1
    return result(
        f"tune-{name}", statistics.median(needed), TRIALS, "trials", TARGET, True,
        seeds=len(stock), trials_of_each_seed=needed,
        ours_at_half=statistics.median(run["incumbents"][half] - least for run in ours),
        stock_at_end=statistics.median(level - least for level in levels),
        ours_seconds=statistics.median(run["seconds"] for run in ours),
        stock_seconds=statistics.median(run["seconds"] for run in stock),
    )


def _runs(algorithm: str, name: str, seeds: int) -> list[Run]:
    """Run the seeds side by side, each in a process with one thread for its matrices."""
    workers = max(1, min(os.cpu_count() or 1, seeds))
    with ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_begin,
        initargs=(_light_backend(),),
    ) as pool:
        waiting = [pool.submit(searched, algorithm, name, seed) for seed in range(seeds)]
        return [future.result() for future in waiting]


def _light_backend() -> str:
    """Return the backend that loads fastest: KerasTuner needs one, but nothing is trained."""
    installed = installed_backends()
    return next(name for name in ("jax", "tensorflow", "torch") if name in installed)


def _begin(backend: str) -> None:
    from threadpoolctl import threadpool_limits

    os.environ |= {
        "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3",
        "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
    }
    # For what was loaded before those were set.
    threadpool_limits(limits=1)
