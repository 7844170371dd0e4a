"""Blobs are where they were drawn, and where skimage.feature finds them."""

from __future__ import annotations

import time

import numpy as np
import pytest
from skimage.feature import blob_dog, blob_log

from stemcls.errors import InputError
from stemcls.imaging.scalespace.fast import scale_space_peaks
from stemcls.imaging.scalespace.find import METHODS, find_blobs
from stemcls.imaging.scalespace.peaks import MAX_PEAKS, disc_overlap, prune

MODES = ("fast", "exact")
LOW = {"log": 0.05, "dog": 0.05, "doh": 0.002}
BASELINES = {"log": blob_log, "dog": blob_dog}


def bump(y: float, x: float, sigma: float, shape: tuple[int, int] = (200, 220)) -> np.ndarray:
    grid_y, grid_x = np.indices(shape)
    return np.exp(-((grid_y - y) ** 2 + (grid_x - x) ** 2) / (2 * sigma**2))


def disc(y: float, x: float, radius: float, shape: tuple[int, int] = (200, 220)) -> np.ndarray:
    grid_y, grid_x = np.indices(shape)
    return np.clip(radius + 0.5 - np.hypot(grid_y - y, grid_x - x), 0, 1)


def drawings() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    discs = disc(40, 50, 12, (90, 110)) + disc(40.5, 85.5, 9, (90, 110))
    square = np.zeros((80, 100))
    square[20:40, 30:50] = 1
    square[50:52, 70:72] = 1
    lattice = np.zeros((120, 120))
    for y in range(10, 120, 20):
        for x in range(10, 120, 20):
            lattice[y : y + 3, x : x + 3] = 1
    return {
        "noise": rng.random((60, 81)),
        "float32 noise": rng.random((64, 50)).astype(np.float32),
        "float16 noise": rng.random((40, 40)).astype(np.float16),
        "8-bit noise": rng.integers(0, 255, (70, 50)).astype(np.uint8),
        "discs": discs,
        "16-bit discs": (discs * 20000 - 10000).astype(np.int16),
        "mask": discs > 0,
        "flat squares": square,
        "equal squares": lattice,
        "equal squares, float32": lattice.astype(np.float32),
        "smaller than a kernel": rng.random((3, 5)),
        "a line": rng.random((1, 40)),
    }


@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize("sigma", [4.3, 9.0, 16.0])
def test_a_gaussian_blob_is_found_to_a_fraction_of_a_pixel_with_its_radius(method, sigma):
    image = bump(100.3, 118.8, sigma)
    blobs = find_blobs(image, method, min_sigma=2, max_sigma=25, threshold=LOW[method])
    assert len(blobs) == 1
    assert np.hypot(*(blobs.centers_px[0] - (100.3, 118.8))) < 0.1
    assert blobs.radius_px[0] == pytest.approx(sigma * np.sqrt(2), rel=0.015)
    peak_at = sigma / np.sqrt(1.6) if method == "dog" else sigma
    assert blobs.sigma_px[0] == pytest.approx(peak_at, rel=0.015)


@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize("radius", [8, 17, 26])
@pytest.mark.parametrize("rim", [0.0, 0.1])
def test_a_disc_is_found_with_its_radius(method, radius, rim):
    grid_y, grid_x = np.indices((200, 220))
    distance = np.hypot(grid_y - 99.6, grid_x - 110.2)
    image = np.clip((radius - distance) / max(2 * rim * radius, 1) + 0.5, 0, 1)
    blobs = find_blobs(image, method, min_sigma=3, max_sigma=30, threshold=LOW[method])
    assert np.hypot(*(blobs.centers_px[0] - (99.6, 110.2))) < 0.15
    assert blobs.radius_px[0] == pytest.approx(radius, rel=0.05)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("method", sorted(METHODS))
def test_polarity_chooses_bright_or_dark_blobs_or_both(method, mode):
    image = 0.5 + 0.4 * bump(60, 60, 8) - 0.4 * bump(140, 150, 8)
    options = {"min_sigma": 4, "max_sigma": 12, "threshold": LOW[method] / 10, "mode": mode}
    for polarity, expected in (
        ("bright", {(60, 60, 1)}),
        ("dark", {(140, 150, -1)}),
        ("both", {(60, 60, 1), (140, 150, -1)}),
    ):
        blobs = find_blobs(image, method, polarity=polarity, **options)
        strong = blobs.response > 0.5 * blobs.response.max()
        places = np.rint(blobs.centers_px[strong]).astype(int)
        assert {(*at, int(sign)) for at, sign in
                zip(map(tuple, places.tolist()), blobs.polarity[strong], strict=True)} == expected


