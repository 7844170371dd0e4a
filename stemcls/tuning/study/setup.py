"""Describe a search, check it, and make the folder of its study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from stemcls.config.experiment import Experiment, with_absolute_paths
from stemcls.errors import check_known
from stemcls.store.find import open_same
from stemcls.store.splits import make_folds, make_split
from stemcls.store.verify import open_verified
from stemcls.training.checks import check_plan
from stemcls.tuning.search.history import Trial
from stemcls.tuning.search.suggest import ALGORITHMS, suggest
from stemcls.tuning.space.space import SearchSpace
from stemcls.tuning.study.definition import Definition
from stemcls.tuning.study.objective import check_objective
from stemcls.tuning.study.order import width_for
from stemcls.tuning.study.study import Study


def define(
    experiment: Experiment, space: SearchSpace, *, objective: str, folds: int, algorithm: str,
    racing: bool, slots: int, backend: str,
) -> Definition:
    """Describe a search, checked as far as that goes without training.

    Raises:
        InputError: A space that cannot be searched, an unknown metric or algorithm, or a store that
            cannot be opened.
    """
    space.check(experiment)
    store = open_verified(Path(experiment.store))
    check_objective(objective, experiment.split.classes or store.classes)
    definition = Definition(
        experiment=with_absolute_paths(experiment), space=space, objective=objective, folds=folds,
        algorithm=algorithm, racing=racing, width=width_for(slots, folds), backend=backend,
        store_hash=store.content_hash,
    )
    samples(definition, 1)
    return definition


def samples(definition: Definition, count: int) -> list[dict[str, Any]]:
    """Return the settings that a search would begin with, before any is scored.

    Raises:
        InputError: There is no such algorithm.
    """
    name = definition.algorithm
    check_known(name, ALGORITHMS, f"there is no --algorithm {name!r}")
    found: list[Trial] = []
    for number in range(count):
        values = suggest(
            definition.space, found, number, definition.experiment.seed, definition.algorithm, True
        )
        if values is None:
            break
        found.append(Trial(number, values))
    return [dict(trial.values) for trial in found]


def new_study(definition: Definition, workspace: Path, trials: int) -> Study:
    """Split the store and make the study's folder.

    The groups that test are split off first; the folds divide what remains.

    Raises:
        InputError: Too few groups of a class for the test part or for every fold, or a batch of the
            initial settings that is larger than a fold.
    """
    experiment = definition.experiment
    store = open_verified(Path(experiment.store))
    outer = make_split(store, experiment.split, experiment.seed)
    rows = np.concatenate([outer.train, outer.validation])
    folds = make_folds(store, experiment.split, definition.folds, experiment.seed, rows=rows)
    for split in folds:
        check_plan(experiment, store, split)
    return Study.create(workspace, definition, trials, outer, folds)


def check_store(study: Study) -> None:
    """Refuse a store that is not the one that was split, and splits that were damaged.

    Raises:
        InputError: It is nowhere to be found, or its content has changed; or a split is not as it
            was written.
    """
    whole = study.outer_split()
    store = open_same(study.definition.experiment.store, whole.store_hash, study.path)
    for split in (whole, *map(study.fold_split, range(study.definition.folds))):
        split.check(store)
