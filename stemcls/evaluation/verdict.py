"""Sum a run up in a few plain lines, each derived from what the run's folder holds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from stemcls.evaluation import saliency
from stemcls.evaluation.bygroup import GroupScore, score_groups
from stemcls.evaluation.finished import label_of
from stemcls.evaluation.naming import CONSISTENCY
from stemcls.evaluation.numbertext import interval_text
from stemcls.evaluation.predictions import Predictions
from stemcls.safetext import safe_text
from stemcls.store.units import plural

GOOD, BELIEF, FAILS, NEXT = "how good", "can it be believed", "how it fails", "what next"
# Of a group with fewer crops the share that is right says little.
LEAST_CROPS = 5
# Mean distance of scores from shares that are right, above which scores mislead.
POOR_ECE = 0.1
_FAULTS = ("fail", "warn")


@dataclass(frozen=True, eq=False)
class Findings:
    """What a verdict is made of.

    Attributes:
        run: Name of the run, as it is typed.
        metrics: Of the scored crops.
        confusion: (K, K) int, rows are the truth.
        classes: K names.
        unit: What was kept together, in words; crop where nothing was.
        groups: Scores of each unit, worst first.
        audit: What `evidence.audit` returns.
        looks: What `saliency.of_run` returns.
        calibrated: Whether `stemcls calibrate` was run.
        externals: Names of other stores that it was scored on.
        is_folds: Whether each crop was tested by a fold.
    """

    run: str
    metrics: Mapping[str, Any]
    confusion: np.ndarray
    classes: tuple[str, ...]
    unit: str
    groups: Sequence[GroupScore] = ()
    audit: Mapping[str, Any] | None = None
    looks: tuple[str, str] | None = None
    calibrated: bool = False
    externals: Sequence[str] = ()
    is_folds: bool = False


@dataclass(frozen=True)
class Line:
    """One line of a verdict.

    Attributes:
        about: `GOOD`, `BELIEF`, `FAILS` or `NEXT`.
        text: One or more sentences.
        grave: Whether it says that scores must not be taken as they are.
    """

    about: str
    text: str
    grave: bool = False


def verdict(found: Findings) -> list[Line]:
    """Return three to six lines: how good, whether to be believed, how it fails, what next."""
    lines = [
        _how_good(found), *_baselines(found.metrics), _belief(found), _failures(found),
        Line(NEXT, _next(found)),
    ]
    return [replace(line, text=safe_text(line.text)) for line in lines]


def groups_for(predictions: Predictions, names: Mapping[int, str] | None, by: str) -> list[Any]:
    """Return the scores of units; none where crops were dealt singly."""
    return [] if by == "crop" else score_groups(predictions, names)


def findings_of(source: Any, evidence: Mapping[str, Any], names: Mapping[int, str]) -> Findings:
    """Return what a report's source and evidence say, see `report.source.Source`."""
    predictions = source.evaluation.predictions
    return Findings(
        run=label_of(source.run), metrics=source.metrics, confusion=source.evaluation.confusion,
        classes=predictions.classes, unit=source.unit,
        groups=groups_for(predictions, names or None, source.splits[0].by),
        audit=evidence["audit"], looks=evidence["looks"],
        calibrated=bool(evidence["calibration"]),
        externals=[one["name"] for one in evidence["externals"] if not one.get("own_store")],
        is_folds=source.is_folds,
    )


def _how_good(found: Findings) -> Line:
    metrics, k = found.metrics, len(found.classes)
    value, ends = metrics["mean_recall"], metrics.get("mean_recall_ci")
    what = "mean consistency rate" if metrics.get("naming") == CONSISTENCY else "mean recall"
    sure = f" (95 %: {interval_text(ends, 'z.2f')})" if ends else ""
    said = (
        f"It finds {_share(value)} of a class on average: {what} {value:.2f}{sure}, where guessing "
        f"gives {1 / k:.2f}; {_scored_on(found)}."
    )
    low = ends[0] if ends else value
    worse = not low > 1 / k
    if worse:
        said += " That is not shown to be better than guessing."
    if not ends:
        said += f" How sure that is cannot be said: {metrics.get('ci_note') or 'no interval'}."
    return Line(GOOD, said, grave=worse or _flattering(metrics))


def _scored_on(found: Findings) -> str:
    metrics, n = found.metrics, f"{found.metrics['n']:,}"
    units = metrics["n_groups"]
    of = "" if found.unit == "crop" else f" of {units:,} {_noun(found.unit, units)}"
    on = metrics.get("evaluated_on", "test")
    if metrics.get("own_store"):
        return f"on {n} crops{of} of the store that it learned from, so this is no test"
    if on == "validation":
        return f"on {n} crops{of} that chose the weights, so this is too good"
    if found.is_folds or on == "folds":
        return f"on {n} crops{of}, each tested by a fold that had not seen it"
    if on == "test":
        return f"on {n} test crops{of} that it had not seen"
    return f"on {n} crops{of} of {on}, which it had not seen"


def _flattering(metrics: Mapping[str, Any]) -> bool:
    return bool(metrics.get("own_store")) or metrics.get("evaluated_on") == "validation"


