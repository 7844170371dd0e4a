"""Choose among trials: the simplest of those that are as good as the best."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stemcls.errors import StemclsError
from stemcls.tuning.search.evidence import weigh
from stemcls.tuning.search.history import Trial
from stemcls.tuning.space.space import SearchSpace
from stemcls.tuning.study.journal import Record

NAMED = 5


@dataclass(frozen=True)
class Choice:
    """What a search comes to.

    Attributes:
        trial: The chosen one.
        best: The one of the best mean; often the same.
        alike: Trials that cannot be told apart from the best, best mean first, the best left out.
        reason: Why `trial` was chosen, and how the others compare, in words.
    """

    trial: Trial
    best: Trial
    alike: tuple[Trial, ...]
    reason: str


def choose_among(records: Sequence[Record], space: SearchSpace) -> Choice:
    """Choose the best trial: of those that are as good, the one with the fewest weights.

    Args:
        records: Of a study, also of one that is under way; those that have not ended are passed
            over.
        space: Of the study.
    Raises:
        StemclsError: No trial has all its folds.
    """
    ended = [record for record in records if record.ended]
    sizes = {_label(record.values): float(record.parameters or math.inf) for record in ended}

    def simplicity(values: Mapping[str, Any]) -> float:
        return sizes.get(_label(values), math.inf)

    return best_trial([record.as_trial() for record in ended], space, simplicity, True)


def _label(values: Mapping[str, Any]) -> str:
    return json.dumps(values, sort_keys=True)


def best_trial(
    trials: Sequence[Trial],
    space: SearchSpace,
    simplicity: Callable[[Mapping[str, Any]], float],
    maximise: bool,
) -> Choice:
    """Return the simplest trial whose mean is within one standard error of the best.

    The standard error is that of the difference of two trials that run the same folds: what makes
    a fold hard for all trials is taken out first.

    Args:
        trials: Of the search; those without all their folds are passed over.
        space: Of the trials; a tie goes to the one that leaves more settings at their defaults.
        simplicity: Of a setting's values, less is simpler: the number of weights, say.
        maximise: The largest score is best.
    Raises:
        StemclsError: No trial is finished.

    Source: the one standard error rule of Breiman et al. 1984, section 3.4.3.
    """
    finished = [t for t in trials if t.counts]
    if not finished:
        raise StemclsError(
            f"none of {len(trials)} trials finished all its folds, so none can be chosen"
        )
    evidence = weigh(finished)
    sign = -1.0 if maximise else 1.0
    ranked = sorted(finished, key=lambda t: (sign * evidence.mean(t), t.number))
    best = ranked[0]
    error = evidence.difference_se(len(best.scores))
    alike = tuple(
        t for t in ranked[1:] if abs(evidence.mean(t) - evidence.mean(best)) <= error
    )

    def complexity(trial: Trial) -> tuple[float, int, float, int]:
        changed = sum(trial.values.get(d.key, d.default) != d.default for d in space.dimensions)
        return simplicity(trial.values), changed, sign * evidence.mean(trial), trial.number

    chosen = min((best, *alike), key=complexity)
    return Choice(chosen, best, alike, _reason(chosen, best, alike, error, len(finished)))


def _reason(
    chosen: Trial, best: Trial, alike: tuple[Trial, ...], error: float, n_finished: int
) -> str:
    if not alike:
        told = f"trial {best.number} has the best mean, {best.score:.4g}"
        if error > 0:
            told += f", and no other is within one standard error of it ({error:.2g})"
        elif n_finished > 1:
            told += "; with one fold nothing says how sure that is"
        return told
    named = ", ".join(str(t.number) for t in alike[:NAMED])
    more = f" and {len(alike) - NAMED} more" if len(alike) > NAMED else ""
    told = (
        f"trial {best.number} has the best mean, {best.score:.4g}; {named}{more} cannot be told "
        f"apart from it: within one standard error of the difference, {error:.2g}, which is how "
        "the folds of equal trials scatter"
    )
    if chosen is best:
        return f"{told}; none of them is simpler"
    return f"{told}; trial {chosen.number}, {chosen.score:.4g}, is the simplest of them"
