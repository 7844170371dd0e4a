"""What a finished run is good for: evaluate, explain, predict, runs."""

import csv
import json
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from stemcls.store.cropstore import CropStore


def test_evaluate_repeats_the_numbers_of_training(trained_run, invoke):
    result = invoke("evaluate", trained_run, "--json")
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    kept = json.loads((trained_run / "evaluation" / "metrics.json").read_text())
    assert document["confusion"] == kept["confusion"]
    assert document["metrics"]["auroc"] == pytest.approx(kept["metrics"]["auroc"], abs=1e-6)
    assert document["labels"] == ["along x", "quer/süß"]
    assert document["n"] == np.sum(document["confusion"])


def test_evaluate_scores_another_store_whole(trained_run, striped_store, tmp_path, invoke):
    result = invoke("evaluate", trained_run, striped_store, "--out", tmp_path / "o", "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["n"] == 160
    assert (tmp_path / "o" / "confusion.png").exists()


def test_explain_writes_a_picture_for_each_row(trained_run, invoke):
    result = invoke("explain", trained_run, "--rows", "0,5", "--json")
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    assert len(document["files"]) == 2
    assert all(Path(file).stat().st_size > 0 for file in document["files"])
    assert 0 <= document["pixel_score"] <= 1
    result = invoke("explain", trained_run, "--rows", "160")
    assert result.returncode == 2
    assert "rows must be 0 to 159" in result.stderr


def test_predict_writes_one_row_per_crop_of_a_store(trained_run, striped_store, tmp_path, invoke):
    out = tmp_path / "cells.csv"
    result = invoke("predict", trained_run / "model.keras", striped_store, "--out", out, "--json")
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    rows = list(csv.DictReader(out.read_text(encoding="utf-8").splitlines()))
    assert document["rows"] == len(rows) == 160
    assert sum(document["composition"].values()) == 160
    names = [
        "path", "scene", "y_px", "x_px", "radius_px", "class", "score", "notes", "p_along x",
        "p_quer/süß",
    ]
    assert list(rows[0]) == names
    for row in rows:
        shares = {name: float(row[f"p_{name}"]) for name in ("along x", "quer/süß")}
        assert sum(shares.values()) == pytest.approx(1, abs=1e-5)
        assert row["class"] == max(shares, key=shares.get)
        assert float(row["score"]) == max(shares.values())


def test_predict_takes_crops_skips_what_is_broken_and_never_overwrites(
    trained_run, striped_store, tmp_path, invoke
):
    store = CropStore.open(striped_store)
    folder = tmp_path / "Zellen größer"
    folder.mkdir()
    for row in range(4):
        content = cv2.imencode(".png", store.read([row])[0][:, :, ::-1])[1]
        (folder / f"{row}.png").write_bytes(content.tobytes())
    (folder / "zero.png").write_bytes(b"")
    (folder / "grey.png").write_bytes(
        cv2.imencode(".png", store.read([0])[0][:, :, 0])[1].tobytes()
    )
    large = np.arange(40 * 40 * 3).reshape(40, 40, 3).astype(np.uint8)
    (folder / "large.png").write_bytes(cv2.imencode(".png", large)[1].tobytes())
    out = tmp_path / "cells.csv"
    result = invoke("predict", trained_run, folder, "--out", out, "--strict", "--json")
    assert result.returncode == 3, result.stderr
    document = json.loads(result.stdout)
    reasons = {Path(entry["path"]).name: entry["reason"] for entry in document["skipped"]}
    assert set(reasons) == {"zero.png", "grey.png", "large.png"}
    assert "empty (0 bytes)" in reasons["zero.png"]
    assert "the model learned from red, green, blue: a grey image" in reasons["grey.png"]
    assert "is 40x40 px, the model takes crops of 24x24 px" in reasons["large.png"]
    assert document["rows"] == 4
    again = invoke("predict", trained_run, folder, "--out", out)
    assert again.returncode == 2
    assert "exists and is not overwritten" in again.stderr


def test_predict_writes_what_a_spreadsheet_opens_and_sums_it_up(
    trained_run, striped_store, tmp_path, invoke
):
    out = tmp_path / "cells.csv"
    result = invoke(
        "predict", trained_run, striped_store, "--out", out, "--decimal", ",", "--bom", "--json"
    )
    assert result.returncode == 0, result.stderr
    summary = json.loads(result.stdout)["summary"]
    whole = [row for row in summary if row["level"] == "class"]
    assert sum(row["n"] for row in whole) == 160
    assert len([row for row in summary if row["level"] == "group"]) == 2 * 10
    assert out.read_bytes().startswith(b"\xef\xbb\xbfpath;scene;")
    rows = list(csv.DictReader(
        (tmp_path / "cells-summary.csv").read_text(encoding="utf-8-sig").splitlines(),
        delimiter=";",
    ))
    assert [int(row["n"]) for row in rows] == [row["n"] for row in summary]
    refused = invoke("predict", trained_run, striped_store, "--out", tmp_path / "x.csv",
                     "--decimal", ",", "--separator", ",")
    assert refused.returncode == 2
    assert "say --separator ';'" in " ".join(refused.stderr.split())
    assert not (tmp_path / "x.csv").exists()


def test_predict_refuses_a_store_of_other_crops(trained_run, tmp_path, invoke):
    from stemcls.config.imaging import BuildConfig
    from stemcls.store.build import build_store

    rng = np.random.default_rng(0)
    for number in range(3):
        path = tmp_path / "src" / "a" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), rng.integers(0, 256, (32, 32)).astype(np.uint8))
    build_store(tmp_path / "src", tmp_path / "other.h5", BuildConfig(kind="crops"))
    for command in ("predict", "evaluate"):
        extra = ("--out", tmp_path / "x.csv") if command == "predict" else ()
        result = invoke(command, trained_run, tmp_path / "other.h5", *extra)
        assert result.returncode == 2
        assert not (tmp_path / "x.csv").exists()