@pytest.mark.parametrize("options", [
    {"min_sigma": 1, "max_sigma": 8, "num_sigma": 6, "threshold": 0.05},
    {"min_sigma": 2, "max_sigma": 12, "num_sigma": 5, "threshold": 0.01, "log_scale": True,
     "overlap": 0.2},
    {"min_sigma": 1, "max_sigma": 5, "num_sigma": 4, "threshold": None, "threshold_rel": 0.3,
     "exclude_border": 4},
    {"min_sigma": 3, "max_sigma": 20, "threshold": 0.1, "exclude_border": (3, 7)},
    {"min_sigma": 2, "max_sigma": 2, "num_sigma": 1, "threshold": 0.03},
    {"min_sigma": 1, "max_sigma": 6, "num_sigma": 5, "threshold": 0.0},
    {"min_sigma": 1.5, "max_sigma": 15, "threshold": 0.1, "overlap": 0.0},
], ids=["plain", "log scale", "relative", "border", "one scale", "no threshold", "no overlap"])
@pytest.mark.parametrize("method", sorted(BASELINES))
def test_exact_mode_finds_what_skimage_finds(method, options):
    given = dict(options)
    if method == "dog":
        given.pop("num_sigma", None)
        given.pop("log_scale", None)
        # At 0 skimage takes every flat pixel for a peak, and a minute to prune them.
        given["threshold"] = 1e-3 if options["threshold"] == 0 else options["threshold"]
    for name, image in drawings().items():
        expected = BASELINES[method](image, **given).astype(np.float64)
        blobs = find_blobs(image, method, mode="exact", **{**options, **given})
        found = np.column_stack([blobs.centers_px, blobs.sigma_px])
        found, expected = (rows[np.lexsort(rows.T)] for rows in (found, expected))
        np.testing.assert_array_equal(found, expected, err_msg=name)


def test_exact_mode_finds_dark_blobs_as_skimage_finds_bright_ones_in_the_negative():
    image = np.random.default_rng(1).random((60, 70))
    expected = blob_log(-image, min_sigma=1, max_sigma=6, threshold=0.1)
    blobs = find_blobs(
        image, min_sigma=1, max_sigma=6, threshold=0.1, polarity="dark", mode="exact"
    )
    assert {*map(tuple, blobs.centers_px)} == {*map(tuple, expected[:, :2])}


def test_fast_mode_finds_the_cells_of_blob_log():
    rng = np.random.default_rng(2)
    places = [(80 + 95 * row + rng.uniform(-9, 9), 80 + 95 * column + rng.uniform(-9, 9))
              for row in range(4) for column in range(4)]
    image = sum(0.6 * bump(y, x, rng.uniform(9, 15), (450, 450)) for y, x in places)
    image = (60000 * np.clip(image + rng.normal(0.1, 0.02, image.shape), 0, 1)).astype(np.uint16)
    options = {"min_sigma": 9, "max_sigma": 16, "num_sigma": 6, "threshold": 0.1}
    expected = blob_log(image, **options)[:, :2]
    found = find_blobs(image, **options).centers_px
    assert len(found) == len(expected) == 16
    distance = np.linalg.norm(found[:, None] - expected[None], axis=2)
    assert distance.min(axis=0).max() < 1
    truth = np.array(places)
    error, their_error = (
        np.linalg.norm(rows[:, None] - truth[None], axis=2).min(axis=0).mean()
        for rows in (found, expected)
    )
    assert error < 0.15 < their_error


@pytest.mark.parametrize("mode", MODES)
def test_integer_images_answer_as_fractions_of_their_full_scale(mode):
    image = bump(100, 100, 8)
    options = {"min_sigma": 5, "max_sigma": 12, "threshold": 0.1, "mode": mode}
    expected = find_blobs(image, **options)
    for dtype in (np.uint8, np.uint16, np.int16, np.float32):
        whole = 1 if dtype is np.float32 else np.iinfo(dtype).max
        blobs = find_blobs(np.round(image * whole).astype(dtype) if whole > 1
                           else image.astype(dtype), **options)
        np.testing.assert_allclose(blobs.centers_px, expected.centers_px, atol=0.05)
        assert blobs.response[0] == pytest.approx(expected.response[0], rel=0.01)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("threshold", ["default", 0.0, None])
