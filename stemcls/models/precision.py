"""Choose the precision in which a network computes, and return it to float32 when it is done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from stemcls.errors import InputError
from stemcls.models.devices import NoGpuToolError, list_gpus

# From this compute capability on (Ampere, 2020) GPUs compute in bfloat16 natively; it has the range
# of float32, so no loss needs scaling.
BFLOAT16_CAPABILITY = 8.0


def policy_for(wanted: str) -> str:
    """Return Keras' name of a dtype policy.

    Args:
        wanted: auto, float32, mixed_bfloat16 or mixed_float16. auto is mixed_bfloat16 where the
            backend computes on a GPU that does so natively, else float32.
    """
    if wanted != "auto":
        return wanted
    if not on_gpu():
        return "float32"
    try:
        least = min(gpu.compute_capability for gpu in list_gpus())
    except NoGpuToolError:
        return "float32"
    return "mixed_bfloat16" if least >= BFLOAT16_CAPABILITY else "float32"


@contextmanager
def computing_in(policy: str) -> Iterator[None]:
    """Build layers under a dtype policy, and go back to the one before."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def computes_exactly() -> bool:
    """Say whether layers are built in float32, as saved models compute."""
    return str(keras.config.dtype_policy().name) == "float32"


def jit_compile(xla: str) -> bool | str:
    """Return what `keras.Model.compile` wants for auto, on or off.

    Raises:
        InputError: off on JAX, which without compilation takes minutes where it takes seconds.
    """
    if xla == "off" and keras.backend.backend() == "jax":
        raise InputError("--xla off: JAX always compiles; leave it out, or take another --backend")
    return "auto" if xla == "auto" else xla == "on"


def on_gpu() -> bool:
    """Say whether the backend in force computes on a GPU."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow

        return bool(tensorflow.config.list_physical_devices("GPU"))
    if backend == "jax":
        import jax

        return jax.default_backend() == "gpu"
    import torch

    return torch.cuda.is_available()


def in_float32(model: Any) -> Any:
    """Return a model of the same weights that computes in float32 throughout.

    Args:
        model: Flat functional keras.Model; its weights are float32 under every mixed policy.
    Returns: `model` itself where nothing is mixed.
    """
    mixed = any(layer.dtype_policy.name.startswith("mixed") for layer in model.layers)
    if not mixed:
        return model
    copy = type(model).from_config(_plain(model.get_config()))
    copy.set_weights(model.get_weights())
    return copy


def _plain(config: Any) -> Any:
    """Return a config in which every mixed dtype policy is float32."""
    if isinstance(config, dict):
        name = config.get("config", {}).get("name") if "class_name" in config else None
        if config.get("class_name") == "DTypePolicy" and str(name).startswith("mixed"):
            return {**config, "config": {**config["config"], "name": "float32"}}
        return {key: _plain(value) for key, value in config.items()}
    if isinstance(config, (list, tuple)):
        return type(config)(_plain(value) for value in config)
    if isinstance(config, str) and config.startswith("mixed_"):
        return "float32"
    return config
