"""One experiment: everything that decides what a training run does."""

from __future__ import annotations

from dataclasses import dataclass, field

from stemcls.config.options import option
from stemcls.errors import InputError

# Sizes of the groups of flips and quarter turns that a square has.
VIEWS = (1, 2, 4, 8)


@dataclass(frozen=True, kw_only=True)
class SplitConfig:
    """Which groups train, which choose the weights, and which only test."""

    by: str = option(
        "auto", "Keep together: all crops of a group, or of a field (auto: groups if there are).",
        choices=("auto", "group", "field", "crop"), flag="split-by",
    )
    validation: float = option(
        0.2, "Share of crops for early stopping.", least=0.05, most=0.5, flag="validation"
    )
    test: float = option(
        0.2, "Share of crops kept for the final numbers.", least=0.0, most=0.5, flag="test"
    )
    classes: tuple[str, ...] = option((), "Train on these classes only (default: all).")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The network: where it is cut, what it sees, and the head on top."""

    backbone: str = option("MobileNetV2", "Network from the table of backbones.")
    weights: str = option("imagenet", "imagenet, none, or a Keras weights file without top.")
    alpha: float = option(1.0, "Width multiplier of MobileNet and MobileNetV2.", least=0.05)
    input_px: int = option(
        0, "Resize crops inside the model until their shorter edge is this; 0: as stored.",
        least=0, most=1024,
    )
    stride: int = option(
        32, "Pixels per feature where the head taps the backbone: 8, 16 or 32.", least=8, most=32
    )
    dense: tuple[int, ...] = option((), "Units of each dense layer between pooling and logits.")
    dropout: float = option(0.3, "Dropout before each dense layer.", least=0.0, most=0.95)
    l2: float = option(1e-3, "L2 penalty on dense kernels.", least=0.0)


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Random changes to a training crop, one combined affine map (Wang 2023, Khalkhali 2025)."""

    flip: bool = option(True, "Flip each axis with probability 1/2.")
    rotate_deg: float = option(90.0, "Largest rotation either way, degrees.", least=0.0, most=180.0)
    shift: float = option(0.1, "Largest shift, fraction of the edge.", least=0.0, most=0.5)
    zoom: float = option(0.2, "Largest change of scale, fraction.", least=0.0, most=0.9)
    brightness: float = option(0.1, "Largest gain either way, fraction.", least=0.0, most=0.9)


@dataclass(frozen=True, kw_only=True)
class FrozenConfig:
    """First stage: the backbone is fixed, only the head learns, on cached features."""

    epochs: int = option(60, "Most epochs.", least=0, flag="frozen-epochs")
    learning_rate: float = option(1e-3, "Adam's rate.", least=0.0, flag="frozen-learning-rate")
    batch_size: int = option(64, "Feature vectors per step.", least=1, flag="frozen-batch-size")
    patience: int = option(
        8, "Epochs without a better validation loss before it stops.", least=1,
        flag="frozen-patience",
    )
    views: int = option(
        8, "Cached flips and quarter turns of every training crop: 1, 2, 4 or 8.",
        least=1, most=8, flag="frozen-views",
    )

    def __post_init__(self) -> None:
        """Check the number of views."""
        _check_views("frozen.views", self.views)


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig:
    """Second stage: the whole network learns at a reduced rate, BatchNorm statistics fixed."""

    epochs: int = option(10, "Most epochs.", least=0, flag="finetune-epochs")
    learning_rate: float = option(1e-5, "Adam's rate.", least=0.0, flag="finetune-learning-rate")
    batch_size: int = option(32, "Crops per step.", least=1, flag="finetune-batch-size")
    patience: int = option(
        3, "Epochs without a better validation loss before it stops.", least=1,
        flag="finetune-patience",
    )


@dataclass(frozen=True, kw_only=True)
class ScratchConfig:
    """The only stage where weights = none: the whole network learns, BatchNorm included."""

    epochs: int = option(60, "Most epochs.", least=0, flag="scratch-epochs")
    learning_rate: float = option(1e-3, "Adam's rate.", least=0.0, flag="scratch-learning-rate")
    batch_size: int = option(32, "Crops per step.", least=1, flag="scratch-batch-size")
    patience: int = option(
        12, "Epochs without a better validation loss before it stops.", least=1,
        flag="scratch-patience",
    )


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A training run, fully described; `stemcls train --config FILE` repeats it."""

    store: str = option("", "Crop store.")
    name: str = option("", "Name of the run (default: the store's).")
    seed: int = option(0, "Seed of split, weights, order and augmentation.", least=0)
    class_weights: bool = option(True, "Weigh classes by the inverse of their count.")
    test_views: int = option(
        1, "Flips and quarter turns averaged when the run is evaluated: 1, 2, 4 or 8.",
        least=1, most=8,
    )
    split: SplitConfig = field(default_factory=SplitConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    frozen: FrozenConfig = field(default_factory=FrozenConfig)
    finetune: FinetuneConfig = field(default_factory=FinetuneConfig)
    scratch: ScratchConfig = field(default_factory=ScratchConfig)

    def __post_init__(self) -> None:
        """Check the number of views before hours of training, not after."""
        _check_views("test_views", self.test_views)


def _check_views(name: str, views: int) -> None:
    if views not in VIEWS:
        raise InputError(f"{name} must be 1, 2, 4 or 8, found {views}")
