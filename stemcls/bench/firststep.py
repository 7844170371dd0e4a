"""Measure how long the first training step takes with and without XLA, and the steps after it."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.bench.backends import EDGE_PX, backends_to_measure, on_backend
from stemcls.bench.network import random_network
from stemcls.errors import StemclsError

BATCH, STEPS = 32, 24
# torch traces again in the steps after the first; from here on they are all alike.
SETTLED = 4
# Run eagerly, step by step, JAX is of no use, so there only the compiled one is measured.
ALWAYS_COMPILED = ("jax",)


def train_start(data: Path) -> list[dict[str, Any]]:  # noqa: ARG001 - benchmarks take the folder
    """Time the first steps of MobileNet 0.25 with XLA (torch: torch.compile) and without.

    Returns: Facts without a target, two rows a backend; "ours" is with XLA, "baseline" without.
        `train-start-<backend>`: seconds to the end of the first step. `train-step-<backend>`:
        seconds of a later one; `pays_after_steps`: from how many on XLA is the faster, or None;
        `left_out`: why XLA could not be measured.
    """
    rows = []
    for backend in backends_to_measure():
        compiled = backend in ALWAYS_COMPILED
        plain = None if compiled else on_backend(backend, measure_start, xla=False)
        xla, left_out = _with_xla(backend)
        rows += [{**row, "left_out": left_out} for row in start_rows(backend, xla, plain)]
    return rows


def start_rows(
    backend: str, xla: dict[str, Any] | None, plain: dict[str, Any] | None
) -> list[dict[str, Any]]:
    """Return both rows of what `measure_start` found with XLA and without, None where it cannot."""
    both = {"backend": backend, "pays_after_steps": pays_after(xla, plain)}
    return [
        {
            "name": name,
            "ours": xla and xla[key],
            "baseline": plain and plain[key],
            "ratio": plain[key] / xla[key] if plain and xla else None,
            "unit": unit,
            "target": None,
            "equal_outputs": None,
            **both,
        }
        for name, key, unit in (
            (f"train-start-{backend}", "first_seconds", "s to 1st step, XLA | not"),
            (f"train-step-{backend}", "step_seconds", "s a step, XLA | not"),
        )
    ]


def pays_after(xla: dict[str, Any] | None, plain: dict[str, Any] | None) -> int | None:
    """Return the number of steps from which XLA is ahead; None: never, or not measured."""
    if not xla or not plain or xla["step_seconds"] >= plain["step_seconds"]:
        return None
    gained = plain["step_seconds"] - xla["step_seconds"]
    return max(0, int(np.ceil((xla["start_seconds"] - plain["start_seconds"]) / gained)))


def _with_xla(backend: str) -> tuple[dict[str, Any] | None, str | None]:
    """Return what was found, or why it cannot be: torch.compile needs a C++ compiler."""
    try:
        return on_backend(backend, measure_start, xla=True), None
    except StemclsError as error:
        return None, str(error)


def measure_start(
    xla: bool, backbone: str = "MobileNet", alpha: float = 0.25, steps: int = STEPS
) -> dict[str, Any]:
    """Train for a few steps in this process.

    Args:
        xla: As Keras' `jit_compile`.
        backbone, alpha: The network, with random weights.
        steps: How many, more than `SETTLED`.
    Returns: `first_seconds` until the first step has ended; median `step_seconds` of the settled
        ones; `start_seconds`, what the steps before cost beyond that.
    """
    import keras

    class Clock(keras.callbacks.Callback):
        """Notes when each step has ended."""

        def __init__(self) -> None:
            super().__init__()
            self.ended: list[float] = []

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
            float((logs or {}).get("loss", 0.0))  # waits for the device
            self.ended.append(time.perf_counter())

    rng = np.random.default_rng(0)
    crops = rng.integers(0, 256, (BATCH * steps, EDGE_PX, EDGE_PX, 3), dtype=np.uint8)
    model = random_network(backbone, alpha, EDGE_PX, 2)
    clock = Clock()
    begun = time.perf_counter()
    model.compile(
        optimizer="adam", loss="sparse_categorical_crossentropy", jit_compile=xla
    )
    model.fit(
        crops, np.arange(len(crops)) % 2, batch_size=BATCH, verbose=0, callbacks=[clock]
    )
    step = statistics.median(np.diff(clock.ended)[SETTLED - 1 :].tolist())
    return {
        "first_seconds": clock.ended[0] - begun,
        "step_seconds": step,
        "start_seconds": clock.ended[SETTLED - 1] - begun - SETTLED * step,
    }
