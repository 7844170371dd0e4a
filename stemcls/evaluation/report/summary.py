"""The verdict on a run's scores: read from its folder, or on crops that were scored just now."""

from __future__ import annotations

from stemcls.errors import StemclsError
from stemcls.evaluation.evaluation import Evaluation
from stemcls.evaluation.finished import label_of
from stemcls.evaluation.metrics import confusion_matrix
from stemcls.evaluation.predictions import read_predictions
from stemcls.evaluation.report import evidence
from stemcls.evaluation.report.source import read_source
from stemcls.evaluation.runfiles import read_split
from stemcls.evaluation.verdict import Findings, Line, findings_of, groups_for, verdict
from stemcls.runs import Run
from stemcls.store.cropstore import CropStore
from stemcls.store.find import open_same
from stemcls.store.units import unit_names, unit_noun


def read_verdict(run: Run, name: str = "", verified: bool = True) -> list[Line]:
    """Return the verdict on the scores that a finished run keeps; without Keras.

    Args:
        run: Its folder.
        name: Folder below evaluation/ of another store that it was scored on; empty: its own crops.
        verified: As `stemcls.store.find.open_same`.
    Raises:
        InputError: It is not finished, or was never scored.
    """
    if name:
        return _of_set(run, name, verified)
    source = read_source(run, verified)
    found = evidence.gathered(run, source.splits[0].store_hash, source.store)
    by = source.splits[0].by
    names = {} if source.store is None else unit_names(source.store, by)
    return verdict(findings_of(source, found, names))


def verdict_on(
    run: Run, evaluation: Evaluation, store: CropStore | None, by: str
) -> list[Line]:
    """Return the verdict on scores of a run.

    Args:
        run: A finished run.
        evaluation: Of it.
        store: Where the crops are; None where they are gone.
        by: What its groups are: group, field or crop.
    """
    first = (run.folds() or [run])[0]
    split_hash = read_split(first).store_hash if (first.path / "split.json").is_file() else ""
    found = evidence.gathered(run, split_hash, store)
    predictions = evaluation.predictions
    names = None if store is None else unit_names(store, by)
    return verdict(Findings(
        run=label_of(run), metrics=evaluation.metrics, confusion=evaluation.confusion,
        classes=predictions.classes, unit=by if store is None else unit_noun(store, by),
        groups=groups_for(predictions, names, by), audit=found["audit"], looks=found["looks"],
        calibrated=bool(found["calibration"]),
        externals=[one["name"] for one in found["externals"] if not one.get("own_store")],
        is_folds=bool(run.folds()) and evaluation.metrics.get("evaluated_on") == "folds",
    ))


def _of_set(run: Run, name: str, verified: bool) -> list[Line]:
    folder = run.path / "evaluation" / name
    document = run.read_json(f"evaluation/{name}/metrics.json") or {"metrics": {}}
    predictions = read_predictions(folder / "predictions.csv")
    metrics = document["metrics"]
    content = name.removesuffix("-calibrated").rpartition("-")[2]
    try:
        store = open_same(
            str(metrics.get("evaluated_on")), content, run.path, run.workspace, verified
        )
    except (StemclsError, OSError, RuntimeError, ValueError):
        store = None
    evaluation = Evaluation(
        metrics, confusion_matrix(predictions), predictions.classes, len(predictions), predictions
    )
    return verdict_on(run, evaluation, store, "group")
