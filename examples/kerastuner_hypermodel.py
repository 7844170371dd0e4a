"""Search with KerasTuner itself: our networks and our oracle inside its Tuner.

    python examples/kerastuner_hypermodel.py datasets/hsc.h5 space.toml 20

`stemcls tune` does more (folds, resuming, many GPUs); this is for code that is built on KerasTuner.
"""

import sys
from pathlib import Path

import keras_tuner

from stemcls.config.experiment import Experiment, ModelConfig
from stemcls.config.options import to_toml
from stemcls.tuning.kerastuner.hypermodel import StemclsHyperModel
from stemcls.tuning.kerastuner.oracle import ExpectedImprovementOracle
from stemcls.tuning.space.file import read_space


def search(store: str, space: str, trials: int, folder: str = "kerastuner") -> keras_tuner.Tuner:
    """Search the space and write the best settings for `stemcls train --config`."""
    experiment = Experiment(store=store, model=ModelConfig(backbone="TinyCNN", weights="none"))
    hypermodel = StemclsHyperModel(experiment, read_space(Path(space), experiment))
    tuner = keras_tuner.Tuner(
        ExpectedImprovementOracle(objective="val_accuracy", max_trials=trials, seed=0),
        hypermodel, directory=folder, project_name="search",
    )
    tuner.search(verbose=0)
    best = hypermodel.experiment(tuner.get_best_hyperparameters()[0])
    Path(folder, "best.toml").write_text(to_toml(best), encoding="utf-8")
    return tuner


if __name__ == "__main__":
    search(sys.argv[1], sys.argv[2], int(sys.argv[3]))
