"""Say how surely each pixel of a field is cell: background off, contrast even, holes filled."""

from __future__ import annotations

import cv2
import numpy as np

from stemcls.imaging.background import subtract_background
from stemcls.imaging.detection.relief import estimate_shear, rebuild_thickness

# 0.5 for DIC, up to 0.26 without, near 1 for striped noise; less doubt where the user says DIC.
_SLOPE_ANISOTROPY = {"auto": (0.35, 0.75), "dic": (0.2, 1.01)}
_LEAST_NOISE = 1e-6
SURE_NOISE = 3.0  # deviations below this many noise standard deviations are background
_LEVEL = 0.75  # foreground starts at this fraction of the deviation usual around it
_LEVEL_WEIGHT = 0.4  # stronger deviations count more, by this power, so that blurred rims do not
_STEEPNESS = 4
_TINY = 1e-3
_SOLIDITY = 0.8  # a hollow cell's hole is at least this convex, a gap between cells is not
_HOLE_LEVELS = (0.2, 0.4, 0.6, 0.8)
_DEPTH_WEIGHT = 0.75  # how much of a rim's foreground goes
_RELIEF_KEPT = 0.45  # power that survives blurring: 0.3 in DIC, 0.7 in stained cells
_RELIEF_LEAN = 0.3  # surplus of one sign: 0 in DIC, 0.6 in phase contrast, 1 in fluorescence
_FAINT_POWER = 8.0  # mean square of cells, in that of noise, below which single pixels drown


def deviation(
    plane: np.ndarray, quantum: float, polarity: str, modality: str, blur_px: float, reach_px: float
) -> tuple[np.ndarray, str]:
    """Return how far each pixel is from background, in units of the background's noise.

    Args:
        plane: (Y, X) float32.
        quantum: Least noise believed, in grey levels (half a step of an integer file).
        polarity: bright, dark or both; bright and dark speak of intensity, so that nothing else is
            looked at unless the modality says so.
        modality: fluorescence: bright cells. brightfield, phase: deviations of either sign, or
            local contrast where cells are faint rings or texture. dic: the thickness rebuilt from
            the slope; a slice without any slope (a stain recorded beside DIC) goes by auto. auto: a
            slope is told by its power spectrum, and the rest as for brightfield.
        blur_px: Window of local contrast, standard deviation in pixels.
        reach_px: About the radius of the largest cell.
    Returns: (Y, X) float32, 0 or more, and what was looked at: dic, contrast or intensity.
    """
    signed, noise = subtract_background(plane)
    signed /= max(noise, quantum)
    if polarity != "both" and modality in ("auto", "brightfield"):
        return np.maximum(signed if polarity == "bright" else -signed, 0.0), "intensity"
    if modality in ("auto", "dic"):
        shear = estimate_shear(signed)
        least, most = _SLOPE_ANISOTROPY[modality]
        if least < shear.anisotropy < most:
            thickness = rebuild_thickness(signed, shear.angle_deg, reach_px)
            thickness, noise = subtract_background(thickness)
            return np.maximum(thickness / max(noise, _LEAST_NOISE), 0.0), "dic"
    if modality == "fluorescence":
        return np.maximum(signed, 0.0), "intensity"
    if wants_contrast(signed, 2 * blur_px):
        surplus = _surplus_power(signed, blur_px)
        return np.sqrt(np.maximum(SURE_NOISE * surplus, 0.0)), "contrast"
    return np.abs(signed), "intensity"


def wants_contrast(signed: np.ndarray, blur_px: float) -> bool:
    """Tell whether cells show by local contrast (DIC, faint rings) or by their brightness.

    In a relief the bright and dark halves of a cell cancel when blurred, while the mean square
    stays, and they hold the same energy; in an intensity image one sign leads. Rings and texture
    also cancel; local contrast gathers them where they are too faint for single pixels.

    Args:
        signed: (Y, X) deviations from background in noise units.
        blur_px: About half of the smallest cell radius.
    """
    cells = _surplus_power(signed, blur_px) > SURE_NOISE
    if not cells.any():
        return False
    power = cv2.GaussianBlur(signed * signed, (0, 0), blur_px)[cells] - 1.0
    kept = cv2.GaussianBlur(signed, (0, 0), blur_px)[cells] ** 2
    energy = signed[cells] ** 2
    lean = abs(float((np.sign(signed[cells]) * energy).sum())) / float(energy.sum())
    cancels = float(kept.sum() / power.sum()) < _RELIEF_KEPT
    return cancels and (lean < _RELIEF_LEAN or float(power.mean()) < _FAINT_POWER)


