"""Run KerasTuner's own Tuner on our hypermodel and oracle; print what was found as JSON."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import keras_tuner

from stemcls.config.experiment import DEFAULT_STAGES, AugmentConfig, Experiment, ModelConfig
from stemcls.config.options import from_mapping, read_toml
from stemcls.errors import InputError
from stemcls.tuning.kerastuner.hypermodel import StemclsHyperModel
from stemcls.tuning.kerastuner.oracle import ExpectedImprovementOracle, translate
from stemcls.tuning.search.history import Trial
from stemcls.tuning.search.suggest import suggest
from stemcls.tuning.space.dimensions import Condition, Dimension
from stemcls.tuning.space.space import SearchSpace

store, folder = sys.argv[1], Path(sys.argv[2])
sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

SPACE = """
["model.dense.depth"]
low = 0
high = 1
["model.dense.width_1"]
choices = [8, 16]
when = { "model.dense.depth" = [1] }
["stages.scratch.learning_rate"]
low = 1e-4
high = 1e-2
log = true
["stages.scratch.epochs"]
choices = [1]
"""


def example():
    """The example in examples/, as it stands."""
    import kerastuner_hypermodel

    path = folder / "space.toml"
    path.write_text(SPACE)
    tuner = kerastuner_hypermodel.search(store, str(path), 3, str(folder / "example"))
    best = from_mapping(Experiment, read_toml(folder / "example" / "best.toml"))
    trials = [tuner.oracle.trials[name] for name in tuner.oracle.start_order]
    restored = tuner.get_best_models(1)[0]
    return {
        "statuses": [t.status for t in trials],
        "values": [t.hyperparameters.values for t in trials],
        "scores": [t.score for t in trials],
        "best": [best.stages[2].learning_rate, list(best.model.dense)],
        "restored": [layer.name for layer in restored.layers][-3:],
    }


def stages_and_hyperband():
    """Two stages, and epochs as Hyperband sets them."""
    stages = tuple(
        replace(stage, start="any", epochs=2, schedule=schedule)
        for stage, schedule in zip(DEFAULT_STAGES, ("plateau", "warm-cosine"), strict=False)
    )
    experiment = Experiment(
        store=store, model=ModelConfig(backbone="TinyCNN", weights="none"), stages=stages,
        augment=AugmentConfig(rotate_deg=10.0),
    )
    space = SearchSpace((
        Dimension(key="model.dropout", kind="float", low=0.0, high=0.5),
    ))
    solved = replace(stages[0], optimizer="lbfgs")
    try:
        StemclsHyperModel(replace(experiment, stages=(solved,)), space)
        refused = ""
    except InputError as error:
        refused = str(error)
    hypermodel = StemclsHyperModel(experiment, space)
    hp = keras_tuner.HyperParameters()
    model = hypermodel.build(hp)
    convs = [layer for layer in model.layers if layer.name.endswith("_conv")]
    before = [conv.get_weights()[0].copy() for conv in convs]
    history = hypermodel.fit(hp, model)
    moved = [
        bool((conv.get_weights()[0] != old).any())
        for conv, old in zip(convs, before, strict=True)
    ]
    resumed = hypermodel.fit(hp, model, epochs=2, initial_epoch=1).epoch
    return {
        "whole": history.epoch, "rates": history.history["learning_rate"], "resumed": resumed,
        "moved": moved, "compiled": model.compiled, "refused": refused,
    }


def told(oracle, value_of, count, tuner="one"):
    """Drive an oracle in this process, as a Tuner does."""
    found = []
    for _ in range(count):
        trial = oracle.create_trial(tuner)
        if trial.status == "STOPPED":
            break
        value = value_of(trial.hyperparameters)
        if value is None:
            trial.status = "FAILED"
        else:
            for step, one in enumerate(value if isinstance(value, list) else [value]):
                oracle.update_trial(trial.trial_id, {"score": one}, step=step)
            trial.status = "COMPLETED"
        oracle.end_trial(trial)
        found.append(dict(trial.hyperparameters.values))
    return found


def oracle_on(hp, name, **settings):
    settings = {"seed": 0, "max_trials": 30, "max_consecutive_failed_trials": 99, **settings}
    oracle = ExpectedImprovementOracle(
        objective=keras_tuner.Objective("score", "min"), hyperparameters=hp, **settings
    )
    oracle.verbose = 0
    oracle._set_project_dir(str(folder), name)
    return oracle


def foreign_space():
    """A space as others write them."""
    hp = keras_tuner.HyperParameters()
    hp.Choice("kind", ["svm", "net"])
    with hp.conditional_scope("kind", ["svm"]):
        hp.Float("rate", 1e-3, 1.0, sampling="log")
    with hp.conditional_scope("kind", ["net"]):
        hp.Float("speed", 0.0, 5.0)
        hp.Int("layers", 1, 3)
        with hp.conditional_scope("layers", [2, 3]):
            hp.Boolean("skip")
    with hp.conditional_scope("kind", ["tree"]):
        hp.Int("leaves", 1, 9)
    hp.Fixed("loss", "mse")
    hp.Float("reverse", 1.0, 9.0, sampling="reverse_log")
    return hp


def foreign():
    """Conditions, seeds, resuming, failures and folds of the oracle."""
    def value_of(hp):
        if hp.values["kind"] == "svm":
            return hp.values["rate"] + 0.3
        return None if hp.values["speed"] > 4 else (hp.values["speed"] - 0.5) ** 2

    whole = told(oracle_on(foreign_space(), "whole"), value_of, 9)
    begun = oracle_on(foreign_space(), "begun")
    first = told(begun, value_of, 6)
    again = oracle_on(foreign_space(), "begun")
    again.reload()
    resumed = [*first, *told(again, value_of, 3)]
    pairs = keras_tuner.HyperParameters()
    pairs.Choice("a", ["x", "y", "z"])
    pairs.Boolean("b")
    small = told(oracle_on(pairs, "small"), lambda hp: 1.0, 20)
    twice = keras_tuner.HyperParameters()
    twice.Choice("kind", ["svm", "net"])
    for kind in ("svm", "net"):
        with twice.conditional_scope("kind", [kind]):
            twice.Float("rate", 0.0, 1.0)
    try:
        translate(twice)
        refused = ""
    except InputError as error:
        refused = str(error)
    # The first fold is the best of each: the score must be the mean.
    folds = oracle_on(pairs, "folds", folds=True)
    told(folds, lambda hp: [0.0, 3.0, 6.0], 2)
    return {
        "whole": whole, "resumed": resumed, "small": small,
        "fold_scores": [t.score for t in folds.trials.values()],
        "keys": [d.key for d in translate(foreign_space()).dimensions], "refused": refused,
    }


def stock():
    """KerasTuner's own search through our interface."""
    space = SearchSpace((
        Dimension(key="deep", kind="int", low=0, high=1),
        Dimension(key="x", kind="float", low=0.0, high=1.0, when=Condition("deep", (1,))),
    ))
    trials = []
    for number in range(7):
        values = suggest(space, trials, number, 2, "kerastuner", maximise=False)
        trials.append(Trial(number, values, "finished", (values.get("x", 2.0),)))
    pending = [*trials, Trial(7, {"deep": 1, "x": 0.5}), Trial(8, {"deep": 0}, "failed")]
    late = [suggest(space, pending, 9, 2, "kerastuner", maximise=False) for _ in range(2)]
    return {"values": [dict(t.values) for t in trials], "late": late}


if __name__ == "__main__":
    found = {f.__name__: f() for f in (example, stages_and_hyperband, foreign, stock)}
    Path(sys.argv[3]).write_text(json.dumps(found))
