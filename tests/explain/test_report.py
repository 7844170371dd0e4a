"""`stemcls explain` leaves pictures, a gallery that stands alone, and arrays with units."""

from __future__ import annotations

import errno
import json
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from .conftest import planted_crops


@pytest.fixture(scope="module")
def planted_files(planted_model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a plain model.keras, without a card, and a store of 40 crops."""
    import cv2

    from stemcls.config.imaging import BuildConfig
    from stemcls.store.build import build_store

    folder = tmp_path_factory.mktemp("planted")
    planted_model.save(folder / "model.keras")
    crops, labels, _ = planted_crops(40, 3)
    for index, (crop, label) in enumerate(zip(crops, labels, strict=True)):
        path = folder / "src" / ("plain", "<b>striped")[label] / f"{index:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), crop)
    build_store(folder / "src", folder / "s.h5", BuildConfig(kind="crops", channels="1"))
    return folder


def test_a_plain_model_and_a_store_give_everything(planted_files: Path, invoke: Any) -> None:
    out = planted_files / "new"
    result = invoke(
        "explain", planted_files / "model.keras", planted_files / "s.h5",
        "--method", "gradcam,gradient-x-input", "--per-class", "1", "--cells", "6", "--check",
        "--out", out, "--json",
    )
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    rows = document["rows"]
    assert len(document["files"]) == 2 * len(rows)
    assert all(Path(file).read_bytes().startswith(b"\x89PNG") for file in document["files"])
    assert document == json.loads((out / "explanation.json").read_text(encoding="utf-8"))
    gradcam, signed = document["methods"]
    assert gradcam["layer"] == document["layer"] == "conv_2"
    assert signed["layer"] == ""
    assert 0 < gradcam["pixel_score"] == document["pixel_score"] < 1
    assert gradcam["inside"] is None  # ready-made crops have no radius
    assert [hit["class"] for hit in gradcam["hits"]] == ["<b>striped", "plain"]
    assert isinstance(gradcam["check"]["passed"], bool)
    assert gradcam["check"]["verdict"].startswith("gradcam ")

    page = (out / "gallery.html").read_text(encoding="utf-8")
    assert page.count("<img") >= len(rows) + 2
    assert set(re.findall(r'src="([^":]*):', page)) == {"data"}
    assert "http" not in page
    assert "<b>striped" not in page
    assert "&lt;b&gt;striped" in page
    assert "Selvaraju" in page

    with h5py.File(out / "maps.h5") as file:
        maps = file["methods/gradcam/heatmaps"]
        assert maps.attrs["axes"] == "N, H, W"
        assert maps.shape == (len(file["rows"]), 48, 48) == file["crops"].shape[:3]
        assert "largest absolute value" in maps.attrs["units"]
        assert file["methods/gradient-x-input"].attrs["signed"]
        assert file["sampled"][:].sum() == 6
        assert set(rows) <= set(file["rows"][:].tolist())
        assert np.abs(maps[:]).max() == 1
    before = sorted(path.name for path in out.iterdir())
    again = invoke("explain", planted_files / "model.keras", planted_files / "s.h5", "--out", out)
    assert again.returncode == 2
    assert "exists and is not empty" in again.stderr
    assert sorted(path.name for path in out.iterdir()) == before


@pytest.mark.parametrize(("options", "message"), [
    (("--method", "gradcm"), "no method 'gradcm' of explaining; did you mean 'gradcam'?"),
    (("--layer", "conv_9"), "the model has no layer 'conv_9'; did you mean 'conv_"),
    (("--class", "strip"), "the model knows no class 'strip'"),
    (("--rows", "40"), "rows must be 0 to 39, found 40"),
])
def test_bad_input_ends_with_code_2_and_writes_nothing(
    planted_files: Path, invoke: Any, options: tuple[str, ...], message: str
) -> None:
    result = invoke(
        "explain", planted_files / "model.keras", planted_files / "s.h5", *options,
        "--out", planted_files / "never",
    )
    assert result.returncode == 2
    assert message in " ".join(result.stderr.split())
    assert not (planted_files / "never").exists()


@pytest.mark.parametrize(("cause", "code", "message"), [
    (KeyboardInterrupt(), 130, ""),
    (OSError(errno.ENOSPC, "No space left on device"), 1, "no space left while writing"),
])
def test_unfinished_explanations_leave_nothing(
    planted_files: Path, invoke: Any, monkeypatch: pytest.MonkeyPatch, cause: BaseException,
    code: int, message: str,
) -> None:
    def stop(*arguments: Any) -> None:
        assert list(planted_files.glob(".cut.*/**/*.png"))
        raise cause

    monkeypatch.setattr("stemcls.explain.report.write_gallery", stop)
    result = invoke(
        "explain", planted_files / "model.keras", planted_files / "s.h5", "--rows", "0,1",
        "--out", planted_files / "cut",
    )
    assert result.returncode == code
    assert message in result.stderr.lower()
    assert not (planted_files / "cut").exists()


def test_one_class_can_be_asked_for(planted_files: Path, invoke: Any) -> None:
    out = planted_files / "one"
    result = invoke(
        "explain", planted_files / "model.keras", planted_files / "s.h5", "--rows", "3,0",
        "--class", "plain", "--layer", "conv_1,conv_2", "--out", out, "--json",
    )
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["class"] == "plain"
    assert document["rows"] == [3, 0]
    assert document["layer"] == "conv_1, conv_2"
    with h5py.File(out / "maps.h5") as file:
        assert file["methods/gradcam/targets"][:].tolist() == [1, 1]


def test_a_model_without_a_store_is_refused(planted_files: Path, invoke: Any) -> None:
    result = invoke("explain", planted_files / "model.keras")
    assert result.returncode == 2
    assert "name the store whose cells to explain" in " ".join(result.stderr.split())


def test_methods_are_listed_with_their_sources(invoke: Any) -> None:
    result = invoke("explain", "--method", "list", "--json")
    assert result.returncode == 0, result.stderr
    methods = {row["method"]: row for row in json.loads(result.stdout)}
    assert methods["gradcam"]["class_aware"]
    assert all(row["source"] for row in methods.values())
