"""The stages: what is frozen stays frozen, the best weights are kept, and a resume goes on."""

import math
from dataclasses import replace

import keras
import numpy as np
import pytest

from stemcls.config.experiment import (
    AugmentConfig,
    FinetuneConfig,
    FrozenConfig,
    ModelConfig,
    ScratchConfig,
)
from stemcls.errors import CancelledError, StemclsError
from stemcls.interruption import Interruption
from stemcls.models.build import add_head, build_extractor
from stemcls.runs import Run
from stemcls.training.checkpoint import Checkpoint
from stemcls.training.journal import Journal
from stemcls.training.stages import Context, Samples, extract_features, fit_head, fit_network

RNG = np.random.default_rng(0)
TARGETS = np.arange(48) % 2
CROPS = (RNG.normal(100, 20, (48, 16, 16, 1)) + 60 * TARGETS[:, None, None, None]).astype(np.uint8)
TRAIN = Samples(np.arange(32), TARGETS[:32], np.ones(32, np.float32))
VALIDATION = Samples(np.arange(32, 48), TARGETS[32:], np.ones(16, np.float32))


@pytest.fixture
def context(tmp_path):
    run = Run.create(tmp_path, "stages")
    return Context(Journal(run), Interruption(), Checkpoint(run.path / "checkpoint"), seed=1)


@pytest.fixture
def extractor():
    return fresh_extractor()


def fresh_extractor():
    keras.utils.set_random_seed(0)
    return build_extractor(ModelConfig(backbone="TinyCNN", weights="none"), (16, 16), 1, 255.0)


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


def test_the_frozen_stage_learns_in_the_head_only(extractor, context):
    bank = extract_features(extractor, CROPS.__getitem__, TRAIN.rows, 2, context)
    watched = extract_features(extractor, CROPS.__getitem__, VALIDATION.rows, 1, context)[0]
    model = add_head(extractor, ModelConfig(l2=0.0), 2, bank.reshape(-1, bank.shape[-1]), 0)
    before = weights_by_layer(model)
    settings = FrozenConfig(epochs=30, learning_rate=0.01, batch_size=16)
    loss = fit_head(model, bank, TRAIN, watched, VALIDATION, settings, context)
    assert changed_layers(model, before) == {"logits"}
    assert loss < 0.3
    predicted = model.predict(CROPS[32:], verbose=0).argmax(axis=1)
    assert (predicted == TARGETS[32:]).mean() > 0.9


def test_the_bank_holds_the_features_of_each_view(extractor, context):
    bank = extract_features(extractor, CROPS.__getitem__, np.arange(3), 8, context)
    turned = np.rot90(CROPS[:3], 2, axes=(1, 2))
    assert bank.shape == (8, 3, 64)
    assert np.allclose(bank[0], extractor.predict(CROPS[:3], verbose=0), atol=1e-5)
    assert np.allclose(bank[1], extractor.predict(turned.copy(), verbose=0), atol=1e-5)


def test_fine_tuning_moves_convolutions_but_no_batchnorm(extractor, context):
    model = add_head(extractor, ModelConfig(), 2, RNG.normal(0, 1, (9, 64)), 0)
    before = weights_by_layer(model)
    settings = FinetuneConfig(epochs=1, learning_rate=1e-3, batch_size=16)
    fit_network(
        model, "finetune", CROPS.__getitem__, TRAIN, VALIDATION, settings, context, AugmentConfig()
    )
    changed = changed_layers(model, before)
    assert "block1a_conv" in changed
    assert "logits" in changed
    assert not any(name.endswith("_bn") or name == "feature_scaling" for name in changed)


def test_from_scratch_batchnorm_learns_too(extractor, context):
    model = add_head(extractor, ModelConfig(), 2, None, 0)
    before = weights_by_layer(model)
    settings = ScratchConfig(epochs=1, batch_size=16)
    fit_network(
        model, "scratch", CROPS.__getitem__, TRAIN, VALIDATION, settings, context, AugmentConfig()
    )
    assert "block1a_bn" in changed_layers(model, before)


