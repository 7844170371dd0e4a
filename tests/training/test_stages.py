"""The stages: what is frozen stays frozen, the best weights are kept, and a resume goes on."""

import math
from dataclasses import replace

import keras
import numpy as np
import pytest

from stemcls.config.experiment import AugmentConfig, ModelConfig, StageConfig
from stemcls.errors import CancelledError, StemclsError
from stemcls.interruption import Interruption
from stemcls.models.build import POOLING, add_head, build_extractor
from stemcls.runs import Run
from stemcls.training.acceptance import judge, validation_losses
from stemcls.training.batches import Samples
from stemcls.training.checkpoint import Checkpoint
from stemcls.training.features import FeatureBank, extract
from stemcls.training.journal import Journal
from stemcls.training.stages import Context, crop_data, feature_data, fit_stage
from stemcls.training.trainable import set_trainable

RNG = np.random.default_rng(0)
TARGETS = np.arange(48) % 2
CROPS = (RNG.normal(100, 20, (48, 16, 16, 1)) + 60 * TARGETS[:, None, None, None]).astype(np.uint8)
TRAIN = Samples(np.arange(32), TARGETS[:32], np.ones(32, np.float32))
VALIDATION = Samples(np.arange(32, 48), TARGETS[32:], np.ones(16, np.float32))


DATA = crop_data(CROPS.__getitem__, TRAIN, VALIDATION, AugmentConfig())
FINETUNE = StageConfig(name="finetune", epochs=1, learning_rate=1e-3, batch_size=16)
SCRATCH = StageConfig(name="scratch", epochs=1, learning_rate=1e-3, batch_size=16)
FROZEN = StageConfig(name="frozen", trainable="none", epochs=30, learning_rate=0.01, batch_size=16)


@pytest.fixture
def context(tmp_path):
    run = Run.create(tmp_path, "stages")
    return Context(Journal(run), Interruption(), Checkpoint(run.path / "checkpoint"), seed=1)


@pytest.fixture
def from_scratch(context):
    return replace(context, pretrained=False)


@pytest.fixture
def extractor():
    return fresh_extractor()


def fresh_extractor():
    keras.utils.set_random_seed(0)
    return build_extractor(ModelConfig(backbone="TinyCNN", weights="none"), (16, 16), 1, 255.0)


@pytest.fixture
def small():
    return small_extractor()


