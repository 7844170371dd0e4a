"""Fill in a reporting checklist from what a run really did; what only authors know stays open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stemcls.evaluation.fewgroups import few_note
from stemcls.evaluation.intervals import LEAST_GROUPS
from stemcls.evaluation.metrics import PER_CLASS
from stemcls.evaluation.report.source import Source
from stemcls.evaluation.saliency import BACKGROUND
from stemcls.store.units import plural

YES, NO, PART, OPEN = "yes", "no", "in part", "authors"


@dataclass(frozen=True)
class Item:
    """One line of the checklist.

    Attributes:
        section: Data, optimisation, model or evaluation.
        question: What is asked.
        status: `YES`, `NO`, `PART`, or `OPEN` where only the authors know.
        answer: In a sentence.
    """

    section: str
    question: str
    status: str
    answer: str


def checklist(source: Source, evidence: Mapping[str, Any]) -> list[Item]:
    """Return the checklist.

    Args:
        source: The run.
        evidence: What `evidence.gathered` returns.
    Source: the sections of DOME, Walsh et al. 2021, Nature Methods 18, 1122.
    """
    return [
        *_data(source), *_optimisation(source), *_model(source), *_evaluation(source, evidence)
    ]


def _data(source: Source) -> Iterator[Item]:
    split, unit, store = source.splits[0], source.unit, source.store
    yield Item("data", "Where do samples and labels come from?", OPEN,
               "Protocol, microscope, dates, and how labels were made.")
    of_class = source.metrics["per_class"]
    counts = ", ".join(f"{name} {row['n']:,}" for name, row in of_class.items())
    absent = [name for name, row in of_class.items() if not row["n"]]
    yield Item("data", "How many samples of each class are scored?", PART if absent else YES,
               f"{counts}.")
    shared = source.shared_units
    if split.by == "crop":
        told = NO, "Crops were dealt singly: those of one field may be on two sides."
    elif shared:
        told = NO, f"{_upper(plural(unit))} on two sides: {', '.join(shared[:5])}."
    else:
        told = YES, f"No {unit} is on two sides."
    yield Item("data", "Are training and test sets independent?", *told)
    if store is not None:
        named = store.has_groups
        kept = named and split.by == "group" and not shared
        if not named:
            said = "No groups are named in the store; fields of one donor may be on two sides."
        else:
            n = len(store.group_names)
            said = f"{n:,} {store.group_what if n == 1 else plural(store.group_what)} are named"
            said += "." if kept else f", but the split keeps {plural(split.by)} together."
        yield Item(
            "data", "Is the biological unit (donor, line, mouse) known and kept together?",
            YES if kept else NO, said,
        )
    yield Item("data", "Can the data be had?", OPEN,
               f"Store {source.card.get('provenance', {}).get('store', '?')}, content "
               f"{split.store_hash[:12]}.")


def _optimisation(source: Source) -> Iterator[Item]:
    yield Item("optimisation", "Is the algorithm, with its loss and settings, given?", YES,
               "In the section Methods, and in full in config.toml, which repeats the run.")
    means = list(_against_overfitting(source))
    yield Item("optimisation", "What kept it from overfitting?", YES if means else NO,
               f"{_upper(', '.join(means))}." if means else "Nothing that the settings name.")
    tested = source.metrics.get("evaluated_on") != "validation"
    if not tested:
        told = NO, "There was no test set: the scored crops chose the weights."
    elif source.is_of_study:
        told = YES, "A search chose them on other crops; these were scored once, at the end."
    else:
        told = OPEN, (
            "The weights were chosen without it; it was scored at the end. Whoever compared "
            "several runs on it must say so."
        )
    yield Item("optimisation", "Were settings chosen without the test set?", *told)


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _against_overfitting(source: Source) -> Iterator[str]:
    """Yield what of the run's settings works against overfitting."""
    if source.ensemble:
        yield f"the mean of {len(source.ensemble)} models"
        return
    experiment = source.experiment
    plan = experiment.plan
    stepped = [stage for stage in plan if not experiment.is_exact(stage)]
    if source.splits[0].validation.size and any(s.patience < s.epochs for s in stepped):
        yield f"early stopping on validation {plural(source.unit)}"
    if len(stepped) < len(plan):
        yield "an L2 penalty on the head" + (
            "" if "which could not be chosen" in source.log
            else ", its strength chosen by inner folds"
        )
    if not experiment.is_exact(plan[0]):
        if experiment.model.dropout:
            yield f"dropout {experiment.model.dropout:g}"
        if experiment.model.l2:
            yield f"L2 {experiment.model.l2:g}"
    if source.augments:
        yield "augmentation"
    if all(stage.trainable == "none" for stage in plan):
        yield "a backbone that did not learn"


