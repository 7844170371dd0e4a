"""Fill in a reporting checklist from what a run really did; what only authors know stays open."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from stemcls.evaluation.intervals import LEAST_GROUPS
from stemcls.evaluation.report.source import Source
from stemcls.store.units import plural

YES, NO, OPEN = "yes", "no", "authors"


@dataclass(frozen=True)
class Item:
    """One line of the checklist.

    Attributes:
        section: Data, optimisation, model or evaluation.
        question: What is asked.
        status: `YES`, `NO`, or `OPEN` where only the authors know.
        answer: In a sentence.
    """

    section: str
    question: str
    status: str
    answer: str


def checklist(source: Source, evidence: dict[str, Any]) -> list[Item]:
    """Return the checklist.

    Args:
        source: The run.
        evidence: What else is there: `audit`, `calibration`, `externals`, `saliency`.
    Source: the sections of DOME, Walsh et al. 2021, Nature Methods 18, 1122.
    """
    return [
        *_data(source), *_optimisation(source), *_model(source), *_evaluation(source, evidence)
    ]


def _data(source: Source) -> Iterator[Item]:
    split, unit, store = source.splits[0], source.unit, source.store
    yield Item("data", "Where do samples and labels come from?", OPEN,
               "Protocol, microscope, dates, and how labels were made.")
    counts = ", ".join(
        f"{name} {row['n']:,}" for name, row in source.metrics["per_class"].items()
    )
    yield Item("data", "How many samples of each class are tested?", YES, f"{counts}.")
    grouped = split.by != "crop"
    yield Item(
        "data", "Are training and test sets independent?", YES if grouped else NO,
        f"No {unit} is on two sides." if grouped else "Crops of one field may be on two sides.",
    )
    if store is not None:
        named = store.has_groups
        yield Item(
            "data", "Is the biological unit (donor, line, mouse) known and kept together?",
            YES if named and split.by == "group" else NO,
            f"{len(store.group_names):,} {plural(store.group_what)}." if named
            else "No groups are named in the store; fields of one donor may be on two sides.",
        )
    yield Item("data", "Can the data be had?", OPEN,
               f"Store {source.card.get('provenance', {}).get('store', '?')}, content "
               f"{split.store_hash[:12]}.")


def _optimisation(source: Source) -> Iterator[Item]:
    experiment = source.experiment
    yield Item("optimisation", "Is the algorithm, with its loss and settings, given?", YES,
               "Above, and in full in config.toml, which repeats the run.")
    yield Item("optimisation", "What kept it from overfitting?", YES,
               f"Early stopping on validation {plural(source.unit)}, dropout "
               f"{experiment.model.dropout:g}, L2 {experiment.model.l2:g}, augmentation.")
    yield Item("optimisation", "Were settings chosen without the test set?", OPEN,
               "The weights were chosen without it; it was scored at the end. Whoever compared "
               "several runs on it must say so.")


def _model(source: Source) -> Iterator[Item]:
    yield Item("model", "Can the model be had and run?", OPEN,
               "model.keras is plain Keras, loads without stemcls and names its classes.")
    seed = source.experiment.seed
    yield Item("model", "Can training be repeated?", YES,
               f"Seed {seed}; versions and devices in environment.json.")


def _evaluation(source: Source, evidence: dict[str, Any]) -> Iterator[Item]:
    metrics = source.metrics
    tested = metrics.get("evaluated_on") != "validation"
    yield Item("evaluation", "Are scores of samples that played no part in training?",
               YES if tested else NO,
               "Test split." if tested else "The validation split, which chose the weights.")
    groups = metrics["n_groups"]
    sure = bool(metrics.get("accuracy_ci"))
    yield Item(
        "evaluation", "Is uncertainty given, over independent units?", YES if sure else NO,
        f"95 % intervals over {groups} {plural(source.unit)}." if sure
        else f"{groups} independent units; {LEAST_GROUPS} or more are needed.",
    )
    yield Item("evaluation", "Are scores given for each class?", YES, "With intervals, above.")
    for key, question, without in (
        ("externals", "Was it tested on an external set?",
         "No; `stemcls evaluate RUN STORE` does it."),
        ("audit", "Were leaks and shortcuts looked for?", "No; `stemcls audit STORE RUN` does it."),
        ("calibration", "Are scores calibrated?",
         f"ECE {metrics['ece']:.3f} as trained; `stemcls calibrate RUN` improves it."
         if metrics.get("ece") is not None else "Unknown."),
        ("saliency", "Was it looked at what the model looks at?",
         "No; `stemcls explain RUN` does it."),
    ):
        there = bool(evidence.get(key))
        yield Item("evaluation", question, YES if there else NO, "Above." if there else without)
