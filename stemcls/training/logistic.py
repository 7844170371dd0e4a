"""Logistic regression on features, solved exactly, its strength chosen by inner folds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from stemcls.store.assign import deal_folds
from stemcls.training.memory import spare_memory_bytes
from stemcls.training.sampling import class_weights

# What the loss counts beside the penalty, from the strongest penalty to the weakest.
STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
USUAL_STRENGTH = 1.0
INNER_FOLDS = 4
MOST_STEPS = 1000
# More rows than these say nothing new about directions, or about the strength.
BASIS_ROWS, CHOICE_ROWS = 2048, 20_000
# Below this OpenBLAS' threads cost more than they bring.
THREADED_VALUES = 8_000_000
_CHUNK = 8192
_ROUGH, _FINE = 2e-4, 1e-5
_LEAST_SPREAD, _LEAST_VARIANCE = 1e-6, 1e-6
_LEAST_PROBABILITY = 1e-7


@dataclass(frozen=True, eq=False)
class LinearHead:
    """Features to logits.

    Attributes:
        mean, scale: (F,) of the training rows; a feature that never moves has an infinite scale.
        kernel: (F, K), of standardised features.
        bias: (K,).
    """

    mean: np.ndarray
    scale: np.ndarray
    kernel: np.ndarray
    bias: np.ndarray

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Return (n, K) of (n, F)."""
        return _softmax((features - self.mean) / self.scale @ self.kernel + self.bias)


@dataclass(frozen=True, eq=False)
class LogisticFit:
    """A head, and what was seen on the way to it.

    Attributes:
        head: Fitted to all rows.
        strength: Of the loss beside the penalty; `losses` chose it.
        losses: Strength -> class-balanced log loss of rows that the fit had not seen; empty where
            no inner folds could be made.
        chosen: (m,) places of the rows that the inner folds are made of, all but in large sets.
        fold: (m,) the inner fold of each; all 0 where there are none.
        unseen: (m, K) probabilities of each by a fit to the other inner folds; None likewise.
    """

    head: LinearHead
    strength: float
    losses: dict[float, float]
    chosen: np.ndarray
    fold: np.ndarray
    unseen: np.ndarray | None


class Features(Protocol):
    """Rows of features, indexed like an array."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, F)."""

    @property
    def size(self) -> int:
        """How many numbers."""

    def __len__(self) -> int:
        """Return n."""

    def __getitem__(self, index: Any, /) -> np.ndarray:
        """Return some rows."""


def fit_logistic(
    features: Features,
    targets: np.ndarray,
    k: int,
    unit: np.ndarray,
    *,
    blocks: list[int],
    balanced: bool = True,
    seed: int = 0,
    check: Callable[[], None] | None = None,
) -> LogisticFit:
    """Fit a head to features, its strength chosen on rows of units that were left out.

    Features are standardised; those of one tap count together as much as those of another. In the
    directions of their principal components each is divided by the square root of its standard
    deviation, half way to whitening, so that what rarely moves is heard and noise is not made
    loud. All of this is linear and ends in one kernel.

    Args:
        features: (n, F), float16 or float32; read in chunks.
        targets: (n,) class indices, each class at least once.
        k: Number of classes.
        unit: (n,) what inner folds keep together.
        blocks: Widths of the parts of F that count alike.
        balanced: Classes count alike, else crops.
        seed: Of the inner folds.
        check: Called now and then; may raise.
    Source: L-BFGS, Liu and Nocedal 1989; balanced weights, King and Zeng 2001.
    """
    check = check or _nothing
    rng = np.random.default_rng(seed)
    mean, scale = _moments(features)
    widths = np.repeat(blocks, blocks).astype(np.float32)
    loud = scale * np.sqrt(widths * len(blocks))
    threads = None if features.size > THREADED_VALUES else 1
    with threadpool_limits(threads, "blas"):
        basis = _basis(features, mean, loud, rng)
        whitened = _Whitened(features, mean, loud, basis)
        chosen = np.arange(len(features))
        if len(chosen) > CHOICE_ROWS:
            chosen = np.sort(rng.choice(chosen, CHOICE_ROWS, replace=False))
        fold, strength, losses, unseen = _choose(
            whitened.rows(chosen), targets[chosen], k, unit[chosen], balanced, seed, check
        )
        found = _solve(whitened, targets, k, balanced, strength, None, _FINE, check)
    finite = np.isfinite(scale)
    kernel = np.zeros((features.shape[1], k), np.float32)
    kernel[finite] = (basis @ found[:-1])[finite] / np.sqrt(widths * len(blocks))[finite, None]
    return LogisticFit(
        LinearHead(mean, scale, kernel, found[-1]), strength, losses, chosen, fold, unseen
    )


