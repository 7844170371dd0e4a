"""An audit is quiet where nothing is wrong, and each check finds the fault that it is for."""

from __future__ import annotations

import numpy as np
import pytest

from stemcls.audit.ablation import _judged
from stemcls.audit.composition import binomial_interval
from stemcls.audit.duplicates import _in_shared_fields
from stemcls.audit.table import AUDIT_CHECKS
from stemcls.errors import InputError
from stemcls.evaluation.comparison import Difference

from .conftest import CELLS, DONORS, cell_mask, clean_plan


def _status(found) -> dict[str, str]:
    return {name: check["status"] for name, check in found.items() if name != "not_run"}


def test_nothing_is_wrong_with_a_clean_store(audited) -> None:
    found = audited(clean_plan())
    assert set(_status(found).values()) == {"pass"}
    assert set(found) | set(found["not_run"]) == {*AUDIT_CHECKS, "not_run"}
    assert set(found["not_run"]) == {"channels", "class-by-day"}
    # No donor misses a cell, so that resampling them says nothing of how sure this is.
    assert (found["cell-only"]["value"], found["cell-only"]["interval"]) == (1.0, None)
    low, high = found["background"]["interval"]
    assert low <= found["background"]["value"] <= high
    assert low < 0.5 < high
    del found["not_run"]
    assert all(check["why"] and check["means"] for check in found.values())


def test_files_of_one_crop_without_donors_are_a_warning(audited) -> None:
    plan = clean_plan()
    plan.named = False
    found = audited(plan)["groups"]
    assert found["status"] == "pass"
    assert "kept together by field" in found["why"]
    plan.fields = np.arange(len(plan.labels))
    plan.brightness = np.full(len(plan.labels), 100.0)
    found = audited(plan)["groups"]
    assert found["status"] == "warn"
    assert "--group" in found["todo"]


def test_a_place_photographed_twice_is_found_by_its_many_likely_pairs() -> None:
    fields = np.array([(3, 7)] * 5 + [(7, 9)] + [(4, 4)] * 6)
    assert _in_shared_fields(fields).tolist() == [True] * 5 + [False] * 7
    assert _in_shared_fields(fields[:5, ::-1]).all()


def test_one_file_under_two_donors_fails(audited) -> None:
    plan = clean_plan()
    plan.sha256 = [f"{k % (2 * DONORS - 1) + 1:064x}" for k in range(2 * DONORS)]
    found = audited(plan)
    assert found["groups"]["status"] == "fail"
    assert "f0.png" in found["groups"]["why"]


def test_a_turned_and_darkened_copy_in_another_donor_is_found(audited) -> None:
    plan = clean_plan()
    first, copy = 0, len(plan.labels) - 1
    plan.images[copy] = 0.8 * np.rot90(plan.images[first])[:, ::-1] + 10
    found = audited(plan)["duplicates"]
    assert found["status"] == "fail"
    assert found["details"]["examples"] == [[first, copy]]
    assert found["details"]["fields"] == [("f0.png", f"f{2 * DONORS - 1}.png", 1)]
    assert found["value"] == pytest.approx(2 / len(plan.labels))


def test_a_copy_within_one_donor_is_no_leak(audited) -> None:
    plan = clean_plan()
    plan.images[1] = plan.images[0]
    found = audited(plan)["duplicates"]
    assert found["status"] == "pass"
    assert found["details"]["pairs"] == 1


def test_a_class_of_a_single_donor_fails_and_is_left_out_of_classifiers(audited) -> None:
    plan = clean_plan()
    plan.labels[plan.groups == 0] = 2
    found = audited(plan)
    assert found["class-by-group"]["status"] == "fail"
    assert "class 2" in found["class-by-group"]["why"]
    assert found["cell-only"]["details"]["chance"] == 0.5


def test_a_class_per_day_fails_and_mixed_days_pass(audited) -> None:
    plan = clean_plan()
    plan.acquired = [f"2026-01-0{1 + k % 2}T10:00:00Z" for k in range(2 * DONORS)]
    assert audited(plan)["class-by-day"]["status"] == "fail"
    plan.acquired = [f"2026-01-0{1 + (k // 2) % 2}T10:00:00Z" for k in range(2 * DONORS)]
    assert audited(plan)["class-by-day"]["status"] == "pass"


