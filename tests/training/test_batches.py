"""What an epoch serves: every sample where it belongs, the classes balanced as told."""

import threading
import time

import numpy as np
import pytest

from stemcls.config.experiment import AugmentConfig
from stemcls.store.cropstore import CropStore
from stemcls.training.batches import Batches, Samples
from stemcls.training.memory import crop_reader
from stemcls.training.sampling import class_weights, epoch_order, epoch_size

TARGETS = np.repeat([0, 1, 2], [60, 30, 10])
CROPS = np.random.default_rng(0).integers(0, 256, (100, 8, 8, 1)).astype(np.uint8)
SAMPLES = Samples(np.arange(100), TARGETS, np.ones(100, np.float32))


def served(batches):
    return joined(batches[i] for i in range(batches.steps_per_epoch))


def joined(parts):
    inputs, targets, _ = zip(*parts, strict=True)
    return np.concatenate(inputs), np.concatenate(targets)


@pytest.fixture
def made():
    """Make batches that are closed in the end."""
    opened = []

    def make(*arguments, **options):
        opened.append(Batches(*arguments, **options))
        return opened[-1]

    yield make
    for batches in opened:
        batches.close()


def test_without_a_seed_samples_come_in_their_order_and_unchanged(made):
    crops, targets = served(made(CROPS.__getitem__, SAMPLES, 32))
    assert np.array_equal(crops, CROPS)
    assert np.array_equal(targets, TARGETS)


def test_an_epoch_serves_each_sample_once_in_an_order_of_its_own(made):
    batches = made(CROPS.__getitem__, SAMPLES, 32, seed=(1, 0))
    first, _ = served(batches)
    second, _ = joined(batches[i] for i in range(4, 8))
    assert not np.array_equal(first, second)
    for crops in (first, second):
        assert np.array_equal(np.sort(crops.sum(axis=(1, 2, 3))), np.sort(CROPS.sum((1, 2, 3))))


def test_a_shuffle_favours_no_place():
    """Each sample comes to each tenth of the epoch equally often: chi-square, 81 degrees."""
    places = np.zeros((10, 10))
    for epoch in range(2000):
        order = epoch_order(TARGETS[:10], "none", np.random.default_rng([0, epoch]))
        places[order, np.arange(10)] += 1
    assert ((places - 200) ** 2 / 200).sum() < 130


def test_a_batch_is_the_same_however_and_whenever_it_is_asked_for(made):
    options = {"seed": (3, 1), "balance": "oversample", "augmentation": AugmentConfig(noise=0.1)}
    forward = made(CROPS.__getitem__, SAMPLES, 16, **options)
    steps = forward.steps_per_epoch
    assert steps == 12
    in_order = [forward[index] for index in range(6 * steps)][4 * steps :]
    again = made(CROPS.__getitem__, SAMPLES, 16, **options, epoch=4)
    for index in reversed(range(2 * steps)):
        for ours, theirs in zip(again[index], in_order[index], strict=True):
            assert np.array_equal(ours, theirs)


def test_batches_are_made_ahead_while_a_step_runs(made):
    asked = []
    batches = made(lambda rows: asked.append(threading.current_thread().name) or CROPS[rows],
                   SAMPLES, 10)
    batches[0]
    end = time.monotonic() + 5
    while len(asked) < 5 and time.monotonic() < end:
        time.sleep(0.01)
    assert len(asked) >= 5
    assert all(name.startswith("loader") for name in asked)


def test_an_error_of_the_store_reaches_whoever_asks(made):
    def fail(rows):
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        made(fail, SAMPLES, 10)[0]


def test_oversampling_brings_every_class_to_the_largest():
    order = epoch_order(TARGETS, "oversample", np.random.default_rng(0))
    assert np.bincount(TARGETS[order]).tolist() == [60, 60, 60]
    assert set(order.tolist()) == set(range(100))
    assert len(order) == epoch_size(TARGETS, "oversample") == 180


def test_weighted_sampling_draws_each_class_equally_often():
    counts = np.zeros(3)
    for epoch in range(60):
        order = epoch_order(TARGETS, "weighted-sampling", np.random.default_rng([1, epoch]))
        assert len(order) == epoch_size(TARGETS, "weighted-sampling") == 100
        counts += np.bincount(TARGETS[order], minlength=3)
    assert counts / counts.sum() == pytest.approx([1 / 3] * 3, abs=0.02)


def test_class_weights_give_every_class_the_same_total():
    weights = class_weights(TARGETS, "class-weights")
    assert np.bincount(TARGETS, weights) == pytest.approx([100 / 3] * 3, rel=1e-5)
    assert weights.mean() == pytest.approx(1.0)
    assert np.all(class_weights(TARGETS, "none") == 1.0)


def test_crops_in_memory_and_mapped_crops_make_one_stream(striped_store, made):
    store = CropStore.open(striped_store)
    roomy, tight = crop_reader(store, 1e9), crop_reader(store, 1.0)
    assert tight == store.read
    samples = Samples(np.arange(160), np.arange(160) % 2, np.ones(160, np.float32))
    streams = [
        served(made(read, samples, 32, seed=(0, 0), augmentation=AugmentConfig()))[0]
        for read in (roomy, tight)
    ]
    assert np.array_equal(*streams)
