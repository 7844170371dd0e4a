"""The same field gives the same crops and the same warnings, whichever command reads it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from stemcls.config.imaging import BuildConfig, DetectConfig, SimulateConfig
from stemcls.imaging.detection.survey import survey
from stemcls.imaging.simulation.simulate import simulate_field
from stemcls.imaging.tuning.combinations import combinations_of
from stemcls.imaging.tuning.grid import try_settings
from stemcls.models.saved import ModelCard
from stemcls.prediction.inputs import crop_at, load_sample
from stemcls.prediction.sample import AT_BORDER
from stemcls.store.build import build_store
from stemcls.store.cropstore import CropStore


@pytest.fixture(scope="module")
def fields(tmp_path_factory) -> list[Path]:
    """Three fields of two classes with cells up to the border, and a slice that is empty."""
    folder = tmp_path_factory.mktemp("road") / "src"
    paths = []
    for number in range(3):
        config = SimulateConfig(
            size_px=256, cells=16, radius_px=12.0, debris=0, clusters=0, slices=2,
            modality="fluorescence",
        )
        pixels, _ = simulate_field(config, number % 2, number)
        pixels = np.asarray(pixels)
        pixels[1] = pixels[1] // 100
        path = folder / "ab"[number % 2] / f"{number}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(
            path, pixels, photometric="minisblack", metadata={"axes": "CYX"}, ome=True
        )
        paths.append(path)
    return paths


def card_of(store: CropStore) -> ModelCard:
    return ModelCard(
        store.classes, store.size_px, store.channels, store.dtype.name, store.pixel_size_um,
        store.config["kind"], store.config,
    )


def serve(field: Path, card: ModelCard, monkeypatch) -> tuple[np.ndarray, list[str]]:
    """Return the crops that the served page hands to its network, and the warnings it answers."""
    pytest.importorskip("pydantic")
    from stemcls.prediction import predict
    from stemcls.serving.uploads import Upload
    from stemcls.serving.work import Loaded, Reading, predict_uploads

    seen = []

    def look(model, read, rows, **options):
        seen.append(read(rows))
        return np.full((len(rows), 2), 0.5, np.float32)

    monkeypatch.setattr(predict, "predict", look)
    answer = predict_uploads(
        Loaded(None, card), [Upload(field.name, field)], [], Reading(), pictures=False
    )
    return seen[0], [warning.message for warning in answer.warnings]


@pytest.mark.parametrize("edge", ["reflect", "drop"])
def test_every_road_cuts_the_same_crops_and_says_the_same_words(
    fields, tmp_path, monkeypatch, edge
):
    source = fields[0].parents[1]
    config = BuildConfig(kind="cells", crop_px=64, edge=edge)
    document = build_store(source, tmp_path / "s.h5", config)
    store = CropStore.open(tmp_path / "s.h5")
    card = card_of(store)
    about_files = ("no-groups", "one-image-class")
    said = [
        warning["message"] for warning in document["warnings"]
        if warning["kind"] not in about_files
    ]
    assert len(said) == 1
    assert said[0].startswith("slice 2 (")
    for number, name in enumerate(store.fields.path):
        field, rows = source / name, np.flatnonzero(store.field_index == number)
        built = store.read(rows)
        assert len(built) > 2
        sample = load_sample(field, card, None, "auto")
        np.testing.assert_array_equal(sample.read(np.arange(sample.n)), built)
        np.testing.assert_array_equal(sample.centers_px, store.centers_px[rows])
        assert [notice.message for notice in sample.notices] == said
        crops, answered = serve(field, card, monkeypatch)
        np.testing.assert_array_equal(crops, built)
        assert answered == said
        for row in rows:
            y, x = store.centers_px[row]
            np.testing.assert_array_equal(
                crop_at(field, card, (float(y), float(x))), store.read([row])[0]
            )
        # Detection alone finds the cells that were cut, and those that no crop was cut of.
        found = survey([field], DetectConfig(**store.config["detect"]), config.read).found[0]
        places = {tuple(place) for place in found.cells.centers_px.tolist()}
        assert {tuple(place) for place in sample.centers_px.tolist()} <= places
        assert len(places) == sample.n + sum(
            count for why, count in sample.dropped.items()
            if why in ("another cell in the crop's core", "crop leaves the field")
        )
        diameter = store.config["detect"]["diameter_px"]
        sheet = try_settings(
            [field], {field: name}, combinations_of([f"diameter_px={diameter}"], {}), config.read,
            tmp_path / f"{number}-{edge}.png",
        )
        assert sheet["grid"][0]["cells"] == len(places)


def test_cells_at_the_border_are_flagged_on_both_roads(fields, tmp_path):
    config = BuildConfig(kind="cells", crop_px=64, edge="reflect")
    build_store(fields[0].parents[1], tmp_path / "s.h5", config)
    card = card_of(CropStore.open(tmp_path / "s.h5"))
    sample = load_sample(fields[0], card, None, "auto")
    y, x = sample.centers_px.T
    near = (np.rint(np.minimum(y, x)) < 32) | (np.rint(np.maximum(y, x)) > 224)
    assert near.any()
    assert [bool(note) for note in sample.notes] == near.tolist()
    assert set(sample.notes) == {"", AT_BORDER}


def test_the_usual_diameter_of_training_is_the_one_of_prediction(fields, tmp_path, monkeypatch):
    build_store(fields[0].parents[1], tmp_path / "s.h5", BuildConfig(kind="cells", crop_px=64))
    card = card_of(CropStore.open(tmp_path / "s.h5"))
    assert 18 < card.build["detect"]["diameter_px"] < 32

    def measured(*_):
        raise AssertionError("an odd field must not be measured by itself")

    monkeypatch.setattr("stemcls.imaging.detection.settle.gather_clues", measured)
    assert load_sample(fields[0], card, None, "auto").n > 2