def small_extractor():
    """Return the least backbone: every training is traced anew, which takes longer than it does."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((16, 16, 1))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(8, 3, use_bias=False)(x)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D(name=POOLING)(x))


def weights_by_layer(model):
    return {layer.name: [w.copy() for w in layer.get_weights()] for layer in model.layers}


def changed_layers(model, before):
    return {
        layer.name
        for layer in model.layers
        if any(
            not np.array_equal(new, old)
            for new, old in zip(layer.get_weights(), before[layer.name], strict=True)
        )
    }


def bank_of(extractor, context, views):
    rows = np.arange(48)
    features = [
        np.concatenate([*extract(
            extractor, CROPS.__getitem__, rows, view, context.journal, context.interruption
        )])
        for view in range(views)
    ]
    return FeatureBank(rows, tuple(features))


def test_the_frozen_stage_learns_in_the_head_only(extractor, context):
    bank = bank_of(extractor, context, 2)
    model = add_head(extractor, ModelConfig(l2=0.0), 2, bank.read(TRAIN.rows, 0), 0)
    before = weights_by_layer(model)
    data = feature_data(bank, TRAIN, VALIDATION, 2, 1e9)
    loss = fit_stage(model, FROZEN, 0, data, context)
    assert changed_layers(model, before) == {"logits"}
    assert loss < 0.3
    predicted = model.predict(CROPS[32:], verbose=0).argmax(axis=1)
    assert (predicted == TARGETS[32:]).mean() > 0.9


def test_fine_tuning_moves_convolutions_but_no_batchnorm(extractor, context):
    model = add_head(extractor, ModelConfig(), 2, RNG.normal(0, 1, (9, 64)), 0)
    before = weights_by_layer(model)
    fit_stage(model, FINETUNE, 0, DATA, context)
    changed = changed_layers(model, before)
    assert "block1a_conv" in changed
    assert "logits" in changed
    assert not any(name.endswith("_bn") or name == "feature_scaling" for name in changed)


def test_the_last_block_is_what_has_the_resolution_of_the_tap(extractor, context):
    model = add_head(extractor, ModelConfig(), 2, RNG.normal(0, 1, (9, 64)), 0)
    before = weights_by_layer(model)
    fit_stage(model, replace(FINETUNE, trainable="last-block"), 0, DATA, context)
    assert changed_layers(model, before) == {"block4a_conv", "block4b_conv", "logits"}


def test_a_factor_of_zero_keeps_the_backbone_where_it_is(extractor, context):
    model = add_head(extractor, ModelConfig(), 2, RNG.normal(0, 1, (9, 64)), 0)
    before = weights_by_layer(model)
    fit_stage(model, replace(FINETUNE, backbone_factor=0.0), 0, DATA, context)
    assert changed_layers(model, before) == {"logits"}


def test_from_scratch_batchnorm_learns_too(extractor, from_scratch):
    model = add_head(extractor, ModelConfig(), 2, None, 0)
    before = weights_by_layer(model)
    fit_stage(model, SCRATCH, 0, DATA, from_scratch)
    assert "block1a_bn" in changed_layers(model, before)


def test_batchnorm_of_pretrained_weights_learns_when_told_to(extractor, context):
    model = add_head(extractor, ModelConfig(), 2, None, 0)
    before = weights_by_layer(model)
    fit_stage(model, replace(FINETUNE, batch_norm="learn"), 0, DATA, context)
    assert "block1a_bn" in changed_layers(model, before)


def test_statistics_of_a_batchnorm_that_learns_follow_within_tens_of_steps(extractor):
    """MobileNetV2 comes with 0.999: a thousand steps, where our epochs can have fifteen."""
    model = add_head(extractor, ModelConfig(), 2, None, 0)
    norms = [one for one in model.layers if isinstance(one, keras.layers.BatchNormalization)]
    for norm in norms:
        norm.momentum = 0.999
    set_trainable(model, FINETUNE, pretrained=True)
    assert {norm.momentum for norm in norms} == {0.999}
    set_trainable(model, SCRATCH, pretrained=False)
    assert {norm.momentum for norm in norms} == {0.9}


def test_without_a_better_epoch_the_old_weights_stay(small, context):
    model = add_head(small, ModelConfig(), 2, None, 0)
    before = model.get_weights()
    stage = replace(FINETUNE, epochs=2, learning_rate=1e-2)
    assert fit_stage(model, stage, 0, DATA, context, loss_to_beat=-1.0) == -1.0
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_a_later_stage_is_kept_when_it_gains_more_than_chance(extractor, context):
    model = add_head(extractor, ModelConfig(), 2, None, 0)
    before = model.get_weights()
    begun = validation_losses(model, DATA, context.loss)
    stage = replace(FINETUNE, epochs=6, learning_rate=0.02, patience=6)
    loss = fit_stage(model, stage, 0, DATA, context, loss_to_beat=float(begun.mean()) + 0.1)
    ended = validation_losses(model, DATA, context.loss)
    assert judge(begun, ended, np.ones(16)).kept
    assert loss == min(row["val_loss"] for row in context.journal.history)
    assert not all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert "finetune kept: validation loss fell by" in logged(context)


def test_a_gain_that_chance_explains_is_rejected(small, context):
    """Labels of validation that have nothing to do with the crops leave nothing to gain.

    The loss to beat is set too high, so that some epoch is the best all the same.
    """
    model = add_head(small, ModelConfig(), 2, None, 0)
    before = model.get_weights()
    blind = replace(DATA, validation=replace(VALIDATION, targets=np.arange(16) // 2 % 2))
    stage = replace(FINETUNE, epochs=2, learning_rate=0.02)
    assert fit_stage(model, stage, 0, blind, context, loss_to_beat=99.0) == 99.0
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert "finetune rejected: validation loss fell by" in logged(context)


def logged(context):
    return (context.journal.run.path / "log.txt").read_text(encoding="utf-8")


def test_the_best_weights_are_those_of_the_least_validation_loss(small, from_scratch):
    model = add_head(small, ModelConfig(l2=0.0), 2, None, 0)
    stage = replace(SCRATCH, epochs=6, learning_rate=0.02, patience=6)
    best = fit_stage(model, stage, 0, DATA, from_scratch)
    losses = [row["val_loss"] for row in from_scratch.journal.history]
    assert best == min(losses)
    probabilities = model.predict(CROPS[32:], verbose=0)
    measured = -np.log(probabilities[np.arange(16), TARGETS[32:]]).mean()
    assert measured == pytest.approx(best, rel=1e-3, abs=1e-6)


def test_the_step_of_training_and_that_of_validation_are_traced_once(small, context):
    calls = []

    def loss(targets, probabilities):
        calls.append(targets)
        return keras.losses.sparse_categorical_crossentropy(targets, probabilities)

    model = add_head(small, ModelConfig(), 2, None, 0)
    fit_stage(model, replace(FINETUNE, epochs=2), 0, DATA, replace(context, loss=loss))
    assert len(calls) == 2
    assert 0 <= context.journal.history[-1]["val_accuracy"] <= 1


def test_patience_ends_a_stage_early(small, context):
    model = add_head(small, ModelConfig(), 2, None, 0)
    stage = replace(FINETUNE, epochs=9, learning_rate=0.0, patience=2)
    fit_stage(model, stage, 0, DATA, context, loss_to_beat=-1.0)
    assert len(context.journal.history) == 2


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        ("constant", [0.1, 0.1, 0.1, 0.1]),
        ("cosine", [0.1, 0.0853553, 0.05, 0.0146447]),
        ("plateau", [0.1, 0.1, 0.1 / 3, 0.1 / 3]),
    ],
)
def test_the_rate_follows_its_schedule(schedule, rates, small, context):
    model = add_head(small, ModelConfig(), 2, None, 0)
    stage = replace(
        FINETUNE, epochs=4, patience=4, schedule=schedule, learning_rate=0.1, backbone_factor=0.0
    )
    fit_stage(model, stage, 0, DATA, context, loss_to_beat=-1.0)
    measured = [row["learning_rate"] for row in context.journal.history]
    assert measured == pytest.approx(rates, rel=1e-4)


def test_an_interrupted_stage_goes_on_to_the_very_same_weights(from_scratch, tmp_path):
    stage = replace(SCRATCH, epochs=4, patience=4, schedule="plateau", optimizer="adamw")
    model = add_head(small_extractor(), ModelConfig(), 2, None, 0)
    fit_stage(model, stage, 0, DATA, from_scratch)
    undisturbed = model.get_weights()

    run = Run.create(tmp_path, "again")
    stopped = replace(
        from_scratch, journal=StopsAfter(run, 2), checkpoint=Checkpoint(run.path / "checkpoint")
    )
    model = add_head(small_extractor(), ModelConfig(), 2, None, 0)
    with pytest.raises(CancelledError):
        fit_stage(model, stage, 0, DATA, stopped)
    again = replace(stopped, journal=Journal(run))
    model = add_head(small_extractor(), ModelConfig(), 2, None, seed=99)
    fit_stage(model, stage, 0, DATA, again)
    assert [row["epoch"] for row in again.journal.history] == [3, 4]
    for ours, theirs in zip(model.get_weights(), undisturbed, strict=True):
        assert np.array_equal(ours, theirs)


class StopsAfter(Journal):
    """Ends the stage in the middle of the epoch after the given one."""

    def __init__(self, run, epochs):
        super().__init__(run)
        self._epochs = epochs

    def progress(self, done, total, note):
        if len(self.history) >= self._epochs and " epoch " in note and done == 2:
            raise CancelledError("in the middle of an epoch")


def test_a_request_to_stop_ends_at_the_next_step(small, context):
    model = add_head(small, ModelConfig(), 2, None, 0)
    context.interruption.ask("SIGTERM")
    with pytest.raises(CancelledError, match="stopped by SIGTERM"):
        fit_stage(model, FINETUNE, 0, DATA, context)


def test_a_lost_loss_is_an_error_with_a_hint(small, context):
    model = add_head(small, ModelConfig(), 2, None, 0)
    lost = replace(TRAIN, weights=np.full(32, math.nan, np.float32))
    with pytest.raises(
        StemclsError, match=r"loss is nan in scratch epoch 1; .*--set stages.scratch.learning_rate="
    ):
        fit_stage(model, SCRATCH, 0, replace(DATA, train=lost), context)
