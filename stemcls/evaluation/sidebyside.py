"""Lay finished runs side by side: scores with spread, differences with tests, size and time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from stemcls import atomic
from stemcls.errors import InputError, check_known, explained_disk_errors
from stemcls.evaluation.comparison import (
    METRICS,
    Difference,
    adjusted,
    compare_folds,
    compare_predictions,
    mcnemar,
)
from stemcls.evaluation.finished import Finished, trained_alike, why_unpaired
from stemcls.models.size import count_parameters

TESTS = {
    True: "corrected resampled t test over folds (Nadeau and Bengio 2003)",
    False: "paired bootstrap of the groups of the test split",
}
MIB = 2**20
_NOT_FLAT = ("metrics", "differences", "mcnemar")


def lay_side_by_side(
    runs: Sequence[Finished], by: str = "mean_recall", baseline: int | None = None
) -> dict[str, Any]:
    """Compare each run with one of them.

    Args:
        runs: Two or more.
        by: Which of `METRICS` says what is best.
        baseline: Which run the others are compared with; None: the best.
    Returns: `runs` (see `docs/compare.md`), `reference`, `by`, `test`, `comparable`, `notes`.
    Raises:
        InputError: Fewer than two runs, or an unknown metric.
    """
    check_known(by, METRICS, f"--by {by!r} is not a metric to compare")
    if len({run.run.path.resolve() for run in runs}) < 2:
        raise InputError("a comparison needs two or more different runs")
    scores = [_scores(run) for run in runs]
    means = [score[by]["mean"] for score in scores]
    best = int(np.nanargmax(means)) if np.isfinite(means).any() else 0
    place = best if baseline is None else baseline
    reference = runs[place]
    reasons = ["" if run is reference else why_unpaired(run, reference) for run in runs]
    paired = [i for i, why in enumerate(reasons) if not why and i != place]
    found = _tested(runs, reference, paired)
    rows = [
        {
            **_described(run),
            "reference": i == place,
            "metrics": scores[i],
            "not_comparable": reasons[i] or None,
            "differences": {key: asdict(value) for key, value in found[i].items()}
            if i in found else None,
            "mcnemar": asdict(mcnemar(run.predictions[0], reference.predictions[0]))
            if i in found and not run.is_folds else None,
        }
        for i, run in enumerate(runs)
    ]
    return {
        "runs": rows,
        "reference": reference.label,
        "by": by,
        "test": TESTS[reference.is_folds] if paired else None,
        "comparable": not any(reasons),
        "notes": _notes([runs[place], *(runs[i] for i in paired)], found, baseline is None),
    }


def write_comparison(folder: Path, document: dict[str, Any]) -> list[Path]:
    """Write `runs.csv`, `differences.csv`, `comparison.json`, `.png` and `.svg` to a new folder.

    Raises:
        InputError: The folder exists.
    """
    from stemcls.evaluation.figures import write_figure
    from stemcls.evaluation.forest import draw_comparison

    atomic.check_new(folder)
    with (
        explained_disk_errors(folder, "run it again with another --out"),
        atomic.new_folder(folder) as temporary,
    ):
        _write_csv(temporary / "runs.csv", _run_rows(document))
        _write_csv(temporary / "differences.csv", _difference_rows(document))
        atomic.write_json(temporary / "comparison.json", document)
        pictures = write_figure(draw_comparison(document), temporary / "comparison")
    names = ("runs.csv", "differences.csv", "comparison.json", *(path.name for path in pictures))
    return [folder / name for name in names]


def _tested(
    runs: Sequence[Finished], reference: Finished, paired: Sequence[int]
) -> dict[int, dict[str, Difference]]:
    """Compare the runs at places `paired` with the reference, adjusted within each metric."""
    found = {i: _differences(runs[i], reference) for i in paired}
    for key in METRICS:
        for i, new in zip(paired, adjusted([found[i][key] for i in paired]), strict=True):
            found[i][key] = new
    return found


def _scores(run: Finished) -> dict[str, dict[str, Any]]:
    scores = {}
    for key in METRICS:
        values = _values(run, key)
        defined = [value for value in values if math.isfinite(value)]
        scores[key] = {
            "mean": float(np.mean(defined)) if defined else math.nan,
            "sd": float(np.std(defined, ddof=1)) if len(defined) > 1 else math.nan,
            "ci": None if run.is_folds else run.metrics[0].get(f"{key}_ci"),
            "values": values,
        }
    return scores


def _differences(run: Finished, reference: Finished) -> dict[str, Difference]:
    if not run.is_folds:
        return compare_predictions(run.predictions[0], reference.predictions[0])
    ratio = (run.test_per_training + reference.test_per_training) / 2
    return {
        key: compare_folds(_values(run, key), _values(reference, key), ratio) for key in METRICS
    }


def _described(run: Finished) -> dict[str, Any]:
    models = [part.model_path for part in run.parts if part.model_path.is_file()]
    return {
        "run": run.label,
        "path": str(run.run.path),
        "backbone": run.backbone,
        "store": run.experiment.store,
        "store_hash": run.splits[0].store_hash,
        "classes": list(run.predictions[0].classes),
        "evaluated_on": run.evaluated_on,
        "n": sum(map(len, run.predictions)),
        "n_folds": len(run.parts) if run.is_folds else None,
        "parameters": count_parameters(models[0]) if models else None,
        "model_mib": models[0].stat().st_size / MIB if models else None,
        "seconds": run.run.summary()["seconds"],
        "crops_per_second": None,
        "device": None,
    }


def _notes(
    paired: Sequence[Finished], found: dict[int, dict[str, Difference]], best: bool
) -> list[str]:
    notes = []
    if len(paired) > 1 and not trained_alike(paired):
        notes.append("the test crops are the same, but not the crops that were trained on")
    if any(run.evaluated_on == "validation" for run in paired):
        notes.append("scored on the crops that chose the weights (no test split): optimistic")
    if best and len(paired) > 2:
        notes.append(
            "the reference is the best of several on these same crops, so its lead is flattered; "
            "--baseline RUN, chosen beforehand, is not"
        )
    remarks = {value.note for values in found.values() for value in values.values() if value.note}
    return [*notes, *sorted(remarks)]


def _run_rows(document: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for run in document["runs"]:
        row = {key: value for key, value in run.items() if key not in _NOT_FLAT}
        row["classes"] = "; ".join(run["classes"])
        for key, score in run["metrics"].items():
            low, high = score["ci"] or (None, None)
            row |= {
                key: score["mean"], f"{key}_sd": score["sd"],
                f"{key}_ci_low": low, f"{key}_ci_high": high,
            }
        rows.append(row)
    return rows


def _difference_rows(document: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for run in document["runs"]:
        for key, found in (run["differences"] or {}).items():
            low, high = found["ci"] or (None, None)
            rows.append({
                "run": run["run"], "reference": document["reference"], "metric": key,
                "difference": found["difference"], "ci_low": low, "ci_high": high,
                "p": found["p"], "p_holm": found["p_holm"], "n": found["n"], "note": found["note"],
            })
    return rows


def _write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    names = list(rows[0]) if rows else ["run", "reference", "metric", "difference"]
    with atomic.csv_writer(path) as writer:
        writer.writerow(names)
        for row in rows:
            values = (row.get(name) for name in names)
            writer.writerow("" if value != value else value for value in values)


def _values(run: Finished, key: str) -> list[float]:
    values = [metrics.get(key) for metrics in run.metrics]
    return [math.nan if value is None else float(value) for value in values]
