"""Measure an epoch of augmented crops beside Keras' own fit on the same crops in memory."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.bench.backends import (
    EDGE_PX,
    backends_to_measure,
    make_store,
    on_backend,
    rows_and_targets,
)
from stemcls.bench.measure import interleave, result
from stemcls.bench.network import random_network
from stemcls.store.cropstore import CropStore

# Of the backend in force, and of the others.
CROPS, FEWER, BATCH = 1024, 512, 32
TARGET = 0.97
# As many rounds as fit in here, so that one busy moment spoils few of them.
ROUNDS, SECONDS = (3, 15), 60.0


def train_input(data: Path) -> list[dict[str, Any]]:  # noqa: ARG001 - benchmarks take the folder
    """Train MobileNet 0.25 for an epoch: from a store with augmentation, and from plain arrays.

    Returns: `train-input-<backend>` for each installed one, crops a second; the same model, batch
        size and compiled step on both sides.
    """
    with tempfile.TemporaryDirectory(prefix="stemcls-bench-") as folder:
        store = make_store(Path(folder), CROPS)
        return [
            input_row(
                backend,
                on_backend(
                    backend, measure_input, store=str(store), count=FEWER if number else CROPS
                ),
            )
            for number, backend in enumerate(backends_to_measure())
        ]


def input_row(backend: str, found: dict[str, Any]) -> dict[str, Any]:
    """Return the row of what `measure_input` found."""
    crops = found["crops"]
    ours, plain = crops / found["seconds"], crops / found["plain_seconds"]
    return result(
        f"train-input-{backend}", ours, plain, "crops/s", TARGET, found["equal"],
        higher_is_better=True, backend=backend, rounds=found["rounds"],
        training_crops_per_second=ours,
    )


def measure_input(
    store: str, count: int = CROPS, batch_size: int = BATCH, seconds: float = SECONDS,
    backbone: str = "MobileNet", alpha: float = 0.25,
) -> dict[str, Any]:
    """Time epochs of both inputs in turn, after one of each that compiles.

    Args:
        store: Crops.
        count: How many of them make an epoch.
        batch_size: Crops per step.
        seconds: About how long to measure; at least 3 rounds are run.
        backbone, alpha: The network, with random weights.
    Returns: Median `seconds` and `plain_seconds` of an epoch, `crops`, `rounds`, and whether what
        is served without augmentation is `equal` to the arrays.
    """
    import keras

    from stemcls.config.experiment import AugmentConfig
    from stemcls.training.batches import Samples
    from stemcls.training.memory import crop_reader
    from stemcls.training.stages import loaders

    opened = CropStore.open(store)
    rows, targets = rows_and_targets(count, opened.labels)
    weights = np.ones(len(rows), np.float32)
    samples, read = Samples(rows, targets, weights), crop_reader(opened)
    crops = opened.read(rows)
    model = random_network(backbone, alpha, EDGE_PX, len(opened.classes))
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    spent: dict[str, list[float]] = {"ours": [], "plain": []}

    def epoch_of(side: str, *inputs: Any, **options: Any) -> None:
        """Fit two epochs; the second counts, in which batches of the next are made ahead."""
        ended: list[float] = []
        clock = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda _epoch, _logs: ended.append(time.perf_counter())
        )
        model.fit(*inputs, epochs=2, verbose=0, callbacks=[clock], **options)
        spent[side].append(ended[1] - ended[0])

    with loaders(
        (read, samples, batch_size, (0, 0), "none", AugmentConfig()), (read, samples, batch_size)
    ) as (batches, served):
        equal = all(
            np.array_equal(part, array[number * batch_size : (number + 1) * batch_size])
            for number in range(served.steps_per_epoch)
            for part, array in zip(served[number], (crops, targets, weights), strict=True)
        )

        def ours() -> None:
            epoch_of("ours", batches, steps_per_epoch=batches.steps_per_epoch, shuffle=False)

        def plain() -> None:
            epoch_of("plain", crops, targets, sample_weight=weights, batch_size=batch_size)

        for warm in (plain, ours, plain):
            warm()
        about = 4 * spent["plain"][-1]
        for times in spent.values():
            times.clear()
        rounds = int(np.clip(seconds // about, *ROUNDS))
        interleave(ours, plain, rounds)
    return {
        "seconds": statistics.median(spent["ours"]),
        "plain_seconds": statistics.median(spent["plain"]),
        "crops": len(rows), "rounds": rounds, "equal": equal,
    }
