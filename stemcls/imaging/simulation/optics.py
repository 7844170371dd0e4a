"""Turn a simulated scene into what a microscope shows: contrast, blur, illumination, noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from stemcls.imaging.simulation.cells import Scene

BLANK_SLICE = 4  # the slice that is nearly black in DIC sets
STAIN_SLICE = 3
DEFOCUS_SLICE = 2
FULL_SCALE = 65535
_BLUR_RADII = 0.065  # blur in focus, standard deviation in cell radii
_DIC_BIAS, _DIC_GAIN = 0.45, 0.17
_PHASE_BACKGROUND, _PHASE_GAIN, _PHASE_HALO, _PHASE_HALO_RADII = 0.5, 0.42, 0.9, 0.45
_BRIGHTFIELD_BACKGROUND, _ABSORPTION, _DEFOCUS_GAIN = 0.62, 0.1, 1.1
_DARK, _EMISSION = 0.04, 0.34
_BLACK = 0.01


@dataclass(frozen=True)
class View:
    """How one slice looks at a scene.

    Attributes:
        shear_deg: Direction of DIC shear: 0 along x, 90 along y (down).
        defocus: 0 in focus; negative on the other side, where defocus rings turn around.
        blur_px: Blur in focus, standard deviation.
    """

    shear_deg: float
    defocus: float
    blur_px: float


@dataclass(frozen=True)
class Acquisition:
    """What the microscope adds to every slice of one field.

    Attributes:
        gain: Factor on the intensity.
        offset: Added to it, fraction of full scale.
        tilt: y and x slope of the illumination, from edge to edge, fraction of it.
        vignetting: Loss in the corners, fraction.
        noise: Standard deviation in the middle of the scale, fraction of full scale.
        blur: Factor on the blur.
    """

    gain: float
    offset: float
    tilt: tuple[float, float]
    vignetting: float
    noise: float
    blur: float


def dic(scene: Scene, view: View) -> np.ndarray:
    """Show the slope of the optical path along the shear: one rim bright, the opposite dark.

    Source: Preza et al. 1999, J. Opt. Soc. Am. A 16, 2185; its small-shear, bias-retarded limit.
    """
    path = _blurred(scene.path, view)
    slope_x = cv2.Sobel(path, cv2.CV_32F, 1, 0, ksize=1, scale=0.5)
    slope_y = cv2.Sobel(path, cv2.CV_32F, 0, 1, ksize=1, scale=0.5)
    shear = np.deg2rad(view.shear_deg)
    slope = np.cos(shear) * slope_x + np.sin(shear) * slope_y
    seen = _DIC_BIAS + _DIC_GAIN * scene.radius_px * slope
    return seen * (1.0 - 0.3 * scene.opacity)


def phase(scene: Scene, view: View) -> np.ndarray:
    """Show cells dark within a bright halo: the path less its own wide blur (Zernike contrast).

    Source: Yin et al. 2012, Medical Image Analysis 16, 1047: the halo is a low-pass kernel.
    """
    path = _blurred(scene.path, view)
    halo = cv2.GaussianBlur(path, (0, 0), _PHASE_HALO_RADII * scene.radius_px)
    seen = _PHASE_BACKGROUND - _PHASE_GAIN * (path - _PHASE_HALO * halo)
    return seen * (1.0 - 0.6 * scene.opacity)


def brightfield(scene: Scene, view: View) -> np.ndarray:
    """Show mild absorption, and a ring where the path curves, as a plane off focus does.

    Source: Teague 1983, J. Opt. Soc. Am. 73, 1434, transport of intensity: the change along the
    axis is minus the Laplacian of the path, here a difference of Gaussians.
    """
    path = _blurred(scene.path, view)
    wide = cv2.GaussianBlur(path, (0, 0), (0.12 + 0.06 * abs(view.defocus)) * scene.radius_px)
    sign = -1.0 if view.defocus < 0 else 1.0
    seen = _BRIGHTFIELD_BACKGROUND * np.exp(-_ABSORPTION * path)
    return (seen + sign * _DEFOCUS_GAIN * (path - wide)) * (1.0 - 0.6 * scene.opacity)


def fluorescence(scene: Scene, view: View) -> np.ndarray:
    """Show a dye in the whole cell, half of it in the granules."""
    return _DARK + _EMISSION * 0.5 * (_blurred(scene.path, view) + _blurred(scene.stain, view))


def granule_stain(scene: Scene, view: View) -> np.ndarray:
    """Show what the stained granules emit, and nothing else."""
    return _DARK + _EMISSION * _blurred(scene.stain, view)


MODALITIES: dict[str, Callable[[Scene, View], np.ndarray]] = {
    "dic": dic,
    "phase": phase,
    "brightfield": brightfield,
    "fluorescence": fluorescence,
}


def slice_names(modality: str, slices: int) -> tuple[str, ...]:
    """Return the channel name of each slice of a file."""
    special = {
        1: modality, DEFOCUS_SLICE: f"{modality}-defocused", STAIN_SLICE: "granules",
        BLANK_SLICE: "blank",
    }
    return tuple(special.get(n, f"{modality}-plane-{n}") for n in range(1, slices + 1))


def expose_slice(
    rng: np.random.Generator, scene: Scene, number: int, modality: str, shear_deg: float,
    brightness: float, acquisition: Acquisition,
) -> np.ndarray:
    """Record one slice of a scene.

    Args:
        rng: Source of noise.
        scene: What there is to see.
        number: Which slice, from 1: the modality, a defocused view, a stain, black, more planes.
        modality: A row of `MODALITIES`.
        shear_deg: Direction of DIC shear; the defocused view is sheared across it.
        brightness: Factor on the light that comes from within cells.
        acquisition: What the microscope adds.
    Returns: (Y, X) uint16.
    """
    blur_px = _BLUR_RADII * scene.radius_px * acquisition.blur
    emits = modality == "fluorescence" or number == STAIN_SLICE
    if number == BLANK_SLICE:
        black = np.full(scene.path.shape, _BLACK, np.float32)
        return _digitized(rng, black, acquisition.noise * 0.1, poisson=False)
    across = 90.0 if number == DEFOCUS_SLICE else 0.0
    show = granule_stain if number == STAIN_SLICE else MODALITIES[modality]
    seen = show(scene, View(shear_deg + across, _defocus(number), blur_px))
    if emits:
        seen = _DARK + brightness * (seen - _DARK)
    else:
        seen = seen * (1.0 + (brightness - 1.0) * scene.body)
    lit = seen * _illumination(scene.path.shape, acquisition)
    lit = acquisition.gain * lit + acquisition.offset
    return _digitized(rng, lit, acquisition.noise, poisson=emits)


def _defocus(number: int) -> float:
    """Return 0 for the sharp slices; the others lie ever further off, on alternate sides."""
    if number in (1, STAIN_SLICE):
        return 0.0
    if number == DEFOCUS_SLICE:
        return -1.0
    return 0.5 * (number - DEFOCUS_SLICE) * (1 if number % 2 else -1)


def _blurred(plane: np.ndarray, view: View) -> np.ndarray:
    return cv2.GaussianBlur(plane, (0, 0), view.blur_px * (1.0 + 1.2 * abs(view.defocus)))


def _illumination(shape: tuple[int, ...], acquisition: Acquisition) -> np.ndarray:
    y, x = (np.linspace(-1, 1, edge, dtype=np.float32) for edge in shape)
    tilt_y, tilt_x = acquisition.tilt
    bowl = 0.5 * acquisition.vignetting * (y[:, None] ** 2 + x[None] ** 2)
    return 1.0 + 0.5 * tilt_y * y[:, None] + 0.5 * tilt_x * x[None] - bowl


def _digitized(
    rng: np.random.Generator, seen: np.ndarray, noise: float, poisson: bool
) -> np.ndarray:
    """Add noise and round to 16 bit; `poisson` noise grows with the square root of the light."""
    if noise > 0 and poisson:
        photons = 0.5 / noise**2  # at full scale, so that half of it has this noise
        seen = np.asarray(rng.poisson(np.maximum(seen, 0.0) * photons) / photons, np.float32)
    elif noise > 0:
        seen = seen + np.float32(noise) * rng.standard_normal(seen.shape, np.float32)
    return np.rint(np.clip(seen, 0.0, 1.0) * FULL_SCALE).astype(np.uint16)
