"""The checks of an audit: one row each, in the order they are shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from stemcls.audit.ablation import check_channels
from stemcls.audit.composition import (
    check_class_by_day,
    check_class_by_group,
    check_duplicates,
    check_groups,
    check_names,
)
from stemcls.audit.finding import Finding
from stemcls.audit.honesty import check_shuffle_floor, check_split_gap
from stemcls.audit.shortcuts import check_background, check_cell_only, check_metadata
from stemcls.audit.subject import Subject


@dataclass(frozen=True)
class AuditCheck:
    """One question that an audit asks.

    Attributes:
        title: The question.
        measures: What `value` of the answer is.
        means: Why the answer matters.
        run: Finds the answer; raises CannotTellError where the store does not hold it.
    """

    title: str
    measures: str
    means: str
    run: Callable[[Subject], Finding]


AUDIT_CHECKS: dict[str, AuditCheck] = {
    "groups": AuditCheck(
        "Is it known which crops belong together?",
        "groups on two sides of the split",
        "Cells of one donor or field resemble each other. If they are on both sides of a split, "
        "the score counts memory as knowledge.",
        check_groups,
    ),
    "duplicates": AuditCheck(
        "Are there near-duplicate crops in different groups?",
        "share of crops with a twin in another group",
        "A crop that a model has seen in training tests nothing.",
        check_duplicates,
    ),
    "names": AuditCheck(
        "Has each class and each group one name only?",
        "near-equal names",
        "A donor spelled in two ways counts as two, and can be on both sides of a split; a class "
        "spelled in two ways teaches the network to tell a thing from itself.",
        check_names,
    ),
    "class-by-group": AuditCheck(
        "Does each class come from several groups?",
        "effective number of groups of the least spread class",
        "What is special about the only donor of a class cannot be told from the class.",
        check_class_by_group,
    ),
    "class-by-day": AuditCheck(
        "Does each class come from several days?",
        "effective number of days of the least spread class",
        "Lamp, focus and culture change from day to day; a class of one day is learned as that "
        "day.",
        check_class_by_day,
    ),
    "metadata": AuditCheck(
        "Do field-level figures, without the cells, tell the class?",
        "mean recall",
        "If brightness, noise, light or file size predict the class, so can a network that never "
        "looks at a cell.",
        check_metadata,
    ),
    "background": AuditCheck(
        "Does the background, with the cells masked out, tell the class?",
        "mean recall",
        "The background of a field shows the acquisition, not the cell.",
        check_background,
    ),
    "cell-only": AuditCheck(
        "Do the cell's own pixels tell the class as well as the whole crop?",
        "mean recall of the cell alone",
        "What the surroundings add is not a property of the cell.",
        check_cell_only,
    ),
    "split-gap": AuditCheck(
        "What would a random split have promised?",
        "random-split less grouped mean recall",
        "The gap is what a score from crops dealt at random owes to recognising donors or fields.",
        check_split_gap,
    ),
    "shuffle-floor": AuditCheck(
        "Does the score fall to chance when labels are shuffled?",
        "mean recall with shuffled labels",
        "A floor above chance means a leak; a score at the floor means nothing was learned.",
        check_shuffle_floor,
    ),
    "channels": AuditCheck(
        "Which channels does the run live on?",
        "largest loss of mean recall",
        "A run that lives on an empty channel has learned the camera.",
        check_channels,
    ),
}
