"""Refuse before training what could only fail in the middle of it."""

from __future__ import annotations

import numpy as np

from stemcls.config.experiment import Experiment
from stemcls.errors import InputError
from stemcls.models.build import check_model
from stemcls.models.inference import view_numbers
from stemcls.models.parallel import n_shares
from stemcls.store.cropstore import CropStore
from stemcls.store.splits import Split
from stemcls.training.sampling import epoch_size


def check_plan(experiment: Experiment, store: CropStore, split: Split) -> None:
    """Refuse a network that cannot be built, a class without crops, batches of an unfit size.

    Raises:
        InputError: Names the setting, the class and the part, or the stage and its batch size.
    """
    if not experiment.start_from:
        check_model(experiment.model, store.size_px)
    for part, rows in (("training", split.train), ("validation", split.validation)):
        counts = np.bincount(split.targets(store, rows), minlength=len(split.classes))
        if not counts.all():
            missing = split.classes[int(np.argmin(counts))]
            raise InputError(
                f"class {missing!r} has no crop in the {part} part of {store.path}: split again, "
                "or leave the class out with --classes"
            )
    shares = n_shares()
    crops = epoch_size(split.targets(store, split.train), experiment.balance)
    for stage in experiment.plan:
        if experiment.is_exact(stage):
            continue
        frozen = stage.trainable == "none"
        views = len(view_numbers(store.size_px, stage.views))
        size = crops * views if frozen else crops
        if stage.batch_size > size:
            what = f"{crops} crops in {views} views" if frozen else f"{crops} crops"
            raise InputError(
                f"stages.{stage.name}.batch_size is {stage.batch_size}, but an epoch has only "
                f"{what}: --set stages.{stage.name}.batch_size={size} or less"
            )
        if stage.batch_size % shares:
            raise InputError(
                f"stages.{stage.name}.batch_size is {stage.batch_size}, which {shares} GPUs cannot "
                f"share equally: --set stages.{stage.name}.batch_size="
                f"{-(-stage.batch_size // shares) * shares}"
            )