def _model(source: Source) -> Iterator[Item]:
    there = [part for part in source.parts if part.model_path.is_file()]
    yield Item(
        "model", "Can the model be had and run?", OPEN if there else NO,
        f"{'model.keras' if not source.is_folds else 'The model.keras of each fold'} is plain "
        "Keras, loads without stemcls and names its classes." if there else "No model was kept.",
    )
    seed, known = source.experiment.seed, bool(source.environment)
    yield Item(
        "model", "Can training be repeated?", YES if known else PART,
        f"Seed {seed}; versions and devices in environment.json." if known
        else f"Seed {seed}; which versions and devices trained it is unknown.",
    )


def _evaluation(source: Source, evidence: Mapping[str, Any]) -> Iterator[Item]:
    metrics = source.metrics
    tested = metrics.get("evaluated_on") != "validation"
    where = "Each crop by a fold that had not seen it." if source.is_folds else "Test split."
    yield Item("evaluation", "Are scores of samples that played no part in training?",
               YES if tested else NO,
               where if tested else "The validation split, which chose the weights.")
    yield _of_uncertainty(source)
    yield _of_classes(metrics["per_class"])
    yield _of_externals(evidence["externals"])
    yield _of_audit(evidence["audit"])
    yield _of_calibration(evidence["calibration"], metrics)
    question = "Was it looked at what the model looks at?"
    if evidence["looks"] is None:
        yield Item("evaluation", question, NO, "No; `stemcls explain RUN` does it.")
    else:
        look, said = evidence["looks"]
        warn = " See Verdict." if look == BACKGROUND else ""
        yield Item("evaluation", question, YES, f"{_upper(said)}.{warn}")


def _of_uncertainty(source: Source) -> Item:
    metrics = source.metrics
    sure = bool(metrics.get("mean_recall_ci"))
    n, what = metrics["n_groups"], source.unit
    if not sure:
        said = metrics.get("ci_note") or f"{n} independent units; {LEAST_GROUPS} are needed"
        status = NO
    elif source.splits[0].by == "crop":
        said, status = "95 % intervals over crops, which are not independent", PART
    else:
        said, status = f"95 % intervals over {n} {what if n == 1 else plural(what)}", YES
    question = "Is uncertainty given, over independent units?"
    return Item("evaluation", question, status, f"{_upper(said)}.")


def _of_classes(per_class: Mapping[str, Mapping[str, Any]]) -> Item:
    tested = {name: row for name, row in per_class.items() if row["n"]}
    with_ends = [
        name for name, row in tested.items() if any(row.get(f"{key}_ci") for key in PER_CLASS)
    ]
    without = [name for name in tested if name not in with_ends]
    if not without:
        said = "With intervals, in the section Scores."
    elif with_ends:
        said = f"In the section Scores; without an interval: {', '.join(without)}."
    else:
        said = "In the section Scores, without intervals."
    why = few_note({name: row["n_groups"] for name, row in tested.items() if "n_groups" in row})
    if without and why:
        said += f" {_upper(why)}."
    absent = [name for name in per_class if name not in tested]
    if absent:
        said += f" Not tested: {', '.join(absent)}."
    return Item("evaluation", "Are scores given for each class?", PART if absent else YES, said)


def _of_externals(externals: list[dict[str, Any]]) -> Item:
    question = "Was it tested on an external set?"
    own = [one["name"] for one in externals if one.get("own_store")]
    others = [one for one in externals if not one.get("own_store")]
    if others:
        said = "; ".join(
            f"{one['name']}: mean recall {one['mean_recall']:.2f} of {one['n']:,} crops"
            for one in others
        )
        return Item("evaluation", question, YES, f"{said}.")
    if own:
        return Item("evaluation", question, NO, f"No; {', '.join(own)} is what it learned from.")
    return Item("evaluation", question, NO, "No; `stemcls evaluate RUN STORE` does it.")


def _of_audit(audit: Mapping[str, Any] | None) -> Item:
    question = "Were leaks and shortcuts looked for?"
    if audit is None:
        return Item("evaluation", question, NO, "No; `stemcls audit STORE RUN` does it.")
    count = [check["status"] for check in audit["checks"]].count
    said = f"{count('pass')} checks passed, {count('warn')} warned, {count('fail')} failed."
    if not audit["stale"]:
        return Item("evaluation", question, YES, said)
    return Item("evaluation", question, PART, f"{said} The crops have changed since.")


def _of_calibration(calibration: Mapping[str, Any] | None, metrics: Mapping[str, Any]) -> Item:
    question, ece = "Are scores calibrated?", metrics.get("ece")
    if not calibration:
        said = f"ECE {ece:.3f} as trained" if ece is not None else "Unknown"
        return Item("evaluation", question, NO, f"{said}; `stemcls calibrate RUN` does it.")
    test = calibration.get("test")
    said = "On validation crops; not checked on a test split."
    if test:
        said = f"ECE {test['before']['ece']:.3f} before, {test['after']['ece']:.3f} after."
    return Item("evaluation", question, YES, said)