def test_brightness_that_follows_the_class_raises_the_metadata_alarm(audited) -> None:
    plan = clean_plan()
    plan.brightness[1::2] += 60
    found = audited(plan, shuffles=499)
    assert found["metadata"]["status"] == "fail"
    assert "brightness" in found["metadata"]["why"]
    assert found["background"]["status"] == "pass"


def test_a_background_that_follows_the_class_raises_the_alarm(audited) -> None:
    plan = clean_plan()
    plan.images[(plan.labels == 1)[:, None, None] & ~cell_mask()] += 15
    found = audited(plan, shuffles=499)
    assert found["background"]["status"] == "fail"
    assert found["background"]["value"] > 0.95


def test_a_sign_beside_the_cell_is_what_the_surroundings_add(audited) -> None:
    plan = clean_plan()
    random = np.random.default_rng(1)
    plan.images = random.normal(100, 6, plan.images.shape)
    # Fine details in the corners, which level, noise at the middle and slope do not show.
    corner = plan.images[plan.labels == 1]
    corner[:, :7, :7] += 60
    plan.images[plan.labels == 1] = corner
    found = audited(plan)["cell-only"]
    assert found["status"] == "warn"
    assert found["details"]["whole_crop"] > found["value"] + 0.2


def test_crops_that_only_show_their_donor_open_a_gap(audited) -> None:
    random = np.random.default_rng(0)
    plan = clean_plan()
    donors = 20
    plan.groups = plan.fields = np.repeat(np.arange(donors), 5)
    plan.labels = random.permutation(np.repeat([0, 1], donors // 2))[plan.groups]
    plan.brightness = np.full(donors, 100.0)
    # Every donor has a pattern of its own, the same in all of its crops, and no class has one.
    coarse = random.normal(100, 30, (donors, 8, 8)).repeat(4, axis=1).repeat(4, axis=2)
    plan.images = coarse[plan.groups] + random.normal(0, 4, (5 * donors, 32, 32))
    found = audited(plan)
    gap = found["split-gap"]["details"]
    assert gap["random"] > gap["grouped"] + 0.1
    assert gap["shuffled_labels_random_split"] > 0.6
    assert found["shuffle-floor"]["status"] == "warn"
    assert abs(found["shuffle-floor"]["value"] - 0.5) < 0.05


def test_too_few_donors_are_said_to_be_too_few(audited) -> None:
    plan = clean_plan()
    kept = plan.groups < 6
    plan.labels = (plan.groups[kept] % 2)
    plan.images, plan.groups = plan.images[kept], plan.groups[kept]
    plan.fields = plan.groups
    plan.brightness = plan.brightness[:6]
    found = audited(plan)
    assert "too few to tell: labels can be permuted in 20 ways only" in found["not_run"]["metadata"]


def test_a_store_of_one_class_is_refused(audited) -> None:
    plan = clean_plan()
    plan.labels[:] = 0
    with pytest.raises(InputError, match="at least 2 classes"):
        audited(plan)
    with pytest.raises(InputError, match=r"no class 'clas 1'.*did you mean 'class 1'"):
        audited(clean_plan(), classes=("class 0", "clas 1"))


def test_where_no_radii_are_known_the_frame_is_the_background(audited) -> None:
    plan = clean_plan()
    plan.radius_px = float("nan")
    found = audited(plan)["background"]
    assert "knows no radii" in found["details"]["pixels"]
    assert found["status"] == "pass"


def test_an_empty_channel_that_decides_is_a_failure() -> None:
    losses = {
        "red": Difference(0.3, (0.2, 0.4), 0.01, 8), "blue": Difference(0.1, (0.05, 0.2), 0.01, 8),
    }
    found = _judged(losses, [0.2, 0.001])
    assert found.status == "fail"
    assert "blue" in found.why
    assert found.value == 0.3
    assert _judged(losses, [0.2, 0.1]).status == "pass"


def test_the_interval_of_a_share_is_that_of_clopper_and_pearson() -> None:
    low, high = binomial_interval(0, 100)
    assert low == 0
    assert high == pytest.approx(1 - 0.025 ** (1 / 100))


def test_numbers_of_cells_add_up() -> None:
    assert len(clean_plan().labels) == 2 * DONORS * CELLS
