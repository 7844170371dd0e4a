"""What each decision of a study is made from, so that timing and crashes leave no trace in it.

Trial n is suggested when all trials up to n - width have ended, from exactly their results; those
between count as under way even if they have ended. Racing decides from the same trials, and from
the scores of a trial's folds in their order. What slots finish first therefore changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stemcls.tuning.search.history import Trial
from stemcls.tuning.study.definition import Definition
from stemcls.tuning.study.journal import Record
from stemcls.tuning.study.racing import hopeless


def width_for(slots: int, folds: int) -> int:
    """Return how many trials must be under way to keep all slots busy."""
    return max(1, -(-slots // folds))


def known(records: Sequence[Record], number: int, width: int) -> list[Record] | None:
    """Return the trials that trial `number` may depend on; None until all of them have ended."""
    before = list(records[: max(number - width + 1, 0)])
    return None if any(not record.ended for record in before) else before


def history(records: Sequence[Record], number: int, width: int) -> list[Trial]:
    """Return the trials that trial `number` is suggested from, those it may not know as pending."""
    seen = {record.number for record in known(records, number, width) or ()}
    return [
        record.as_trial() if record.number in seen else Trial(record.number, record.values)
        for record in records[:number]
    ]


def verdict(
    record: Record, failures: Mapping[tuple[int, int], str], records: Sequence[Record],
    definition: Definition,
) -> tuple[str, str, int] | None:
    """Return how a trial ends: state, reason, and how many folds count; None while that is open.

    Args:
        record: Of the trial.
        failures: Why folds failed, by trial and fold.
        records: All trials.
        definition: Of the search.
    """
    scores: list[float] = []
    before = [r.as_trial() for r in known(records, record.number, definition.width) or ()]
    for fold in range(definition.folds):
        if (record.number, fold) in failures:
            return "failed", f"fold {fold + 1}: {failures[record.number, fold]}", fold
        if fold not in record.folds:
            return None
        scores.append(record.folds[fold].score)
        if definition.racing and fold + 1 < definition.folds:
            why = hopeless(scores, definition.folds, before, True)
            if why:
                return "stopped", why, fold + 1
    return "finished", "", definition.folds
