"""Mixed precision is for training; what is saved computes in float32."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from stemcls.config.experiment import ModelConfig
from stemcls.errors import InputError
from stemcls.models import precision
from stemcls.models.build import add_head, build_extractor
from stemcls.models.devices import Gpu


def model_under(policy: str):
    keras.config.set_dtype_policy(policy)
    try:
        config = ModelConfig(backbone="TinyCNN", weights="none", dense=(8,))
        extractor = build_extractor(config, (16, 16), 1, 255.0)
        return add_head(extractor, config, 3, np.ones((4, 64), np.float32), 0)
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_a_mixed_network_becomes_float32_with_its_weights(policy):
    crops = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 1)).astype(np.uint8)
    mixed = model_under(policy)
    assert mixed.get_layer("logits").compute_dtype == policy.removeprefix("mixed_")
    plain = precision.in_float32(mixed)
    assert {layer.compute_dtype for layer in plain.layers} == {"float32"}
    exact = model_under("float32")
    exact.set_weights(mixed.get_weights())
    assert np.array_equal(plain.predict(crops, verbose=0), exact.predict(crops, verbose=0))
    assert np.abs(mixed.predict(crops, verbose=0) - exact.predict(crops, verbose=0)).max() < 0.05


def test_a_plain_network_is_left_alone():
    model = model_under("float32")
    assert precision.in_float32(model) is model


@pytest.mark.parametrize(
    ("there", "capability", "policy"),
    [(False, 9.0, "float32"), (True, 9.0, "mixed_bfloat16"), (True, 7.5, "float32")],
)
def test_auto_mixes_only_on_gpus_that_can(monkeypatch, there, capability, policy):
    monkeypatch.setattr(precision, "on_gpu", lambda: there)
    monkeypatch.setattr(precision, "list_gpus", lambda: [Gpu(0, "x", 1, 1, capability, "")])
    assert precision.policy_for("auto") == policy
    assert precision.policy_for("mixed_float16") == "mixed_float16"


def test_compilation_is_what_was_asked_for_or_an_error(monkeypatch):
    wanted = {xla: precision.jit_compile(xla) for xla in ("auto", "on", "off")}
    assert wanted == {"auto": "auto", "on": True, "off": False}
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    assert precision.jit_compile("on") is True
    with pytest.raises(InputError, match="JAX always compiles"):
        precision.jit_compile("off")


def test_this_machine_is_asked_by_its_backend():
    assert precision.on_gpu() in (True, False)
