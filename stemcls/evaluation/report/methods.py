"""Write the methods paragraph of a paper from what a run really did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.config.experiment import StageConfig
from stemcls.evaluation.naming import CONSISTENCY, CONSISTENCY_NOTE
from stemcls.evaluation.report.source import Source
from stemcls.store.units import plural

_BALANCE = {
    "none": "Classes were not balanced.",
    "class-weights": "Classes were weighted by the inverse of their number of training crops.",
    "oversample": "Smaller classes were oversampled to the size of the largest.",
    "weighted-sampling": "Training crops were drawn so that each class came equally often.",
}


def methods_text(source: Source) -> list[tuple[str, str]]:
    """Return (heading, text) of each part of the paragraph."""
    parts = {
        "Crops": _crops(source), "Split": _split(source), "Network": _network(source),
        "Augmentation": _augmentation(source), "Training": _training(source),
        "Evaluation": _evaluation(source), "Software": _software(source),
    }
    if source.ensemble:  # its members were trained, each by its own settings
        del parts["Augmentation"], parts["Training"]
    return [(name, " ".join(sentences)) for name, sentences in parts.items()]


def _crops(source: Source) -> Iterator[str]:
    card, store = source.card, source.store
    height, width = card.get("size_px", (0, 0))
    channels = ", ".join(card.get("channels", ()))
    size = card.get("pixel_size_um")
    scale = f" of {size:.3g} um" if size else " (pixel size unknown)"
    where = ""
    if store is not None:
        where = f" from {len(store.fields):,} fields"
        if store.has_groups:
            what = store.group_what
            where += f" of {len(store.group_names):,} {plural(what)}"
    yield (
        f"Crops were {width} x {height} pixels{scale}, channels {channels}{where}; "
        f"{source.evaluation.n:,} of them were scored."
    )
    build = card.get("build", {})
    if build.get("kind", "cells") == "cells" and build.get("detect"):
        method = build["detect"].get("method")
        if store is not None and not np.isfinite(store.radius_px).any():
            yield "Crops were cut around known centres."
            return
        yield f"Cells were found by the method {method} of stemcls, and cut around their centres."
    if scaled := build.get("scale"):
        yield f"Brightness scale: {scaled}."


def _split(source: Source) -> Iterator[str]:
    split, unit = source.splits[0], source.unit
    if split.by == "crop":
        yield (
            "Crops were dealt singly, so crops of one field may be on several sides and scores say "
            "nothing about new samples."
        )
    elif source.shared_units:
        yield f"Some {plural(unit)} were on two sides: {', '.join(source.shared_units[:5])}."
    else:
        yield f"No {unit} was on two sides."
    seed = source.experiment.seed
    if source.is_folds:
        yield (
            f"{len(source.parts)}-fold cross-validation, stratified by class as well as whole "
            f"{plural(unit)} allow (seed {seed}); every crop was tested once, by the network of "
            "the fold that had not seen it."
        )
        return
    counts = ", ".join(
        f"{len(rows):,} {side}" + (f" ({len(names)} {plural(unit)})" if names else "")
        for side in ("train", "validation", "test")
        for rows, names in [(getattr(split, side), split.units.get(side, ()))]
    )
    yield f"Crops on each side, stratified by class (seed {seed}): {counts}."


def _network(source: Source) -> Iterator[str]:
    model = source.experiment.model
    if source.ensemble:
        members = ", ".join(member["run"] for member in source.ensemble)
        yield (
            f"The model is the weighted mean of the probabilities of {members}; their own reports "
            "say how each was trained."
        )
        return
    start = f"the model of {Path(source.experiment.start_from).name}"
    start = start if source.experiment.start_from else {
        "none": "random weights", "imagenet": "weights trained on ImageNet",
    }.get(model.weights, "weights from a file")
    width = f" (width {model.alpha:g})" if model.alpha != 1 else ""
    pooled = "means over each whole map, over its middle and over rings around that"
    yield f"{model.backbone}{width} with {start}, " + (
        pooled if model.pools_rings else "global average pooling"
    )
    solved = source.experiment.is_exact(source.experiment.plan[0])
    dense = ", ".join(f"{units} units" for units in model.dense)
    hidden = f"dense layers of {dense} (ReLU), " if dense else ""
    dropout = "" if solved else f"dropout {model.dropout:g} and "
    yield (
        f"of {_maps(model.strides)}, {hidden}{dropout}a softmax over "
        f"{len(source.evaluation.labels)} classes."
    )
    loss = "Loss: cross-entropy" + ("" if solved else f", L2 penalty {model.l2:g}")
    if model.focal_gamma and not solved:
        loss = loss.replace("cross-entropy", f"focal (gamma {model.focal_gamma:g})")
    if model.label_smoothing and not solved:
        loss += f", label smoothing {model.label_smoothing:g}"
    yield f"{loss}."


def _maps(strides: tuple[int, ...]) -> str:
    if not strides:
        return "the coarsest map of the network"
    *others, last = map(str, sorted(strides))
    if not others:
        return f"the map at stride {last} where the network offers it"
    return f"the maps at strides {', '.join(others)} and {last}, as far as the network offers them"


def _augmentation(source: Source) -> Iterator[str]:
    augment = source.experiment.augment
    if not source.augments:
        yield "Training crops were not changed at random."
        return
    said = ["flips"] if augment.flip else []
    for value, text in (
        (augment.rotate_deg, f"rotations to {augment.rotate_deg:g} degrees"),
        (augment.shift, f"shifts to {augment.shift:.0%} of the edge"),
        (augment.zoom, f"zoom to {augment.zoom:.0%}"),
        (augment.brightness, f"gain to {augment.brightness:.0%}"),
        (augment.contrast, f"contrast to {augment.contrast:.0%}"),
        (augment.noise, f"noise to {augment.noise:.1%} of white"),
        (augment.blur_px, f"blur to {augment.blur_px:g} px"),
    ):
        if value:
            said.append(text)
    stages = [stage.name for stage in source.experiment.plan if stage.trainable != "none"]
    only = "" if len(stages) == len(source.experiment.plan) else f" in stage {', '.join(stages)}"
    yield f"Training crops were changed at random{only}: {', '.join(said)}."


def _training(source: Source) -> Iterator[str]:
    ran = Counter(row.get("stage") for row in source.history[0])
    balances = []
    for stage in source.experiment.plan:
        balance = source.experiment.balance
        if source.experiment.is_exact(stage):
            # A head that is solved for weighs its classes, however others are drawn.
            balances.append(balance if balance == "none" else "class-weights")
            yield from _solved(source, stage)
            continue
        balances.append(balance)
        yield _stage(stage)
        if n := ran[stage.name]:
            where = " in the first fold" if source.is_folds else ""
            yield f"It ran for {n} epoch{'s' if n != 1 else ''}{where}."
        if stage.name in source.rejected:
            yield "Its weights were not better and were rejected; those before it were kept."
    for balance in dict.fromkeys(balances):
        where = "" if len(set(balances)) == 1 else (
            "For the head that was solved: " if balance == balances[0] else "Then: "
        )
        yield where + _BALANCE[balance]


def _solved(source: Source, stage: StageConfig) -> Iterator[str]:
    views = f"means over {stage.views} flips and quarter turns of each crop, " * (stage.views > 1)
    sides = "training crops"
    if source.solved is stage and len(source.splits[0].test):
        sides = "training and validation crops"
    yield (
        f"Stage {stage.name}: the head alone, logistic regression on features of the fixed "
        f"backbone ({views}each tap scaled alike), solved exactly by L-BFGS on the {sides}."
    )
    if "which could not be chosen" in source.log:
        yield "The strength of its L2 penalty could not be chosen from the data; it is the usual."
    else:
        yield (
            "The strength of its L2 penalty was chosen by inner folds of these crops, each of "
            f"whole {plural(source.unit)}."
        )


def _stage(stage: StageConfig) -> str:
    what = {
        "none": "the head alone, on features of the fixed backbone",
        "last-block": "the head and the last block of the backbone",
        "all": "the whole network",
    }[stage.trainable]
    return (
        f"Stage {stage.name}: {what}; at most {stage.epochs} epochs in batches of "
        f"{stage.batch_size}, learning rate {stage.learning_rate:g} ({stage.schedule}), stopped "
        f"after {stage.patience} epochs without a better validation loss."
    )


def _evaluation(source: Source) -> Iterator[str]:
    metrics, views = source.metrics, source.experiment.test_views
    if views > 1:
        of = "Logits" if source.solved and not source.ensemble else "Probabilities"
        yield f"{of} are means over {views} flips and quarter turns."
    yield (
        "Balanced accuracy is the mean over classes of (sensitivity + specificity) / 2, mean "
        "recall the mean of the sensitivities; AUROC is one against all, averaged over classes."
    )
    if metrics.get("mean_recall_ci"):
        yield (
            f"Intervals are 95 % percentile intervals from resampling {metrics['n_groups']} whole "
            f"{plural(source.unit)}."
        )
    else:
        why = metrics.get("ci_note")
        yield f"The scores have no intervals{f' ({why})' if why else ''}."
    if metrics.get("evaluated_on") == "validation":
        yield "There was no test split: scores are of the crops that chose the weights."
    if metrics.get("naming") == CONSISTENCY:
        yield CONSISTENCY_NOTE[0].upper() + CONSISTENCY_NOTE[1:] + "."


def _software(source: Source) -> Iterator[str]:
    found: dict[str, Any] = source.environment
    versions = {name: value for name, value in found.get("versions", {}).items() if value}
    backend = found.get("backend", "")
    wanted = [name for name in ("stemcls", "keras", backend, "numpy") if name in versions]
    named = ", ".join(f"{name} {versions[name]}" for name in wanted)
    python = f", Python {found['python']}" if "python" in found else ""
    yield f"{named or 'versions unknown'}{python}; backend {backend or 'unknown'}."
