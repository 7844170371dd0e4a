"""Splits keep units whole, classes on every side, and say why when they cannot."""

from __future__ import annotations

import json

import numpy as np
import pytest

from stemcls.config.experiment import SplitConfig
from stemcls.errors import InputError
from stemcls.store.splits import SIDES, Split, make_folds, make_split


def random_problem(seed: int):
    """Labels, fields and donors of a random sample in which every class has enough donors."""
    generator = np.random.default_rng(seed)
    n_donors, n_classes = int(generator.integers(6, 30)), int(generator.integers(2, 5))
    labels, fields, donors = [], [], []
    for donor in range(n_donors):
        for label in range(n_classes):
            # Mixed donors and pure ones, of very different sizes.
            if generator.random() < 0.7 or donor % n_classes == label or donor < 4:
                n_crops = int(generator.integers(1, 40))
                labels += [label] * n_crops
                fields += (donor * 3 + generator.integers(0, 3, n_crops)).tolist()
                donors += [donor] * n_crops
    return labels, np.array(fields), np.array(donors)


def share_nothing(sides: list[set]) -> bool:
    return len(set.union(*sides)) == sum(map(len, sides))


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("by", ["group", "field"])
def test_no_unit_is_on_two_sides_and_every_class_is_on_each(foreign_store, seed, by):
    labels, fields, donors = random_problem(seed)
    store = foreign_store(labels, fields, donors)
    split = make_split(store, SplitConfig(by=by), seed)
    unit = donors if by == "group" else fields
    sides = [set(unit[getattr(split, side)]) for side in SIDES]
    assert share_nothing(sides)
    rows = np.concatenate([getattr(split, side) for side in SIDES])
    assert sorted(rows) == list(range(len(labels)))
    for side in SIDES:
        assert set(store.labels[getattr(split, side)]) == set(labels)
        assert np.all(np.diff(getattr(split, side)) > 0)


@pytest.mark.parametrize("seed", range(10))
def test_folds_test_every_row_once_and_keep_units_whole(foreign_store, seed):
    labels, fields, donors = random_problem(seed)
    store = foreign_store(labels, fields, donors)
    folds = make_folds(store, SplitConfig(), 3, seed)
    assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(len(labels)))
    for fold in folds:
        assert fold.by == "group"
        sides = [set(donors[getattr(fold, side)]) for side in SIDES]
        assert share_nothing(sides)
        assert all(set(store.labels[getattr(fold, side)]) == set(labels) for side in SIDES)


def test_six_lines_in_three_folds_test_one_line_of_each_kind(foreign_store):
    lines = np.repeat(np.arange(6), 50)
    store = foreign_store((lines >= 3).astype(int), groups=lines, what="line")
    for fold in make_folds(store, SplitConfig(), 3, 0):
        assert len(set(lines[fold.test])) == 2
        assert np.bincount(store.labels[fold.test]).tolist() == [50, 50]


def test_shares_are_close_to_those_wanted(foreign_store):
    fields = np.repeat(np.arange(50), 20)
    store = foreign_store(fields % 3, fields)
    split = make_split(store, SplitConfig(), 0)
    for side, share in zip(SIDES, (0.6, 0.2, 0.2), strict=True):
        counts = np.bincount(store.labels[getattr(split, side)])
        got = counts / np.bincount(store.labels)
        assert np.abs(got - share).max() < 0.06


def test_single_crops_are_dealt_quickly_and_exactly(foreign_store):
    store = foreign_store(np.arange(5000) % 2)
    split = make_split(store, SplitConfig(by="crop"), 0)
    assert [len(getattr(split, side)) for side in SIDES] == [3000, 1000, 1000]
    assert np.bincount(store.labels[split.test]).tolist() == [500, 500]


