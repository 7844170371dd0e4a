"""One experiment: everything that decides what a training run does."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from stemcls.config.options import MOST_SEED, option
from stemcls.errors import InputError

# Sizes of the groups of flips and quarter turns that a square has.
VIEWS = (1, 2, 4, 8)
# As a backbone: the one that `stemcls rank` would choose.
AUTO = "auto"
# What the numbers of the finished model are filed under, beside those of each stage.
FINAL = "final"
# Names the members in the config.toml of an ensemble, which holds no experiment of its own.
MEMBERS = "members"


def _check_views(name: str, views: int) -> None:
    if views not in VIEWS:
        raise InputError(f"{name} must be 1, 2, 4 or 8, found {views}")


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


USUAL_STRIDES = (4, 8, 16)


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The network: where it is cut, what it sees, and the head on top."""

    backbone: str = option(
        "MobileNetV2", "Network from the table of backbones; `train` also takes auto: the fastest "
        "of those nearly as good as the best, by `stemcls rank`."
    )
    weights: str = option(
        "imagenet", "imagenet, none, or a weights file: .h5 of Keras; .safetensors, .npz of torch."
    )
    alpha: float = option(1.0, "Width multiplier of the MobileNets.", least=0.05, most=4.0)
    input_px: int = option(
        -1, "Resize crops inside the model until their shorter edge is this; 0: as stored, or the "
        "least that the backbone takes; -1: 96 with pretrained weights, else as 0.",
        least=-1, most=1024,
    )
    stride: tuple[int, ...] = option(
        (), "Pixels per feature where the head taps the backbone: 4, 8, 16 or 32; several are "
        "pooled one by one and joined; empty: 4, 8 and 16 with pretrained weights, else 32.",
        least=4, most=32,
    )
    pooling: str = option(
        "auto", "What is kept of each map: its mean, or rings: the mean, one weighted to the "
        "middle, and those of rings around it; auto: rings where the stride is left open and "
        "weights are pretrained.", choices=("auto", "mean", "rings"),
    )
    dense: tuple[int, ...] = option(
        (), "Units of each dense layer between pooling and logits.", least=1, most=65_536
    )
    dropout: float = option(0.3, "Dropout before each dense layer.", least=0.0, most=0.95)
    l2: float = option(1e-3, "L2 penalty on dense kernels.", least=0.0, most=100.0)
    label_smoothing: float = option(
        0.0, "Share of each label that is spread over all classes.", least=0.0, most=0.9
    )
    focal_gamma: float = option(
        0.0, "Focal loss: how strongly easy crops count less (2 is usual); 0: cross-entropy.",
        least=0.0, most=10.0,
    )

    @property
    def strides(self) -> tuple[int, ...]:
        """Strides that are asked for; of the usual ones a backbone taps those that it has.

        Empty: the coarsest that it has.
        """
        return self.stride or (USUAL_STRIDES if self.weights != "none" else ())

    @property
    def pools_rings(self) -> bool:
        """Whether more than the mean of each map is kept."""
        if self.pooling == "auto":
            return not self.stride and self.weights != "none"
        return self.pooling == "rings"


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Random changes to a training crop, one combined affine map (Wang 2023, Khalkhali 2025)."""

    flip: bool = option(True, "Flip each axis with probability 1/2.")
    rotate_deg: float = option(90.0, "Largest rotation either way, degrees.", least=0.0, most=180.0)
    shift: float = option(0.1, "Largest shift, fraction of the edge.", least=0.0, most=0.5)
    zoom: float = option(0.2, "Largest change of scale, fraction.", least=0.0, most=0.9)
    brightness: float = option(0.1, "Largest gain either way, fraction.", least=0.0, most=0.9)
    contrast: float = option(
        0.0, "Largest change of contrast about the crop's mean, fraction.", least=0.0, most=0.9
    )
    noise: float = option(
        0.0, "Largest standard deviation of added noise, fraction of white.", least=0.0, most=0.5
    )
    blur_px: float = option(
        0.0, "Largest standard deviation of a Gaussian blur, pixels.", least=0.0, most=8.0
    )


@dataclass(frozen=True, kw_only=True)
class StageConfig:
    """One stage of training: what learns, how fast, for how long."""

    name: str = option("stage", "Name: small letters, digits and dashes.")
    start: str = option(
        "any", "Left out unless the backbone starts from: pretrained weights, random ones, or any.",
        choices=("any", "pretrained", "random"),
    )
    trainable: str = option(
        "all", "What learns besides the head: none of the backbone (trained on cached features), "
        "its last block (the layers at the tap's resolution), or all of it.",
        choices=("none", "last-block", "all"),
    )
    epochs: int = option(10, "Most epochs; 0 leaves the stage out.", least=0, most=100_000)
    learning_rate: float = option(1e-4, "Rate of the head, at its start.", least=1e-9, most=10.0)
    batch_size: int = option(
        32, "Crops (or cached feature vectors) per step.", least=1, most=65_536
    )
    patience: int = option(
        5, "Epochs without a better validation loss before it stops.", least=1, most=100_000,
    )
    views: int = option(
        8, "With trainable=none: cached flips and quarter turns of every training crop: 1, 2, 4 or "
        "8.", least=1, most=8,
    )
    backbone_factor: float = option(
        1.0, "Rate of the backbone as a fraction of the head's (Wang 2023: 0.01).", least=0.0,
        most=100.0,
    )
    schedule: str = option(
        "constant", "Rate over the epochs: constant; cosine: falls to 0 over all of them; "
        "warm-cosine: rises for an eighth of them first; plateau: divided by 3 after half the "
        "patience without a better validation loss.",
        choices=("constant", "cosine", "warm-cosine", "plateau"),
    )
    optimizer: str = option(
        "adam", "Optimiser. lbfgs: with trainable=none, logistic regression on all crops that do "
        "not test, solved exactly, its strength chosen by inner folds; auto: lbfgs where the head "
        "is one layer, else adam.", choices=("auto", "adam", "adamw", "sgd", "lbfgs"),
    )
    weight_decay: float = option(
        0.0, "Decoupled weight decay of adamw or sgd: a step shrinks each weight by this times its "
        "own rate.", least=0.0, most=10.0,
    )
    batch_norm: str = option(
        "auto", "BatchNorm of the layers that learn: fixed, or learn (statistics, scale, offset); "
        "auto: fixed for pretrained weights.",
        choices=("auto", "fixed", "learn"),
    )

    def __post_init__(self) -> None:
        """Check what no single setting can tell."""
        if not re.fullmatch(r"[a-z][a-z0-9-]*", self.name) or self.name == FINAL:
            raise InputError(
                f"a stage is called {self.name!r}: expected small letters, digits and dashes, and "
                f"not {FINAL!r}"
            )
        _check_views(f"stages.{self.name}.views", self.views)
        if self.optimizer in ("auto", "lbfgs") and self.trainable != "none":
            raise InputError(
                f"stages.{self.name}.optimizer is {self.optimizer}, which fits a head on a frozen "
                "backbone alone; set trainable to none, or optimizer to adam, adamw or sgd"
            )
        if self.weight_decay and self.optimizer == "adam":
            raise InputError(
                f"stages.{self.name}.weight_decay is {self.weight_decay:g}, but adam has none; "
                "set optimizer to adamw"
            )


FINETUNE, FINETUNE_EPOCHS = "finetune", 10
DEFAULT_STAGES = (
    StageConfig(
        name="frozen", start="pretrained", trainable="none", epochs=200, learning_rate=1e-3,
        batch_size=64, patience=20, views=4, optimizer="auto",
    ),
    StageConfig(
        name="finetune", start="pretrained", trainable="last-block", epochs=0,
        learning_rate=3e-4, batch_size=32, patience=FINETUNE_EPOCHS, optimizer="adamw",
        weight_decay=0.01, schedule="warm-cosine",
    ),
    StageConfig(
        name="scratch", start="random", epochs=60, learning_rate=1e-3, batch_size=32, patience=12,
    ),
)


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A training run, fully described; `stemcls train --config FILE` repeats it."""

    store: str = option("", "Crop store.")
    name: str = option("", "Name of the run (default: the store's).")
    start_from: str = option(
        "", "Finished run or .keras file whose model training goes on from, head and all; empty: a "
        "new head on the backbone's weights."
    )
    seed: int = option(
        0, "Seed of split, weights, order and augmentation.", least=0, most=MOST_SEED
    )
    balance: str = option(
        "class-weights", "Unequal classes: weigh by the inverse of their count, oversample to the "
        "largest, draw each class equally often, or none of these.",
        choices=("none", "class-weights", "oversample", "weighted-sampling"),
    )
    test_views: int = option(
        4, "Flips and quarter turns averaged when the run is evaluated: 1, 2, 4 or 8, but at most "
        "those that the stages learn from.",
        least=1, most=8,
    )
    finetune: str = option(
        "auto", "Whether the default stages train the backbone too, after the head: never, always, "
        "or auto: on a GPU, where it is cheap. What does not lower the validation loss by more "
        "than chance is undone.", choices=("auto", "always", "never"),
    )
    precision: str = option(
        "auto", "What the network computes with in training: auto is mixed_bfloat16 on GPUs that "
        "do it natively, else float32. Saved models compute in float32.",
        choices=("auto", "float32", "mixed_bfloat16", "mixed_float16"),
    )
    xla: str = option(
        "auto", "Compile training steps: TensorFlow by XLA (auto: on GPUs), PyTorch by its own "
        "compiler (auto: off); JAX always does.", choices=("auto", "on", "off"),
    )
    split: SplitConfig = field(default_factory=SplitConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    stages: tuple[StageConfig, ...] = DEFAULT_STAGES

    def __post_init__(self) -> None:
        """Check before hours of training, not after."""
        _check_views("test_views", self.test_views)
        names = [stage.name for stage in self.stages]
        if len(set(names)) < len(names):
            raise InputError(f"stages must have different names, found {', '.join(names)}")
        for stage in self.stages:
            if stage.optimizer == "lbfgs" and self.model.dense:
                raise InputError(
                    f"stages.{stage.name}.optimizer is lbfgs, which solves for one layer, but "
                    f"model.dense is {list(self.model.dense)}: leave dense out, or set the "
                    "optimizer to adam"
                )
        if not self.plan:
            raise InputError(
                f"no stage is left for weights = {self.model.weights!r}: each of "
                f"{', '.join(names) or 'none'} has 0 epochs or another `start`"
            )

    @property
    def pretrained(self) -> bool:
        """Whether the backbone starts from weights that were learned elsewhere."""
        return self.model.weights != "none" or bool(self.start_from)

    def is_exact(self, stage: StageConfig) -> bool:
        """Say whether a stage solves for its head instead of training it step by step."""
        plain = not (self.model.dense or self.model.label_smoothing or self.model.focal_gamma)
        wanted = stage.optimizer == "lbfgs" or (
            stage.optimizer == "auto" and plain and not self.start_from
        )
        return stage.trainable == "none" and wanted

    @property
    def plan(self) -> tuple[StageConfig, ...]:
        """The stages that will run, in order."""
        starts = ("any", "pretrained" if self.pretrained else "random")
        return tuple(s for s in self.stages if s.start in starts and s.epochs)


def with_finetuning(experiment: Experiment, wanted: bool) -> Experiment:
    """Return the experiment with its stage `finetune` on or off, where it is one that may be.

    Args:
        experiment: A stage of that name which was given epochs keeps them.
        wanted: Give it epochs if it has none; augmentation that was left as it is then flips and
            lightens crops only.
    """
    epochs = FINETUNE_EPOCHS if wanted else 0
    stages = tuple(
        replace(stage, epochs=epochs) if stage.name == FINETUNE and (
            experiment.finetune == "never" or not stage.epochs
        ) else stage
        for stage in experiment.stages
    )
    augment = experiment.augment
    if wanted and augment == AugmentConfig():
        # The head was solved for on crops as sharp as they are; what is resampled is not.
        augment = replace(augment, rotate_deg=0.0, zoom=0.0, shift=0.0)
    return replace(experiment, stages=stages, augment=augment)


def with_views_learned(experiment: Experiment) -> Experiment:
    """Return the experiment with `test_views` lowered to those that its stages learn from.

    The mean over views that training never saw is wrong without a word where the way that a crop
    lies tells the classes: stripes along x are those along y, a quarter turn later.
    """
    augment, plan = experiment.augment, experiment.plan
    crops = any(stage.trainable != "none" for stage in plan)
    learned = max((stage.views for stage in plan if stage.trainable == "none"), default=1)
    if crops and (augment.flip or augment.rotate_deg >= 180.0):
        turned = 4 if augment.rotate_deg >= 90.0 else 2
        learned = max(learned, 8 if augment.flip and turned == 4 else turned)
    return replace(experiment, test_views=min(experiment.test_views, learned))


def views_note(experiment: Experiment) -> str:
    """Say that fewer views are averaged than are asked for; "" where all are."""
    asked, learned = experiment.test_views, with_views_learned(experiment).test_views
    if asked == learned:
        return ""
    return (
        f"scores average {learned} of the {asked} flips and quarter turns that test_views asks "
        "for: training sees no others with this augmentation"
    )


def with_absolute_paths(experiment: Experiment) -> Experiment:
    """Return the experiment as any folder can repeat it: every path in it made absolute."""
    model, start = experiment.model, experiment.start_from
    if model.weights not in ("imagenet", "none"):
        model = replace(model, weights=str(Path(model.weights).resolve()))
    return replace(
        experiment, store=str(Path(experiment.store).resolve()), model=model,
        start_from=str(Path(start).resolve()) if start else "",
    )
