"""The report of a study: one JSON document, figures, and a page that holds all of it."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stemcls import atomic
from stemcls.errors import explained_disk_errors
from stemcls.evaluation.figures import write_figure
from stemcls.evaluation.numbertext import with_interval
from stemcls.evaluation.page import image, table
from stemcls.tuning.results import charts
from stemcls.tuning.results.choice import Choice
from stemcls.tuning.results.conclude import INITIAL, Outcome
from stemcls.tuning.results.importance import importances
from stemcls.tuning.study.journal import KEPT, Record
from stemcls.tuning.study.study import Study

SHOWN_METRICS = ("balanced_accuracy", "mean_recall", "auroc", "accuracy", "f1_macro")
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
  color: #222; } table { border-collapse: collapse; margin: 1rem 0; }
td, th { padding: .25rem .75rem; border-bottom: 1px solid #ccc; text-align: left; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
img { max-width: 100%; } .note { color: #8a4b00; } h2 { margin-top: 2.2rem; }
"""


def describe(study: Study, records: Sequence[Record], outcome: Outcome, why: str) -> dict[str, Any]:
    """Return everything that a study came to, for `--json` and for the report.

    Args:
        study: The study.
        records: Its trials.
        outcome: Of `conclude`.
        why: Why the search was over, see `Search.run`.
    Returns: `study`, `objective`, `over`, `best`, `initial`, `alike`, `reason`, `comparison`,
        `importance`, `trials`, `notes`, `seconds`.
    """
    definition, choice = study.definition, outcome.choice
    trials = [record.as_trial() for record in records if record.ended]
    by_number = {record.number: record for record in records}
    return {
        "study": str(study.path),
        "objective": definition.objective,
        "over": why,
        "best": _result(study, by_number[choice.trial.number], outcome),
        "initial": _result(study, by_number[INITIAL], outcome),
        "alike": [trial.number for trial in choice.alike],
        "highest": choice.best.number,
        "reason": choice.reason,
        "comparison": outcome.comparison,
        "importance": [
            asdict(entry) for entry in
            importances(definition.space, trials, definition.experiment.seed)
        ],
        "trials": [trial_document(record) for record in records],
        "notes": list(outcome.notes),
        "seconds": sum(record.seconds for record in records),
    }


def trial_document(record: Record) -> dict[str, Any]:
    """Return one trial as plain values."""
    trial = record.as_trial()
    return {
        "number": record.number, "values": record.values, "state": record.state,
        "score": trial.score, "std": trial.sd, "scores": list(record.scores),
        "reason": record.reason or None, "seconds": round(record.seconds, 3),
        "parameters": record.parameters,
    }


def write_report(
    study: Study, records: Sequence[Record], outcome: Outcome, document: dict[str, Any]
) -> Path:
    """Write report/: study.json, figures as PNG and SVG, report.html; return the page's path."""
    from stemcls.tuning.results.importance import Importance

    folder = study.path / "report"
    definition = study.definition
    found = [Importance(**entry) for entry in document["importance"]]
    shown = [record for record in records if record.ended]
    pictures = {
        "progress": charts.draw_progress(shown, definition.objective),
        "importance": charts.draw_importance(found),
        "coordinates": charts.draw_coordinates(
            definition.space.dimensions, shown, definition.objective
        ),
        "spread": charts.draw_spread(shown, definition.objective, _marks(outcome.choice)),
        "times": charts.draw_times(shown),
    }
    with explained_disk_errors(folder, KEPT):
        folder.mkdir(exist_ok=True)
        atomic.write_json(folder / "study.json", document)
        for name, figure in pictures.items():
            write_figure(figure, folder / name)
        page = folder / "report.html"
        atomic.write_text(page, _page(study, document, folder))
    return page


def _result(study: Study, record: Record, outcome: Outcome) -> dict[str, Any]:
    run = outcome.runs.get(record.number)
    is_best = record.number == outcome.choice.trial.number
    return {
        **{key: value for key, value in trial_document(record).items() if key != "reason"},
        "trial": record.number,
        "config": str(study.best_config_path if is_best
                      else study.trial_path(record.number) / "config.toml"),
        "run": str(run.path) if run else None,
        "metrics": outcome.metrics.get(record.number),
    }


def _marks(choice: Choice) -> dict[int, str]:
    marks = {trial.number: "alike" for trial in choice.alike}
    marks[choice.best.number] = "highest"
    marks[choice.trial.number] = "chosen"
    return marks


def _page(study: Study, document: dict[str, Any], folder: Path) -> str:
    best, initial = document["best"], document["initial"]
    definition = study.definition
    notes = "".join(f'<p class="note">{html.escape(note)}</p>' for note in document["notes"])
    values = [
        (key, value, initial["values"].get(key, "-")) for key, value in best["values"].items()
    ]
    parts = [
        f"<h1>{html.escape(study.path.name)}</h1>",
        f"<p>{len(document['trials'])} trials of {definition.folds} folds, "
        f"objective {html.escape(definition.objective)}; store "
        f"{html.escape(Path(definition.experiment.store).name)}. "
        f"{html.escape(document['reason'])}</p>{notes}",
        "<h2>Best and initial configuration on crops that the search never saw</h2>",
        _final_table(document),
        "<h2>Chosen settings</h2>",
        table(("setting", f"trial {best['trial']} (chosen)", "initial"), values),
    ]
    for name, title in (
        ("progress", "Progress"), ("spread", "Folds of the leading trials"),
        ("importance", "What the score depends on"), ("coordinates", "All trials"),
        ("times", "Time per trial"),
    ):
        parts.append(f"<h2>{title}</h2>{image(folder / f'{name}.svg', title)}")
    parts.append("<h2>Trials</h2>")
    parts.append(table(
        ("trial", "state", definition.objective, "SD", "minutes", "weights", "settings"),
        (
            (t["number"], t["state"], t["score"], t["std"], t["seconds"] / 60, t["parameters"],
             ", ".join(f"{key} = {value}" for key, value in t["values"].items()))
            for t in document["trials"]
        ),
    ))
    body = "\n".join(parts)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(study.path.name)}</title><style>{_STYLE}</style></head>"
        f"<body>{body}</body></html>\n"
    )


def _final_table(document: dict[str, Any]) -> str:
    sides = [document["best"], document["initial"]]
    differences: dict[str, Any] = {}
    if document["comparison"]:
        differences = document["comparison"]["runs"][0]["differences"] or {}
    rows = []
    for key in SHOWN_METRICS:
        cells: list[Any] = [key.replace("_", " ")]
        for side in sides:
            metrics = side["metrics"] or {}
            cells.append(with_interval(metrics.get(key), metrics.get(f"{key}_ci")))
        found = differences.get(key)
        cells.append(with_interval(found["difference"], found["ci"], "+.3f") if found else "-")
        rows.append(cells)
    names = ("metric", f"chosen (trial {sides[0]['trial']})", "initial (trial 0)",
             "difference, 95 % interval")
    return table(names, rows)