def _surplus_power(signed: np.ndarray, blur_px: float) -> np.ndarray:
    """Return the local mean square beyond that of noise, in standard errors of the latter.

    The mean of n squared unit normals varies by sqrt(2 / n); a Gaussian window holds
    n = 4 pi sigma^2 pixels.
    """
    power = cv2.GaussianBlur(signed * signed, (0, 0), blur_px)
    return (power - 1.0) * np.float32(np.sqrt(2 * np.pi) * blur_px)


def soft_foreground(deviations: np.ndarray, neighbourhood_px: float) -> np.ndarray:
    """Turn deviations into a foreground map that is the same for dim and for bright cells.

    Args:
        deviations: (Y, X) float32 in noise units.
        neighbourhood_px: Reach of the local level, standard deviation in pixels.
    Returns: (Y, X) float32 from 0 (background) to 1 (cell). It passes 1/2 at `_LEVEL` times the
        weighted geometric mean of the foreground nearby, and never below `SURE_NOISE`.
    """
    certain = deviations > SURE_NOISE
    if not certain.any():
        return np.zeros_like(deviations)
    logs = cv2.log(np.maximum(deviations, np.float32(_TINY)))
    sure = cv2.exp(_LEVEL_WEIGHT * logs) * certain
    weighted = sure * logs
    pull = 0.3  # how much the whole field's level counts beside the neighbourhood's
    above = _blur(weighted, neighbourhood_px) + pull * float(weighted.mean())
    below = _blur(sure, neighbourhood_px) + pull * float(sure.mean())
    level = np.maximum(np.log(SURE_NOISE), np.log(_LEVEL) + above / below).astype(np.float32)
    # 1 / (1 + (level / deviation)^steepness), in logs.
    return 1.0 / (1.0 + cv2.exp(np.minimum(_STEEPNESS * (level - logs), 30.0)))


def fill_hollow(foreground: np.ndarray, max_radius_px: float) -> np.ndarray:
    """Fill the pale centres of ring-shaped cells, but not the gaps between touching cells.

    At each of several levels a hole is filled if it is no larger than a disc of
    `max_radius_px` and nearly convex: a cell's centre is round, a gap between cells is a star.

    Args:
        foreground: (Y, X) float32 in [0, 1].
    """
    filled = foreground.copy()
    for level in _HOLE_LEVELS:
        mask = (foreground > level).astype(np.uint8)
        contours, tree = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        if tree is None:
            continue
        parents = np.asarray(tree).reshape(-1, 4)[:, 3]
        holes = [
            contour
            for contour, parent in zip(contours, parents, strict=True)
            if parent >= 0 and _is_round_hole(contour, max_radius_px)
        ]
        if holes:
            cv2.drawContours(filled, holes, -1, 1.0, -1)
    return filled


def favour_middles(foreground: np.ndarray, reach_px: float) -> np.ndarray:
    """Weigh foreground by its distance from background, so that touching cells part.

    Args:
        foreground: (Y, X) float32 in [0, 1].
        reach_px: Distances are relative to the largest one within this many pixels.
    """
    inside = (foreground > 0.5).astype(np.uint8)
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, 5)
    window = 2 * int(reach_px) + 1
    deepest = cv2.dilate(depth, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (window, window)))
    relative = np.minimum(depth / np.maximum(deepest, 1), 1)
    return (foreground * (1 - _DEPTH_WEIGHT + _DEPTH_WEIGHT * relative)).astype(np.float32)


def _is_round_hole(contour: np.ndarray, max_radius_px: float) -> bool:
    area = cv2.contourArea(contour)
    if area > np.pi * max_radius_px**2:
        return False
    return len(contour) < 8 or area > _SOLIDITY * cv2.contourArea(cv2.convexHull(contour))


def _blur(plane: np.ndarray, sigma_px: float) -> np.ndarray:
    """Blur widely, on a reduced plane: the result is smooth, so little is lost."""
    factor = max(1, int(sigma_px / 4))
    if factor == 1:
        return cv2.GaussianBlur(plane, (0, 0), sigma_px)
    height, width = plane.shape
    size = (max(1, width // factor), max(1, height // factor))
    small = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma_px / factor)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
