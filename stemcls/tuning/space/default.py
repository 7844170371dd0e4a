"""The space that is searched where nobody wrote one: what usually matters for an experiment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from stemcls.config.experiment import Experiment, StageConfig
from stemcls.models.backbones import backbone_named
from stemcls.tuning.space import keys
from stemcls.tuning.space.dimensions import Condition, Dimension
from stemcls.tuning.space.space import SearchSpace

DEEPEST = 2
WIDTHS = (64, 128, 256, 512)
EDGES_PX = (96, 160)
# A learning rate is searched this many times below and above the base's.
RATES = 10.0


def default_space(
    base: Experiment, backbones: Sequence[str] = (), crops: int | None = None
) -> SearchSpace:
    """Return a space around an experiment, every default its own value where that is possible.

    Only stages that will run are searched: with the head's alone there is nothing of augmentation
    or of the backbone's rate in it.

    Args:
        base: What trials have in common.
        backbones: To choose among; none or one: the base's own.
        crops: That a fold trains on, so that no batch is larger; None where it is not known.
    Raises:
        InputError: There is no such backbone; names the nearest.
    """
    names = tuple(dict.fromkeys(backbones)) or (base.model.backbone,)
    dimensions = [*_network(base, names), *_head(base), *_training(base)]
    for stage in base.plan:
        dimensions += _stage(base, stage, crops)
    return SearchSpace(tuple(dimensions))


def _network(base: Experiment, backbones: tuple[str, ...]) -> Iterator[Dimension]:
    rows = [backbone_named(name) for name in backbones]
    if len(backbones) > 1:
        yield _choice(base, "model.backbone", backbones)
    strides = sorted(set.intersection(*(set(row.taps) for row in rows)), reverse=True)
    if len(strides) > 1:
        joined = (str([finer, coarser]) for coarser, finer in pairwise(strides))
        left_open = () if base.model.stride else ("[]",)
        yield _choice(base, "model.stride", (*left_open, *map(str, strides), *joined))
    least = max(row.least_px for row in rows)
    edges = {0, base.model.input_px, *(edge for edge in EDGES_PX if edge >= least)}
    yield _choice(base, "model.input_px", tuple(sorted(edges)))


def _head(base: Experiment) -> Iterator[Dimension]:
    depths = tuple(range(max(DEEPEST, len(base.model.dense)) + 1))
    yield _number(base, keys.DEPTH, "int", 0, depths[-1])
    for layer in depths[1:]:
        yield _choice(
            base, keys.width_key(layer), WIDTHS, when=Condition(keys.DEPTH, depths[layer:])
        )
    stepwise = _stepwise(base, depths)
    yield _number(base, "model.dropout", "float", 0.0, 0.7, when=stepwise)
    yield _number(base, "model.l2", "float", 1e-6, 1e-1, log=True, when=stepwise)


def _stepwise(base: Experiment, depths: tuple[int, ...]) -> Condition | None:
    """Return when a head is trained in steps: always (None), or only with dense layers."""
    solved = all(base.is_exact(stage) for stage in base.plan)
    return Condition(keys.DEPTH, depths[1:]) if solved else None


def _training(base: Experiment) -> Iterator[Dimension]:
    yield _choice(base, "balance", ("none", "class-weights", "oversample"))
    if any(stage.trainable != "none" for stage in base.plan):
        yield _number(base, keys.STRENGTH, "float", 0.0, 2.0)


def _stage(base: Experiment, stage: StageConfig, crops: int | None) -> Iterator[Dimension]:
    name = f"stages.{stage.name}"
    rate, size, epochs = stage.learning_rate, stage.batch_size, stage.epochs
    depths = tuple(range(max(DEEPEST, len(base.model.dense)) + 1))
    when = Condition(keys.DEPTH, depths[1:]) if base.is_exact(stage) else None
    if rate > 0:
        yield _number(
            base, f"{name}.learning_rate", "float", rate / RATES, rate * RATES, log=True, when=when
        )
    most = 2 * size if crops is None else crops
    sizes = {min(max(1, wanted), most) for wanted in (size // 2, size, 2 * size)}
    yield _choice(base, f"{name}.batch_size", tuple(sorted(sizes)), when=when)
    yield _number(
        base, f"{name}.epochs", "int", max(1, epochs // 2), 2 * epochs, log=True, when=when
    )
    if stage.trainable != "none" and base.pretrained:
        yield _number(base, f"{name}.backbone_factor", "float", 0.01, 1.0, log=True)


def _choice(base: Experiment, key: str, choices: tuple[Any, ...], **settings: Any) -> Dimension:
    dimension = Dimension(key=key, kind="choice", choices=choices, **settings)
    return _with_default(base, dimension)


def _number(
    base: Experiment, key: str, kind: str, low: float, high: float, **settings: Any
) -> Dimension:
    return _with_default(base, Dimension(key=key, kind=kind, low=low, high=high, **settings))


def _with_default(base: Experiment, dimension: Dimension) -> Dimension:
    return Dimension.from_dict({
        **dimension.to_dict(), "default": keys.default_in(base, dimension)
    })
