"""The screen of a run shows calibration and external sets beside its headline numbers."""

from __future__ import annotations

from stemcls.runs import Run
from tui.reading import read_run

from .driving import opened, until
from .scored import enrich


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
    seen = "mice-2-abcd1234"
    async with opened(workspace, "results", seen, run.path, size=(110, 45)) as pilot:
        text = await until(pilot, seen)
        lines = [" ".join(line.split()) for line in text.splitlines()]
        assert any(line.startswith("ece 0.125 [0.100 0.150]") for line in lines)
        assert any(line.startswith("ece, calibrated 0.031 [0.020 0.040]") for line in lines)
        assert any("77 0.611 [0.500 0.700] - -" in line for line in lines)
