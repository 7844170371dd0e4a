"""Spaces: what they hold, how they become experiments, and what is refused."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from stemcls.config.experiment import (
    DEFAULT_STAGES,
    Experiment,
    ModelConfig,
    StageConfig,
    with_finetuning,
)
from stemcls.errors import InputError
from stemcls.tuning.space.default import default_space
from stemcls.tuning.space.dimensions import Condition, Dimension
from stemcls.tuning.space.file import read_space
from stemcls.tuning.space.space import SearchSpace

DEPTH = "model.dense.depth"


def number(key="model.dropout", kind="float", low=0.0, high=0.6, **settings):
    return Dimension(key=key, kind=kind, low=low, high=high, **settings)


def choice(key, *choices, **settings):
    return Dimension(key=key, kind="choice", choices=choices, **settings)


HEAD = SearchSpace((
    choice("model.dense.width_1", 32, 64, 128, when=Condition(DEPTH, (1, 2))),
    number(DEPTH, "int", 0, 2, default=1),
    choice("model.dense.width_2", 32, 64, when=Condition(DEPTH, (2,))),
    choice("model.stride", "16", "32"),
))


@pytest.fixture
def space_of(tmp_path):
    def read(text, base=None):
        path = tmp_path / "space.toml"
        path.write_text(text)
        return read_space(path, base or Experiment())

    return read


@pytest.mark.parametrize("dimension", [
    number(), number(low=1e-6, high=1e-1, log=True), number(low=0.1, high=0.7, step=0.2),
    number(low=0.001, high=10.0, step=10, log=True), number(kind="int", low=3, high=9),
    number(kind="int", low=1, high=64, log=True), number(kind="int", low=2, high=32, step=10),
    number(kind="int", low=2, high=32, step=2, log=True), choice("a", 64, 16, 32),
    choice("a", "x", "y"), Dimension(key="a", kind="boolean", default=True),
    number(low=0.5, high=0.5),
], ids=lambda dimension: dimension.range)
def test_every_place_on_a_line_is_a_value_and_back(dimension):
    seen = [dimension.at(u) for u in np.linspace(0, 1, 400)]
    assert all(dimension.holds(value) for value in seen)
    assert all(dimension.at(dimension.position_of(value)) == value for value in seen)
    if dimension.n_values is not None:
        # Each value has a share of the line, the ends too.
        assert set(seen) == set(dimension.values())
        assert len(dimension.values()) == dimension.n_values


def test_a_log_line_gives_each_order_of_magnitude_the_same_share():
    assert number(low=1e-6, high=1e-2, log=True).at(0.5) == pytest.approx(1e-4)


def test_the_size_counts_a_dependent_value_only_where_it_exists():
    # Without layers 1, with one 3, with two 3 x 2; each with two strides.
    assert HEAD.size() == (1 + 3 + 6) * 2
    settings = list(HEAD.settings())
    assert len(settings) == 20 == len({tuple(sorted(s.items())) for s in settings})
    assert all(("model.dense.width_2" in s) == (s[DEPTH] == 2) for s in settings)
    assert SearchSpace((*HEAD.dimensions, number())).size() is None


def test_a_setting_becomes_an_experiment():
    space = SearchSpace((
        *HEAD.dimensions, number("augment.strength", high=2.0, default=1.0),
        number("stages.frozen.learning_rate", low=1e-5, high=1e-2, log=True),
        choice("model.weights", "none", "imagenet"), Dimension(key="augment.flip", kind="boolean"),
        choice("balance", "none", "oversample"),
    ))
    base = Experiment()
    space.check(base)
    made = space.experiment(base, {
        DEPTH: 2, "model.dense.width_1": 128, "model.dense.width_2": 32, "model.stride": "16",
        "augment.strength": 1.5, "stages.frozen.learning_rate": 0.002, "augment.flip": False,
        "model.weights": "imagenet", "balance": "none",
    })
    assert made.model.dense == (128, 32)
    assert made.stages[0].learning_rate == 0.002
    assert made.stages[1:] == base.stages[1:]
    assert (made.augment.rotate_deg, made.augment.flip) == (135.0, False)
    assert (made.model.weights, made.balance) == ("imagenet", "none")
    strong = space.experiment(base, {**space.defaults(), "augment.strength": 2.0})
    assert strong.augment.rotate_deg == 180.0
    assert space.experiment(base, space.defaults()).model.dense == (32,)


def test_a_space_survives_json():
    rate = number("model.l2", log=True, low=1e-6)
    space = SearchSpace((*HEAD.dimensions, number(step=0.1), rate))
    assert SearchSpace.from_dict(json.loads(json.dumps(space.to_dict()))) == space


def test_a_toml_file_names_settings_as_the_config_does(space_of):
    base = Experiment(model=ModelConfig(dense=(200,), dropout=0.9))
    space = space_of(f"""
        [model.dropout]
        low = 0.0
        high = 0.6
        ["model.dense.width_1"]
        choices = [64, 256]
        when = {{ "{DEPTH}" = [1] }}
        [model.dense.depth]
        low = 0
        high = 1
        [stages.frozen]
        batch_size = {{ choices = [16, 32, 64] }}
        [augment.flip]
        kind = "boolean"
        [model.backbone]
        choices = ["MobileNetV2", "DenseNet121"]
        default = "DenseNet121"
    """, base)
    assert [space[key].kind for key in ("model.dropout", DEPTH, "augment.flip")] == [
        "float", "int", "boolean"
    ]
    # Parents come first, whatever the file's order.
    keys = [d.key for d in space.dimensions]
    assert keys.index(DEPTH) < keys.index("model.dense.width_1")
    # What the file leaves open begins at the base's own value, or as near to it as may be.
    assert space.defaults() == {
        "model.dropout": 0.6, DEPTH: 1, "model.dense.width_1": 256, "stages.frozen.batch_size": 64,
        "augment.flip": True, "model.backbone": "DenseNet121",
    }


def test_lists_are_choices_too(space_of):
    space = space_of("[model.dense]\nchoices = [[], [128], [512, 128]]")
    made = [space.experiment(Experiment(), setting).model.dense for setting in space.settings()]
    assert made == [(), (128,), (512, 128)]


@pytest.mark.parametrize(("text", "told"), [
    ("[model.dropuot]\nlow = 0.0\nhigh = 0.5", "model.dropuot is not a setting; did you mean "
     "'model.dropout'"),
    ("[stages.frozn.epochs]\nlow = 1\nhigh = 5", "did you mean 'stages.frozen.epochs'"),
    ("[model.dropout]\nlow = 0.0\nhihg = 0.5", "hihg is not known; did you mean 'high'"),
    ("[model.dropout]\nlow = 0.5\nhigh = 0.2", "low 0.5 is above high 0.2"),
    ("[model.l2]\nlow = 0.0\nhigh = 0.2\nlog = true", "log scale has no 0"),
    ("[model.dropout]\nlow = 0.0\nhigh = 1.2", "1.2 is above the most allowed, 0.95"),
    ("[model.dropout]\nlow = 0.3\nhigh = 0.3", "holds one point"),
    ("[model.dropout]\nlow = 0.3", "expected low and high, or choices"),
    ("[model.dropout]\nchoices = [0.1, 'a']", "choices must be of one type"),
    ("[model.dropout]\nlow = 0.0\nhigh = 0.5\ndefault = 0.9", "default 0.9 is not among 0 to 0.5"),
    ("[model.dropout]\nlow = 0.0\nhigh = 0.5\nkind = 'int'", "is a float, not an int"),
    ("[seed]\nlow = 0\nhigh = 9", "seed cannot be searched"),
    ("[split.test]\nlow = 0.1\nhigh = 0.3", "cannot be compared"),
    ("[balance]\nchoices = ['none', 'oversampel']", "did you mean 'oversample'"),
    ("dropout = 0.3", "expected a table under dropout"),
    ("", "names no setting"),
    (f"[{DEPTH}]\nlow = 0\nhigh = 1", "model.dense.width_1 is not in the space"),
    ("[model.dense.width_1]\nlow = 8\nhigh = 64", f"needs {DEPTH}"),
    (f"[{DEPTH}]\nlow = 0\nhigh = 1\n[model.dense.width_1]\nlow = 8\nhigh = 64",
     "must exist exactly where the layer does"),
    ("[model.dropout]\nlow = 0.0\nhigh = 0.5\nwhen = { balance = ['none'] }",
     "condition is on 'balance', which is no dimension"),
    ("[balance]\nchoices = ['none', 'oversample']\n[model.dropout]\nlow = 0.0\nhigh = 0.5\n"
     "when = { balance = ['class-weights'] }", "which it never has; it takes none, oversample"),
    ("[model.l2]\nlow = 0.0\nhigh = 0.1\n[model.dropout]\nlow = 0.0\nhigh = 0.5\n"
     "when = { 'model.l2' = [0.05] }", "takes any value"),
    ("[augment.flip]\nkind = 'boolean'\nwhen = { balance = ['none'] }\n[balance]\n"
     "choices = ['none', 'oversample']\nwhen = { 'augment.flip' = [true] }",
     "leads back to itself"),
])
def test_a_space_that_makes_no_sense_is_refused(space_of, text, told):
    with pytest.raises(InputError, match="(?s)" + told.replace("(", r"\(")):
        space_of(text)


def test_the_default_space_begins_at_the_base_itself():
    base = with_finetuning(Experiment(model=ModelConfig(dense=(256,), stride=(16,))), True)
    space = default_space(base, ("MobileNetV2", "DenseNet121"))
    space.check(base)
    assert space.experiment(base, space.defaults()) == base
    wanted = {
        "model.backbone", "model.stride", "model.input_px", DEPTH, "model.dense.width_1",
        "model.dropout", "model.l2", "balance", "augment.strength", "stages.frozen.learning_rate",
        "stages.finetune.learning_rate", "stages.finetune.backbone_factor",
        "stages.finetune.epochs", "stages.frozen.batch_size",
    }
    assert wanted <= {d.key for d in space.dimensions}
    assert not any("scratch" in d.key for d in space.dimensions)


def test_a_head_that_is_solved_for_has_rates_only_with_dense_layers():
    base = Experiment()
    space = default_space(base)
    assert space.experiment(base, space.defaults()) == base
    conditions = {d.key: d.when for d in space.dimensions}
    for key in ("model.l2", "stages.frozen.learning_rate", "stages.frozen.batch_size"):
        assert conditions[key].key == DEPTH
        assert 0 not in conditions[key].values


def test_no_batch_of_the_default_space_is_larger_than_a_fold():
    base = Experiment(stages=(StageConfig(name="all", epochs=4, batch_size=64),))
    sizes = next(
        d.choices for d in default_space(base, crops=48).dimensions
        if d.key == "stages.all.batch_size"
    )
    assert sizes == (32, 48)


def test_with_heads_alone_nothing_of_the_backbone_is_searched():
    base = Experiment(stages=(DEFAULT_STAGES[0],))
    space = default_space(base)
    space.check(base)
    keys = {d.key for d in space.dimensions}
    assert "model.backbone" not in keys
    assert not any("augment" in key or "factor" in key or "finetune" in key for key in keys)


def test_a_base_of_other_stages_has_their_settings():
    base = Experiment(stages=(StageConfig(name="warm-up", epochs=4),))
    assert {d.key for d in default_space(base).dimensions} >= {"stages.warm-up.learning_rate"}


def test_the_space_in_the_documentation_is_one(tmp_path):
    text = (Path(__file__).parents[2] / "docs" / "tuning.md").read_text(encoding="utf-8")
    path = tmp_path / "space.toml"
    path.write_text(next(b for b in re.findall(r"```toml\n(.*?)```", text, re.S) if "low" in b))
    space = read_space(path, Experiment())
    assert {"model.backbone", "model.alpha", "augment.strength"} <= {
        d.key for d in space.dimensions
    }
