"""The page's API answers as `stemcls predict` and `stemcls explain` do, and loses nobody."""

from __future__ import annotations

import base64
import csv
import io
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

requests = pytest.importorskip("requests")
pytest.importorskip("fastapi", reason="the extra `web` is not installed")
pytest.importorskip("uvicorn", reason="the extra `web` is not installed")

from .conftest import CLASSES, CROP_PX, send  # noqa: E402


def test_the_table_is_that_of_predict(url, loaded, field, tmp_path):
    from stemcls.prediction.predict import predict_table

    predict_table(loaded.model, loaded.card, [field], tmp_path / "cells.csv")
    wanted = (tmp_path / "cells.csv").read_text(encoding="utf-8").replace(str(field), field.name)
    answer = send(url, (field.name, field.read_bytes())).json()
    assert answer["csv"].splitlines() == wanted.splitlines()
    assert answer["rows"] == sum(answer["composition"].values()) == len(wanted.splitlines()) - 1 > 3
    table = send(url, (field.name, field.read_bytes()), path="api/table")
    assert table.headers["content-type"].startswith("text/csv")
    assert table.content.decode().splitlines() == wanted.splitlines()
    cells = answer["images"][0]["cells"]
    for cell, row in zip(cells, csv.DictReader(io.StringIO(wanted)), strict=True):
        assert cell["class"] == row["class"]
        assert cell["score"] == pytest.approx(float(row["score"]))
        assert cell["y_px"] == pytest.approx(float(row["y_px"]))


def test_a_picture_comes_along_where_it_is_asked_for(url, field):
    assert send(url, (field.name, field.read_bytes())).json()["images"][0]["picture"] is None
    answer = send(url, (field.name, field.read_bytes()), path="api/predict?pictures=true").json()
    kind, _, data = answer["images"][0]["picture"].partition(",")
    assert kind == "data:image/jpeg;base64"
    decoded = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape == (256, 256, 3)


def test_a_crop_is_one_cell(url):
    crop = np.random.default_rng(0).integers(0, 255, (CROP_PX, CROP_PX, 3), np.uint8)
    answer = send(url, ("crop.png", cv2.imencode(".png", crop)[1].tobytes())).json()
    assert answer["rows"] == 1
    assert answer["images"][0]["cells"][0]["x_px"] == (CROP_PX - 1) / 2


def test_a_field_without_cells_has_an_empty_table(url):
    grey = cv2.imencode(".png", np.full((200, 200, 3), (90, 91, 92), np.uint8))[1].tobytes()
    noise = np.random.default_rng(0).integers(120, 124, (200, 200, 3), np.uint8)
    empty = cv2.imencode(".png", noise)[1].tobytes()
    done = send(url, ("empty.png", empty))
    assert done.status_code == 200
    assert done.json()["rows"] == 0
    assert done.json()["composition"] == dict.fromkeys(CLASSES, 0)
    blank = send(url, ("grey.png", grey))
    assert blank.status_code in (200, 422)


def test_twenty_users_at_once_all_get_their_answer(url, field):
    pixels = field.read_bytes()
    with ThreadPoolExecutor(20) as users:
        found = list(users.map(lambda n: send(url, (f"{n}.tif", pixels)), range(20)))
    assert [done.status_code for done in found] == [200] * 20
    tables = {done.json()["csv"].replace(f"{n}.tif", "x") for n, done in enumerate(found)}
    assert len(tables) == 1
    assert requests.get(f"{url}health", timeout=10).json() == {"status": "ready", "waiting": 0}


def test_a_cell_is_explained_as_the_command_would(url, loaded, field):
    from stemcls.explain.explain import explain
    from stemcls.prediction.inputs import load_sample

    cell = send(url, (field.name, field.read_bytes())).json()["images"][0]["cells"][2]
    place = {"y_px": cell["y_px"], "x_px": cell["x_px"]}
    done = send(url, (field.name, field.read_bytes()), path="api/saliency", **place)
    answer = done.json()
    crop = load_sample(field, loaded.card, None, "auto").read(np.array([2]))
    wanted = explain(loaded.probe, crop)
    assert answer["target"] == cell["class"]
    assert answer["layer"] == wanted.layer
    np.testing.assert_allclose(answer["probabilities"], cell["probabilities"], atol=1e-5)
    data = base64.b64decode(answer["crop"].partition(",")[2])
    shown = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    np.testing.assert_array_equal(shown, crop[0])


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"target": "prime"}, "did you mean 'primed'?"),
        ({"method": "gradcum"}, "did you mean 'gradcam'?"),
        ({"y_px": 1, "x_px": 1}, "leaves field of ten.tif"),
        ({"name": "other.tif"}, "which of field of ten.tif?"),
    ],
)
def test_what_cannot_be_explained_is_answered(url, field, form, error):
    form = {"y_px": 100, "x_px": 100, **form}
    done = send(url, (field.name, field.read_bytes()), path="api/saliency", **form)
    assert done.status_code == 422
    assert error in done.json()["error"]


def test_the_benchmark_compares_the_same_tables(tmp_path):
    from stemcls.bench.prediction import write_simulated
    from stemcls.bench.serving import measure

    write_simulated(tmp_path / "fields", 3, 256, 6)
    found = measure(str(tmp_path), "TinyCNN", 1.0, CROP_PX)
    assert found["equal"]
    assert found["cells"] > 2
    assert found["seconds"] > 0 < found["predict_seconds"]
