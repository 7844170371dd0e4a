"""The command line of training: recipes, files, options and --set, in this order."""

import pytest

from stemcls.config.experiment import Experiment
from stemcls.config.options import from_mapping, merged, read_toml
from stemcls.errors import InputError
from stemcls.runs import list_runs


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--recipe", "wong"), "there is no recipe 'wong'; did you mean 'wang'"),
        (("--recipe", "wang", "--weights", "none"), "no stage is left for weights = 'none'"),
        (("--recipe", "khalkhali", "--frozen-epochs", "3"), "stages.frozen is not there; one of"),
        (("--set", "stages.frozn.epochs=1"), "stages.frozn is not there; did you mean 'frozen'"),
        (("--set", "stages.0.epoch=1"), "stages.frozen.epoch is not a setting; did you mean"),
        (("--set", "modle.dropout=1"), "modle is not a setting; did you mean 'model'"),
        (("--set", "seed"), "expected SECTION.KEY=VALUE"),
        (("--scratch-batch-size", "9999"), "stages.scratch.batch_size is 9999, but an epoch has"),
        (("--folds", "2", "--scratch-batch-size", "9999"), "batch_size is 9999"),
    ],
)
def test_bad_settings_end_with_2_and_leave_no_run(
    arguments, text, striped_store, tiny_config, tmp_path, invoke
):
    config = () if "--recipe" in arguments else ("--config", tiny_config)
    result = invoke("train", striped_store, *config, *arguments, "--workspace", tmp_path)
    assert result.returncode == 2, result.stderr
    assert text in result.stderr
    assert not list_runs(tmp_path)
    assert not [*tmp_path.glob("saved_models/*")]


def test_a_resumed_run_takes_no_recipe_and_no_change(tmp_path, invoke):
    for extra in (("--recipe", "wang"), ("--set", "seed=1")):
        result = invoke("train", "--resume", tmp_path, *extra)
        assert result.returncode == 2
        assert "--resume repeats the run's own config" in result.stderr


def test_set_wins_over_options_over_the_file(
    striped_store, tiny_config, tmp_path, invoke, monkeypatch
):
    seen = []

    def prepare(experiment, _workspace):
        seen.append(experiment)
        raise InputError("that is enough")

    monkeypatch.setattr("stemcls.training.train.prepare_run", prepare)
    invoke(
        "train", striped_store, "--config", tiny_config, "--workspace", tmp_path,
        "--scratch-epochs", "7", "--scratch-patience", "2",
        "--set", "stages.scratch.epochs=9", "--set", "stages.2.schedule=cosine",
    )
    (experiment,) = seen
    (stage,) = experiment.plan
    assert (stage.epochs, stage.patience, stage.batch_size) == (9, 2, 16)
    assert stage.schedule == "cosine"


def test_the_kept_list_of_stages_repeats_itself(trained_run):
    kept = read_toml(trained_run / "config.toml")
    assert [stage["name"] for stage in kept["stages"]] == ["frozen", "finetune", "scratch"]
    longer = from_mapping(Experiment, merged(kept, {"stages": {"scratch": {"epochs": 5}}}))
    assert longer.plan[0].epochs == 5
