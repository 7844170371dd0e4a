"""Studies of folds that take no time, and processes that supervise them."""

import os
import subprocess
import sys

import pytest

from stemcls.config.experiment import Experiment, ModelConfig, SplitConfig
from stemcls.interruption import Interruption
from stemcls.tuning.running.slots import Slot, SlotExecutor
from stemcls.tuning.running.supervise import Search
from stemcls.tuning.space.dimensions import Dimension
from stemcls.tuning.space.space import SearchSpace
from stemcls.tuning.study.setup import define, new_study

from .studies import HERE, PYTHONPATH, SUPERVISOR

# Other processes know the fake folds as a module of their own.
sys.path.insert(0, str(HERE))

SPACE = SearchSpace((
    Dimension(key="model.dropout", kind="float", low=0.0, high=0.9, default=0.1),
    Dimension(key="model.label_smoothing", kind="float", low=0.0, high=0.8, default=0.7),
))


@pytest.fixture(scope="session")
def make_study(striped_store, tmp_path_factory):
    """Make a study whose trials differ in two numbers."""

    def make(trials=6, folds=2, slots=1, space=SPACE, objective="balanced_accuracy", **changes):
        settings = {
            "store": str(striped_store), "name": "fake", "seed": 5,
            "model": ModelConfig(backbone="TinyCNN", weights="none"),
            "split": SplitConfig(validation=0.2, test=0.2),
        }
        definition = define(
            Experiment(**{**settings, **changes}), space, objective=objective, folds=folds,
            algorithm="ei", racing=True, slots=slots, backend="tensorflow",
        )
        return new_study(definition, tmp_path_factory.mktemp("workspace"), trials)

    return make


@pytest.fixture(scope="session")
def search():
    """Search a study in this process, with fake folds in others; returns why it was over."""
    import fake_jobs

    said = []

    def run(study, slots=1, fake="bowl", interruption=None, **options):
        places = [Slot(f"cpu-{n}", {"PYTHONPATH": PYTHONPATH}) for n in range(slots)]
        executor = SlotExecutor(places, study.path)
        try:
            return Search(
                study, executor, interruption or Interruption(), work=getattr(fake_jobs, fake),
                say=said.append, **options,
            ).run()
        finally:
            executor.shutdown(wait=False)

    run.said = said
    return run


@pytest.fixture
def supervise():
    """Start a process that searches a study; what is still alive in the end is killed."""
    started = []

    def start(study, slots=1, address="", fake="bowl", **options):
        command = [sys.executable, str(SUPERVISOR), str(study.path), str(slots)]
        process = subprocess.Popen(
            [*command, *([address] if address else [])], text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, "FAKE": fake, "PYTHONPATH": PYTHONPATH}, **options,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def undisturbed(make_study, search):
    """A study of one fold at a time that nobody disturbed."""
    study = make_study()
    assert search(study) == "complete"
    return study
