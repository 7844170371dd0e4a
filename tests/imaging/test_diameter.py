"""The diameter is estimated when nobody says it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stemcls.config.imaging import DetectConfig, SimulateConfig
from stemcls.imaging.detection.detect import USUAL_DIAMETER_PX, with_diameter
from stemcls.imaging.detection.diameter import commonest_diameter, estimate_diameter
from stemcls.imaging.field import Field
from stemcls.imaging.simulation.simulate import simulate_field


@pytest.mark.parametrize("radius_px", [6, 12, 25, 50])
@pytest.mark.parametrize("modality", ["dic", "fluorescence"])
def test_simulated_cells_of_any_size_are_measured_within_40_percent(radius_px, modality):
    config = SimulateConfig(
        modality=modality, slices=1, radius_px=radius_px, size_px=max(384, 16 * radius_px), cells=25
    )
    pixels, _ = simulate_field(config, 0, 0)
    assert estimate_diameter([pixels], DetectConfig()) == pytest.approx(2 * radius_px, rel=0.4)


def test_a_blank_field_says_nothing_and_takes_the_usual_diameter():
    blank = Field(np.full((1, 128, 128), 9, np.uint8), Path("blank.tif"), ("grey",))
    assert estimate_diameter([blank.pixels], DetectConfig()) is None
    assert with_diameter(DetectConfig(), [blank]).diameter_px == USUAL_DIAMETER_PX


def test_what_the_settings_say_is_kept():
    for config in (
        DetectConfig(diameter_px=21.0), DetectConfig(min_sigma=4.0, max_sigma=9.0),
        DetectConfig(modality="raw"), DetectConfig(method="cellpose"),
    ):
        assert with_diameter(config, []) is config


def test_many_faint_small_blobs_do_not_outvote_a_few_full_ones():
    small = np.stack([np.full(400, 3.0), np.full(400, 0.65**10 * 3**0.8)])
    large = np.stack([np.full(12, 20.0), np.full(12, 20**0.8)])
    assert commonest_diameter([small, large]) == pytest.approx(40, rel=0.05)
