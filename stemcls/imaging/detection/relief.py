"""Undo the relief of differential interference contrast: find its shear, rebuild the thickness."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from scipy import fft

_BANDS = ((0.005, 0.02), (0.02, 0.05), (0.05, 0.1), (0.1, 0.2))  # cycles per pixel
_NOISE_FROM = 0.4  # cycles per pixel, beyond which there is nothing but noise
_FINEST = len(_BANDS) + 1
_LEAST_SIGNAL = 2.0  # power of a band, in that of the noise, from which its direction is believed
_LONGEST_EDGE_PX = 512


@dataclass(frozen=True)
class Shear:
    """How strongly, and which way, the power of an image leans.

    Attributes:
        angle_deg: Direction of the slope that the image shows, 0 along x, 90 along y (down);
            from 0 to 180, because power does not tell a direction from its opposite.
        anisotropy: 0 without a direction, 0.5 for the slope of a scene that has none.
    """

    angle_deg: float
    anisotropy: float


def estimate_shear(signed: np.ndarray) -> Shear:
    """Estimate the direction of DIC shear from the power spectrum.

    A slope along the unit vector s multiplies the spectrum of the scene by (k.s). Cells lie at
    all angles, so their own power is even all around, and its product with cos^2 of the angle to s
    has the second circular moment 1/2 exp(2i angle). Four octaves of frequency vote alike.

    Args:
        signed: (Y, X) float32 deviations from background.
    Source: the contrast transfer of Preza et al. 1999, J. Opt. Soc. Am. A 16, 2185.
    """
    height, width = signed.shape
    longest = max(height, width)
    if longest > _LONGEST_EDGE_PX:
        width, height = (max(1, edge * _LONGEST_EDGE_PX // longest) for edge in (width, height))
        signed = cv2.resize(signed, (width, height), interpolation=cv2.INTER_AREA)
    window = np.outer(np.hanning(height), np.hanning(width)).astype(np.float32)
    power = np.abs(fft.rfft2(signed * window)) ** 2
    band, twice = _bands(height, width)
    finest = power[band == _FINEST]
    noise = float(np.median(finest)) / np.log(2) if len(finest) else 0.0  # of an exponential law
    surplus, bands = (power - noise).ravel(), band.ravel()
    count = np.bincount(bands, minlength=_FINEST + 1)
    total = np.bincount(bands, surplus, minlength=_FINEST + 1)
    real = np.bincount(bands, surplus * twice.real.ravel(), minlength=_FINEST + 1)
    imaginary = np.bincount(bands, surplus * twice.imag.ravel(), minlength=_FINEST + 1)
    moments = [
        (real[number] + 1j * imaginary[number]) / total[number]
        for number in range(1, _FINEST)
        if total[number] > _LEAST_SIGNAL * noise * count[number]
    ]
    if not moments:
        return Shear(0.0, 0.0)
    moment = complex(np.mean(moments))
    return Shear(float(np.rad2deg(np.angle(moment)) / 2 % 180), float(abs(moment)))


@lru_cache(maxsize=4)
def _bands(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the band of each frequency, 0 for none, and exp(2i) times its angle."""
    along_y, along_x = fft.fftfreq(height)[:, None], fft.rfftfreq(width)[None]
    frequency = np.hypot(along_y, along_x)
    band = np.zeros(frequency.shape, np.uint8)
    for number, (low, high) in enumerate(_BANDS, 1):
        band[(frequency > low) & (frequency <= high)] = number
    band[frequency > _NOISE_FROM] = _FINEST
    twice = (along_x + 1j * along_y) ** 2 / np.maximum(frequency, 1e-9) ** 2
    return band, twice.astype(np.complex64)


def rebuild_thickness(signed: np.ndarray, angle_deg: float, reach_px: float) -> np.ndarray:
    """Integrate the slope along the shear, so that each cell becomes one bright blob.

    Wiener's inverse of the slope, H = i sin(2 pi k.s): conj(H) / (|H|^2 + w^2). Waves much longer
    than `reach_px` along the shear, which the slope barely records, are left out (w = 1 / reach).
    Which way the shear points cannot be seen in the power; cells are thicker than what is around
    them, so of the two signs the one is taken whose strong deviations are positive.

    Args:
        signed: (Y, X) float32 deviations from background.
        angle_deg: Direction of the slope.
        reach_px: About the radius of the largest cell.
    Returns: (Y, X) float32, the scale of the input's slope times pixels.
    """
    height, width = signed.shape
    pad = int(min(2 * reach_px + 1, min(height, width) - 1))
    padded = cv2.copyMakeBorder(signed, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=0)
    size = [fft.next_fast_len(edge, real=True) for edge in padded.shape]
    angle = np.deg2rad(angle_deg)
    along = np.sin(angle) * fft.fftfreq(size[0])[:, None]
    along = along + np.cos(angle) * fft.rfftfreq(size[1])[None]
    slope = np.sin(2 * np.pi * along).astype(np.float32)
    inverse = slope / (slope**2 + np.float32(1 / reach_px**2))
    spectrum = fft.rfft2(padded, size)
    spectrum *= -1j * inverse
    rebuilt = fft.irfft2(spectrum, size)[pad : pad + height, pad : pad + width]
    sampled = rebuilt[::4, ::4]
    strong = sampled - np.median(sampled)
    return rebuilt if float((strong**3).sum()) >= 0 else -rebuilt
