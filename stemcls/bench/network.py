"""Build the networks that benchmarks run."""

from __future__ import annotations

from typing import Any


def random_network(backbone: str, alpha: float, edge_px: int, n_classes: int) -> Any:
    """Build a classifier of square crops of 3 channels, its weights random but always the same."""
    import keras

    from stemcls.config.experiment import ModelConfig
    from stemcls.models.build import add_head, build_extractor

    keras.utils.set_random_seed(0)
    config = ModelConfig(backbone=backbone, alpha=alpha, weights="none")
    extractor = build_extractor(config, (edge_px, edge_px), 3, 255.0)
    return add_head(extractor, config, n_classes, None, 0)
