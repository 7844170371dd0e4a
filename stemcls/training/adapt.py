"""Adapt a finished model to a new site with few labels, and say whether that was worth it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from stemcls import atomic
from stemcls.config.adapt import AdaptConfig
from stemcls.config.experiment import Experiment, SplitConfig, StageConfig
from stemcls.config.options import from_mapping, to_mapping
from stemcls.errors import InputError
from stemcls.evaluation.comparison import Difference, compare_predictions
from stemcls.evaluation.evaluation import evaluate_predictions
from stemcls.evaluation.intervals import LEAST_GROUPS
from stemcls.evaluation.numbertext import interval_text
from stemcls.evaluation.predictions import Predictions, read_predictions, write_predictions
from stemcls.evaluation.runfiles import finished_model, predictions_of, read_experiment
from stemcls.interruption import interruptible
from stemcls.models.inference import predict
from stemcls.models.saved import load_model
from stemcls.models.storecheck import check_store
from stemcls.notices import worded
from stemcls.progress import Update, prefixed
from stemcls.runs import Run
from stemcls.store.cropstore import CropStore
from stemcls.store.find import open_same
from stemcls.store.splits import Split, make_split
from stemcls.store.units import plural, unit_noun
from stemcls.store.verify import open_verified
from stemcls.training.fewlabels import STOPPING, draw_labels, most_labels
from stemcls.training.train import prepare_run, train

ARMS = ("adapted", "scratch")
BETTER, WORSE, NOT_SHOWN = "better", "worse", "not shown"
_VERDICTS = {
    BETTER: "better than {other}: {told}",
    WORSE: "worse than {other}: {told}",
    NOT_SHOWN: "not shown to be better than {other}: {told}",
}


@dataclass(frozen=True)
class Adaptation:
    """One adaptation on disk.

    Attributes:
        run: The adapted model, a run like any other; adapt/ in it holds what it is compared with.
    """

    run: Run

    @property
    def folder(self) -> Path:
        """Where the comparison lies."""
        return self.run.path / "adapt"

    def arm(self, labels: int, name: str) -> Run:
        """Return the run of an arm; adapted with the most labels it is the run itself."""
        if (labels, name) == (self.plan["labels"][-1], "adapted"):
            return self.run
        return Run(self.folder / f"{labels}-{name}")

    @property
    def plan(self) -> dict[str, Any]:
        """What is compared: `source`, `store`, `labels`, `metric`, `settings`, `notes`."""
        found = self.run.read_json("adapt/plan.json")
        if not isinstance(found, dict):
            raise InputError(f"{self.run.path} is not a run of `stemcls adapt`: no adapt/plan.json")
        return found


def prepare_adaptation(
    source: Run, store_path: Path, config: AdaptConfig, workspace: Path
) -> Adaptation:
    """Split the new site's store, draw the labels, and make the folders of all runs.

    Args:
        source: A finished run.
        store_path: Labelled crops of the new site.
        config: Settings.
        workspace: Where saved_models/ is.
    Raises:
        InputError: Crops or classes that the model does not know, its own store, or too few groups
            or crops.
    """
    store = open_verified(store_path)
    split, odd = _checked_split(source, store, config)
    levels, notes = _levels(store, split, config.labels)
    notes = [*odd, *notes]
    adapted = Adaptation(Run.create(workspace, f"{source.name}-adapted"))
    adapted.folder.mkdir()
    atomic.write_json(adapted.folder / "plan.json", {
        "source": str(source.path.resolve()), "store": str(store.path.resolve()),
        "labels": levels, "metric": config.metric, "settings": to_mapping(config),
        "notes": notes,
    })
    atomic.write_json(adapted.folder / "split.json", split.to_mapping())
    before = read_experiment(source)
    for labels in levels:
        drawn = draw_labels(store, split, labels, config.seed)
        for name in ARMS:
            run = adapted.arm(labels, name)
            run.path.mkdir(exist_ok=True)
            experiment = _experiment(name, before, source, store, split, config)
            prepare_run(_fitting(experiment, drawn), workspace, drawn, run)
    return adapted


def adapt(adapted: Adaptation, update: Update | None = None) -> dict[str, Any]:
    """Train all that is not trained, and compare on groups that no run has seen.

    Returns: `run`, `source`, `store`, `metric`, `test` (crops and groups), `unadapted` (metrics),
        `points` (for each number of labels: `adapted` and `scratch` metrics, and the difference to
        the unadapted model and to training from scratch, each with interval and verdict),
        `verdict` and `why` of the saved model, see `verdict_of`; `notes`.
    Raises:
        CancelledError: Asked to stop; it can go on.
    """
    plan = adapted.plan
    config = from_mapping(AdaptConfig, plan["settings"])
    jobs = [(labels, name) for labels in reversed(plan["labels"]) for name in ARMS]
    with interruptible() as interruption:
        for number, (labels, name) in enumerate(jobs, start=1):
            interruption.check()
            keras.utils.clear_session()
            shown = prefixed(update, f"{number}/{len(jobs)} {name} with {labels} labels a class")
            train(adapted.arm(labels, name), shown, interruption)
        unadapted = _unadapted(adapted, update)
    document = {
        "run": str(adapted.run.path), "source": plan["source"], "store": plan["store"],
        "metric": config.metric,
        "test": {"crops": len(unadapted), "groups": len(np.unique(unadapted.groups))},
        "unadapted": evaluate_predictions(unadapted, seed=config.seed).metrics,
        "points": [_point(adapted, labels, unadapted, config) for labels in plan["labels"]],
        "notes": plan["notes"],
    }
    document |= verdict_of(document["points"][-1])
    atomic.write_json(adapted.folder / "comparison.json", document)
    return document


def judge(found: Difference, metric: str, other: str) -> dict[str, Any]:
    """Say what a paired difference shows; without an interval away from 0 it shows nothing.

    Returns: `difference`, `interval`, `p`, `verdict` (better, worse or not shown) and `why`.
    """
    interval = list(found.ci) if found.ci else None
    verdict = NOT_SHOWN
    if found.low > 0:
        verdict = BETTER
    elif found.high < 0:
        verdict = WORSE
    told = f"{metric.replace('_', ' ')} {found.difference:+.3f}"
    told += f" (95 % {interval_text(interval, '+.3f')})" if interval else ", no interval"
    if found.note:
        told += f"; {found.note}"
    return {
        "difference": found.difference, "interval": interval,
        "p": None if math.isnan(found.p) else found.p, "verdict": verdict,
        "why": _VERDICTS[verdict].format(other=other, told=told),
    }


def verdict_of(point: Mapping[str, Any]) -> dict[str, str]:
    """Say whether adapting was worth it: better than nothing, and no worse than starting anew.

    Returns: `verdict` (better, worse or not shown) and `why`.
    """
    before, scratch = point["against_unadapted"], point["against_scratch"]
    verdict = before["verdict"]
    if scratch["verdict"] == WORSE:
        verdict = WORSE
    return {"verdict": verdict, "why": f"{before['why']}. And {scratch['why']}"}


def _checked_split(
    source: Run, store: CropStore, config: AdaptConfig
) -> tuple[Split, list[str]]:
    """Return the split of the new site's store, and what is odd about it beside training."""
    path = store.path
    _, card = load_model(finished_model(source))
    if card.provenance.get("ensemble"):
        raise InputError(f"{source.path} is an ensemble, which cannot be adapted; its members can")
    notices = check_store(card, store)
    missing = [name for name in card.classes if name not in store.classes]
    if missing:
        raise InputError(
            f"{path} has no class {', '.join(missing)}: the model tells {', '.join(card.classes)} "
            f"apart, and the store holds {', '.join(store.classes)}; name its labels as the "
            "model does, and bring cells of every class"
        )
    if store.content_hash == card.provenance.get("store_hash"):
        raise InputError(f"{path} is the store that {source.path} learned from, no new site")
    split = make_split(
        store, SplitConfig(
            by=config.by, test=config.test, validation=STOPPING * (1 - config.test),
            classes=card.classes,
        ), config.seed,
    )
    n = len(split.units["test"])
    if n < LEAST_GROUPS:
        one = unit_noun(store, split.by)
        raise InputError(
            f"{path}: only {n} {one if n == 1 else plural(one)} would test, and a comparison needs "
            f"{LEAST_GROUPS} or more: add some, raise --test, or use --split-by field"
        )
    return split, [worded(notice) for notice in notices]


