"""Write the report of a run as one HTML file that needs no network and no other file."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from stemcls import atomic
from stemcls.atomic import check_new, new_file, write_text
from stemcls.config.options import to_toml
from stemcls.errors import explained_disk_errors
from stemcls.evaluation import figures
from stemcls.evaluation.calibration.caveats import caveats
from stemcls.evaluation.labelerrors import find_label_errors
from stemcls.evaluation.metrics import CALIBRATION, HEADLINE, PER_CLASS
from stemcls.evaluation.naming import (
    CONSISTENCY,
    CONSISTENCY_NOTE,
    class_title_of,
    title_of,
)
from stemcls.evaluation.numbertext import interval_text, number_text
from stemcls.evaluation.page import templates
from stemcls.evaluation.report import evidence as kept
from stemcls.evaluation.report.checklist import checklist
from stemcls.evaluation.report.drawings import drawn, planned
from stemcls.evaluation.report.methods import methods_text
from stemcls.evaluation.report.source import Source, read_source, side_table
from stemcls.evaluation.saliency import conclusion
from stemcls.evaluation.verdict import findings_of, verdict
from stemcls.progress import Update
from stemcls.runs import Run
from stemcls.store.places import places_of
from stemcls.store.units import plural, unit_names

_DOUBTED = 20
_MOST_IN_HEADING, _LONGEST_IN_HEADING = 6, 40


def write_report(
    run: Run, out: Path | None = None, consistency: bool = False, update: Update | None = None
) -> Path:
    """Write the report of a finished run or cross-validation.

    Args:
        run: Its folder.
        out: A new HTML file; None: the run's report.html, which is written anew each time.
        consistency: Call scores rates of consistency with the labels.
        update: Called as update(done, total, note).
    Returns: where it was written.
    Raises:
        InputError: The run is not finished, was never scored, or `out` exists.
        StemclsError: The disk is full.
    """
    if out is not None:
        check_new(out)
    path = out or run.path / "report.html"
    source = read_source(run)
    if consistency:
        source.metrics["naming"] = CONSISTENCY
    text = render(source, update)
    with explained_disk_errors(path, "the run is as it was; free some space and repeat"):
        if out is None:
            write_text(path, text)
        else:
            with new_file(out) as temporary:
                temporary.write_text(text, encoding="utf-8")
    return path


def render(source: Source, update: Update | None = None) -> str:
    """Return the HTML of a report."""
    pages = templates("stemcls.evaluation.report")
    pages.filters.update(number=number_text, interval=interval_text)
    found = kept.gathered(source.run, source.splits[0].store_hash, source.store)
    by = source.splits[0].by
    names = unit_names(source.store, by) if source.store is not None else {}
    metrics = source.metrics
    return pages.get_template("report.html.j2").render(
        run=source.run, source=source, metrics=metrics, split=source.splits[0],
        version=version("stemcls"), written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        headline=HEADLINE, calibration_keys=CALIBRATION, per_class=PER_CLASS,
        title=lambda key: title_of(key, metrics), caveats=caveats,
        class_title=lambda key: class_title_of(key, metrics), plural=plural,
        note=CONSISTENCY_NOTE if metrics.get("naming") == CONSISTENCY else "",
        heading=_heading(source), what=_what(source),
        verdict=verdict(findings_of(source, found, names)),
        sides=side_table(source), stages=_stages(source), folds=_folds(source),
        settings=to_toml(source.experiment), figures=drawn(source, update),
        doubted=_doubted(source), methods=methods_text(source), items=checklist(source, found),
        saliency=kept.saliency(source.run), conclude=conclusion, **found,
    )


def write_figures(source: Source, folder: Path, update: Update | None = None) -> list[Path]:
    """Write the figures of a report as files for a paper, PDF and SVG; return their paths."""
    atomic.check_free(folder)
    paths: list[Path] = []
    with explained_disk_errors(folder, "the run is as it was; free some space and repeat"):
        folder.mkdir(parents=True, exist_ok=True)
        plan = planned(source)
        for number, one in enumerate(plan, start=1):
            figure = one.draw()
            if figure is not None:
                paths += figures.write_figure(figure, folder / one.name, (".pdf", ".svg"))
            if update:
                update(number, len(plan), one.title)
    return paths


def _heading(source: Source) -> str:
    """Say what was told apart: the classes, or how many where there are many."""
    classes = [figures.cut(name, _LONGEST_IN_HEADING) for name in source.evaluation.labels]
    if len(classes) > _MOST_IN_HEADING:
        return f"{len(classes)} classes: {', '.join(classes[:3])} and {len(classes) - 3} more"
    return f"{', '.join(classes[:-1])} or {classes[-1]}"


def _what(source: Source) -> str:
    kind = source.card.get("kind") or source.card.get("build", {}).get("kind")
    samples = {"cells": "Single cells", "crops": "Crops", "fields": "Whole fields"}
    store = Path(source.experiment.store).stem if source.store is None else source.store.path.stem
    return f"{samples.get(str(kind), 'Crops')} of the store {store}"


def _doubted(source: Source) -> list[dict[str, Any]]:
    predictions = source.evaluation.predictions
    names = unit_names(source.store, source.splits[0].by) if source.store is not None else {}
    suspects = find_label_errors(predictions)[:_DOUBTED]
    places = (
        places_of(source.store, [one.row for one in suspects]) if source.store is not None
        else [("the store is gone", "", "", "")] * len(suspects)
    )
    return [
        {
            "row": suspect.row, "where": _place(*place),
            "unit": names.get(suspect.group, suspect.group),
            "label": predictions.classes[suspect.label],
            "suggested": predictions.classes[suspect.suggested],
            "p_label": suspect.p_label, "p_suggested": suspect.p_suggested,
        }
        for suspect, place in zip(suspects, places, strict=True)
    ]


def _place(file: str, scene: str, y: str, x: str) -> str:
    return f"{file}{f' [{scene}]' if scene else ''}{f' ({y}, {x})' if y else ''}"


def _stages(source: Source) -> list[dict[str, Any]]:
    found = source.run.read_json("evaluation/stages.json") or {}
    return [{"name": name, **metrics} for name, metrics in found.items()]


def _folds(source: Source) -> dict[str, Any] | None:
    return source.run.read_json("evaluation/folds.json") if source.is_folds else None
