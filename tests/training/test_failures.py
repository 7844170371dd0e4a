"""What can go wrong with a run is said in words, before or when it does."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stemcls.config.experiment import DEFAULT_STAGES, Experiment, ModelConfig, StageConfig
from stemcls.errors import InputError, StemclsError
from stemcls.runs import Run
from stemcls.store.cropstore import CropStore
from stemcls.store.splits import make_split
from stemcls.training.checks import check_plan
from stemcls.training.failures import is_out_of_memory, out_of_memory
from stemcls.training.lock import locked

STAGE = StageConfig(name="finetune", batch_size=64)


class Small:
    """A network whose memory holds `fits` crops."""

    def __init__(self, fits):
        self.fits, self.tried = fits, []

    def train_on_batch(self, x, y, weights):
        self.tried.append(len(x))
        assert len(x) == len(y) == len(weights)
        if len(x) > self.fits:
            raise RuntimeError("[enforce fail at alloc_cpu] DefaultCPUAllocator: can't allocate "
                               "memory: you tried to allocate 9 bytes")


def batch(size):
    return np.zeros((size, 4)), np.zeros(size), np.ones(size)


def test_the_batch_size_that_fits_is_found_by_halving():
    network = Small(fits=20)
    error = out_of_memory(network, batch(64), STAGE, Path("r"))
    assert network.tried == [32, 16]
    assert "finetune ran out of memory with a batch of 64; a step of 16 fits" in str(error)
    assert "train --config r/config.toml --set stages.finetune.batch_size=16" in str(error)


def test_where_nothing_fits_the_network_is_named_as_too_large():
    error = out_of_memory(Small(fits=0), batch(4), STAGE, Path("r"))
    assert "even with a batch of 1 (tried: 4, 2, 1)" in str(error)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (np._core._exceptions._ArrayMemoryError((9,), np.dtype("u1")), True),
        (type("ResourceExhaustedError", (Exception,), {})("OOM when allocating tensor"), True),
        (type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory."), True),
        (type("XlaRuntimeError", (RuntimeError,), {})("RESOURCE_EXHAUSTED: Failed to"), True),
        (ValueError("shapes do not match"), False),
    ],
)
def test_memory_errors_of_every_backend_are_known(error, expected):
    assert is_out_of_memory(error) is expected


def test_a_batch_larger_than_the_set_is_refused_with_the_size_that_would_do(striped_store):
    store = CropStore.open(striped_store)
    scratch = replace(DEFAULT_STAGES[2], batch_size=512)
    experiment = Experiment(model=ModelConfig(weights="none"), stages=(scratch,))
    split = make_split(store, experiment.split, 0)
    n = len(split.train)
    with pytest.raises(InputError, match=rf"scratch.batch_size is 512, .* only {n} crops"):
        check_plan(experiment, store, split)
    check_plan(Experiment(stages=(replace(DEFAULT_STAGES[0], batch_size=99 * n),)), store, split)
    frozen = replace(DEFAULT_STAGES[0], optimizer="adam", views=8, batch_size=8 * n)
    check_plan(Experiment(stages=(frozen,)), store, split)
    with pytest.raises(InputError, match=rf"{n} crops in 8 views"):
        check_plan(Experiment(stages=(replace(frozen, batch_size=8 * n + 1),)), store, split)


def test_a_class_that_is_missing_from_a_side_is_named(striped_store):
    store = CropStore.open(striped_store)
    experiment = Experiment(model=ModelConfig(weights="none"))
    split = make_split(store, experiment.split, 0)
    targets = split.targets(store, split.validation)
    lacking = replace(split, validation=split.validation[targets == 0])
    with pytest.raises(InputError, match="class 'quer/süß' has no crop in the validation part"):
        check_plan(experiment, store, lacking)


def test_a_run_is_trained_by_one_process_at_a_time(tmp_path):
    run = Run.create(tmp_path, "one")
    with (
        locked(run),
        pytest.raises(InputError, match=r"is being trained by process .*: two processes cannot"),
        locked(run),
    ):
        pass
    with locked(run):
        assert Path(run.path / ".lock").is_file()


def test_a_stage_that_runs_out_of_memory_says_what_fits(monkeypatch, tmp_path):
    import keras

    from stemcls.config.experiment import AugmentConfig
    from stemcls.interruption import Interruption
    from stemcls.models.build import add_head, build_extractor
    from stemcls.training.batches import Samples
    from stemcls.training.checkpoint import Checkpoint
    from stemcls.training.journal import Journal
    from stemcls.training.stages import Context, crop_data, fit_stage

    config = ModelConfig(backbone="TinyCNN", weights="none")
    model = add_head(build_extractor(config, (16, 16), 1, 255.0), config, 2, None, 0)
    run = Run.create(tmp_path, "oom")
    context = Context(Journal(run), Interruption(), Checkpoint(run.path / "c"), seed=1)
    crops = np.zeros((16, 16, 16, 1), np.uint8)
    samples = Samples(np.arange(16), np.arange(16) % 2, np.ones(16, np.float32))
    small = Small(fits=4)

    def fit(*_arguments, **_options):
        raise MemoryError

    monkeypatch.setattr(keras.Model, "fit", fit)
    monkeypatch.setattr(
        keras.Model, "train_on_batch", lambda self, *parts: small.train_on_batch(*parts)
    )
    data = crop_data(crops.__getitem__, samples, samples, AugmentConfig())
    stage = replace(STAGE, batch_size=16)
    with pytest.raises(StemclsError, match="a batch of 16; a step of 4 fits"):
        fit_stage(model, stage, 0, data, context)
