"""Write the report of a run as one HTML file that needs no network and no other file."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from stemcls.atomic import check_new, new_file, write_text
from stemcls.config.options import to_toml
from stemcls.errors import explained_disk_errors
from stemcls.evaluation import charts, figures, sheets
from stemcls.evaluation.bygroup import score_groups
from stemcls.evaluation.calibration.caveats import caveats
from stemcls.evaluation.labelerrors import draw_label_errors, find_label_errors
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
from stemcls.evaluation.report.drawings import draw_history, figure_data
from stemcls.evaluation.report.methods import methods_text
from stemcls.evaluation.report.source import Source, read_source, side_table
from stemcls.progress import Update
from stemcls.runs import Run
from stemcls.store.units import plural, unit_names

_DOUBTED = 20


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
    found = {
        "calibration": kept.calibration(source.run), "externals": kept.externals(source.run),
        "audit": kept.audit(source.run, source.splits[0].store_hash, source.store),
        "saliency": kept.saliency(source.run),
    }
    metrics = source.metrics
    return pages.get_template("report.html.j2").render(
        run=source.run, source=source, metrics=metrics, split=source.splits[0],
        version=version("stemcls"), written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        headline=HEADLINE, calibration_keys=CALIBRATION, per_class=PER_CLASS,
        title=lambda key: title_of(key, metrics), caveats=caveats,
        class_title=lambda key: class_title_of(key, metrics), plural=plural,
        note=CONSISTENCY_NOTE if metrics.get("naming") == CONSISTENCY else "",
        sides=side_table(source), stages=_stages(source), folds=_folds(source),
        settings=to_toml(source.experiment), pictures=_pictures(source, update),
        doubted=_doubted(source), methods=methods_text(source), items=checklist(source, found),
        **found,
    )


def _pictures(source: Source, update: Update | None) -> list[dict[str, str]]:
    """Return title, caption and data of every figure, in order."""
    predictions, metrics = source.evaluation.predictions, source.metrics
    store, by = source.store, source.splits[0].by
    groups = score_groups(predictions, unit_names(store, by) if store is not None else None)
    what = source.unit
    draw: list[tuple[str, str, Callable[[], Any]]] = [
        (f"Loss of {part.name}" if source.is_folds else "Loss",
         "Training and validation loss of every epoch; lines divide stages.",
         partial(draw_history, history))
        for part, history in zip(source.parts, source.history, strict=True)
    ]
    draw += [
        ("Confusion matrix", "Counts, and shares of the true class.",
         lambda: figures.draw_confusion(source.evaluation.confusion, predictions.classes)),
        ("ROC", "One class against all others.",
         lambda: figures.draw_roc(predictions, metrics)),
        ("Precision and recall", "One class against all others; chance is the class's share.",
         lambda: charts.draw_precision_recall(predictions)),
        ("Scores", "Probability of a class among its own crops and all others.",
         lambda: charts.draw_scores(predictions)),
        ("Reliability", "Share that is right over the prediction score; on the diagonal, scores "
         "mean what they say.", lambda: charts.draw_reliability(metrics)),
    ]
    if by != "crop":
        draw.append((f"By {what}", "Each by itself, worst first.",
                     lambda: charts.draw_groups(groups, what, metrics)))
    if store is not None:
        draw += [
            (f"Cells that are {name}", "The surest and least sure of every entry of the matrix.",
             partial(sheets.draw_class_sheet, predictions, store, index))
            for index, name in enumerate(predictions.classes)
            if (predictions.labels == index).any()
        ]
        suspects = find_label_errors(predictions)
        if suspects:
            draw.append((
                "Doubtful labels", "Crops that the model confidently takes for another class.",
                lambda: draw_label_errors(suspects, predictions, store),
            ))
    pictures = []
    for number, (title, caption, make) in enumerate(draw, start=1):
        figure = make()
        if figure is not None:
            vector = not title.startswith(("Cells", "Doubtful"))
            pictures.append(
                {"title": title, "caption": caption, "data": figure_data(figure, vector)}
            )
        if update:
            update(number, len(draw), title)
    return pictures


def _doubted(source: Source) -> list[dict[str, Any]]:
    predictions = source.evaluation.predictions
    names = unit_names(source.store, source.splits[0].by) if source.store is not None else {}
    return [
        {
            "row": suspect.row, "unit": names.get(suspect.group, suspect.group),
            "label": predictions.classes[suspect.label],
            "suggested": predictions.classes[suspect.suggested],
            "p_label": suspect.p_label, "p_suggested": suspect.p_suggested,
        }
        for suspect in find_label_errors(predictions)[:_DOUBTED]
    ]


def _stages(source: Source) -> list[dict[str, Any]]:
    found = source.run.read_json("evaluation/stages.json") or {}
    return [{"name": name, **metrics} for name, metrics in found.items()]


def _folds(source: Source) -> dict[str, Any] | None:
    return source.run.read_json("evaluation/folds.json") if source.is_folds else None
