"""The screen of a run shows calibration and external sets beside its headline numbers."""

from __future__ import annotations

from stemcls import atomic
from stemcls.runs import Run
from tui.app import StemclsApp
from tui.reading import read_run

from .conftest import read_json
from .driving import until


def enrich(run: Run) -> None:
    """Add what `evaluate RUN STORE` and `calibrate` leave in a run."""
    path = run.path / "evaluation" / "metrics.json"
    document = read_json(path)
    document["metrics"] |= {"ece": 0.125, "ece_ci": [0.1, 0.15], "evaluated_on": "test"}
    atomic.write_json(path, document)
    for folder, on in (("mice-2-abcd1234", "mice-2.h5"), ("test", "test")):
        (path.parent / folder).mkdir()
        metrics = {"n": 77, "mean_recall": 0.611, "mean_recall_ci": [0.5, 0.7], "auroc": None,
                   "evaluated_on": on}
        atomic.write_json(path.parent / folder / "metrics.json", {"metrics": metrics})
    (run.path / "calibrated").mkdir()
    after = {"ece": 0.031, "ece_ci": [0.02, 0.04]}
    atomic.write_json(run.path / "calibrated" / "calibration.json", {"test": {"after": after}})


def test_external_sets_and_calibration_are_read(workspace) -> None:
    run = Run(workspace / "saved_models" / "done")
    assert read_run(run).externals == []
    assert read_run(run).calibrated is None
    enrich(run)
    view = read_run(run)
    assert [store["name"] for store in view.externals] == ["mice-2-abcd1234"]
    assert view.calibrated == {"ece": 0.031, "ece_ci": [0.02, 0.04]}


async def test_the_scores_show_them_with_intervals(workspace) -> None:
    run = Run(workspace / "saved_models" / "done")
    enrich(run)
    app = StemclsApp(workspace)
    async with app.run_test(size=(110, 45), notifications=True) as pilot:
        app.go("results", run=run.path)
        text = await until(pilot, "mice-2-abcd1234")
        lines = [" ".join(line.split()) for line in text.splitlines()]
        assert any(line.startswith("ece 0.125 [0.100 0.150]") for line in lines)
        assert any(line.startswith("ece, calibrated 0.031 [0.020 0.040]") for line in lines)
        assert any("77 0.611 [0.500 0.700] - -" in line for line in lines)
