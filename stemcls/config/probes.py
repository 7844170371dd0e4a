"""Settings of what looks at a store or a run without training it: audit, curve, embeddings."""

from __future__ import annotations

from dataclasses import dataclass, field

from stemcls.config.experiment import ModelConfig
from stemcls.config.options import MOST_SEED, option
from stemcls.errors import InputError

# Flags of `ModelConfig` that frozen features do not depend on.
HEAD_FLAGS = ("dense", "dropout", "l2", "label-smoothing", "focal-gamma")
_FEATURES_HELP = (
    "What crops are described by: simple (brightness, texture and shape, no weights needed) or "
    "backbone (the network of --backbone and --weights, frozen)."
)


@dataclass(frozen=True, kw_only=True)
class AuditConfig:
    """How a store is searched for leaks and shortcuts."""

    features: str = option("simple", _FEATURES_HELP, choices=("simple", "backbone"))
    classes: tuple[str, ...] = option((), "Look at these classes only (default: all).")
    crops: int = option(
        4000, "Most crops that classifiers are fitted to; more are drawn at random.", least=50,
        most=1_000_000,
    )
    folds: int = option(5, "Most folds of cross-validation.", least=2, most=20)
    shuffles: int = option(499, "Permutations of the labels per test.", least=199, most=100_000)
    seed: int = option(0, "Seed of folds, permutations and draws.", least=0, most=MOST_SEED)
    model: ModelConfig = field(default_factory=ModelConfig)


@dataclass(frozen=True, kw_only=True)
class CurveConfig:
    """How a learning curve is measured."""

    features: str = option("backbone", _FEATURES_HELP, choices=("backbone", "simple"))
    fractions: tuple[float, ...] = option(
        (0.1, 0.2, 0.35, 0.5, 0.7, 1.0), "Shares of the training crops or groups; the last is 1.",
        least=0.001, most=1.0,
    )
    repeats: int = option(10, "Random draws of each share.", least=3, most=1000)
    held_out: float = option(
        0.3, "Share of crops, in whole groups, that every fit is scored on.", least=0.1, most=0.6
    )
    metric: str = option(
        "mean_recall", "What is scored.", choices=("mean_recall", "accuracy", "auroc", "f1_macro")
    )
    classes: tuple[str, ...] = option((), "Tell these classes apart only (default: all).")
    resamples: int = option(500, "Bootstrap resamples for intervals.", least=100, most=100_000)
    seed: int = option(0, "Seed of split, draws and resamples.", least=0, most=MOST_SEED)
    model: ModelConfig = field(default_factory=ModelConfig)

    def __post_init__(self) -> None:
        """Check what no single setting can tell."""
        shares = self.fractions
        if len(shares) < 4 or list(shares) != sorted(set(shares)) or shares[-1] != 1.0:
            raise InputError(
                f"fractions are {list(shares)}: expected four or more, rising, the last one 1, as "
                "in 0.1 0.2 0.5 1"
            )


@dataclass(frozen=True, kw_only=True)
class EmbedConfig:
    """What is embedded in two dimensions, and how."""

    methods: tuple[str, ...] = option(
        ("pca", "tsne"), "pca, tsne, umap (needs the extra `umap`).",
        choices=("pca", "tsne", "umap"),
    )
    crops: int = option(1500, "Most crops; more are drawn at random.", least=20, most=20_000)
    perplexity: float = option(
        30.0, "Neighbours that t-SNE and UMAP keep close.", least=2.0, most=10_000.0
    )
    neighbours: int = option(15, "Neighbours that purity counts.", least=1, most=200)
    seed: int = option(0, "Seed of draws and layouts.", least=0, most=MOST_SEED)