def test_the_same_seed_gives_the_same_split_and_another_seed_another(foreign_store):
    store = foreign_store(np.arange(200) % 2, np.arange(200) // 4)
    first, again, other = (make_split(store, SplitConfig(), seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.test, again.test)
    assert not np.array_equal(first.test, other.test)


def test_auto_keeps_fields_together_where_no_groups_were_named(foreign_store):
    store = foreign_store(np.arange(60) % 2, np.arange(60) // 6)
    split = make_split(store, SplitConfig(), 0)
    assert split.by == "field"
    assert split.units["test"] == tuple(f"f{k}.png" for k in sorted(set(split.test // 6)))


def test_unlabelled_rows_and_classes_not_chosen_are_left_out(foreign_store):
    labels = np.arange(120) % 4 - 1
    store = foreign_store(labels)
    split = make_split(store, SplitConfig(classes=("C", "A")), 0)
    rows = np.concatenate([split.train, split.validation, split.test])
    assert set(labels[rows]) == {0, 2}
    assert split.classes == ("C", "A")
    expected = np.where(labels[split.test] == 2, 0, 1)
    np.testing.assert_array_equal(split.targets(store, split.test), expected)


def test_targets_refuse_a_row_of_no_class(foreign_store):
    store = foreign_store(np.arange(40) % 2)
    split = make_split(store, SplitConfig(), 0)
    store.labels[7] = -1
    with pytest.raises(InputError, match=r"row 7 of .* is in none of the classes"):
        split.targets(store, np.array([6, 7]))


def test_without_a_test_share_there_are_two_sides(foreign_store):
    store = foreign_store([0, 0, 1, 1], groups=[0, 1, 2, 3])
    split = make_split(store, SplitConfig(test=0.0), 0)
    assert len(split.test) == 0
    assert set(store.labels[split.train]) == set(store.labels[split.validation]) == {0, 1}


def test_only_the_given_rows_are_divided(foreign_store):
    store = foreign_store(np.arange(100) % 2)
    outer = make_split(store, SplitConfig(), 0)
    inner = make_folds(store, SplitConfig(), 3, 0, rows=outer.train)
    for fold in inner:
        rows = np.concatenate([fold.train, fold.validation, fold.test])
        assert sorted(rows) == sorted(outer.train)


def test_too_few_groups_name_the_class_and_what_to_do(foreign_store):
    store = foreign_store([0] * 9 + [1] * 6, groups=[0, 1, 2] * 3 + [3, 4] * 3, what="mouse")
    with pytest.raises(
        InputError, match=r"class 'B' has 2 mice in .*, but 3 are needed, one for each side: add "
        r"more mice, .*--test 0 needs one less; --split-by crop lets crops of one mouse fall on",
    ):
        make_split(store, SplitConfig(), 0)


def test_too_many_folds_say_so(foreign_store):
    store = foreign_store([0] * 9 + [1] * 9, groups=[0, 1, 2] * 3 + [3, 4, 5] * 3)
    with pytest.raises(InputError, match=r"class 'A' has 3 donors .*4 are needed.*fewer --folds"):
        make_folds(store, SplitConfig(), 4, 0)
    with pytest.raises(InputError, match="at least 2 folds, not 1"):
        make_folds(store, SplitConfig(), 1, 0)


def test_one_way_among_many_is_found(foreign_store):
    # Donors 0-2 hold the rare class each beside much else; only one on each side will do.
    labels = [0] * 300 + [1] * 3 + [0] * 10
    groups = [0] * 100 + [1] * 100 + [2] * 100 + [0, 1, 2] + [3] * 10
    store = foreign_store(labels, groups=groups)
    split = make_split(store, SplitConfig(), 0)
    for side in SIDES:
        assert 1 in store.labels[getattr(split, side)]


def test_an_impossible_mixture_is_explained(foreign_store):
    # Each class has 3 donors, but donor 0 holds two thirds of what the sides need.
    labels = [0, 1, 0, 1, 0, 2, 1, 2, 2]
    groups = [0, 0, 1, 1, 2, 2, 3, 3, 4]
    store = foreign_store(labels, groups=groups)
    with pytest.raises(InputError, match=r"no way was found to have every class on every side"):
        make_split(store, SplitConfig(), 0)


def test_an_unknown_class_names_the_nearest(foreign_store):
    store = foreign_store([0, 1] * 10)
    with pytest.raises(InputError, match=r"has no class 'a'; .*A"):
        make_split(store, SplitConfig(classes=("a", "B")), 0)


def test_one_class_is_no_problem_to_learn(foreign_store):
    store = foreign_store([0] * 10)
    with pytest.raises(InputError, match=r"needs at least 2 classes, .* offers \['A'\]"):
        make_split(store, SplitConfig(), 0)


def test_groups_are_asked_for_in_vain(foreign_store):
    store = foreign_store([0, 1] * 10)
    with pytest.raises(InputError, match="names no groups: build it with --group REGEX"):
        make_split(store, SplitConfig(by="group"), 0)


def test_nothing_left_to_train_on_is_refused(foreign_store):
    store = foreign_store([0, 1] * 10)
    with pytest.raises(InputError, match="leave nothing to train on"):
        make_split(store, SplitConfig(validation=0.5, test=0.5), 0)


def test_a_split_survives_json(foreign_store):
    store = foreign_store(np.arange(60) % 2, np.arange(60) // 6)
    split = make_split(store, SplitConfig(), 0)
    again = Split.from_mapping(json.loads(json.dumps(split.to_mapping())))
    assert again.to_mapping() == split.to_mapping()
    assert again.train.dtype == np.int64
    again.check(store)
    with pytest.raises(InputError, match=r"not a split, KeyError\('test'\)"):
        Split.from_mapping({"train": [], "validation": []})


@pytest.mark.parametrize("key", ["train", "classes", "units", "store_hash", "by"])
def test_a_split_that_was_changed_by_hand_is_refused(foreign_store, key):
    mapping = make_split(foreign_store([0, 1] * 10), SplitConfig(), 0).to_mapping()
    value = mapping[key]
    mapping[key] = value[::-1] if isinstance(value, list) else {} if key == "units" else "crop"
    with pytest.raises(InputError, match="the split was changed after it was written"):
        Split.from_mapping(mapping)


@pytest.mark.parametrize(("changes", "message"), [
    ({"train": [-1, 2]}, "the rows of train"),
    ({"train": [0.5]}, "the rows of train"),
    ({"train": "0123"}, "the rows of train"),
    ({"train": [0, 1], "test": [1]}, "row 1 more than once or on two sides"),
    ({"train": [0, 0]}, "row 0 more than once"),
    ({"classes": ["A", "A"]}, "two or more different"),
    ({"by": "donor"}, "keeps 'donor' together"),
    ({"units": ["x"]}, "missing or malformed"),
])
def test_a_split_that_contradicts_itself_is_refused(foreign_store, changes, message):
    """Also one of an older version, which had no digest."""
    mapping = make_split(foreign_store([0, 1] * 10), SplitConfig(), 0).to_mapping() | changes
    del mapping["digest"]
    with pytest.raises(InputError, match=message):
        Split.from_mapping(mapping)


def test_a_split_with_a_group_on_two_sides_or_rows_beyond_the_store_is_refused(foreign_store):
    store = foreign_store(np.arange(20) % 2, groups=np.arange(20) // 4)
    mapping = make_split(store, SplitConfig(), 0).to_mapping()
    del mapping["digest"]
    row = mapping["train"][0]
    moved = {**mapping, "train": mapping["train"][1:], "test": [*mapping["test"], row]}
    with pytest.raises(InputError, match="on two sides, train and test"):
        Split.from_mapping(moved).check(store)
    with pytest.raises(InputError, match=r"row 20, .* has 20 crops"):
        Split.from_mapping({**mapping, "train": [*mapping["train"], 20]}).check(store)


def test_a_split_refuses_another_store(foreign_store):
    split = make_split(foreign_store([0, 1] * 10), SplitConfig(), 0)
    other = foreign_store([0, 1] * 10, name="other.h5")
    with pytest.raises(InputError, match="not the store that this split was made for"):
        split.check(other)


@pytest.mark.parametrize("what", ["field", "donor", "group"])
def test_named_groups_stay_together_whatever_a_group_is_called(foreign_store, what):
    labels = np.arange(120) % 2
    groups = np.arange(120) // 6
    store = foreign_store(labels, groups=groups, what=what)
    assert store.has_groups
    for split in make_folds(store, SplitConfig(), 5, seed=0):
        assert split.by == "group"
        assert share_nothing([set(groups[getattr(split, side)]) for side in SIDES])


def test_fields_are_kept_together_where_no_groups_are_named(foreign_store):
    labels = np.arange(120) % 2
    store = foreign_store(labels, fields=np.arange(120) // 6)
    assert not store.has_groups
    assert make_split(store, SplitConfig(), 0).by == "field"
    with pytest.raises(InputError, match="names no groups"):
        make_split(store, SplitConfig(by="group"), 0)