def test_runs_lists_the_run_with_its_numbers(trained_workspace, trained_run, invoke):
    result = invoke("runs", "--workspace", trained_workspace, "--json")
    found = {run["run"]: run for run in json.loads(result.stdout)["runs"]}
    assert found[trained_run.name]["state"] == "finished"
    assert found[trained_run.name]["metrics"]["mean_recall"] > 0.5


def test_a_store_of_another_depth_is_refused(trained_run, tmp_path, invoke):
    from stemcls.config.imaging import BuildConfig
    from stemcls.store.build import build_store

    rng = np.random.default_rng(0)
    (tmp_path / "src" / "along x").mkdir(parents=True)
    for number in range(3):
        deep = rng.integers(0, 65536, (24, 24, 3)).astype(np.uint16)
        cv2.imwrite(str(tmp_path / "src" / "along x" / f"{number}.png"), deep)
    config = BuildConfig(kind="crops", scale="none")
    build_store(tmp_path / "src", tmp_path / "deep.h5", config)
    for command in ("evaluate", "explain"):
        result = invoke(command, trained_run, tmp_path / "deep.h5")
        assert result.returncode == 2
        assert "of uint16, the model takes (24, 24, 3) of uint8" in result.stderr


def test_predict_accounts_for_links_other_formats_and_odd_names(trained_run, tmp_path, invoke):
    rng = np.random.default_rng(5)
    far, folder = tmp_path / "far", tmp_path / "new"
    for path in (far / "linked.png", folder / "own.png"):
        path.parent.mkdir()
        cv2.imwrite(str(path), rng.integers(0, 255, (24, 24, 3), np.uint8))
    (folder / "link").symlink_to(far)
    shutil.copy(folder / "own.png", folder / os.fsdecode(b"champ_\xe9t\xe9.png"))
    (folder / "a.vsi").write_bytes(b"\0\1")
    (folder / "Thumbs.db").write_bytes(b"\0\1")
    out = tmp_path / "p.csv"
    result = invoke("predict", trained_run, folder, "--out", out, "--strict", "--json")
    assert result.returncode == 3, result.stderr
    document = json.loads(result.stdout)
    assert document["rows"] == 3
    assert [Path(entry["path"]).name for entry in document["skipped"]] == ["a.vsi"]
    assert [Path(entry["path"]).name for entry in document["ignored"]] == ["Thumbs.db"]
    assert "champ_\\xe9t\\xe9.png" in out.read_text(encoding="utf-8")
    more = ("--exclude", "*.vsi", "--exclude", "link", "--strict", "--json")
    result = invoke("predict", trained_run, folder, "--out", tmp_path / "q.csv", *more)
    assert (result.returncode, json.loads(result.stdout)["rows"]) == (0, 2)


def test_predict_does_not_read_its_own_overlays_and_counts_a_file_once(tmp_path):
    from stemcls.prediction.inputs import expand

    for name in ("f1.png", "cells-overlays/f1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    found = expand([tmp_path, tmp_path / "f1.png"])
    assert [place.path for place in found.names] == [tmp_path / "f1.png"]
    assert found.ignored == [
        {"path": str(tmp_path / "cells-overlays"), "reason": "pictures drawn by stemcls"}
    ]


def test_fields_of_another_magnification_are_refused():
    from pathlib import Path

    from stemcls.errors import InputError
    from stemcls.prediction.inputs import _check_scale

    with pytest.raises(InputError, match=r"0\.25 um a pixel, the model was trained on 0\.5"):
        _check_scale(Path("f.tif"), 0.25, 0.5)
    _check_scale(Path("f.tif"), 0.51, 0.5)
    _check_scale(Path("f.tif"), None, 0.5)