def test_without_a_better_epoch_the_old_weights_stay(extractor, context):
    model = add_head(extractor, ModelConfig(), 2, None, 0)
    before = model.get_weights()
    settings = FinetuneConfig(epochs=2, learning_rate=1e-2, batch_size=16)
    loss = fit_network(
        model, "finetune", CROPS.__getitem__, TRAIN, VALIDATION, settings, context,
        AugmentConfig(), loss_to_beat=-1.0,
    )
    assert loss == -1.0
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_the_best_weights_are_those_of_the_least_validation_loss(extractor, context):
    model = add_head(extractor, ModelConfig(l2=0.0), 2, None, 0)
    settings = ScratchConfig(epochs=6, learning_rate=0.02, batch_size=16, patience=6)
    best = fit_network(
        model, "scratch", CROPS.__getitem__, TRAIN, VALIDATION, settings, context, AugmentConfig()
    )
    losses = [row["val_loss"] for row in context.journal.history]
    assert best == min(losses)
    probabilities = model.predict(CROPS[32:], verbose=0)
    measured = -np.log(probabilities[np.arange(16), TARGETS[32:]]).mean()
    assert measured == pytest.approx(best, rel=1e-3, abs=1e-6)


def test_patience_ends_a_stage_early(extractor, context):
    model = add_head(extractor, ModelConfig(), 2, None, 0)
    settings = FinetuneConfig(epochs=9, learning_rate=0.0, batch_size=16, patience=2)
    fit_network(
        model, "finetune", CROPS.__getitem__, TRAIN, VALIDATION, settings, context,
        AugmentConfig(), loss_to_beat=-1.0,
    )
    assert len(context.journal.history) == 2


def test_an_interrupted_stage_goes_on_to_the_same_weights(context, tmp_path):
    model = add_head(fresh_extractor(), ModelConfig(), 2, None, 0)
    settings = ScratchConfig(epochs=4, batch_size=16, learning_rate=1e-3)
    arguments = (CROPS.__getitem__, TRAIN, VALIDATION)

    fit_network(model, "scratch", *arguments, settings, context, AugmentConfig())
    undisturbed = model.get_weights()

    run = Run.create(tmp_path, "again")
    again = replace(
        context, journal=Journal(run), checkpoint=Checkpoint(run.path / "checkpoint")
    )
    model = add_head(fresh_extractor(), ModelConfig(), 2, None, 0)
    short = replace(settings, epochs=2)
    fit_network(model, "scratch", *arguments, short, again, AugmentConfig())
    model = add_head(fresh_extractor(), ModelConfig(), 2, None, seed=99)
    fit_network(model, "scratch", *arguments, settings, again, AugmentConfig())
    for ours, theirs in zip(model.get_weights(), undisturbed, strict=True):
        assert np.allclose(ours, theirs, atol=1e-5)


def test_a_request_to_stop_ends_at_the_next_step(extractor, context):
    model = add_head(extractor, ModelConfig(), 2, None, 0)
    context.interruption.ask("SIGTERM")
    with pytest.raises(CancelledError, match="stopped by SIGTERM"):
        fit_network(
            model, "scratch", CROPS.__getitem__, TRAIN, VALIDATION, ScratchConfig(epochs=1),
            context, AugmentConfig(),
        )


def test_a_lost_loss_is_an_error_with_a_hint(extractor, context):
    model = add_head(extractor, ModelConfig(), 2, None, 0)
    lost = replace(TRAIN, weights=np.full(32, math.nan, np.float32))
    with pytest.raises(StemclsError, match=r"loss is nan in scratch epoch 1; .*--scratch"):
        fit_network(
            model, "scratch", CROPS.__getitem__, lost, VALIDATION, ScratchConfig(epochs=1),
            context, AugmentConfig(),
        )
