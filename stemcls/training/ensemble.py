"""Make one run of several finished ones, scored only on crops that no member has learned from."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tomli_w

from stemcls import atomic
from stemcls.config.experiment import MEMBERS, Experiment
from stemcls.config.options import to_mapping, to_toml
from stemcls.errors import InputError
from stemcls.evaluation.evaluation import evaluate_predictions
from stemcls.evaluation.finished import label_of
from stemcls.evaluation.predictions import read_predictions
from stemcls.evaluation.runfiles import (
    UNSEEN,
    finished_model,
    predictions_of,
    read_experiment,
    store_of,
)
from stemcls.evaluation.stacking import mean_log_loss, stacking_weights
from stemcls.models.backend import describe_environment
from stemcls.models.ensemble import check_alike, join_models
from stemcls.models.inference import predict
from stemcls.models.saved import ModelCard, load_model, save_model
from stemcls.progress import Update
from stemcls.runs import Run
from stemcls.store.cropstore import CropStore
from stemcls.store.splits import SIDES, Split
from stemcls.training.journal import Journal, reported
from stemcls.training.train import headline

BY_VALIDATION = "validation"
_HEADER = """\
# Of an ensemble, which is joined of its members and not trained: `stemcls evaluate` takes store,
# seed and test_views from here. The other settings are those of the first member.
"""


@dataclass(frozen=True, eq=False)
class Member:
    """A finished run that becomes part of an ensemble.

    Attributes:
        run: Its folder.
        model: keras.Model.
        card: Of the model.
        experiment: Its settings.
        split: Its rows; None where it has none of its own (an ensemble of folds).
    """

    run: Run
    model: Any
    card: ModelCard
    experiment: Experiment
    split: Split | None

    @property
    def label(self) -> str:
        """See `label_of`."""
        return label_of(self.run)


def load_members(runs: Sequence[Run]) -> list[Member]:
    """Load the models of runs; a cross-validation stands for its folds.

    Raises:
        InputError: Fewer than two, one twice, one that is not finished, or members that take other
            crops or name other classes.
    """
    single = [member for run in runs for member in run.folds() or [run]]
    paths = [run.path.resolve() for run in single]
    if len(paths) < 2:
        raise InputError(
            "an ensemble needs two or more finished runs, or one cross-validation, found "
            f"{', '.join(map(str, paths)) or 'none'}"
        )
    twice = [path for path in paths if paths.count(path) > 1]
    if twice:
        raise InputError(f"{twice[0]} was given twice; give it more weight with --weights")
    members = [_loaded(run) for run in single]
    check_alike([m.card for m in members], [m.label for m in members])
    return members


def _loaded(run: Run) -> Member:
    model, card = load_model(finished_model(run))
    split = run.read_json("split.json")
    return Member(
        run, model, card, read_experiment(run), None if split is None else Split.from_mapping(split)
    )


def shared_split(members: Sequence[Member]) -> tuple[Split | None, str]:
    """Return the split that all members share; else None, and why none can be scored."""
    first = members[0].split
    folders = {member.run.path.parent for member in members}
    if len(folders) == 1 and folders.pop().name == "folds":
        return None, "its members are folds of one cross-validation, so some trained on every crop"
    if first is None or any(member.split is None for member in members):
        return None, "a member is an ensemble of folds, some of which trained on every crop"
    for member in members[1:]:
        other = member.split
        if other is None or other.store_hash != first.store_hash:
            return None, f"{member.label} and {members[0].label} were trained on different stores"
        if any(not np.array_equal(getattr(first, s), getattr(other, s)) for s in SIDES):
            return None, (
                f"{member.label} and {members[0].label} were split differently, so one may have "
                "trained on crops that test the other (the same --seed and split give the same)"
            )
    return first, ""


def make_ensemble(
    members: Sequence[Member],
    workspace: Any,
    name: str,
    weights: Sequence[float] | str | None = None,
    update: Update | None = None,
) -> tuple[Run, dict[str, Any]]:
    """Save the members' average as a finished run, and score it where that is honest.

    Args:
        members: From `load_members`.
        workspace: Where saved_models/ is.
        name: Of the run.
        weights: M numbers above 0; `validation`: those of `stacking_weights` on the validation
            rows that all members share; None: all the same.
        update: Called as update(done, total, note).
    Returns: the run, and a document: `members`, `weights`, `weighted_by`, `metrics` of the test
        split or None, `note` (why there are none), with `validation` also `validation_log_loss` of
        each member and of their average.
    Raises:
        InputError: Weights that do not fit the members.
    """
    split, unscored = shared_split(members)
    store = _store_of(members[0], split)
    shares, document = _weigh(members, weights, store, split, unscored, update)
    model = join_models([member.model for member in members], shares)
    views = max(member.experiment.test_views for member in members)
    experiment = dataclasses.replace(members[0].experiment, name=name, test_views=views)
    document |= {
        "members": [member.label for member in members], "weights": list(shares),
        "metrics": None, "note": unscored or None,
    }
    run = Run.create(workspace, name)
    with reported(
        run, update, kind="ensemble", store=experiment.store, seed=experiment.seed
    ) as journal:
        joined = {MEMBERS: [str(member.run.path.resolve()) for member in members]}
        atomic.write_text(
            run.path / "config.toml", _HEADER + tomli_w.dumps(joined) + to_toml(experiment)
        )
        atomic.write_json(
            run.path / "environment.json", {**describe_environment(), "seed": experiment.seed}
        )
        save_model(model, run.model_path, _card(members, document, experiment, run))
        if any(member.experiment.test_views != views for member in members):
            journal.warn(f"members were scored with different views; the ensemble takes {views}")
        part = None
        if store is not None and split is not None:
            atomic.write_json(run.path / "split.json", split.to_mapping())
            document["metrics"] = _score(model, store, split, experiment, run, journal)
            part = document["metrics"]["evaluated_on"]
        scored = headline(document["metrics"]) if document["metrics"] else None
        run.append("finished", metrics=scored, evaluated_on=part)
        journal.log(f"finished: average of {', '.join(document['members'])}")
    return run, document


def _store_of(member: Member, split: Split | None) -> CropStore | None:
    if split is None:
        return None
    return store_of(member.run, split)


def _weigh(
    members: Sequence[Member], weights: Sequence[float] | str | None, store: CropStore | None,
    split: Split | None, unscored: str, update: Update | None,
) -> tuple[list[float], dict[str, Any]]:
    if weights is None:
        return [1 / len(members)] * len(members), {"weighted_by": "equal"}
    if weights == BY_VALIDATION:
        if store is None or split is None:
            raise InputError(
                f"--weights validation needs validation rows that all members share, but "
                f"{unscored}; give numbers, or leave --weights out for the plain average"
            )
        return _stack(members, store, split, update)
    numbers = [float(weight) for weight in weights]
    good = all(np.isfinite(weight) and weight > 0 for weight in numbers)
    if len(numbers) != len(members) or not good:
        raise InputError(
            f"--weights needs {len(members)} numbers above 0, one for each of "
            f"{', '.join(member.label for member in members)}; found {numbers}"
        )
    return [weight / sum(numbers) for weight in numbers], {"weighted_by": "given"}


def _stack(
    members: Sequence[Member], store: CropStore, split: Split, update: Update | None
) -> tuple[list[float], dict[str, Any]]:
    rows = split.validation
    labels = split.targets(store, rows)
    each = np.stack([_of_validation(member, store, split, update) for member in members])
    shares = stacking_weights(each, labels)
    losses = {m.label: mean_log_loss(p, labels) for m, p in zip(members, each, strict=True)}
    losses["ensemble"] = mean_log_loss(np.tensordot(shares, each, axes=1), labels)
    return shares.tolist(), {"weighted_by": BY_VALIDATION, "validation_log_loss": losses}


def _of_validation(
    member: Member, store: CropStore, split: Split, update: Update | None
) -> np.ndarray:
    """Return (n, K) probabilities of the validation crops by what has not learned from them."""
    kept = member.run.path / "evaluation" / UNSEEN
    if kept.is_file():
        unseen = read_predictions(kept)
        places = {row: place for place, row in enumerate(unseen.rows.tolist())}
        if all(row in places for row in split.validation.tolist()):
            return unseen.probabilities[[places[row] for row in split.validation.tolist()]]
    return predict(
        member.model, store.read, split.validation, views=member.experiment.test_views,
        update=update,
    )


def _card(
    members: Sequence[Member], document: dict[str, Any], experiment: Experiment, run: Run
) -> ModelCard:
    first = members[0].card
    return dataclasses.replace(first, provenance={
        **first.provenance,
        "run": run.name,
        "experiment": to_mapping(experiment),
        "environment": run.read_json("environment.json"),
        "ensemble": {
            "weighted_by": document["weighted_by"],
            "unscored": document["note"],
            "members": [
                {
                    "run": member.label, "path": str(member.run.path.resolve()), "weight": weight,
                    "backbone": member.experiment.model.backbone,
                    "store_hash": member.card.provenance.get("store_hash"),
                }
                for member, weight in zip(members, document["weights"], strict=True)
            ],
        },
    })  # fmt: skip


def _score(
    model: Any, store: CropStore, split: Split, experiment: Experiment, run: Run, journal: Journal
) -> dict[str, Any]:
    rows = split.scored_rows
    probabilities = predict(
        model, store.read, rows, views=experiment.test_views, update=journal.progress
    )
    evaluation = evaluate_predictions(
        predictions_of(store, split, rows, probabilities), seed=experiment.seed
    )
    evaluation.metrics["evaluated_on"] = split.scored_on
    evaluation.write(run.path / "evaluation", store)
    return evaluation.metrics
