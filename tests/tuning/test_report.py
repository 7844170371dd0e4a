"""What the report of a study says: importance with a known answer, figures of odd studies."""

import dataclasses

import numpy as np
import pytest

from stemcls.evaluation.figures import write_figure
from stemcls.runs import Run
from stemcls.tuning.results import charts
from stemcls.tuning.results.choice import Choice
from stemcls.tuning.results.conclude import Outcome, choose, write_best
from stemcls.tuning.results.importance import importances
from stemcls.tuning.results.report import describe, write_report
from stemcls.tuning.search.history import Trial
from stemcls.tuning.space.dimensions import Condition, Dimension
from stemcls.tuning.space.space import SearchSpace
from stemcls.tuning.study.journal import FoldResult, Record

SPACE = SearchSpace((
    Dimension(key="model.dropout", kind="float", low=0.0, high=1.0),
    Dimension(key="model.l2", kind="float", low=1e-6, high=1e-1, log=True),
    Dimension(key="balance", kind="choice", choices=("none", "class-weights")),
    Dimension(key="model.dense.depth", kind="int", low=0, high=1),
    Dimension(key="model.dense.width_1", kind="int", low=8, high=64,
              when=Condition("model.dense.depth", (1,))),
))


def drawn(n, seed=0):
    rng = np.random.default_rng(seed)
    return [SPACE.at({d.key: rng.random() for d in SPACE.dimensions}) for _ in range(n)]


def test_importance_goes_to_what_the_score_is_made_of():
    trials = [
        Trial(n, v, "finished", (3 * v["model.dropout"] + (v["balance"] == "none"),))
        for n, v in enumerate(drawn(60))
    ]
    found = importances(SPACE, trials)
    assert [entry.key for entry in found[:2]] == ["model.dropout", "balance"]
    assert found[0].share > 2 * found[1].share > 10 * found[2].share
    assert sum(entry.share for entry in found) == pytest.approx(1)


def test_a_setting_of_layers_that_exist_sometimes_can_matter():
    trials = [
        Trial(n, v, "finished", (v.get("model.dense.width_1", 0) / 64,))
        for n, v in enumerate(drawn(60))
    ]
    assert importances(SPACE, trials)[0].key == "model.dense.width_1"


def test_too_few_trials_or_equal_scores_tell_nothing():
    values = drawn(20)
    few = [Trial(n, v, "finished", (float(n),)) for n, v in enumerate(values[:7])]
    equal = [Trial(n, v, "finished", (0.5,)) for n, v in enumerate(values)]
    failed = [Trial(n, v, "failed") for n, v in enumerate(values)]
    assert importances(SPACE, few) == importances(SPACE, equal) == importances(SPACE, failed) == []


def records(states):
    rng = np.random.default_rng(1)
    found = []
    for number, (state, values) in enumerate(zip(states, drawn(len(states), 1), strict=True)):
        scored = {"finished": 2, "stopped": 1}.get(state, 0)
        folds = {
            fold: FoldResult(float(rng.uniform(0.5, 0.9)), {}, 1000 + number, 5, 30.0)
            for fold in range(scored)
        }
        found.append(Record(number, values, folds, state, "why" * (state != "finished"), scored))
    return found


@pytest.mark.parametrize("states", [
    ["finished"], ["failed"], ["finished", "failed", "stopped", "finished"],
])
def test_figures_of_any_study_are_drawn(states, tmp_path):
    found = records(states)
    figures = [
        charts.draw_progress(found, "auroc"), charts.draw_importance([]),
        charts.draw_coordinates(SPACE.dimensions, found, "auroc"),
        charts.draw_spread(found, "auroc", {0: "chosen"}), charts.draw_times(found),
    ]
    for number, figure in enumerate(figures):
        (path,) = write_figure(figure, tmp_path / str(number), (".svg",))
        assert path.stat().st_size > 500


def test_the_progress_figure_climbs_with_the_best_so_far():
    found = records(["finished"] * 6)
    figure = charts.draw_progress(found, "auroc")
    lines = {line.get_label(): line for line in figure.axes[0].get_lines()}
    climbed = lines["best so far"].get_ydata()
    scores = [record.as_trial().score for record in found]
    assert list(climbed) == list(np.maximum.accumulate(scores))


def test_a_study_whose_initial_settings_are_best_has_a_report_without_comparison(
    undisturbed, tmp_path
):
    study = dataclasses.replace(undisturbed, path=tmp_path)
    for name in ("study.toml", "trials.jsonl"):
        (tmp_path / name).write_bytes((undisturbed.path / name).read_bytes())
    found = study.records()
    first = found[0].as_trial()
    choice = Choice(first, first, (), "trial 0 is as good as any")
    metrics = {"auroc": 0.9, "auroc_ci": [0.8, 0.95], "mean_recall": float("nan")}
    outcome = Outcome(choice, {0: Run(tmp_path / "final")}, {0: metrics}, None, ("a note & more",))
    document = describe(study, found, outcome, "complete")
    assert document["best"]["values"] == document["initial"]["values"] == first.values
    page = write_report(study, found, outcome, document).read_text()
    assert "0.900 (0.800 to 0.950)" in page
    assert "a note &amp; more" in page
    assert page.count("<img") == 5


def test_of_equal_trials_the_one_with_fewer_weights_is_chosen_and_written(undisturbed, tmp_path):
    study = dataclasses.replace(undisturbed, path=tmp_path)
    (tmp_path / "study.toml").write_bytes((undisturbed.path / "study.toml").read_bytes())
    (tmp_path / "trials.jsonl").write_bytes((undisturbed.path / "trials.jsonl").read_bytes())
    found = [record for record in study.records() if record.state == "finished"]
    for record in found:
        weights = 10 if record.number == 2 else 1000
        record.folds = {
            fold: FoldResult(0.8 + 0.01 * fold, {}, weights, 5, 1.0) for fold in range(2)
        }
    choice = choose(study, found)
    assert choice.trial.number == 2
    text = write_best(study, choice).read_text()
    assert text.startswith("# Trial 2 of ")
    assert f"dropout = {found[2].values['model.dropout']}" in text
