"""Files are drawn at random, read one by one, and searched with one usual diameter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from stemcls.config.imaging import DetectConfig, ReadConfig
from stemcls.imaging.detection.survey import (
    common_pixel_size,
    read_sample,
    sample_paths,
    survey,
)


def write_field(path: Path, radius_px: float = 12.0, um: float | None = None) -> Path:
    y, x = np.mgrid[:160, :160]
    plane = np.full((160, 160), 50.0)
    for at_y, at_x in ((40, 45), (110, 100)):
        plane += 90 * np.clip(radius_px + 0.5 - np.hypot(y - at_y, x - at_x), 0, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    about = {"axes": "YX"} if um is None else {"axes": "YX", "PhysicalSizeX": um,
        "PhysicalSizeXUnit": "µm", "PhysicalSizeY": um, "PhysicalSizeYUnit": "µm"}  # fmt: skip
    tifffile.imwrite(path, plane.astype(np.uint8), ome=True, metadata=about)
    return path


def test_a_sample_is_repeatable_differs_by_seed_and_keeps_the_order():
    paths = [Path(f"{n:03}.tif") for n in range(200)]
    first = sample_paths(paths, 100, seed=1)
    assert first == sample_paths(paths, 100, seed=1)
    assert first == sorted(first)
    assert len(set(first)) == 100
    assert first != sample_paths(paths, 100, seed=2)
    assert sample_paths(paths[:3], 5, seed=0) == paths[:3]


def test_one_diameter_is_estimated_for_all_from_a_few_fields(tmp_path):
    paths = [write_field(tmp_path / f"{n}.tif") for n in range(9)]
    result = survey(paths, DetectConfig(), ReadConfig())
    assert result.diameter_px == pytest.approx(24, rel=0.15)
    assert result.estimated_from == 6
    assert [one.path.path for one in result.found] == paths
    assert {len(one.cells) for one in result.found} == {2}


@pytest.mark.parametrize(
    "config",
    [DetectConfig(diameter_px=24.0), DetectConfig(min_sigma=6.0, max_sigma=12.0),
     DetectConfig(modality="raw", min_sigma=6.0, max_sigma=12.0)],
)  # fmt: skip
def test_no_diameter_is_estimated_where_sizes_are_given(tmp_path, config):
    result = survey([write_field(tmp_path / "a.tif")], config, ReadConfig())
    assert result.estimated_from == 0
    assert result.diameter_px == (config.diameter_px or None)


def test_unreadable_files_are_passed_over_and_others_take_their_place(tmp_path):
    paths = [write_field(tmp_path / f"{n}.tif") for n in range(8)]
    paths[0].write_bytes(b"II*\0")
    assert [place.path for place, _ in read_sample(paths, ReadConfig())][-1] not in paths[:1]
    assert len(list(read_sample(paths, ReadConfig()))) == 6
    seen = []
    result = survey(
        paths, DetectConfig(), ReadConfig(), lambda done, total, note: seen.append((done, total))
    )
    assert [entry["path"] for entry in result.skipped] == [str(paths[0])]
    assert "0.tif is damaged or truncated" in result.skipped[0]["reason"]
    assert len(result.found) == 7
    assert seen == [(n, 8) for n in range(1, 9)]


def test_one_pixel_size_is_common_only_where_all_files_tell_it():
    assert common_pixel_size([0.5, 0.501]) == pytest.approx(0.5005)
    assert common_pixel_size([0.5, 0.6]) is None
    assert common_pixel_size([0.5, None]) is None
    assert common_pixel_size([None]) is None
    assert common_pixel_size([]) is None