def _baselines(metrics: Mapping[str, Any]) -> Iterator[Line]:
    """Yield a line on the linear baselines of the run, where it has any."""
    found = dict(baselines_of(metrics))
    if not found:
        return
    name, best = max(found.items(), key=lambda item: item[1])
    value = metrics["mean_recall"]
    said = "; ".join(f"on {name} {score:.2f}" for name, score in found.items())
    beaten = value > best
    more = (
        f"the network is {value - best:.2f} better" if beaten
        else f"the network adds nothing to it: {name} are enough on these crops"
    )
    yield Line(
        GOOD, f"Logistic regression, the linear baseline, has a mean recall of {said}; {more}.",
        grave=not beaten,
    )


def baselines_of(metrics: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield features and mean recall of each linear baseline that scores keep.

    `baseline` holds `mean_recall` (of simple features), or a mapping of names to such mappings.
    """
    kept = metrics.get("baseline")
    if not isinstance(kept, Mapping):
        return
    places = {str(kept.get("features", "simple features")): kept, **kept}
    for name, place in places.items():
        value = place.get("mean_recall") if isinstance(place, Mapping) else None
        if isinstance(value, int | float) and math.isfinite(value):
            text = str(name).replace("_", " ")
            yield (text if "features" in text else f"{text} features"), float(value)


def _belief(found: Findings) -> Line:
    parts, grave = [], False
    if found.audit is None:
        parts.append("It was not audited for leaks and shortcuts.")
    else:
        faults = [check for check in found.audit["checks"] if check["status"] in _FAULTS]
        faults.sort(key=lambda check: _FAULTS.index(check["status"]))
        n = len(found.audit["checks"])
        if found.audit.get("stale"):
            parts.append("The crops have changed since the audit.")
        if faults:
            grave = faults[0]["status"] == "fail"
            done = "failed" if grave else "warned"
            parts.append(f"{len(faults)} of {n} audit checks {done}: {faults[0]['why']}")
        else:
            parts.append(f"The audit's {n} checks for leaks and shortcuts passed.")
    if found.looks is None:
        parts.append("What it looks at was not looked at.")
    else:
        look, said = found.looks
        grave |= look == saliency.BACKGROUND
        parts.append(f"{_sentence(said)}")
    parts.append(_scores_mean(found))
    return Line(BELIEF, " ".join(parts), grave)


def _scores_mean(found: Findings) -> str:
    ece = found.metrics.get("ece")
    if found.calibrated:
        return "Its scores were calibrated."
    if ece is None or not math.isfinite(ece):
        return "Its scores are not calibrated."
    off = f"scores are off by {ece:.2f} on average (ECE)"
    return f"Not calibrated, and {off}: a score of 0.90 does not mean that 90 % are right." \
        if ece > POOR_ECE else f"Not calibrated, but {off}."


def _failures(found: Findings) -> Line:
    wrong = found.confusion.copy()
    np.fill_diagonal(wrong, 0)
    if not wrong.sum():
        return Line(FAILS, "No scored crop was wrong.")
    support = found.confusion.sum(axis=1)
    there = np.flatnonzero(support)
    recall = found.confusion.diagonal()[there] / support[there]
    worst = int(there[int(recall.argmin())])
    right, n = int(found.confusion[worst, worst]), int(support[worst])
    said = f"Worst class: {found.classes[worst]}, {right:,} of {n:,} found"
    other = int(wrong[worst].argmax())
    if wrong[worst, other]:
        said += f"; {int(wrong[worst, other]):,} are called {found.classes[other]}"
    said += "."
    absent = [name for name, count in zip(found.classes, support, strict=True) if not count]
    if absent:
        said += f" Not tested at all: {', '.join(absent)}."
    known = [group for group in found.groups if group.n >= LEAST_CROPS]
    if len(known) > 1 and known[0].accuracy < known[-1].accuracy:
        said += (
            f" Worst {found.unit}: {known[0].name}, {known[0].accuracy:.0%} of its "
            f"{known[0].n:,} crops right; best: {known[-1].accuracy:.0%}."
        )
    return Line(FAILS, said)


def _next(found: Findings) -> str:
    """Say what to do first."""
    metrics, run = found.metrics, found.run
    checks = found.audit["checks"] if found.audit else []
    failed = [check for check in checks if check["status"] == "fail"]
    if failed:
        return _sentence(failed[0].get("todo") or f"see to the audit's check: {failed[0]['title']}")
    if found.audit is None:
        return f"Look for leaks and shortcuts: stemcls audit STORE {run}."
    if found.looks is None:
        return f"See what it looks at: stemcls explain {run}."
    if found.looks[0] == saliency.BACKGROUND:
        return "Crop closer to the cells (stemcls build --crop-px) and train again, then compare."
    if not metrics.get("mean_recall_ci") and not found.is_folds:
        return _sentence(str(metrics.get("ci_note") or "test more groups"))
    warned = [check for check in checks if check["status"] == "warn" and check.get("todo")]
    if warned:
        return _sentence(warned[0]["todo"])
    best = max((value for _, value in baselines_of(metrics)), default=-1.0)
    if metrics["mean_recall"] <= best:
        return "See whether more cells would help: stemcls curve STORE."
    if not found.calibrated and not found.is_folds:
        return f"Make scores mean what they say: stemcls calibrate {run}."
    if not found.externals and not found.is_folds:
        return f"Test it on cells of another day or lab: stemcls evaluate {run} STORE."
    if found.is_folds:
        return "Train one model on all folds for use: stemcls train --config " \
            f"{run}/config.toml."
    return f"Use it: stemcls predict {run} FIELDS."


def _share(value: float) -> str:
    return f"{value:.0%}" if math.isfinite(value) else "an unknown share"


def _noun(unit: str, n: int) -> str:
    return unit if n == 1 else plural(unit)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."
