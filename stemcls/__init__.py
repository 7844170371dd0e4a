"""From microscope fields of stem cells to a Keras classifier that a lab can trust.

Public names are imported when first used, so that `import stemcls` costs nothing and never
imports Keras or a backend.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "CropStore": "stemcls.store.cropstore",
    "Experiment": "stemcls.config.experiment",
    "Run": "stemcls.runs",
    "Split": "stemcls.store.splits",
    "StemclsError": "stemcls.errors",
    "adapt": "stemcls.training.adapt",
    "build_store": "stemcls.store.build",
    "calibrate_run": "stemcls.evaluation.calibration.calibrate",
    "choose_backend": "stemcls.models.backend",
    "cross_validate": "stemcls.training.folds",
    "describe_population": "stemcls.evaluation.populations",
    "detect": "stemcls.imaging.detection.detect",
    "evaluate_predictions": "stemcls.evaluation.evaluation",
    "explain_run": "stemcls.explain.report",
    "load_model": "stemcls.models.saved",
    "make_folds": "stemcls.store.splits",
    "make_split": "stemcls.store.splits",
    "predict_table": "stemcls.prediction.predict",
    "prepare_adaptation": "stemcls.training.adapt",
    "prepare_folds": "stemcls.training.folds",
    "prepare_run": "stemcls.training.train",
    "read_field": "stemcls.imaging.readers",
    "score_run": "stemcls.training.score",
    "simulate": "stemcls.imaging.simulation.simulate",
    "train": "stemcls.training.train",
    "write_report": "stemcls.evaluation.report.write",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'stemcls' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
