"""Settings: names, types and ranges are checked, and TOML brings them back."""

from dataclasses import replace

import pytest

from stemcls.config.experiment import AugmentConfig, Experiment, ModelConfig
from stemcls.config.imaging import BuildConfig, DetectConfig, SimulateConfig
from stemcls.config.options import from_mapping, merged, options_of, read_toml, to_mapping, to_toml
from stemcls.errors import InputError

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
        ({"model": {"dense": 64}}, "model.dense: expected a list, found 64"),
        ({"test_views": 3}, "test_views must be 1, 2, 4 or 8, found 3"),
        ({"frozen": {"views": 5}}, "frozen.views must be 1, 2, 4 or 8, found 5"),
        ({"finetune": {"epochs": -1}}, "finetune.epochs: -1 is below the least allowed, 0"),
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


def test_broken_toml_names_the_file(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text("a = = 3")
    with pytest.raises(InputError, match=r"x\.toml is not valid TOML"):
        read_toml(path)
    with pytest.raises(InputError, match="does not exist"):
        read_toml(tmp_path / "none.toml")
