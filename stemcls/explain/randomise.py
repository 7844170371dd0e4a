"""Does a map depend on what the model learned? Random weights and random labels must change it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from stemcls.explain.probe import Probe, open_probe
from stemcls.training.compiling import compile_classifier

N_STAGES = 6
N_DRAWS = 3
LEARNED_BY_HEART = 0.95
# What a layer measured and did not learn; without it signals would grow or die out.
MEASURED = ("moving_mean", "moving_variance", "mean", "variance", "count")

Explain = Callable[[Probe], np.ndarray]


@dataclass(frozen=True)
class Cascade:
    """How alike maps stay while the network is made random from its logits downwards.

    Attributes:
        layers: Name of the lowest layer that is random at each stage.
        similarity: Mean rank correlation with the maps of the true model, in [-1, 1].
        upper: Number of stages in which no more than half of the layers are random.
    """

    layers: tuple[str, ...]
    similarity: tuple[float, ...]
    upper: int

    @property
    def judged(self) -> float:
        """Mean similarity while the upper half becomes random: by then the model knows nothing.

        What edges the lowest layers still find is the crop's, so the whole cascade would be too
        lenient a judge.
        """
        return float(np.mean(self.similarity[: self.upper]))


def cascade(
    probe: Probe, explain: Explain, n_stages: int = N_STAGES, n_draws: int = N_DRAWS, seed: int = 0,
    update: Callable[[], None] = lambda: None,
) -> Cascade:
    """Randomise the layers one after the other, from the logits down, and compare the maps.

    Kernels and biases are shuffled, so their sizes stay what they were. The weights are put back
    at the end, and after an error or Ctrl-C.

    Args:
        probe: An opened model.
        explain: Makes the maps of the crops in question, (N, H, W).
        n_stages: The layers are shared out among so many, evenly.
        n_draws: Cascades, over which the similarity is averaged.
        seed: Of the shuffling.
        update: Called after each stage of each draw.
    Source: Adebayo et al. 2018, sec. 3.1, "cascading randomization", with their rank correlation
        of absolute values (arXiv:1810.03292).
    """
    layers = [operation for operation in probe.order if _learns(operation)][::-1]
    ends = np.unique(np.linspace(1, len(layers), min(n_stages, len(layers))).round().astype(int))
    truth = explain(probe)
    similarity = np.zeros((n_draws, len(ends)))
    random = np.random.default_rng(seed)
    for draw in range(n_draws):
        with _restored(probe):
            for stage, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
                for layer in layers[start:end]:
                    _shuffle(layer, random)
                similarity[draw, stage] = rank_correlation(truth, explain(probe)).mean()
                update()
    upper = max(1, int((ends <= (len(layers) + 1) // 2).sum()))
    names = tuple(layers[end - 1].name for end in ends)
    return Cascade(names, tuple(similarity.mean(axis=0).tolist()), upper)


def train_on_random_labels(
    probe: Probe, crops: np.ndarray, labels: np.ndarray, epochs: int, seed: int = 0
) -> tuple[Probe, float]:
    """Train the same network from scratch on the same crops with their labels shuffled.

    Args:
        probe: An opened model; it is left alone.
        crops: (N, H, W, C) as stored.
        labels: (N,) class indices.
        epochs: At most; it ends once 95 % of the shuffled labels are known by heart.
        seed: Of the shuffling and the weights.
    Returns: The new model, and the fraction of the shuffled labels that it learned.
    Source: Adebayo et al. 2018, sec. 3.2 "data randomization".
    """
    import keras

    keras.utils.set_random_seed(seed)
    model = keras.models.clone_model(probe.model)
    for new, old in zip(model.layers, probe.model.layers, strict=True):
        if not new.trainable_weights:
            new.set_weights(old.get_weights())
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    compile_classifier(model, keras.optimizers.Adam(1e-3), loss)

    def stop_once_learned(epoch: int, logs: dict[str, float]) -> None:
        del epoch
        model.stop_training = logs["accuracy"] >= LEARNED_BY_HEART

    shuffled = np.random.default_rng(seed).permutation(labels)
    history = model.fit(
        crops, shuffled, batch_size=min(32, len(crops)), epochs=epochs, verbose=0,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=stop_once_learned)],
    )
    learned = float(history.history["accuracy"][-1])
    return open_probe(model, probe.layers or None, probe.batch_size), learned


def rank_correlation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Correlate the ranks of the absolute values of maps, crop by crop (Spearman).

    Args:
        one, other: (N, H, W).
    Returns: (N,) in [-1, 1]; 0 where a map is the same everywhere or not finite.
    """
    from scipy.stats import rankdata

    n = len(one)
    pair = [np.abs(maps.reshape(n, -1).astype(np.float64)) for maps in (one, other)]
    usable = np.isfinite(pair).all(axis=(0, 2))
    ranks = [rankdata(np.nan_to_num(maps), axis=1) for maps in pair]
    first, second = (rank - rank.mean(axis=1, keepdims=True) for rank in ranks)
    size = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    product = (first * second).sum(axis=1)
    return np.divide(product, size, out=np.zeros(n), where=usable & (size > 0))


def _learns(operation: Any) -> bool:
    return any(not _is_measured(variable) for variable in getattr(operation, "weights", []))


def _is_measured(variable: Any) -> bool:
    return variable.path.rsplit("/", 1)[-1] in MEASURED


def _shuffle(layer: Any, random: np.random.Generator) -> None:
    layer.set_weights([
        values if _is_measured(variable)
        else random.permutation(values.ravel()).reshape(values.shape)
        for variable, values in zip(layer.weights, layer.get_weights(), strict=True)
    ])


@contextmanager
def _restored(probe: Probe) -> Iterator[None]:
    kept = probe.model.get_weights()
    try:
        yield
    finally:
        probe.model.set_weights(kept)
