"""What simulated cells look like: optics, and what tells classes, donors and batches apart."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest

from stemcls.config.imaging import SimulateConfig
from stemcls.imaging.simulation.cells import Recipe, Scene, class_recipe, draw_scene
from stemcls.imaging.simulation.optics import (
    FULL_SCALE,
    MODALITIES,
    Acquisition,
    View,
    expose_slice,
)
from stemcls.imaging.simulation.placement import (
    Placement,
)
from stemcls.imaging.simulation.simulate import simulate_field

SMALL = SimulateConfig(classes=2, fields=2, cells=6, groups=2, size_px=160, radius_px=8.0)
STILL = Acquisition(gain=1, offset=0, tilt=(0, 0), vignetting=0, noise=0, blur=1)


def one_cell(edge: int = 81, radius: float = 20.0) -> Scene:
    """Return a smooth, round cell in the middle of an empty field."""
    middle = (edge - 1) / 2
    away = np.hypot(*(np.mgrid[:edge, :edge] - middle)) / radius
    dome = (np.maximum(1 - away**2, 0) ** 0.75).astype(np.float32)
    empty = np.zeros_like(dome)
    return Scene(dome, dome, (away < 1).astype(np.float32), empty, radius)


def look(modality: str, shear_deg: float = 0.0) -> np.ndarray:
    return MODALITIES[modality](one_cell(), View(shear_deg, 0.0, 1.0))


def test_dic_has_one_bright_and_one_dark_rim_along_the_shear():
    along_x = look("dic", 0.0)
    assert along_x[40, 24] > along_x[0, 0] + 0.1
    assert along_x[40, 56] < along_x[0, 0] - 0.1
    assert along_x[24, 40] == pytest.approx(along_x[0, 0], abs=0.01)
    np.testing.assert_allclose(look("dic", 90.0), along_x.T, atol=1e-5)
    np.testing.assert_allclose(look("dic", 180.0), 2 * along_x[0, 0] - along_x, atol=1e-5)


def test_phase_contrast_has_a_bright_halo_around_dark_cells():
    seen = look("phase")
    background, middle, rim = seen[0, 0], seen[40, 40], seen[40, 62]
    assert middle < background - 0.1
    assert rim > background + 0.03


def test_brightfield_absorbs_mildly_and_has_a_ring_at_the_rim():
    seen = look("brightfield")
    assert 0.02 < seen[0, 0] - seen[40, 40:50].mean() < 0.1
    assert seen[40, 58:62].min() < seen[40, 40] - 0.005
    assert seen[40, 40:66].min() == pytest.approx(seen[40, 56:66].min())


def test_fluorescence_is_bright_on_a_dark_background_with_photon_noise():
    assert look("fluorescence")[40, 40] > 5 * look("fluorescence")[0, 0]
    flat = replace(one_cell(), path=np.zeros((200, 200), np.float32))
    flat.path[:, 100:] = 2.0
    flat = replace(flat, stain=flat.path)
    noisy = replace(STILL, noise=0.02)
    seen = expose_slice(np.random.default_rng(0), flat, 1, "fluorescence", 0, 1.0, noisy)
    dark, bright = seen[:, :80] / FULL_SCALE, seen[:, 120:] / FULL_SCALE
    assert bright.mean() > 10 * dark.mean()
    ratio = (bright.var() / bright.mean()) / (dark.var() / dark.mean())
    assert ratio == pytest.approx(1.0, rel=0.1)


@pytest.mark.parametrize("modality", MODALITIES)
def test_the_fourth_slice_is_almost_empty_and_every_other_shows_the_cells(modality):
    pixels, _ = simulate_field(replace(SMALL, modality=modality, slices=6, noise=0.0), 0, 0)
    spread = pixels.reshape(6, -1).std(axis=1)
    assert pixels[3].max() < 0.05 * FULL_SCALE
    assert spread[3] == 0
    assert (np.delete(spread, 3) > 0.005 * FULL_SCALE).all()
    assert len({plane.tobytes() for plane in pixels}) == 6
    assert pixels.max() < FULL_SCALE


def cells_of(config: SimulateConfig) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return per cell its class, donor, radius, and (raw mean, log local variance) features."""
    rows: list[list[float]] = []
    for index in range(config.classes):
        for number in range(config.fields):
            pixels, cells = simulate_field(config, index, number)
            planes = pixels.astype(np.float32) / FULL_SCALE
            blurred = [
                [cv2.GaussianBlur(plane, (0, 0), sigma) for sigma in (0.8, 1.6, 3.2, 6.4)]
                for plane in planes
            ]
            bands = [(fine - wide) ** 2 for one in blurred for fine, wide in pairwise(one)]
            for (y, x), radius in zip(cells.centers_px, cells.radius_px, strict=True):
                top, left, edge = round(y - radius), round(x - radius), round(2 * radius) + 1
                window = (slice(top, top + edge), slice(left, left + edge))
                means = [plane[window].mean() for plane in planes]
                logs = [np.log(band[window].mean() + 1e-9) for band in bands]
                rows.append([index, number % config.groups, radius, *means, *logs])
    table = np.array(rows)
    return table[:, 0], table[:, 1], table[:, 2], table[:, 3:]


