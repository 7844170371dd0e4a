"""Tell a run that is out of memory, or whose loss is lost, in words that help."""

from __future__ import annotations

import gc
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stemcls.config.experiment import StageConfig
from stemcls.errors import StemclsError

if TYPE_CHECKING:
    from stemcls.training.batches import Batch

_TYPES = ("MemoryError", "ResourceExhaustedError", "OutOfMemoryError", "ArrayMemoryError")
_WORDS = ("resource_exhausted", "out of memory", "can't allocate memory", "failed to allocate")


def check_loss(value: float, stage: StageConfig, where: str, run: Path) -> None:
    """Stop a stage whose loss is no number any more.

    Raises:
        StemclsError: Says when it happened and what to try.
    """
    if not math.isfinite(value):
        raise StemclsError(
            f"the loss is {value} in {where}; try a lower learning rate: "
            f"{_again(run)} --set stages.{stage.name}.learning_rate={stage.learning_rate / 10:.1g}"
        )


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an error of any backend means that memory was too small."""
    if any(kind.__name__ in _TYPES for kind in type(error).__mro__):
        return True
    return any(word in str(error).lower() for word in _WORDS)


def out_of_memory(
    network: Any, batch: Batch, stage: StageConfig, run: Path
) -> StemclsError:
    """Try steps of half the size, a quarter, ... and return the error that names one that fits.

    Args:
        network: The compiled model; its weights are worthless afterwards.
        batch: One whole batch of the stage.
        stage: The one that failed.
        run: Its run's folder.
    """
    size = len(batch[0])
    tried = [size]
    while size > 1:
        size //= 2
        gc.collect()
        try:
            network.train_on_batch(*(part[:size] for part in batch))
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            tried.append(size)
            continue
        return StemclsError(
            f"stage {stage.name} ran out of memory with a batch of {tried[0]}; a step of {size} "
            f"fits: {_again(run)} --set stages.{stage.name}.batch_size={size} (tried: "
            f"{', '.join(map(str, tried))})"
        )
    return StemclsError(
        f"stage {stage.name} ran out of memory, even with a batch of {tried[-1]} (tried: "
        f"{', '.join(map(str, tried))}); take a smaller --backbone, --input-px or --crop-px"
    )


def _again(run: Path) -> str:
    return f"stemcls train --config {run / 'config.toml'}"
