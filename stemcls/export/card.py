"""Write a model card from what a run's folder holds; what is missing is said to be missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from typing import Any

from stemcls.errors import InputError
from stemcls.evaluation.calibration.caveats import caveats
from stemcls.evaluation.metrics import CALIBRATION, HEADLINE, PER_CLASS
from stemcls.evaluation.naming import class_title_of, title_of
from stemcls.evaluation.numbertext import interval_text, number_text
from stemcls.evaluation.page import templates
from stemcls.evaluation.report import evidence
from stemcls.evaluation.report.methods import methods_text
from stemcls.evaluation.report.source import Source, read_source, side_table
from stemcls.evaluation.verdict import baselines_of
from stemcls.export.parcel import Parcel
from stemcls.store.units import plural

CARD_FILE = "MODEL_CARD.md"
_MOST_UNITS = 60


@dataclass(frozen=True)
class Credits:
    """What no run can know of its model.

    Attributes:
        authors: Names.
        licence: An SPDX identifier such as CC-BY-4.0, or "".
        use: What it is meant for, a sentence, or "".
    """

    authors: tuple[str, ...] = ()
    licence: str = ""
    use: str = ""


def card_text(parcel: Parcel, credits: Credits, form: str) -> str:
    """Return the card of a run's model as Markdown.

    Args:
        parcel: The model.
        credits: What its authors say.
        form: The format that it is exported to.
    Source: the sections of Mitchell et al. 2019, Model Cards for Model Reporting,
        doi:10.1145/3287560.3287596.
    """
    pages = templates("stemcls.export", autoescape=False)  # Markdown, not HTML
    pages.filters.update(
        number=number_text, interval=partial(interval_text, missing="missing"), cell=_cell
    )
    run = parcel.run
    source, why_unscored = _source(parcel)
    found = {
        key: value for key, value in
        evidence.gathered(run, _store_hash(parcel), source.store if source else None).items()
        if key != "explained"
    }
    metrics = source.metrics if source else None
    return pages.get_template("card.md.j2").render(
        run=run, card=parcel.card, parcel=parcel, credits=credits, form=form, source=source,
        why_unscored=why_unscored, metrics=metrics, version=version("stemcls"),
        written=datetime.now(UTC).strftime("%Y-%m-%d"), store_hash=_store_hash(parcel),
        headline=HEADLINE, calibration_keys=CALIBRATION, per_class=PER_CLASS,
        title=lambda key: title_of(key, metrics), plural=plural, caveats=caveats,
        class_title=lambda key: class_title_of(key, metrics),
        sides=side_table(source) if source else [], most_units=_MOST_UNITS,
        split=source.splits[0] if source else None,
        methods=methods_text(source) if source else [],
        limits=list(_limits(parcel, source, found)), **found,
    )


def _source(parcel: Parcel) -> tuple[Source | None, str]:
    try:
        return read_source(parcel.run), ""
    except InputError as error:
        return None, str(error)


def _store_hash(parcel: Parcel) -> str:
    return str(parcel.card.provenance.get("store_hash", ""))


def _limits(parcel: Parcel, source: Source | None, found: dict[str, Any]) -> Iterator[str]:
    """Yield what a user must not expect, a sentence each."""
    card = parcel.card
    yield (
        f"Every crop gets one of the {len(card.classes)} classes, debris and cells of other kinds "
        "too: the network has no answer for what it was not taught."
    )
    size = f" of {card.pixel_size_um:.4g} um" if card.pixel_size_um else ""
    yield (
        f"It was trained on crops of {card.size_px[1]} x {card.size_px[0]} pixels{size}, channels "
        f"{', '.join(card.channels)}; another magnification, modality or microscope is untested "
        "unless an external set shows it."
    )
    if card.kind == "cells":
        yield (
            "It takes crops, not fields: cells must be found, cut and scaled as in training, which "
            "`stemcls predict` and `stemcls serve` do."
        )
    if source is None:
        yield "It was never scored, so nothing is known of its errors."
    else:
        yield from _limits_of_scores(source)
    if not any(not one.get("own_store") for one in found["externals"]):
        yield "No external set: how it does on another lab's images is not known."
    if not found["calibration"]:
        yield "Not calibrated: a score of 0.9 does not mean that 90 % of such cells are right."
    audit = found["audit"]
    for check in audit["checks"] if audit else ():
        if check["status"] != "pass":
            yield f"Audit, {check['status']}: {check['title']} {check['why']}"
    if not audit:
        yield "Not audited for leaks and shortcuts."
    elif audit["stale"]:
        yield "The crops have changed since the audit."
    if found["looks"] is None:
        yield "What it looks at was not looked at."
    else:
        said = found["looks"][1]
        yield f"{said[:1].upper()}{said[1:]}."
    yield "Not validated for diagnosis or any decision about patients."


def _limits_of_scores(source: Source) -> Iterator[str]:
    metrics, split = source.metrics, source.splits[0]
    if split.by == "crop":
        yield "Crops of one field were on both sides of the split, so its scores are flattering."
    elif split.by == "field":
        yield "The split kept fields apart, not donors or lines: scores say nothing of a new one."
    if metrics.get("evaluated_on") == "validation":
        yield "There was no test split: its scores are of the crops that chose the weights."
    if not metrics.get("mean_recall_ci"):
        why = metrics.get("ci_note")
        yield f"Its scores have no intervals{f': {why}' if why else ''}."
    best = max(baselines_of(metrics), key=lambda one: one[1], default=None)
    if best and best[1] >= metrics["mean_recall"]:
        yield f"Logistic regression on {best[0]} does as well: mean recall {best[1]:.2f}."


def _cell(text: Any) -> str:
    """Return a text as it may stand in a cell of a Markdown table."""
    return str(text).replace("\n", " ").replace("|", "\\|")
