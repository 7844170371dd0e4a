"""Cellpose and StarDist are called as their documentation says; stand-ins take their place here.

Their weights need a network, so neither real package is part of the tests.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from stemcls.config.imaging import DetectConfig, ReadConfig
from stemcls.errors import InputError
from stemcls.imaging.detection import peers
from stemcls.imaging.detection.detect import detect
from stemcls.imaging.detection.survey import survey
from stemcls.imaging.field import Field

CELLPOSE = {
    "cellpose/__init__.py": "",
    "cellpose/core.py": "def use_gpu():\n    return False\n",
    "cellpose/models.py": """
import numpy as np
made = []
class CellposeModel:
    def __init__(self, gpu):
        made.append(self)
    def eval(self, image, diameter=None):
        self.shape, self.diameter = image.shape, diameter
        masks = np.zeros(image.shape[:2], int)
        masks[20:40, 50:70], masks[80:100, 10:30] = 1, 2
        return masks, None, None
""",
}
STARDIST = {
    "stardist/__init__.py": "",
    "stardist/models.py": """
import numpy as np
class StarDist2D:
    @classmethod
    def from_pretrained(cls, name):
        assert name == "2D_versatile_fluo"
        return cls()
    def predict_instances(self, image):
        assert image.ndim == 2 and image.max() <= 1.5
        masks = np.zeros(image.shape, int)
        masks[20:40, 50:70] = 1
        return masks, {}
""",
    "csbdeep/__init__.py": "",
    "csbdeep/utils.py": "def normalize(image):\n    return image / max(image.max(), 1)\n",
}


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Put a stand-in for a package where imports find it."""

    def write(files: dict[str, str]) -> None:
        for name, text in files.items():
            path = tmp_path / "packages" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        monkeypatch.syspath_prepend(str(tmp_path / "packages"))
        monkeypatch.setattr(peers._Models, "_loaded", {})

    before = dict(sys.modules)
    yield write
    for name in set(sys.modules) - set(before):
        if name.partition(".")[0] in ("cellpose", "stardist", "csbdeep"):
            del sys.modules[name]


def field(slices: int = 1) -> Field:
    pixels = np.random.default_rng(0).integers(0, 255, (slices, 128, 128)).astype(np.uint8)
    return Field(pixels, Path("a.tif"), tuple(map(str, range(slices))))


def test_masks_of_cellpose_become_cells(stand_in):
    stand_in(CELLPOSE)
    cells = detect(field(5), DetectConfig(method="cellpose"))
    assert sorted(cells.centers_px.tolist()) == [[29.5, 59.5], [89.5, 19.5]]
    assert cells.radius_px == pytest.approx(np.sqrt(400 / np.pi), rel=1e-6)
    assert cells.score.tolist() == [1, 1]
    from cellpose import models

    assert models.made[0].shape == (128, 128, 3)
    assert models.made[0].diameter is None
    detect(field(), DetectConfig(method="cellpose", diameter_px=22.0))
    assert len(models.made) == 1
    assert models.made[0].diameter == 22.0


def test_masks_of_stardist_become_cells(stand_in):
    stand_in(STARDIST)
    cells = detect(field(2), DetectConfig(method="stardist"))
    assert cells.centers_px.tolist() == [[29.5, 59.5]]


def test_the_rules_for_whole_cells_hold_for_peers_too(stand_in):
    stand_in(CELLPOSE)
    cells = detect(field(), DetectConfig(method="cellpose", border_px=25))
    assert cells.centers_px.tolist() == [[29.5, 59.5]]
    assert cells.rejected == {"cut by the field's edge": 1}


def test_no_diameter_is_estimated_for_peers(stand_in, tmp_path):
    stand_in(CELLPOSE)
    cv2.imwrite(str(tmp_path / "a.png"), field().pixels[0])
    result = survey([tmp_path / "a.png"], DetectConfig(method="cellpose"), ReadConfig())
    assert (result.diameter_px, result.estimated_from) == (None, 0)


@pytest.mark.parametrize("package", ["cellpose", "stardist"])
def test_a_missing_peer_names_the_extra_and_the_other_way(package, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    says = rf"needs the package {package}, .*pip install 'stemcls\[{package}\]', or use --method"
    with pytest.raises(InputError, match=says):
        detect(field(), DetectConfig(method=package))
