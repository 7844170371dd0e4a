"""Sizes and intensities of classes: by donor and by cell, in micrometres, with clear words."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scipy import stats

from stemcls.atomic import dump_json
from stemcls.errors import InputError
from stemcls.evaluation.morphometry import measure

NAN = float("nan")


@pytest.fixture
def write_store(tmp_path: Path) -> Callable[..., Path]:
    """Write a store in the documented layout from the columns that matter here."""

    def write(
        labels: Any, radius_px: Any, fields: Any = None, donors: Any = None, size_um: Any = 0.5,
        intensity: Any = None, channels: tuple[str, ...] = ("GFP",), name: str = "store.h5",
        classes: tuple[str, ...] = ("A", "B", "C"),
    ) -> Path:
        n = len(labels)
        fields = np.arange(n) if fields is None else np.asarray(fields)
        n_fields = int(fields.max()) + 1
        text = h5py.string_dtype()
        with h5py.File(tmp_path / name, "w") as file:
            file["images"] = np.zeros((n, 4, 4, 1), np.uint8)
            file["label"] = np.asarray(labels, np.int32)
            file["label"].attrs["names"] = np.array(classes, dtype=text)
            file["field"] = fields.astype(np.int32)
            file["group"] = np.asarray(fields if donors is None else donors, np.int32)
            file["group"].attrs["what"] = "field" if donors is None else "donor"
            if donors is not None:
                names = [f"donor {k}" for k in range(max(donors) + 1)]
                file["group"].attrs["names"] = np.array(names, dtype=text)
            file["center_px"] = np.zeros((n, 2), np.float32)
            file["radius_px"] = np.asarray(radius_px, np.float32)
            values = np.arange(n)[:, None] if intensity is None else np.asarray(intensity)
            file["intensity"] = values.astype(np.float32)
            file["intensity"].attrs["names"] = np.array(channels, dtype=text)
            file["fields/path"] = np.array([f"f{k}.tif" for k in range(n_fields)], dtype=text)
            file["fields/sha256"] = np.array(["0"] * n_fields, dtype=text)
            file["fields/shape"] = np.zeros((n_fields, 3), np.int32)
            file["fields/pixel_size_um"] = np.broadcast_to(np.float64(size_um), n_fields)
            file["fields/brightness"] = np.zeros(n_fields, np.float32)
            file["fields/n_cells"] = np.ones(n_fields, np.int32)
            file.attrs.update({
                "format": "stemcls-crops", "version": 1, "content_hash": name,
                "channels": np.array(["grey"], dtype=text), "pixel_size_um": NAN,
            })
        return tmp_path / name

    return write


def test_diameters_use_each_fields_own_pixel_size(write_store):
    store = write_store([0, 0, 1, 1], [8, 8, 4, 5], fields=[0, 0, 1, 1], size_um=[0.5, 1.0])
    found = measure([store])
    diameter = found.results[0]
    assert diameter.measure.name == "diameter_um"
    assert diameter.measure.values.tolist() == [8.0, 8.0, 8.0, 10.0]
    assert any("pixel sizes differ (0.5 to 1 um)" in text for text in found.table.warnings)


def test_donors_count_once_and_cells_each(write_store):
    # Donor means: A 10, 12; B 13, 17. The donor with ten cells weighs no more than the others.
    radii = [*[10.0] * 10, 12, 13, 17, 17]
    labels, donors = [*[0] * 11, *[1] * 3], [*[0] * 10, 1, 2, 3, 3]
    (diameter, _) = measure([write_store(labels, radii, donors=donors)], test="student").results
    assert diameter.units.n_is == "donors"
    assert diameter.units.samples["A"].tolist() == [10.0, 12.0]
    assert diameter.units.samples["B"].tolist() == [13.0, 17.0]
    assert diameter.units.anova.df_within == 2
    assert diameter.cells.anova.df_within == 12
    expected = stats.ttest_ind([10, 12], [13, 17])
    assert diameter.units.pairs[0].result.p == pytest.approx(expected.pvalue)
    assert diameter.members == [
        ("A", "donor 0", 10, 10.0), ("A", "donor 1", 1, 12.0),
        ("B", "donor 2", 1, 13.0), ("B", "donor 3", 2, 17.0),
    ]


def test_cells_of_few_donors_deceive_and_donors_do_not(write_store):
    # Donors differ, classes do not: each class drew three donors of one population.
    random = np.random.default_rng(3)
    false_by_cell, false_by_donor = 0, 0
    for trial in range(40):
        donors = np.repeat(np.arange(6), 50)
        radii = 20 + random.normal(0, 1.5, 6)[donors] + random.normal(0, 1, 300)
        store = write_store(donors // 3, radii, donors=donors, name=f"{trial}.h5")
        diameter = measure([store]).results[0]
        false_by_cell += diameter.cells.anova.p < 0.05
        false_by_donor += diameter.units.anova.p < 0.05
    assert false_by_cell > 25
    assert false_by_donor <= 5


def test_without_donors_fields_stand_in_and_that_is_said(write_store):
    found = measure([write_store([0, 0, 1, 1], [8, 9, 4, 5])])
    assert found.table.unit_what == "field"
    assert "no donors are named, so fields stand for" in " ".join(found.table.warnings)


def test_donors_with_cells_in_several_classes_are_noted(write_store):
    found = measure([write_store([0, 1, 0, 1], [8, 9, 4, 5], donors=[0, 0, 1, 1])])
    assert "2 donors have cells in more than one class" in " ".join(found.table.warnings)


def test_without_pixel_sizes_diameters_are_in_pixels_and_loudly_so(write_store):
    found = measure([write_store([0, 0, 1, 1], [8, 9, 4, 5], size_um=NAN)])
    assert (found.results[0].measure.name, found.results[0].measure.unit) == ("diameter_px", "px")
    assert found.results[0].measure.values.tolist() == [16, 18, 8, 10]
    assert "PIXEL SIZE UNKNOWN" in " ".join(found.table.warnings)


def test_known_and_unknown_pixel_sizes_together_are_refused_with_counts(write_store):
    store = write_store([0, 0, 1], [8, 9, 4], fields=[0, 0, 1], size_um=[0.5, NAN])
    message = r"known for 2 cells of 1 fields and unknown for 1 cells of 1 fields \(such as f1.tif"
    with pytest.raises(InputError, match=message):
        measure([store])
    assert len(measure([store], classes=["A"]).table) == 2


def test_crops_without_radius_have_intensities_only(write_store):
    found = measure([write_store([0, 0, 1, 1], [NAN] * 4)])
    assert [result.measure.name for result in found.results] == ["intensity_GFP"]
    text = " ".join(found.table.warnings)
    assert "no cell has a radius (ready-made crops" in text
    assert "4 cells have no radius, so their intensity is not of the cell alone" in text


def test_neither_radius_nor_intensity_is_an_error(write_store):
    store = write_store([0, 1], [NAN, 0.0], intensity=[[NAN], [NAN]])
    with pytest.raises(InputError, match="nothing was measured in these 2 crops"):
        measure([store])


def test_some_cells_without_a_radius_are_counted(write_store):
    diameter = measure([write_store([0, 0, 1, 1], [8, NAN, 4, 5])]).results[0]
    assert diameter.missing == 1
    assert diameter.cells.summaries["A"].n == 1


def test_unlabelled_crops_are_left_out_and_counted(write_store):
    found = measure([write_store([0, 0, 1, 1, -1, -1, -1], [8, 9, 4, 5, 1, 1, 1])])
    assert len(found.table) == 4
    assert found.table.left_out == {"no label": 3}
    with pytest.raises(InputError, match="2 crops, 2 of them without a label"):
        measure([write_store([-1, -1], [8, 9])])


def test_chosen_classes_come_in_the_order_asked_for(write_store):
    store = write_store([0, 1, 1, 2, 2], [8, 9, 4, 5, 6])
    found = measure([store], classes=["C,B"])
    assert found.table.classes == ("C", "B")
    assert found.table.left_out == {"of another class": 1}
    assert found.results[0].cells.samples["C"].tolist() == [5.0, 6.0]
    with pytest.raises(InputError, match="there is no class 'D'; one of: A, B, C"):
        measure([store], classes=["D"])


def test_one_class_is_summarised_without_tests(write_store):
    diameter = measure([write_store([0, 0, 0], [8, 9, 10])], classes=["A"]).results[0]
    assert diameter.cells.summaries["A"].mean == 9.0
    assert diameter.cells.anova is None
    assert "one class" in diameter.cells.why_not
    assert diameter.cells.pairs == []


def test_a_class_with_one_cell_and_alike_classes_say_why_they_are_not_tested(write_store):
    cells = measure([write_store([0, 1, 1, 1], [8, 8, 9, 10])]).results[0].cells
    assert cells.anova is not None
    assert cells.pairs[0].why_not == "n = 1 and 3: a t test needs at least 2 values in each"
    cells = measure([write_store([0, 0, 1, 1], [0.7, 0.7, 0.9, 0.9], size_um=0.1)]).results[0].cells
    assert "all values are alike" in cells.why_not
    assert "all values are alike" in cells.pairs[0].why_not


def test_a_class_without_cells_is_left_away_unless_asked_for(write_store):
    store = write_store([0, 0, 1, 1], [8, 9, 4, 5])
    assert measure([store]).table.classes == ("A", "B")
    cells = measure([store], classes=["A", "C"]).results[0].cells
    assert (cells.summaries["A"].n, cells.summaries["C"].n) == (2, 0)
    assert cells.why_not == "there is one class with values: nothing to compare it with"


def test_channels_are_compared_one_by_one(write_store):
    values = [[1, 10], [2, 20], [3, NAN], [4, 40]]
    store = write_store([0, 0, 1, 1], [8] * 4, intensity=values, channels=("GFP",))
    found = measure([store]).results
    assert [result.measure.name for result in found[1:]] == [
        "intensity_GFP", "intensity_channel 2",
    ]
    assert found[1].cells.summaries["B"].median == 3.5
    assert found[2].missing == 1


def test_stores_are_joined_by_names_of_classes_donors_and_channels(write_store):
    one = write_store([0, 1], [8, 9], donors=[0, 1], channels=("DIC",), name="one.h5")
    two = write_store(
        [0, 1], [4, 5], donors=[0, 0], classes=("B", "D"), channels=("GFP",), name="two.h5"
    )
    found = measure([one, two])
    assert found.table.classes == ("A", "B", "D")
    assert found.results[0].cells.samples["B"].tolist() == [9.0, 4.0]
    assert found.table.units == ("donor 0", "donor 1")
    assert [result.measure.name for result in found.results] == [
        "diameter_um", "intensity_DIC", "intensity_GFP",
    ]
    by_store = measure([one, two], by="store")
    assert by_store.table.classes == ("one", "two")
    with pytest.raises(InputError, match="named twice"):
        measure([one, one])


def test_fields_of_the_same_name_in_two_stores_are_two_fields(write_store):
    stores = [write_store([0, 1], [8, 9], name=name) for name in ("one.h5", "two.h5")]
    assert measure(stores).results[0].units.summaries["A"].n == 2


def test_by_group_compares_donors_with_fields_as_units(write_store):
    store = write_store([0, -1, 0, 1], [8, 9, 4, 5], donors=[0, 0, 1, 1])
    found = measure([store], by="group")
    assert found.table.classes == ("donor 0", "donor 1")
    assert (found.table.unit_what, len(found.table)) == ("field", 4)
    assert found.results[0].units.samples["donor 0"].tolist() == [8.0, 9.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [({"by": "lable"}, "did you mean 'label'"), ({"test": "studnt"}, "did you mean 'student'")],
)
def test_unknown_choices_name_the_nearest(write_store, options, message):
    with pytest.raises(InputError, match=message):
        measure([write_store([0, 1], [8, 9])], **options)


def test_a_folder_gets_tables_figures_and_numbers_and_is_not_overwritten(write_store, tmp_path):
    random = np.random.default_rng(0)
    labels = np.arange(60) % 2
    donors = (np.arange(60) % 6).tolist()
    radii = random.normal(20, 1, 60) + 5 * labels
    store = write_store(labels, radii, donors=donors, channels=("a/b:$x_1$ ü",))
    found = measure([store])
    out = tmp_path / "out"
    paths = found.write(out)
    assert {path.name for path in paths} == {path.name for path in out.iterdir()} == {
        "cells.csv", "units.csv", "morphometry.json", "1-diameter_um.png", "1-diameter_um.svg",
        "2-intensity_a-b--x_1--ü.png", "2-intensity_a-b--x_1--ü.svg",
    }
    with (out / "cells.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["diameter_um"]) for row in rows] == pytest.approx(radii, rel=1e-6)
    assert rows[7]["donor"] == "donor 1"
    document = json.loads((out / "morphometry.json").read_text(encoding="utf-8"))
    assert document == json.loads(dump_json(found.to_document()))
    assert "***" in (out / "1-diameter_um.svg").read_text(encoding="utf-8")
    with pytest.raises(InputError, match="exists and is not empty"):
        found.write(out)


def test_classes_without_values_still_make_a_figure(write_store, tmp_path):
    store = write_store([0, 1, 1], [NAN, 5, 5], donors=[0, 1, 1])
    found = measure([store])
    found.write(tmp_path / "out")
    text = (tmp_path / "out" / "1-diameter_um.svg").read_text(encoding="utf-8")
    assert "0 cells" in text
    assert "not tested" in text


def test_mice_are_mice(write_store):
    store = write_store([0, 0, 1, 1], [8, 9, 4, 5], donors=[0, 1, 2, 3])
    with h5py.File(store, "r+") as file:
        file["group"].attrs["what"] = "mouse"
    assert measure([store]).results[0].units.n_is == "mice"


def test_many_classes_with_long_names_are_drawn_without_a_forest_of_brackets(write_store, tmp_path):
    labels = np.repeat(np.arange(8), 12)
    donors = np.tile(np.arange(4), 24).tolist()
    radii = 10 + labels + 0.01 * np.arange(96) % 0.07
    names = tuple(f"long-term haematopoietic stem cell {k}" for k in range(8))
    found = measure([write_store(labels, radii, donors=donors, classes=names)])
    found.write(tmp_path / "out")
    text = (tmp_path / "out" / "1-diameter_um.svg").read_text(encoding="utf-8")
    assert "28 pairs differ" in text
    assert "***" not in text
