"""Simulated fields hold what they were asked to hold, and classes differ only in what is said."""

from __future__ import annotations

import csv
import errno
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stemcls.config.imaging import SimulateConfig
from stemcls.errors import InputError, StemclsError
from stemcls.imaging.readers import read_field
from stemcls.imaging.simulation import simulate as simulation
from stemcls.imaging.simulation.optics import (
    Acquisition,
)
from stemcls.imaging.simulation.placement import (
    MARGIN,
    SPACING,
    place_cells,
    place_debris,
)
from stemcls.imaging.simulation.simulate import simulate, simulate_field

SMALL = SimulateConfig(classes=2, fields=2, cells=6, groups=2, size_px=160, radius_px=8.0)
STILL = Acquisition(gain=1, offset=0, tilt=(0, 0), vignetting=0, noise=0, blur=1)


def rows_of(path: str | Path) -> list[dict[str, str]]:
    with Path(path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_files_truth_and_manifest_tell_the_same_story(tmp_path):
    out = tmp_path / "new" / "sim"
    document = simulate(out, SMALL)
    assert [Path(entry["path"]).relative_to(out).as_posix() for entry in document["fields"]] == [
        "class-a/class-a-donor-1-01.ome.tif", "class-a/class-a-donor-2-02.ome.tif",
        "class-b/class-b-donor-1-01.ome.tif", "class-b/class-b-donor-2-02.ome.tif",
    ]  # fmt: skip
    truth, manifest = rows_of(document["truth"]), rows_of(document["manifest"])
    assert document["cells"] == len(truth) == 24
    assert {row["path"] for row in manifest} == {row["field"] for row in truth}
    for listed, told in zip(manifest, document["fields"], strict=True):
        assert (out / listed["path"]) == Path(told["path"])
        assert (listed["label"], listed["group"]) == (told["label"], told["group"])
    labels = {row["path"]: (row["label"], row["group"]) for row in manifest}
    assert all(labels[row["field"]] == (row["label"], row["group"]) for row in truth)
    assert list(tmp_path.joinpath("new").iterdir()) == [out]


def test_a_written_field_reads_back_with_its_names_and_pixel_size(tmp_path):
    config = replace(SMALL, slices=4, pixel_size_um=0.65)
    document = simulate(tmp_path / "sim", config)
    field = read_field(Path(document["fields"][3]["path"]))
    assert field.pixels.shape == (4, 160, 160)
    assert field.pixels.dtype == np.uint16
    assert field.channels == ("dic", "dic-defocused", "granules", "blank")
    assert field.pixel_size_um == pytest.approx(0.65)
    np.testing.assert_array_equal(field.pixels, simulate_field(config, 1, 1)[0])


def test_the_truth_gives_the_raw_mean_inside_each_cell(tmp_path):
    document = simulate(tmp_path / "sim", SMALL)
    row = rows_of(document["truth"])[3]
    pixels = read_field(tmp_path / "sim" / row["field"]).pixels
    y, x = np.mgrid[:160, :160]
    inside = np.hypot(y - float(row["y_px"]), x - float(row["x_px"])) <= float(row["radius_px"])
    for channel in range(3):
        expected = pixels[channel][inside].mean()
        assert float(row[f"intensity_{channel}"]) == pytest.approx(expected, rel=0.01)


def test_the_resolved_config_is_kept_and_makes_the_same_fields_again(tmp_path):
    from stemcls.config.options import from_mapping

    simulate(tmp_path / "first", SMALL)
    kept = json.loads((tmp_path / "first" / "simulation.json").read_text())
    assert from_mapping(SimulateConfig, kept) == SMALL
    simulate(tmp_path / "second", from_mapping(SimulateConfig, kept))
    for name in ("truth.csv", "manifest.csv"):
        first, second = (tmp_path / which / name for which in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()


def test_the_same_seed_gives_the_same_pixels_and_another_seed_others():
    pixels, cells = simulate_field(SMALL, 1, 0)
    again, _ = simulate_field(SMALL, 1, 0)
    np.testing.assert_array_equal(pixels, again)
    other, elsewhere = simulate_field(replace(SMALL, seed=1), 1, 0)
    assert not np.array_equal(cells.centers_px, elsewhere.centers_px)
    assert not np.array_equal(pixels, other)


@pytest.mark.parametrize("more", [{"fields": 5}, {"slices": 5}])
def test_more_fields_or_slices_leave_the_earlier_ones_as_they_were(more):
    earlier, _ = simulate_field(SMALL, 1, 1)
    later, _ = simulate_field(replace(SMALL, **more), 1, 1)
    np.testing.assert_array_equal(later[:3], earlier)


def test_every_donor_has_fields_of_every_class(tmp_path):
    config = replace(SMALL, classes=3, fields=4, groups=3, cells=1, size_px=64)
    fields = simulate(tmp_path / "sim", config)["fields"]
    counts = Counter((entry["label"], entry["group"]) for entry in fields)
    assert len(counts) == 9
    assert sum(counts.values()) == 12


def test_cells_keep_apart_and_inside_unless_they_are_in_a_cluster():
    cells = place_cells(np.random.default_rng(0), 40, 3, 512, 12.0)
    assert len(cells) == 40
    margin = MARGIN * cells.radius_px[:, None]
    assert (cells.centers_px >= margin).all()
    assert (cells.centers_px <= 511 - margin).all()
    apart = np.hypot(*(cells.centers_px[:, None] - cells.centers_px[None]).transpose(2, 0, 1))
    relative = apart / (cells.radius_px[:, None] + cells.radius_px[None])
    np.fill_diagonal(relative, np.inf)
    touching = relative.min(axis=1) < 1.01
    np.testing.assert_array_equal(touching, cells.in_cluster)
    assert relative.min() > 0.9
    assert relative[~cells.in_cluster].min() >= SPACING
    assert 6 <= cells.in_cluster.sum() <= 12


def test_a_full_field_holds_as_many_cells_as_fit_and_the_truth_says_how_many(tmp_path):
    config = replace(SMALL, cells=500, classes=1, fields=1, clusters=0)
    document = simulate(tmp_path / "sim", config)
    assert 20 < document["cells"] < 60
    assert len(rows_of(document["truth"])) == document["cells"]


def test_a_field_without_cells_is_still_a_field(tmp_path):
    document = simulate(tmp_path / "sim", replace(SMALL, cells=0))
    assert document["cells"] == 0
    assert len(document["fields"]) == 4
    assert Path(document["truth"]).read_text().startswith("field,x_px,y_px,radius_px,label,group,")


def test_debris_keeps_clear_of_cells_and_out_of_the_truth():
    rng = np.random.default_rng(1)
    cells = place_cells(rng, 20, 0, 256, 10.0)
    bits = place_debris(rng, 5, cells, 256, 10.0)
    assert len(bits) == 5
    apart = np.hypot(*(bits[:, None] - cells.centers_px[None]).transpose(2, 0, 1))
    assert (apart > cells.radius_px + 5).all()
    littered, kept = simulate_field(replace(SMALL, debris=9), 0, 0)
    clean, without = simulate_field(replace(SMALL, debris=0), 0, 0)
    np.testing.assert_array_equal(kept.centers_px, without.centers_px)
    assert not np.array_equal(littered[0], clean[0])


def test_a_folder_in_use_is_refused(tmp_path):
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "mine.txt").touch()
    with pytest.raises(InputError, match="exists and is not empty; choose another"):
        simulate(tmp_path / "used", SMALL)
    with pytest.raises(InputError, match="exists and is a file"):
        simulate(tmp_path / "used" / "mine.txt", SMALL)
    (tmp_path / "empty").mkdir()
    assert simulate(tmp_path / "empty", SMALL)["cells"] == 24


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"radius_px": 60.0}, "do not fit a field of 160 px"),
        ({"size_effect": 1.9}, "size_effect 1.9 makes cells of 0.4 px"),
        ({"brightness_effect": -2.0}, "darker than black"),
    ],
)
def test_settings_that_contradict_each_other_are_refused_before_anything_is_made(
    tmp_path, values, message
):
    with pytest.raises(InputError, match=message):
        simulate(tmp_path / "sim", replace(SMALL, **values))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stop", [KeyboardInterrupt, ValueError])
def test_an_interrupted_simulation_leaves_nothing_behind(tmp_path, stop):
    def interrupt(done: int, total: int, note: str) -> None:
        if done == 3:
            raise stop

    with pytest.raises(stop):
        simulate(tmp_path / "sim", SMALL, interrupt)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_explained_and_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(*arguments: object, **named: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(simulation.tifffile, "imwrite", full)
    with pytest.raises(StemclsError, match=r"no space left while writing .*nothing was kept"):
        simulate(tmp_path / "sim", SMALL)
    assert list(tmp_path.iterdir()) == []


def test_progress_is_told_field_by_field(tmp_path):
    told: list[tuple[int, int, str]] = []
    simulate(tmp_path / "sim", SMALL, lambda *now: told.append(now))
    assert [(done, total) for done, total, _ in told] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert told[0][2] == "class-a-donor-1-01.ome.tif"
