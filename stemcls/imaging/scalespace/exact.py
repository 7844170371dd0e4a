"""Build scale spaces at full resolution, with the sampled kernels of scipy.ndimage.

Under half-sample symmetric extension (mode `reflect`) every even kernel is diagonal in the DCT-II,
so one transform forward and one back per scale filter with kernels of any length, also with ones
longer than the image.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage

from stemcls.imaging.scalespace.peaks import Maxima, Peaks, scale_maxima

# Rounding of the transforms, and of skimage.feature itself where it works in float32, as fractions
# of the largest pixel: what is nearer to a tie is computed again as scipy.ndimage does.
_ROUNDING = {np.dtype(np.float64): 1e-12, np.dtype(np.float32): 2e-6}
_MOST_WORK = 1e10  # multiplications, about 10 s
_OVERHEAD = 1e6  # of settling one tie
# blob_doh's box filters answer a Gaussian blob with 0.52 times sigma^4 det H (measured for sigma 6
# to 20): thresholds carry over.
DOH_UNIT = 0.52

# Order of the derivative along y and x, and which of a method's two kernels.
_Term = tuple[float, int, int, int]


@dataclass(frozen=True)
class ExactMethod:
    """How skimage.feature spaces scales, and which filters each layer adds up.

    Attributes:
        scales: (min_sigma, max_sigma, num_sigma, sigma_ratio, log_scale, dtype) to all kernel
            widths; layer i uses number i, and i + 1 where `terms` say so.
        terms: Weight, order along y, order along x, and offset of the kernel's width.
        power: Layers are multiplied by this power of their scale.
        spare: Kernel widths that are not layers.
    """

    scales: Callable[[float, float, int, float, bool, np.dtype], np.ndarray]
    terms: tuple[_Term, ...]
    power: int
    spare: int = 0


def _even_scales(
    least: float, most: float, count: int, ratio: float, log_scale: bool, dtype: np.dtype  # noqa: ARG001
) -> np.ndarray:
    first, last = np.array([least], dtype), np.array([most], dtype)
    if log_scale:
        return np.logspace(np.log10(first), np.log10(last), count)[:, 0]
    return np.linspace(first, last, count)[:, 0]


def _ratio_scales(
    least: float, most: float, count: int, ratio: float, log_scale: bool, dtype: np.dtype  # noqa: ARG001
) -> np.ndarray:
    first, last = np.array([least], dtype), np.array([most], dtype)
    n_layers = int(np.mean(np.log(last / first) / np.log(ratio) + 1))
    return np.array([first * ratio**i for i in range(n_layers + 1)])[:, 0]


EXACT_METHODS = {
    "log": ExactMethod(_even_scales, ((-1.0, 2, 0, 0), (-1.0, 0, 2, 0)), power=2),
    "dog": ExactMethod(_ratio_scales, ((1.0, 0, 0, 0), (-1.0, 0, 0, 1)), power=0, spare=1),
    "doh": ExactMethod(_even_scales, (), power=4),
}


def exact_peaks(
    image: np.ndarray,
    method: str,
    *,
    min_sigma: float,
    max_sigma: float,
    num_sigma: int,
    sigma_ratio: float,
    log_scale: bool,
    threshold: float | None,
    threshold_rel: float | None,
    signs: tuple[int, ...],
) -> Peaks:
    """Find the grid points where the full scale space peaks; arguments as in `find_blobs`.

    Ties, and responses at the threshold, that the transforms cannot tell are settled with
    scipy.ndimage, so that the peaks are skimage.feature's to the last one; where that would take
    many seconds (large flat images let through by a threshold of 0) they stay as found.
    """
    pixels = as_float(image)
    dtype = pixels.dtype
    rule = EXACT_METHODS[method]
    widths = rule.scales(min_sigma, max_sigma, num_sigma, sigma_ratio, log_scale, dtype)
    gain = 1 / (sigma_ratio - 1) if method == "dog" else 1.0
    n_layers = len(widths) - rule.spare
    tolerance = _ROUNDING[dtype] * float(np.abs(pixels).max()) * gain
    if method == "doh":
        tolerance = 0.0
        threshold = max(threshold or 0.0, 0.0)
    floor = -np.inf if threshold is None else threshold
    coefficients = fft.dctn(pixels, workers=os.cpu_count())
    del pixels
    layers = _with_guards(_layers(coefficients, widths, n_layers, rule, gain))
    maxima = scale_maxima(
        layers, n_layers + 2, signs=signs, floor=floor - tolerance, tolerance=tolerance
    )
    del coefficients, layers
    least = _least(maxima, threshold, threshold_rel)
    ties = np.zeros(0, dtype=np.intp)
    if tolerance:
        ties = _ties(maxima, least, tolerance, (n_layers, *image.shape))
        taps = 8.0 * widths[rule.spare :]
        each = float((3 * len(rule.terms) * (taps[maxima.layer[ties]] + 3) ** 3 + _OVERHEAD).sum())
        whole = float(image.size * len(rule.terms) * taps.sum())
        if min(each, whole) > _MOST_WORK:
            ties = ties[:0]
        elif whole < each:
            ties = ties[:0]
            pixels = as_float(image)
            direct = (_direct(pixels, widths[at:], rule, gain) for at in range(n_layers))
            maxima = scale_maxima(_with_guards(direct), n_layers + 2, signs=signs, floor=floor)
            least = _least(maxima, threshold, threshold_rel)
    value, peak = maxima.value.astype(dtype), np.ones(len(maxima.y), dtype=bool)
    for row in ties:
        block = _block(image, maxima, int(row), widths, n_layers, rule, gain)
        value[row] = block[1, 1, 1]
        peak[row] = block[1, 1, 1] == block.max()
    kept = np.flatnonzero(peak & (value > least))
    # By response, then row by row, then by scale: the order in which skimage.feature prunes.
    kept = kept[np.lexsort((maxima.layer[kept], maxima.x[kept], maxima.y[kept], -value[kept]))]
    centers = np.stack([maxima.y[kept], maxima.x[kept]], axis=1).astype(dtype)
    return Peaks(centers, widths[maxima.layer[kept]], value[kept], maxima.sign[kept])


def _least(maxima: Maxima, threshold: float | None, threshold_rel: float | None) -> float:
    least = maxima.lowest if threshold is None else threshold
    return least if threshold_rel is None else max(least, threshold_rel * maxima.highest)


def as_float(image: np.ndarray) -> np.ndarray:
    """Return float32 or float64 pixels; integers are divided by their largest, as skimage does."""
    if image.dtype == np.float16:
        return image.astype(np.float32)
    if image.dtype.kind not in "ui":
        return image if image.dtype == np.float32 else image.astype(np.float64, copy=False)
    pixels = np.multiply(image, 1.0 / np.iinfo(image.dtype).max, dtype=np.float64)
    return np.maximum(pixels, -1.0, out=pixels)


def _with_guards(layers: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Repeat the first and the last layer, which then are compared with themselves."""
    layer = next(layers)
    yield layer
    yield layer
    for layer in layers:
        yield layer
    yield layer