def test_a_blank_image_holds_no_blobs(mode, threshold):
    for image in (np.zeros((64, 64)), np.full((64, 64), 200, np.uint8), np.ones((1, 1))):
        blobs = find_blobs(image, mode=mode, threshold=threshold)
        assert blobs.centers_px.shape == (0, 2)
        assert len(blobs) == len(blobs.radius_px) == len(blobs.response) == 0


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("method", sorted(METHODS))
def test_noise_let_through_stays_bounded(method, mode):
    image = np.random.default_rng(3).random((400, 400))
    begun = time.perf_counter()
    blobs = find_blobs(image, method, threshold=None, max_sigma=10, mode=mode)
    assert 0 < len(blobs) <= MAX_PEAKS
    assert time.perf_counter() - begun < 10


@pytest.mark.parametrize("mode", MODES)
def test_ten_thousand_blobs_are_found_in_bounded_time(mode):
    tile = bump(8, 8, 2, (16, 16))
    image = np.tile(tile, (100, 100))
    begun = time.perf_counter()
    blobs = find_blobs(image, min_sigma=1.5, max_sigma=3, num_sigma=4, threshold=0.1, mode=mode)
    assert len(blobs) == 10_000
    assert time.perf_counter() - begun < 15


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize("shape", [(1, 2), (2, 2), (3, 5), (1, 40), (7, 300)])
def test_images_smaller_than_a_kernel_work(method, mode, shape):
    image = np.random.default_rng(4).random(shape)
    blobs = find_blobs(image, method, threshold=0.001, polarity="both", mode=mode)
    assert (blobs.centers_px >= 0).all()
    assert (blobs.centers_px <= np.array(shape) - 1).all()


def test_overlap_is_the_shared_area_of_the_smaller_disc():
    centers = np.array([[0.0, 0.0], [0.0, 1.0], [0.0, 9.0], [0.0, np.sqrt(2)]])
    sigma = np.array([3.0, 1.0, 1.0, 3.0])
    shared = disc_overlap(centers, sigma, np.array([[0, 1], [0, 2], [0, 3]]))
    assert shared[0] == 1
    assert shared[1] == 0
    half = np.sqrt(2) / (2 * 3 * np.sqrt(2))
    lens = (2 * np.arccos(half) - 2 * half * np.sqrt(1 - half**2)) / np.pi
    assert shared[2] == pytest.approx(lens)


def test_a_blob_that_is_gone_removes_no_others():
    centers = np.array([[0.0, 0.0], [0.0, 3.0], [0.0, 5.4]])
    kept = prune(centers, np.array([3.0, 2.0, 1.0]), 0.4, as_skimage=False)
    assert kept.tolist() == [True, False, True]


def test_dropped_end_scales_are_only_compared_with():
    image = bump(50, 50, 8, (100, 100)).astype(np.float32)
    for sigmas, kept in (([5, 6, 7, 8.2, 9.5], 1), ([4, 5, 6], 0), ([11, 13, 15], 0)):
        dropped, ends = (
            scale_space_peaks(image, np.array(sigmas), threshold=0.3, border="zero", ends=ends)
            for ends in ("drop", "keep")
        )
        assert len(dropped.response) == kept
        assert len(ends.response) == 1


def test_outside_can_be_dark_or_mirrored():
    image = np.ones((40, 40), np.float32)
    sigmas = np.geomspace(6, 30, 12)
    assert len(scale_space_peaks(image, sigmas, threshold=0.1).response) == 0
    dark = scale_space_peaks(image, sigmas, threshold=0.1, border="zero")
    np.testing.assert_allclose(dark.centers_px[0], (19.5, 19.5), atol=0.1)
    assert dark.sigma_px[0] * np.sqrt(2) == pytest.approx(20, rel=0.2)


@pytest.mark.parametrize(("options", "message"), [
    ({"method": "lug"}, "no method 'lug'; did you mean 'log'"),
    ({"mode": "exakt"}, "no mode 'exakt'; did you mean 'exact'"),
    ({"polarity": "bight"}, "no polarity 'bight'; did you mean 'bright'"),
    ({"min_sigma": 9, "max_sigma": 4}, "min_sigma <= max_sigma, not 9 and 4"),
    ({"num_sigma": 0}, "num_sigma is 0; expected at least 1"),
    ({"sigma_ratio": 1.0}, "sigma_ratio is 1; expected above 1"),
    ({"overlap": 1.5}, "overlap is 1.5; expected from 0 to 1"),
])
def test_arguments_out_of_range_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        find_blobs(bump(9, 9, 3, (20, 20)), **options)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_pixels_that_are_no_numbers_are_refused(mode, bad):
    image = np.zeros((32, 32), np.float32)
    image[3, 4] = bad
    with pytest.raises(InputError, match="NaN or infinite"):
        find_blobs(image, mode=mode)


def test_a_stack_is_refused():
    with pytest.raises(InputError, match="choose a channel"):
        find_blobs(np.zeros((3, 32, 32)))