def balanced_log_loss(probabilities: np.ndarray, targets: np.ndarray, k: int) -> float:
    """Return the mean over classes of the mean log loss of their rows."""
    lost = _log_losses(probabilities, targets)
    counts = np.bincount(targets, minlength=k)
    sums = np.bincount(targets, lost, minlength=k)
    return float((sums[counts > 0] / counts[counts > 0]).mean())


def log_loss(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """Return the mean log loss."""
    return float(_log_losses(probabilities, targets).mean())


def _log_losses(probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    right = probabilities[np.arange(len(targets)), targets]
    return -np.log(np.maximum(right, _LEAST_PROBABILITY))


class _Whitened:
    """Rows in half-whitened directions: in memory where they fit, else made chunk by chunk."""

    def __init__(
        self, features: Features, mean: np.ndarray, scale: np.ndarray, basis: np.ndarray
    ) -> None:
        self._features, self._mean, self._scale = features, mean, scale
        self._basis = basis
        self.shape = (len(features), int(basis.shape[1]))
        fits = self.shape[0] * self.shape[1] * 4 <= spare_memory_bytes()
        self._kept = self.rows(np.arange(len(features))) if fits else None

    def rows(self, chosen: np.ndarray) -> np.ndarray:
        """Return (m, R) float32 of these rows."""
        return np.concatenate([
            self._standard(chosen[start : start + _CHUNK]) @ self._basis
            for start in range(0, len(chosen), _CHUNK)
        ])

    def parts(self) -> Iterator[tuple[slice, np.ndarray, np.ndarray | None]]:
        """Yield places, rows, and the basis that is still to be applied to them, if any."""
        if self._kept is not None:
            yield slice(0, len(self._kept)), self._kept, None
            return
        for start in range(0, self.shape[0], _CHUNK):
            part = slice(start, min(start + _CHUNK, self.shape[0]))
            yield part, self._standard(part), self._basis

    def _standard(self, chosen: np.ndarray | slice) -> np.ndarray:
        values = np.asarray(self._features[chosen], np.float32)
        standard: np.ndarray = (values - self._mean) / self._scale
        return standard


class _InMemory:
    """Rows that are there as they are."""

    def __init__(self, rows: np.ndarray) -> None:
        self._rows, self.shape = rows, rows.shape

    def parts(self) -> Iterator[tuple[slice, np.ndarray, np.ndarray | None]]:
        """Yield all of them."""
        yield slice(0, len(self._rows)), self._rows, None


def _choose(
    rows: np.ndarray, targets: np.ndarray, k: int, unit: np.ndarray, balanced: bool, seed: int,
    check: Callable[[], None],
) -> tuple[np.ndarray, float, dict[float, float], np.ndarray | None]:
    """Return inner folds, the strength of least loss on rows unseen, all losses, probabilities."""
    fold = deal_folds(unit, targets, k, INNER_FOLDS, seed)
    numbers = np.unique(fold)
    if len(numbers) < 2:
        return fold, USUAL_STRENGTH, {}, None
    known = {number: _InMemory(rows[fold != number]) for number in numbers}
    starts: dict[int, np.ndarray | None] = dict.fromkeys(known)
    losses: dict[float, float] = {}
    best, unseen = USUAL_STRENGTH, None
    # From the strongest penalty on, each solution is a good guess at the next.
    for strength in STRENGTHS:
        found = np.zeros((len(rows), k), np.float32)
        for number, part in known.items():
            out = fold == number
            solved = _solve(
                part, targets[~out], k, balanced, strength, starts[number], _ROUGH, check
            )
            starts[number] = solved
            found[out] = _softmax(rows[out] @ solved[:-1] + solved[-1])
        losses[strength] = (
            balanced_log_loss(found, targets, k) if balanced else log_loss(found, targets)
        )
        if losses[strength] == min(losses.values()):
            best, unseen = strength, found
        elif _rose_twice(list(losses.values())):
            break
    return fold, best, losses, unseen


def _rose_twice(losses: list[float]) -> bool:
    """Say whether the last two losses are each above the one before: there is no way back."""
    return len(losses) > 2 and losses[-3] < losses[-2] < losses[-1]


def _solve(
    rows: _Whitened | _InMemory, targets: np.ndarray, k: int, balanced: bool, strength: float,
    start: np.ndarray | None, tolerance: float, check: Callable[[], None],
) -> np.ndarray:
    """Return (R + 1, K) weights and, last, offsets, by L-BFGS.

    Minimised is half the sum of the squared weights, plus `strength` times the weighted sum of the
    cross-entropies, divided by strength and rows so that the tolerance means the same for all.
    """
    n, width = rows.shape
    weights = class_weights(targets, "class-weights" if balanced else "none") / n
    wanted = np.eye(k, dtype=np.float32)[targets]
    penalty = 1.0 / (strength * n)

    def loss_and_slope(flat: np.ndarray) -> tuple[float, np.ndarray]:
        check()
        point = flat.reshape(width + 1, k)
        kernel, bias = point[:-1].astype(np.float32), point[-1].astype(np.float32)
        slope = np.zeros_like(point)
        loss = 0.5 * penalty * float((point[:-1] ** 2).sum())
        for part, values, basis in rows.parts():
            found = _softmax(values @ (kernel if basis is None else basis @ kernel) + bias)
            right = np.maximum(found[np.arange(len(found)), targets[part]], _LEAST_PROBABILITY)
            loss -= float(np.log(right) @ weights[part])
            error = (found - wanted[part]) * weights[part][:, None]
            pushed = values.T @ error
            slope[:-1] += pushed if basis is None else basis.T @ pushed
            slope[-1] += error.sum(axis=0)
        slope[:-1] += penalty * point[:-1]
        return loss, slope.ravel()

    first = np.zeros((width + 1, k)) if start is None else start
    solved = minimize(
        loss_and_slope, first.ravel(), jac=True, method="L-BFGS-B",
        options={"maxiter": MOST_STEPS, "gtol": tolerance, "ftol": 1e-9, "maxcor": 10},
    )
    return np.asarray(solved.x.reshape(width + 1, k), np.float64).astype(np.float32)


def _basis(
    features: Features, mean: np.ndarray, scale: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return (F, R) float32 that turns standardised features to half-whitened components."""
    rows = np.arange(len(features))
    if min(features.shape) > BASIS_ROWS:
        rows = np.sort(rng.choice(rows, BASIS_ROWS, replace=False))
    x = (np.asarray(features[rows], np.float32) - mean) / scale
    wide = x.shape[1] > x.shape[0]
    values, vectors = np.linalg.eigh((x @ x.T if wide else x.T @ x).astype(np.float64))
    kept = values > _LEAST_VARIANCE * max(float(values[-1]), np.finfo(np.float64).tiny)
    values, vectors = values[kept], vectors[:, kept]
    if wide:
        vectors = x.T @ (vectors / np.sqrt(values)).astype(np.float32)
    # The standard deviation of a component is the root of its eigenvalue over the rows.
    return (vectors / (values / len(x)) ** 0.25).astype(np.float32)


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return shares


def _nothing() -> None:
    """Do nothing."""


def _moments(features: Features) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each feature; infinite where it does not move."""
    total = np.zeros(features.shape[1])
    squares = np.zeros(features.shape[1])
    first = np.asarray(features[0], np.float64)
    for start in range(0, len(features), _CHUNK):
        part = np.asarray(features[start : start + _CHUNK], np.float64) - first
        total += part.sum(axis=0)
        squares += (part**2).sum(axis=0)
    middle = total / len(features)
    variance = np.maximum(squares / len(features) - middle**2, 0.0)
    mean, spread = first + middle, np.sqrt(variance)
    # A feature that hardly moves in training must not be blown up when it moves later.
    usual = float(np.sqrt(variance.mean()))
    moves = spread > _LEAST_SPREAD * (1 + np.abs(mean))
    spread = np.where(moves, np.maximum(spread, 0.01 * usual), np.inf)
    return mean.astype(np.float32), spread.astype(np.float32)
