"""Measure how fast a model classifies crops, and name the device that does it."""

from __future__ import annotations

import os
import platform
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

REPEATS = 3


def crops_per_second(
    model: Any, crops: np.ndarray, batch_size: int = 64, repeats: int = REPEATS
) -> float:
    """Return the median rate of a few passes over the crops, after one that is not counted.

    Args:
        model: keras.Model.
        crops: (N, H, W, C) in memory, as stored.
        batch_size: Crops per step.
        repeats: Passes.
    """
    model.predict(crops, batch_size=batch_size, verbose=0)
    rates = []
    for _ in range(repeats):
        begun = time.perf_counter()
        model.predict(crops, batch_size=batch_size, verbose=0)
        rates.append(len(crops) / (time.perf_counter() - begun))
    return statistics.median(rates)


def device_name() -> str:
    """Return backend and device that Keras computes on, such as `jax, NVIDIA H100`."""
    import keras

    backend = keras.backend.backend()
    return f"{backend}, {_accelerator(backend) or _cpu()}"


def _accelerator(backend: str) -> str | None:
    if backend == "torch":
        import torch

        return torch.cuda.get_device_name() if torch.cuda.is_available() else None
    if backend == "jax":
        import jax

        first = jax.devices()[0]
        return None if first.platform == "cpu" else str(first.device_kind)
    import tensorflow as tf

    found = tf.config.list_physical_devices("GPU")
    if not found:
        return None
    details = tf.config.experimental.get_device_details(found[0])
    return str(details.get("device_name", found[0].name))


def _cpu() -> str:
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(line.partition(":")[2].strip() for line in lines if line[:10] == "model name")
    except (OSError, StopIteration):
        pass
    return f"{name}, {os.cpu_count()} cores"