def _levels(
    store: CropStore, split: Split, wanted: Sequence[int]
) -> tuple[list[int], list[str]]:
    """Return the numbers of labels that the store can give, and what to say of the others."""
    most, rare = most_labels(store, split)
    levels = sorted({n for n in wanted if n <= most})
    if most < 2:
        raise InputError(
            f"{store.path} leaves too few crops of {rare} to learn from beside those that test: "
            "add crops, or lower --test"
        )
    notes = []
    if left_out := [str(n) for n in sorted(set(wanted)) if n > most]:
        notes.append(
            f"{', '.join(left_out)} labels a class were asked for, but beside those that test "
            f"{rare} has only {most}"
        )
    return levels or [most], notes


def _experiment(
    arm: str, before: Experiment, source: Run, store: CropStore, split: Split,
    config: AdaptConfig,
) -> Experiment:
    common = replace(
        before, store=str(store.path), name="", seed=config.seed,
        split=replace(before.split, by=split.by, classes=split.classes),
    )
    if arm == "scratch":
        return replace(common, start_from="")
    return replace(common, start_from=str(finished_model(source)), stages=config.stages)


def _fitting(experiment: Experiment, drawn: Split) -> Experiment:
    """Return the experiment with no batch larger than an epoch of the few crops drawn."""
    stages: list[StageConfig] = [
        replace(stage, batch_size=min(stage.batch_size, len(drawn.train)))
        for stage in experiment.stages
    ]
    return replace(experiment, stages=tuple(stages))


