"""How a finished model is adapted to a new site with few labels."""

from __future__ import annotations

from dataclasses import dataclass

from stemcls.config.experiment import StageConfig
from stemcls.config.options import MOST_SEED, option
from stemcls.errors import InputError

ADAPT_STAGES = (
    StageConfig(
        name="head", trainable="none", epochs=100, learning_rate=3e-4, batch_size=16, patience=10,
    ),
    StageConfig(
        name="network", trainable="all", epochs=30, learning_rate=1e-5, batch_size=16, patience=5,
    ),
)


@dataclass(frozen=True, kw_only=True)
class AdaptConfig:
    """Adaptation of a finished model, and what it is compared with."""

    labels: tuple[int, ...] = option(
        (10, 30, 100), "Labelled crops per class to learn from, a quarter of which stop training; "
        "numbers that the store cannot give are left out.", least=2, most=1_000_000,
    )
    by: str = option(
        "auto", "Keep together: all crops of a group, or of a field (auto: groups if there are).",
        choices=("auto", "group", "field"), flag="split-by",
    )
    test: float = option(
        0.4, "Share of the crops, in whole groups, that only test.", least=0.1, most=0.8
    )
    metric: str = option(
        "mean_recall", "What better means.",
        choices=("mean_recall", "balanced_accuracy", "accuracy", "auroc", "f1_macro"),
    )
    seed: int = option(
        0, "Seed of split, draw of labels, order and augmentation.", least=0, most=MOST_SEED
    )
    stages: tuple[StageConfig, ...] = ADAPT_STAGES

    def __post_init__(self) -> None:
        """Check what no single setting can tell."""
        if not self.labels or min(self.labels) < 2:
            raise InputError(
                f"labels are {list(self.labels)}: expected numbers of 2 or more, as one crop of a "
                "class trains and another stops training"
            )
