"""Published ways to train, as starting points: `stemcls train STORE --recipe NAME`."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from stemcls.config.options import merged
from stemcls.errors import check_known

_FROZEN_THEN_ALL: list[dict[str, Any]] = [
    {
        "name": "frozen", "start": "pretrained", "trainable": "none", "epochs": 200, "patience": 20,
        "learning_rate": 1e-3, "batch_size": 64,
    },
    {
        "name": "finetune", "start": "pretrained", "trainable": "all", "epochs": 30, "patience": 5,
        "learning_rate": 1e-5, "batch_size": 32,
    },
]

# What papers do not speak of: one map, the last, of crops as they are, one view of each tested.
_AS_USUAL_THEN: dict[str, Any] = {
    "test_views": 1, "model": {"stride": [32], "input_px": 0, "pooling": "mean"},
}

# docs/training.md says of every value whether the paper gives it or we chose it.
RECIPES: dict[str, dict[str, Any]] = {
    "wang": {
        "balance": "oversample",
        "model": {"backbone": "ResNet50", "dense": [512, 128], "dropout": 0.3, "l2": 0.0},
        "augment": {
            "flip": True, "rotate_deg": 180.0, "shift": 0.0, "zoom": 0.0, "brightness": 0.1,
        },
        "stages": [
            {
                "name": "frozen", "start": "pretrained", "trainable": "none",
                "epochs": 20, "patience": 20,
                "learning_rate": 5e-4, "batch_size": 512, "optimizer": "adamw",
                "weight_decay": 0.05,
            },
            {
                "name": "finetune", "start": "pretrained", "trainable": "all",
                "epochs": 20, "patience": 20,
                "learning_rate": 5e-4, "backbone_factor": 0.01, "batch_size": 512,
                "optimizer": "adamw", "weight_decay": 0.05,
            },
        ],
    },
    "khalkhali": {
        "balance": "oversample",
        "model": {"backbone": "DenseNet169", "dense": [], "dropout": 0.0, "l2": 0.0},
        "augment": {
            "flip": True, "rotate_deg": 90.0, "shift": 0.1, "zoom": 0.2, "brightness": 0.0,
        },
        "stages": [
            {
                "name": "finetune", "start": "pretrained", "trainable": "all",
                "epochs": 200, "patience": 10,
                "learning_rate": 1e-4, "batch_size": 32, "batch_norm": "learn",
            },
        ],
    },
    "kim": {
        "balance": "class-weights",
        "model": {"backbone": "DenseNet121", "dense": [128], "dropout": 0.3, "l2": 1e-3},
        "stages": _FROZEN_THEN_ALL,
    },
    "parthasarathy": {
        "balance": "class-weights",
        "model": {
            "backbone": "ResNet50V2", "input_px": 75, "dense": [128], "dropout": 0.3, "l2": 0.0,
        },
        "stages": _FROZEN_THEN_ALL,
    },
    "gradual": {
        "augment": {
            "flip": True, "rotate_deg": 0.0, "shift": 0.0, "zoom": 0.0, "brightness": 0.0,
        },
        "stages": [
            _FROZEN_THEN_ALL[0],
            {
                "name": "last-block", "start": "pretrained", "trainable": "last-block",
                "epochs": 12, "patience": 6, "learning_rate": 2e-4, "schedule": "cosine",
                "batch_size": 32,
            },
            {
                "name": "all", "start": "pretrained", "trainable": "all",
                "epochs": 12, "patience": 6, "learning_rate": 1e-4, "backbone_factor": 0.5,
                "schedule": "cosine", "batch_size": 32,
            },
        ],
    },
}


def recipe(name: str) -> dict[str, Any]:
    """Return the settings of a recipe as nested plain values; what it leaves out is the default.

    Raises:
        InputError: There is none of that name; names the nearest.
    """
    check_known(name, RECIPES, f"there is no recipe {name!r}")
    return merged(deepcopy(_AS_USUAL_THEN), deepcopy(RECIPES[name]))