def _unadapted(adapted: Adaptation, update: Update | None) -> Predictions:
    """Return what the model says of the test crops as it came; kept for a later session."""
    kept = adapted.folder / "unadapted.csv"
    if kept.is_file():
        return read_predictions(kept)
    plan = adapted.plan
    split = Split.from_mapping(adapted.run.read_json("adapt/split.json"))
    run = adapted.run
    store = open_same(plan["store"], split.store_hash, run.path, run.workspace)
    split.check(store)
    source = Path(plan["source"])
    if not source.is_dir():  # the workspace has moved
        source = run.path.parent / source.name
    model, card = load_model(finished_model(Run.open(source, run.workspace)))
    probabilities = predict(model, store.read, split.test, views=card.views, update=update)
    found = predictions_of(store, split, split.test, probabilities)
    write_predictions(kept, found)
    return found


def _point(
    adapted: Adaptation, labels: int, unadapted: Predictions, config: AdaptConfig
) -> dict[str, Any]:
    runs = {name: adapted.arm(labels, name) for name in ARMS}
    said = {
        name: read_predictions(run.path / "evaluation" / "predictions.csv")
        for name, run in runs.items()
    }
    others: Mapping[str, tuple[Predictions, str]] = {
        "against_unadapted": (unadapted, "the unadapted model"),
        "against_scratch": (said["scratch"], "training from scratch with as many labels"),
    }
    return {
        "labels": labels,
        **{
            name: (run.read_json("evaluation/metrics.json") or {})["metrics"]
            for name, run in runs.items()
        },
        **{
            key: judge(
                compare_predictions(said["adapted"], other, seed=config.seed)[config.metric],
                config.metric, words,
            )
            for key, (other, words) in others.items()
        },
    }
