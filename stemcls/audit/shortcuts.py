"""Checks that try to tell the classes apart without looking at the cells."""

from __future__ import annotations

from typing import Any

import numpy as np

from stemcls.audit.finding import CannotTellError, Finding
from stemcls.audit.subject import Score, Subject
from stemcls.evaluation.comparison import compare_predictions
from stemcls.evaluation.numbertext import with_interval
from stemcls.probes.background import LEAST_PIXELS, MEASURES
from stemcls.probes.metadata import cell_borne_columns, metadata_columns

# One false alarm in a hundred stores, over the two checks that use it.
SIGNIFICANT = 0.005
# Share of the way from guessing to perfection; beyond it a score may rest on the shortcut alone.
HALF = 0.5
CONTEXT = 0.05


def check_metadata(subject: Subject) -> Finding:
    """Predict the class from what is known of a field without its cells."""
    seen = subject.background if _shows_background(subject) else None
    columns = metadata_columns(subject.store, subject.rows, seen)
    if not columns:
        raise CannotTellError("all fields have the same metadata")
    score = subject.score(np.stack(list(columns.values()), axis=1))
    alone = {name: _alone(subject, column) for name, column in columns.items()}
    best = max(alone, key=lambda name: alone[name])
    cells_too = {
        name: _alone(subject, column)
        for name, column in cell_borne_columns(subject.store, subject.rows).items()
    }
    details = {
        "chance": subject.chance, "p": score.p, "alone": alone, "cells_have_a_say_in": cells_too
    }
    return _shortcut(
        subject, score, "metadata of the fields alone", details,
        f"The column that says most by itself is {best} ({alone[best]:.2f}).",
        "acquire the classes alternately with fixed exposure; meanwhile even out the light "
        "(--flatten, --target-brightness, --scale field) and audit again",
    )


def check_background(subject: Subject) -> Finding:
    """Predict the class from the background around cells."""
    if not _shows_background(subject):
        raise CannotTellError(
            f"more than half of the crops show fewer than {LEAST_PIXELS} pixels of background; "
            "build with a larger --crop-px to see some"
        )
    score = subject.score(_known(subject.background))
    details = {"chance": subject.chance, "p": score.p, "pixels": subject.regions.how}
    return _shortcut(
        subject, score, "the background alone (its level, noise and slope)", details,
        f"Background: {subject.regions.how}.",
        "compare the saliency of a model with the cells (`stemcls explain`); acquire the classes "
        "under one exposure, or even out the light with --flatten",
    )


def check_cell_only(subject: Subject) -> Finding:
    """Predict the class from the cell's own pixels, and see what the surroundings add."""
    cell = subject.score(subject.simple(subject.regions.cell))
    simple = subject.config.features == "simple"
    whole = subject.whole_score if simple else subject.score(subject.whole_simple)
    added = compare_predictions(whole.predictions, cell.predictions, seed=subject.config.seed)
    gain = added["mean_recall"]
    details: dict[str, Any] = {
        "chance": subject.chance, "p": cell.p, "whole_crop": whole.value,
        "surroundings_add": gain.difference, "surroundings_add_ci": gain.ci,
        "pixels": subject.regions.how,
    }
    said = (
        f"The cell's own pixels reach a mean recall of {cell.value:.2f}, the whole crop "
        f"{whole.value:.2f} (simple features, unseen {subject.group_nouns})."
    )
    if gain.low > CONTEXT:
        return Finding(
            "warn", cell.value,
            f"{said} What lies around the cell adds "
            f"{with_interval(gain.difference, gain.ci, '.2f')}.",
            cell.interval, "look at the crops: neighbours, debris, scale bars or uneven light; a "
            "smaller --crop-px shows less of them", details,
        )
    return Finding("pass", cell.value, said, cell.interval, details=details)


def _shortcut(
    subject: Subject, score: Score, what: str, details: dict[str, Any], more: str, todo: str
) -> Finding:
    """Judge features that should know nothing of the class."""
    nouns = subject.group_nouns
    reach = (score.value - subject.chance) / (1 - subject.chance)
    low = score.interval[0] if score.interval else score.value
    said = (
        f"From {what} a classifier reaches a mean recall of {score.value:.2f} on unseen {nouns} "
        f"(guessing: {subject.chance:.2f}, p = {score.p:.3g})."
    )
    exchange = subject.exchange
    if exchange.least_p > SIGNIFICANT:
        if reach < HALF:
            raise CannotTellError(
                f"{exchange.n_units} {exchange.what} are too few to tell: labels can be permuted "
                f"in {round(10**exchange.log10_ways)} ways only"
            )
        return Finding(
            "warn", score.value, f"{said} With {exchange.n_units} {exchange.what} this may be "
            "chance.", score.interval, f"add {nouns}", details,
        )
    if score.p > SIGNIFICANT or score.value <= subject.chance:
        return Finding("pass", score.value, said, score.interval, details=details)
    far = (low - subject.chance) / (1 - subject.chance) >= HALF
    return Finding(
        "fail" if far else "warn", score.value, f"{said} {more}", score.interval, todo, details
    )


def _shows_background(subject: Subject) -> bool:
    """Return whether at least half of the crops show some background."""
    return bool(np.isnan(subject.background).all(axis=1).mean() <= 0.5)


def _known(measures: np.ndarray) -> np.ndarray:
    """Put the median where a measure is unknown."""
    columns = [column for column in measures.T if np.isfinite(column).any()]
    filled = [np.where(np.isfinite(column), column, np.nanmedian(column)) for column in columns]
    return np.stack(filled, axis=1) if filled else np.zeros((len(measures), len(MEASURES)))


def _alone(subject: Subject, column: np.ndarray) -> float:
    """Return the mean recall of one column."""
    return subject.score_once(column[:, None], subject.folds)
