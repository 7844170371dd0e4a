"""What scores are called: as usual, or as rates of consistency with sorted labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PLAIN, CONSISTENCY = "plain", "consistency"
# Names that cannot be confused: two scores are called balanced accuracy in the literature.
TITLES: dict[str, dict[str, str]] = {
    PLAIN: {
        "mean_recall": "mean recall, chance 1/K",
        "balanced_accuracy": "balanced accuracy (sens + spec)/2, chance 1/2",
        "auroc": "AUROC, macro",
        "accuracy": "accuracy",
        "f1_macro": "F1, macro",
        "f1_weighted": "F1, weighted",
        "precision_macro": "precision, macro",
        "ece": "calibration error (ECE)",
        "brier": "Brier score, 0 to 2",
        "log_loss": "log loss",
    },
    CONSISTENCY: {
        "mean_recall": "mean consistency rate of classes, chance 1/K",
        "balanced_accuracy": "balanced consistency (sens + spec)/2, chance 1/2",
        "accuracy": "overall consistency rate",
        "precision_macro": "mean consistency rate of predictions",
    },
}
# Headings of a table with a line for each class.
CLASS_TITLES: dict[str, dict[str, str]] = {
    PLAIN: {
        "sensitivity": "sens.", "specificity": "spec.", "ppv": "PPV", "npv": "NPV", "f1": "F1",
        "auroc": "AUROC",
    },
    CONSISTENCY: {"sensitivity": "consistency", "ppv": "of predicted"},
}
CONSISTENCY_NOTE = (
    "labels come from sorting, which is no gold standard: agreement with it is called a "
    "consistency rate, not an accuracy (Wang et al. 2023)"
)


def title_of(key: str, metrics: Mapping[str, Any] | None = None) -> str:
    """Return the name of a score for people, in the naming that `metrics` ask for."""
    return _named(TITLES, key, metrics)


def class_title_of(key: str, metrics: Mapping[str, Any] | None = None) -> str:
    """Return the same, short, for a score of one class."""
    return _named(CLASS_TITLES, key, metrics)


def _named(
    titles: Mapping[str, Mapping[str, str]], key: str, metrics: Mapping[str, Any] | None
) -> str:
    naming = (metrics or {}).get("naming", PLAIN)
    return titles[naming].get(key) or titles[PLAIN].get(key, key)
