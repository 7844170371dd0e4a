"""What the screens show is read from what the commands write."""

from __future__ import annotations

from pathlib import Path

from stemcls.config.experiment import Experiment, ModelConfig, StageConfig
from stemcls.runs import Run
from stemcls.training.folds import cross_validate, prepare_folds
from tui.reading import read_run


def test_a_cross_validation_shows_the_scores_of_each_fold(
    striped_store: Path, tmp_path: Path, unpainted: None
):
    experiment = Experiment(
        store=str(striped_store), name="cv",
        model=ModelConfig(backbone="TinyCNN", weights="none"),
        stages=(StageConfig(name="scratch", epochs=1, batch_size=32, learning_rate=1e-3),),
    )
    run = prepare_folds(experiment, tmp_path, 2)
    metrics = cross_validate(run)
    shown = read_run(Run(run.path)).folds
    assert [str(fold["fold"]) for fold in shown] == ["1", "2"]
    assert [fold["mean_recall"] for fold in shown] == [
        fold["mean_recall"] for fold in metrics["folds"]
    ]
