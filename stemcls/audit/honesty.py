"""Checks of the score itself: what a random split would have promised, and the floor of chance."""

from __future__ import annotations

import numpy as np

from stemcls.audit.finding import CannotTellError, Finding
from stemcls.audit.subject import Subject
from stemcls.evaluation.comparison import compare_predictions
from stemcls.probes.linear import as_predictions, cross_validate
from stemcls.store.assign import deal_folds

# A gap is a warning where its interval lies above this, and groups are enough for an interval.
GAP = 0.1
LEAST_GROUPS = 5
FLOOR = 0.05


def check_split_gap(subject: Subject) -> Finding:
    """Score the same classifier with crops dealt at random, and with groups kept together."""
    grouped = subject.whole_score
    n = len(subject.rows)
    if len(np.unique(subject.group)) == n:
        raise CannotTellError("each crop is a group of its own, so both splits are the same")
    fold = deal_folds(
        np.arange(n), subject.labels, subject.k, len(np.unique(subject.folds)), subject.config.seed
    )
    distances = cross_validate(subject.whole, subject.labels, subject.k, fold)[0]
    dealt = as_predictions(distances, subject.rows, subject.labels, subject.group, subject.classes)
    gap = compare_predictions(dealt, grouped.predictions, seed=subject.config.seed)["mean_recall"]
    random = grouped.value + gap.difference
    memory = float(np.mean(subject.shuffled_scores(subject.whole, fold)))
    details = {
        "random": random, "grouped": grouped.value, "grouped_ci": grouped.interval,
        "shuffled_labels_random_split": memory, "chance": subject.chance,
    }
    said = (
        f"Crops dealt at random promise a mean recall of {random:.2f}; unseen "
        f"{subject.group_nouns} get {grouped.value:.2f}. With labels shuffled by whole "
        f"{subject.exchange.what} a random split still reaches {memory:.2f} "
        f"(guessing: {subject.chance:.2f}), all of it by recognising the {subject.exchange.what}."
    )
    n_groups = len(np.unique(subject.group))
    if n_groups < LEAST_GROUPS:
        few = f" {n_groups} {subject.group_nouns} are too few to judge the gap by."
        return Finding("pass", gap.difference, said + few, gap.ci, details=details)
    if not gap.low > GAP:
        return Finding("pass", gap.difference, said, gap.ci, details=details)
    return Finding(
        "warn", gap.difference, said, gap.ci,
        f"report the grouped score, never one with --split-by crop; more {subject.group_nouns} "
        "narrow the gap (`stemcls curve`)", details,
    )


def check_shuffle_floor(subject: Subject) -> Finding:
    """Shuffle the labels: the score must fall to that of guessing."""
    score = subject.whole_score
    floor = float(score.shuffled.mean())
    low, high = (float(q) for q in np.quantile(score.shuffled, (0.025, 0.975)))
    details = {
        "chance": subject.chance, "score": score.value, "p": score.p,
        "shuffles": len(score.shuffled),
    }
    said = (
        f"With shuffled labels the mean recall is {floor:.2f} ({low:.2f} to {high:.2f}; guessing: "
        f"{subject.chance:.2f}), with the true ones {score.value:.2f} (p = {score.p:.3g})."
    )
    ends = (low, high)
    if floor > subject.chance + FLOOR:
        return Finding(
            "fail", floor, f"{said} A floor above chance means that something leaks between the "
            "sides of the split.", ends, "look for crops that are in the store twice", details,
        )
    if score.value <= high:
        return Finding(
            "warn", floor, f"{said} These features do not tell the classes apart.", ends,
            "try --features backbone; if that fails too, the crops may not show the difference",
            details,
        )
    return Finding("pass", floor, said, ends, details=details)