def _layers(
    coefficients: np.ndarray, widths: np.ndarray, n_layers: int, rule: ExactMethod, gain: float
) -> Iterator[np.ndarray]:
    """Yield each layer of the scale space from the DCT-II of the image: (Y, X) float64."""
    for number in range(n_layers):
        scale = gain * float(widths[number]) ** rule.power
        if rule.terms:
            layer = _inverse(coefficients, widths[number:], rule.terms)
            layer *= scale
        else:
            layer = _hessian_determinant(coefficients, widths[number:])
            layer *= scale * DOH_UNIT
        yield layer


def _inverse(
    coefficients: np.ndarray, widths: np.ndarray, terms: tuple[_Term, ...]
) -> np.ndarray:
    height, width = coefficients.shape
    down = [weight * _eigenvalues(height, widths[at], order) for weight, order, _, at in terms]
    across = [_eigenvalues(width, widths[at], order) for _, _, order, at in terms]
    filtered = np.stack(down, axis=1) @ np.stack(across)
    filtered *= coefficients
    return fft.idctn(filtered, overwrite_x=True, workers=os.cpu_count())


def _hessian_determinant(coefficients: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """Return det H where it is positive, 0 elsewhere, negative where the blob is dark."""
    down_twice = _inverse(coefficients, widths, ((1.0, 2, 0, 0),))
    across_twice = _inverse(coefficients, widths, ((1.0, 0, 2, 0),))
    determinant = down_twice * across_twice
    down_twice += across_twice
    dark = down_twice > 0
    del down_twice, across_twice
    height, width = coefficients.shape
    mixed = coefficients * _eigenvalues(height, widths[0], 1)[:, None]
    mixed *= _eigenvalues(width, widths[0], 1)
    # An odd kernel turns cosines into sines, whose DST-II counts from frequency 1.
    for axis in (0, 1):
        mixed = np.roll(mixed, -1, axis)
        mixed = fft.idst(mixed, axis=axis, overwrite_x=True, workers=os.cpu_count())
    mixed *= mixed
    determinant -= mixed
    np.maximum(determinant, 0.0, out=determinant)
    np.negative(determinant, out=determinant, where=dark)
    return determinant


def _eigenvalues(size: int, sigma: float, order: int) -> np.ndarray:
    """Return what scipy's kernel multiplies each cosine by (odd orders: turned to a sine): (size,).

    Args:
        size: Length of the axis.
        sigma: Standard deviation of the Gaussian, pixels.
        order: Of the derivative.
    """
    radius = int(4.0 * float(sigma) + 0.5)
    impulse = np.zeros(2 * radius + 1)
    impulse[radius] = 1.0
    kernel = ndimage.gaussian_filter1d(impulse, float(sigma), order=order, mode="constant")
    angle = np.pi / size * np.arange(size)[:, None] * np.arange(-radius, radius + 1)
    return (np.sin(angle) if order % 2 else np.cos(angle)) @ kernel


def _ties(
    maxima: Maxima, least: float, tolerance: float, shape: tuple[int, ...]
) -> np.ndarray:
    """Return the rows whose being a peak, threshold or rank hangs on rounding.

    Args:
        shape: L, Y, X of the scale space.
    """
    value = maxima.value
    others = maxima.block.copy()
    others[:, 1, 1, 1] = -np.inf
    # What repeats the edge ties with nothing.
    for axis, at in enumerate((maxima.layer, maxima.y, maxima.x), 1):
        beyond = np.moveaxis(others, axis, 1)
        beyond[at == 0, 0] = -np.inf
        beyond[at == shape[axis - 1] - 1, 2] = -np.inf
    close = value - others.reshape(-1, 27).max(axis=1) <= tolerance
    close |= np.abs(value - least) <= tolerance
    order = np.argsort(value)
    equal = np.diff(value[order]) <= tolerance
    close[order[1:][equal]] = True
    close[order[:-1][equal]] = True
    return np.flatnonzero(close & (value > least - tolerance))


def _block(
    image: np.ndarray, maxima: Maxima, row: int, widths: np.ndarray, n_layers: int,
    rule: ExactMethod, gain: float,
) -> np.ndarray:
    """Compute one maximum's surroundings as scipy.ndimage rounds them: (3, 3, 3) times sign."""
    planes = []
    for number in np.clip(maxima.layer[row] + np.arange(-1, 2), 0, n_layers - 1):
        radius = int(4.0 * float(widths[number + rule.spare]) + 0.5) + 1
        places = [
            _reflected(int(at) + np.arange(-radius, radius + 1), size)
            for at, size in zip((maxima.y[row], maxima.x[row]), image.shape, strict=True)
        ]
        patch = as_float(image[np.ix_(*places)])
        rows = slice(radius - 1, radius + 2)
        planes.append(_direct(patch, widths[number:], rule, gain, rows)[:, rows])
    return np.stack(planes) * maxima.sign[row]


def _direct(
    pixels: np.ndarray, widths: np.ndarray, rule: ExactMethod, gain: float,
    rows: slice = slice(None),
) -> np.ndarray:
    """Compute a layer, or some of its rows, as skimage.feature does, operation by operation."""
    layer: np.ndarray | float = 0.0
    for weight, down, across, at in rule.terms:
        sigma = float(widths[at])
        half = ndimage.gaussian_filter1d(pixels, sigma, axis=0, order=down)[rows]
        layer = layer + weight * ndimage.gaussian_filter1d(half, sigma, axis=1, order=across)
    return layer * widths[0] ** rule.power * gain


def _reflected(index: np.ndarray, size: int) -> np.ndarray:
    index = index % (2 * size)
    return np.where(index >= size, 2 * size - 1 - index, index)