def recall_across_donors(features: np.ndarray, labels: np.ndarray, donors: np.ndarray) -> float:
    """Return the mean recall of a linear model, each donor predicted from the others."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import recall_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    scores = []
    for donor in np.unique(donors):
        test = donors == donor
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        model.fit(features[~test], labels[~test])
        guess = model.predict(features[test])
        scores.append(recall_score(labels[test], guess, average="macro"))
    return float(np.mean(scores))


CROWD = SimulateConfig(fields=3, cells=50, clusters=0, debris=0)


@pytest.mark.parametrize("modality", MODALITIES)
def test_classes_differ_in_texture_and_not_in_size_or_brightness(modality):
    labels, donors, radii, features = cells_of(replace(CROWD, modality=modality, shading=0.0))
    means, texture = features[:, :3], features[:, 3:]
    for values, tolerance in ((radii, 0.025), *((channel, 0.01) for channel in means.T)):
        of_class = [values[labels == index].mean() for index in range(3)]
        assert np.ptp(of_class) < tolerance * np.mean(of_class)
    assert recall_across_donors(texture, labels, donors) > 0.75
    assert recall_across_donors(np.c_[means, radii], labels, donors) < 0.5


def test_the_most_difficult_classes_are_the_same():
    recipes = {class_recipe(index, 5, 1.0) for index in range(5)}
    assert recipes == {Recipe(0.5, 0.5, 0.5)}
    labels, donors, _, features = cells_of(replace(CROWD, difficulty=1.0, slices=1))
    assert 0.2 < recall_across_donors(features[:, 1:], labels, donors) < 0.46


def test_difficulty_is_what_makes_classes_harder():
    scores = []
    for difficulty in (0.3, 0.75):
        config = replace(CROWD, slices=1, difficulty=difficulty)
        labels, donors, _, features = cells_of(config)
        scores.append(recall_across_donors(features[:, 1:], labels, donors))
    assert scores[0] > scores[1] + 0.1
    assert scores[1] > 0.36


def test_asked_for_effects_appear_in_size_and_in_brightness():
    sized = replace(CROWD, classes=2, size_effect=0.4, slices=1)
    labels, _, radii, _ = cells_of(sized)
    ratio = radii[labels == 1].mean() / radii[labels == 0].mean()
    assert ratio == pytest.approx(1.2 / 0.8, rel=0.05)
    lit = replace(CROWD, classes=2, brightness_effect=0.4, slices=3, shading=0.0)
    labels, _, _, features = cells_of(lit)
    for channel, expected in ((0, 1.3), (2, 1.3)):
        ratio = features[labels == 1, channel].mean() / features[labels == 0, channel].mean()
        assert expected < ratio < 1.55


def test_a_batch_effect_lets_the_background_tell_the_class():
    def background(config: SimulateConfig) -> np.ndarray:
        return np.array([
            [np.median(simulate_field(config, index, number)[0][0]) for number in range(3)]
            for index in range(2)
        ]) / FULL_SCALE  # fmt: skip

    plain = replace(SMALL, cells=0, fields=3, groups=3)
    fair, confounded = background(plain), background(replace(plain, batch_effect=0.2))
    np.testing.assert_allclose(fair[0], fair[1], rtol=0.02)
    np.testing.assert_allclose(confounded[1], 1.2 * fair[1] + 0.1, rtol=0.02)
    np.testing.assert_allclose(confounded[0], fair[0], rtol=0.02)


def test_donors_differ_mildly_and_a_donor_is_the_same_in_every_class():
    flat = replace(SMALL, cells=0, debris=0, shading=0.0, groups=3, fields=3)
    levels = np.array([
        [simulate_field(flat, index, number)[0][0].mean() for number in range(3)]
        for index in range(2)
    ])  # fmt: skip
    np.testing.assert_allclose(levels[0], levels[1], rtol=0.002)
    assert 0.005 < np.ptp(levels[0]) / levels[0].mean() < 0.11


def test_neither_class_nor_chance_changes_the_light_that_a_cell_gives():
    cells = Placement(np.array([[40.0, 40.0]]), np.array([12.0]), np.zeros(1, bool))
    sums = []
    recipes = (Recipe(0, 0, 0), Recipe(1, 0, 1), Recipe(0, 1, 1), Recipe(1, 1, 0))
    for seed, recipe in enumerate(recipes):
        rng = np.random.default_rng(seed)
        scene = draw_scene(rng, cells, np.zeros((0, 2)), recipe, 80, 12.0)
        sums.append((scene.path.sum(), scene.stain.sum()))
    np.testing.assert_allclose(sums, np.pi * 144 / 1.75, rtol=1e-4)
