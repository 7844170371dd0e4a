"""Settings: names, types and ranges are checked, and TOML brings them back."""

from dataclasses import replace

import pytest

from stemcls.config.experiment import (
    AugmentConfig,
    Experiment,
    ModelConfig,
    with_finetuning,
    with_views_learned,
)
from stemcls.config.imaging import BuildConfig, DetectConfig, SimulateConfig
from stemcls.config.options import (
    from_mapping,
    merged,
    options_of,
    parse_assignment,
    read_toml,
    to_mapping,
    to_toml,
)
from stemcls.config.recipes import RECIPES, recipe
from stemcls.errors import InputError
from stemcls.models.backbones import BACKBONES

CONFIGS = (Experiment, SimulateConfig, DetectConfig, BuildConfig)


@pytest.mark.parametrize("cls", CONFIGS)
def test_a_config_survives_toml(cls, tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(to_toml(cls()), encoding="utf-8")
    assert from_mapping(cls, read_toml(path)) == cls()


def test_changed_values_survive_toml(tmp_path):
    experiment = Experiment(
        store="Zellen/größe.h5",
        model=ModelConfig(dense=(64, 32), weights="none"),
        augment=AugmentConfig(flip=False),
    )
    path = tmp_path / "config.toml"
    path.write_text(to_toml(experiment), encoding="utf-8")
    assert from_mapping(Experiment, read_toml(path)) == experiment


@pytest.mark.parametrize("cls", CONFIGS)
def test_every_setting_has_help_and_a_flag_of_its_own(cls):
    entries = list(options_of(cls))
    assert all(entry.help.endswith(".") or entry.help.endswith(")") for entry in entries)
    flags = [entry.flag for entry in entries]
    assert len(flags) == len(set(flags))


@pytest.mark.parametrize(
    ("mapping", "text"),
    [
        ({"modle": {}}, "modle is not a setting; did you mean 'model'"),
        ({"model": {"backbon": "x"}}, "model.backbon is not a setting; did you mean 'backbone'"),
        ({"model": 3}, "model is a section: expected a table, found 3"),
        ({"seed": "one"}, "seed: expected int, found 'one'"),
        ({"seed": True}, "seed: expected int, found True"),
        ({"split": {"test": 0.9}}, "split.test: 0.9 is above the most allowed, 0.5"),
        ({"split": {"by": "fields"}}, "'fields' is not a choice; did you mean 'field'"),
        ({"model": {"dense": ["a"]}}, "model.dense: expected int, found 'a'"),
        ({"test_views": 3}, "test_views must be 1, 2, 4 or 8, found 3"),
        ({"stages": {"frozen": {"views": 5}}}, "stages.frozen.views must be 1, 2, 4 or 8, found 5"),
        ({"stages": {"finetune": {"epochs": -1}}}, "stages.finetune.epochs: -1 is below the least"),
        ({"stages": {"frozn": {}}}, "stages.frozn is not there; did you mean 'frozen'"),
        ({"stages": {"7": {}}}, "stages.7 is not there; one of: finetune, frozen, scratch"),
        ({"stages": {"0": {"epoch": 1}}}, "stages.frozen.epoch is not a setting; did you mean 'ep"),
        ({"stages": [{"nam": "a"}]}, "stages.0.nam is not a setting; did you mean 'name'"),
        ({"stages": {"frozen": 3}}, "stages.frozen is a section: expected a table, found 3"),
        ({"stages": 3}, "stages: expected a list of tables, found 3"),
        ({"stages": [{"name": "a"}, {"name": "a"}]}, "must have different names, found a, a"),
        ({"stages": [{"name": "final"}]}, "a stage is called 'final'"),
        ({"stages": [{"name": "a", "weight_decay": 0.1}]}, "adam has none; set optimizer to adamw"),
        ({"stages": []}, "no stage is left for weights = 'imagenet'"),
        ({"model": {"weights": "none"}, "stages": {"scratch": {"epochs": 0}}}, "no stage is left"),
    ],
)
def test_a_bad_setting_is_named(mapping, text):
    with pytest.raises(InputError, match=text.replace("(", r"\(")):
        from_mapping(Experiment, mapping)


def test_whole_numbers_are_taken_for_fractions():
    assert from_mapping(Experiment, {"split": {"test": 0}}).split.test == 0.0


def test_what_is_given_wins_over_the_file_section_by_section():
    base = to_mapping(replace(Experiment(), seed=7))
    both = merged(base, {"model": {"backbone": "TinyCNN"}})
    config = from_mapping(Experiment, both)
    assert (config.seed, config.model.backbone) == (7, "TinyCNN")


def test_a_table_changes_default_stages_by_name_or_place_and_a_list_replaces_them():
    changed = from_mapping(Experiment, {"stages": {"1": {"epochs": 4}, "frozen": {"views": 2}}})
    assert [stage.name for stage in changed.stages] == ["frozen", "finetune", "scratch"]
    assert (changed.stages[0].views, changed.stages[1].epochs) == (2, 4)
    assert changed.stages[0].epochs == Experiment().stages[0].epochs
    whole = from_mapping(Experiment, {"stages": [{"name": "only", "epochs": 2}]})
    assert [stage.name for stage in whole.stages] == ["only"]


def test_changes_are_laid_on_the_stages_of_a_file():
    base = {"stages": [{"name": "warm"}, {"name": "slow", "epochs": 9}]}
    both = merged(base, {"stages": {"slow": {"schedule": "cosine"}, "0": {"epochs": 2}}})
    config = from_mapping(Experiment, both)
    assert [(s.name, s.epochs, s.schedule) for s in config.stages] == [
        ("warm", 2, "constant"), ("slow", 9, "cosine"),
    ]
    assert base == {"stages": [{"name": "warm"}, {"name": "slow", "epochs": 9}]}
    with pytest.raises(InputError, match=r"stages\.slw is not there; did you mean 'slow'"):
        merged(base, {"stages": {"slw": {}}})


def test_the_plan_holds_the_stages_that_suit_the_weights():
    assert [stage.name for stage in Experiment().plan] == ["frozen"]
    finetuned = with_finetuning(Experiment(), wanted=True)
    assert [stage.name for stage in finetuned.plan] == ["frozen", "finetune"]
    assert with_finetuning(finetuned, wanted=False) == finetuned
    never = replace(finetuned, finetune="never")
    assert [stage.name for stage in with_finetuning(never, wanted=False).plan] == ["frozen"]
    scratch = Experiment(model=ModelConfig(weights="none"))
    assert [stage.name for stage in scratch.plan] == ["scratch"]


@pytest.mark.parametrize(
    ("text", "nested"),
    [
        ("stages.1.learning_rate=1e-5", {"stages": {"1": {"learning_rate": 1e-5}}}),
        ("model.dense=[64, 32]", {"model": {"dense": [64, 32]}}),
        ("augment.flip=false", {"augment": {"flip": False}}),
        ("model.weights=a/b.h5", {"model": {"weights": "a/b.h5"}}),
        ("name='x'", {"name": "x"}),
    ],
)
def test_an_assignment_is_read_as_toml_or_as_text(text, nested):
    assert parse_assignment(text) == nested


@pytest.mark.parametrize("text", ["seed", "=3", "a..b=3"])
def test_an_assignment_of_another_form_is_refused(text):
    with pytest.raises(InputError, match=r"expected SECTION\.KEY=VALUE"):
        parse_assignment(text)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_an_experiment_whose_backbone_exists(name):
    config = from_mapping(Experiment, recipe(name))
    assert config.model.backbone in BACKBONES
    assert config.plan


def test_wang_trains_the_backbone_at_a_hundredth_of_the_heads_rate():
    frozen, finetune = from_mapping(Experiment, recipe("wang")).plan
    assert (frozen.trainable, finetune.trainable) == ("none", "all")
    assert finetune.learning_rate * finetune.backbone_factor == pytest.approx(5e-6)
    assert {(s.optimizer, s.weight_decay, s.batch_size) for s in (frozen, finetune)} == {
        ("adamw", 0.05, 512)
    }


def test_gradual_sets_more_of_the_backbone_free_at_ever_lower_rates():
    plan = from_mapping(Experiment, recipe("gradual")).plan
    assert [stage.trainable for stage in plan] == ["none", "last-block", "all"]
    rates = [stage.learning_rate * stage.backbone_factor for stage in plan]
    assert rates == sorted(rates, reverse=True)


def test_an_unknown_recipe_names_the_nearest():
    with pytest.raises(InputError, match="no recipe 'wong'; did you mean 'wang'"):
        recipe("wong")


def test_broken_toml_names_the_file(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text("a = = 3")
    with pytest.raises(InputError, match=r"x\.toml is not valid TOML"):
        read_toml(path)
    with pytest.raises(InputError, match="does not exist"):
        read_toml(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("mapping", "asked", "averaged"),
    [
        ({}, 4, 4),
        ({}, 8, 4),
        ({"stages": {"frozen": {"views": 1}}}, 4, 1),
        ({"model": {"weights": "none"}}, 8, 8),
        ({"model": {"weights": "none"}, "augment": {"rotate_deg": 10.0}}, 4, 2),
        ({"model": {"weights": "none"}, "augment": {"flip": False}}, 4, 1),
        ({"model": {"weights": "none"}, "augment": {"flip": False, "rotate_deg": 180.0}}, 8, 4),
    ],
)
def test_only_views_that_training_saw_are_averaged(mapping, asked, averaged):
    experiment = from_mapping(Experiment, mapping | {"test_views": asked})
    assert with_views_learned(experiment) == replace(experiment, test_views=averaged)


def test_a_stages_value_is_checked_without_regard_to_what_it_must_agree_with():
    (epochs,) = [
        entry for entry in options_of(Experiment) if entry.keys == ("stages", "frozen", "epochs")
    ]
    epochs.check(0)
    with pytest.raises(InputError, match=r"^config: stages\.frozen\.epochs: -1 is below the least"):
        epochs.check(-1)
