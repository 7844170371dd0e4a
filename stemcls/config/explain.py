"""Settings of explanations: which methods, where in the network, and how finely."""

from __future__ import annotations

from dataclasses import dataclass, field

from stemcls.config.options import MOST_SEED, option


@dataclass(frozen=True, kw_only=True)
class MethodSettings:
    """What single methods take besides crops and classes; methods read only what is theirs."""

    top_channels: int = option(
        0, "Score-CAM: only this many channels per crop, the most active; 0: all. The error it "
        "makes is measured and told.", least=0, most=65_536,
    )
    patch_px: int = option(
        0, "Occlusion: edge of the grey patch, pixels; 0: an eighth of the crop.", least=0,
        most=4096,
    )
    samples: int = option(16, "SmoothGrad: noisy copies of each crop.", least=1, most=10_000)
    noise: float = option(
        0.15, "SmoothGrad: standard deviation of the noise, fraction of the crop's range.",
        least=0.0, most=10.0,
    )
    lrp: str = option(
        "epsilon-gamma-box", "LRP: preset of rules.",
        choices=(
            "epsilon-gamma-box", "epsilon-plus", "epsilon-alpha2-beta1", "epsilon", "taylor",
        ),
        flag="lrp-preset",
    )
    lrp_epsilon: float = option(
        1e-6, "LRP: added to the size of each sum that relevance is divided by; more of it, such "
        "as 0.1, lets weak evidence vanish.", least=1e-30, most=1000.0,
    )
    seed: int = option(0, "Seed of everything random.", least=0, most=MOST_SEED)


@dataclass(frozen=True, kw_only=True)
class ExplainConfig:
    """Which cells are explained, by which methods, for which class."""

    methods: tuple[str, ...] = option(
        ("gradcam",), "Saliency method, repeatable or with commas; `--method list` lists them.",
        flag="method",
    )
    layers: tuple[str, ...] = option(
        (), "Layer to look at, repeatable (maps are fused); default: the stride-8 layer.",
        flag="layer",
    )
    target: str = option(
        "", "Class that the maps speak for; default: the predicted one of each cell.",
        flag="class",
    )
    rows: str = option("", "Store rows, such as 3,17,20; default: telling ones.")
    per_class: int = option(
        2, "Without --rows, pictures of this many surest and least sure cells of each entry of the "
        "confusion matrix.", least=1, most=10_000,
    )
    cells: int = option(
        64, "Without --rows, cells drawn at random for pixel scores and mean maps.", least=0,
        most=1_000_000,
    )
    label_epochs: int = option(
        0, "With --check: also train a copy of the network on shuffled labels, for at most this "
        "many epochs, and compare its maps; 0: leave that out.", least=0, flag="check-labels",
        most=100_000,
    )
    settings: MethodSettings = field(default=MethodSettings())
