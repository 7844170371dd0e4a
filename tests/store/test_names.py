"""Near-equal names of classes and groups are one question, and are merged or kept as answered."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemcls.errors import InputError
from stemcls.store.names import normal_name, settle_names, twin_key, twins_of
from stemcls.store.sources import KnownCell, Listing, Source


def listing(*labels: str | None, groups: tuple[str | None, ...] = ()) -> Listing:
    groups = groups or (None,) * len(labels)
    return Listing([
        Source(Path(f"{n}.png"), f"{n}.png", label, group)
        for n, (label, group) in enumerate(zip(labels, groups, strict=True))
    ])


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("  LT  HSC ", "LT HSC"), ("Mouse\u00a01", "Mouse 1"), ("Mu\u0308ller", "Müller"),
        ("a\tb\nc", "a b c"), ("x\u200by\ufeff", "xy"), ("red\x1b[31m", "red\\x1b[31m"),
        ("a\u202eb", "a\\u202eb"), ("造血", "造血"),
    ],
)
def test_names_are_stored_in_one_form(written, stored):
    assert normal_name(written) == stored
    assert normal_name(stored) == stored


@pytest.mark.parametrize(
    "names",
    [
        ("Mouse 1", "mouse1", "Mouse-01", "MOUSE_001", "mouse\u2013 1"), ("HSC", "hsc"),
        ("CD34⁺", "CD34+"), ("1", "1.0", "01"), ("µm", "μm"), ("ﬁne", "fine"),
        ("Straße", "STRASSE"), ("\uff2d\uff11", "M1"),
    ],
)
def test_near_equal_names_share_a_key(names):
    assert len({twin_key(name) for name in names}) == 1
    assert twins_of(names) == [tuple(sorted(names))]


@pytest.mark.parametrize(
    "names",
    [
        ("1-11", "11-1", "111"), ("d1", "d2", "d10"), ("CD34+", "CD34-"), ("-1", "1"),
        ("1.05", "1.5"), ("v1.01", "v1.1"), ("10", "1"), ("LT-HSC", "ST-HSC", "HSC"), ("-", "_"),
        ("Mouse 1 2", "Mouse 12"),
    ],
)
def test_different_names_do_not(names):
    assert twins_of(names) == []


@given(st.text(max_size=12))
def test_the_key_of_a_name_does_not_depend_on_case_or_blanks(name):
    assert normal_name(normal_name(name)) == normal_name(name)
    assert twin_key(f" {name}\u00a0") == twin_key(name)


def test_near_equal_names_are_asked_about_in_one_question():
    found = listing("HSC", "hsc", "MPP", groups=("Mouse 1", "mouse-01", "Mouse 2"))
    with pytest.raises(InputError) as caught:
        settle_names(found, "ask")
    message = str(caught.value)
    assert "classes 'HSC' (1) = 'hsc' (1)" in message
    assert "groups 'Mouse 1' (1) = 'mouse-01' (1)" in message
    assert "--same-names merge" in message


def test_merging_takes_the_most_frequent_spelling_and_says_so():
    found = settle_names(listing("hsc", "HSC", "hsc", "MPP"), "merge")
    assert [source.label for source in found.sources] == ["hsc", "hsc", "hsc", "MPP"]
    (notice,) = found.notices
    assert notice.kind == "same-classes"
    assert "'hsc' (2) = 'HSC' (1) are taken as one" in notice.message


def test_keeping_leaves_them_apart_and_says_so():
    found = settle_names(listing("hsc", "HSC"), "keep")
    assert [source.label for source in found.sources] == ["hsc", "HSC"]
    assert "kept apart" in found.notices[0].message


def test_names_that_look_the_same_become_one_with_a_notice():
    found = settle_names(listing("Müller", "Mu\u0308ller", " Müller\u00a0", None), "ask")
    assert [source.label for source in found.sources] == ["Müller", "Müller", "Müller", None]
    (notice,) = found.notices
    assert notice.kind == "spelling-of-class"
    assert "'Mu\\u0308ller'" in notice.message


def test_labels_and_groups_of_known_cells_take_part():
    cells = (KnownCell(1, 2, "HSC", group="d 1"), KnownCell(3, 4, "hsc", group="d1"))
    found = Listing([Source(Path("a"), "a", cells=cells)])
    with pytest.raises(InputError, match="'HSC'"):
        settle_names(found, "ask")
    merged = settle_names(found, "merge").sources[0].cells
    assert [(cell.label, cell.group) for cell in merged] == [("HSC", "d 1"), ("HSC", "d 1")]
