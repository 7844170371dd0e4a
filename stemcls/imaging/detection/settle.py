"""Settle once, for all fields of a set, what detection leaves open: method and usual diameter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from stemcls.config.imaging import DetectConfig
from stemcls.errors import InputError
from stemcls.imaging.detection.clues import Clues, disc_sizes, gather_clues
from stemcls.imaging.field import Field

SAMPLE_FIELDS = 6  # that a set is settled from
BLOB_METHODS = ("log", "dog", "doh")
_ENOUGH_FIELDS = 3
_GRID = np.arange(np.log2(7.0), np.log2(420.0), 0.05)  # octaves
_SIZE_POWER = 2.5  # of the diameter: a cell outvotes the granules in it
_SURENESS_POWER = 4.0
_BANDWIDTH = 0.25  # octaves
_DISC_BANDWIDTH = 0.35
_DISC_SHARE = 0.35  # what the drawn discs count beside the network
_APART = 0.7  # octaves: nearer peaks are one size
_NARROW = 0.75  # a second size this good, compared with the best, is a reason to warn
_FEWEST = 0.6  # sum of heat that a size needs to be named beside another
_SURE = 0.6  # heat that the surest tenth of the cells of a set should reach
_LEAST_SURE = 0.58  # heat of the surest cell, without which no size is believed
_FEW_WEAK = 4.0  # sum of heat of so few, and so weak, answers that there is nothing
_ALIKE = 0.45  # octaves: sizes of fields of one magnification
_FEW_PER_FIELD = 2.0  # cells
_CLEAR = 0.6  # of a field: its second size in its best


@dataclass(frozen=True)
class Hypothesis:
    """One usual diameter, and how well it explains the fields: 1 is the best there is."""

    diameter_px: float
    support: float
    cells: float


@dataclass(frozen=True, eq=False)
class Settled:
    """What holds for a set of fields.

    Attributes:
        config: Nothing is open in it but a diameter where no field holds anything like a cell.
        notices: Sentences on what is doubtful.
        hypotheses: The sizes that were weighed, best first; empty where the size was given.
        estimated_from: Fields looked at; 0 where nothing was open.
    """

    config: DetectConfig
    notices: tuple[str, ...] = ()
    hypotheses: tuple[Hypothesis, ...] = ()
    estimated_from: int = 0


def is_open(config: DetectConfig) -> bool:
    """Tell whether a diameter or a method is left to be found out from the images."""
    return with_method(config) != config or wants_diameter(config)


def wants_diameter(config: DetectConfig) -> bool:
    """Tell whether the detector needs a diameter that the settings leave open."""
    return (
        config.needs_diameter and config.modality != "raw"
        and with_method(config).method in (*BLOB_METHODS, "net")
    )


def with_method(config: DetectConfig) -> DetectConfig:
    """Replace method auto: log where its own settings are given (sigmas, exact, raw), else net."""
    if config.method != "auto":
        return config
    classical = (
        config.mode == "exact" or config.modality == "raw" or config.min_sigma or config.max_sigma
    )
    return replace(config, method="log" if classical else "net")


def settle(fields: Iterable[Field], config: DetectConfig) -> Settled:
    """Settle from some fields what the settings leave open for all.

    Args:
        fields: Of the set, evenly spread; one is held at a time, and no more are taken than are
            needed.
        config: How cells are looked for.

    Raises:
        InputError: Too little speaks for any size.
    """
    if not wants_diameter(config):
        return Settled(with_method(config))
    clues: list[Clues] = []
    for field in fields:
        clues.append(gather_clues(field, config))
        if is_clear(clues):
            break
    return decide(clues, config)


def no_size(n_looked_at: int, n_fields: int) -> str:
    """Return what to say where nothing looks like a cell."""
    return (
        f"the usual diameter of a cell could not be estimated: nothing in the {n_looked_at} of "
        f"{n_fields} field(s) looked at looks like a cell; if there are cells, say their diameter "
        "in pixels by --diameter-px"
    )


def is_clear(clues: Sequence[Clues]) -> bool:
    """Say whether no more fields are needed: three or more, each clear by itself, agree."""
    if len(clues) < _ENOUGH_FIELDS:
        return False
    sizes = [_clear_size(one) for one in clues]
    return all(sizes) and float(np.ptp(np.log2(np.maximum(sizes, 1e-6)))) <= _ALIKE


def decide(clues: Sequence[Clues], config: DetectConfig) -> Settled:
    """Weigh the sizes that explain a set, and choose one.

    Each size is supported by the cells that the network finds at it, by their sureness and size,
    and by how well drawn discs of it explain brightness, slope and texture.

    Args:
        clues: Of `gather_clues`, one for each field.
        config: How cells are looked for.

    Raises:
        InputError: Too little speaks for any size.
    """
    config = with_method(config)
    found = weigh_sizes(clues)
    if not found:
        return Settled(config, estimated_from=len(clues))
    best = found[0]
    heat = _heat_of(best, clues)
    surest = float(heat.max(initial=0.0))
    if surest < _LEAST_SURE and best.cells < _FEW_WEAK:
        return Settled(config, estimated_from=len(clues))
    if surest < _LEAST_SURE:
        raise InputError(
            "the usual diameter of a cell could not be estimated: nothing in the "
            f"{len(clues)} field(s) looked at is surely a whole cell; where cells form a layer, or "
            "are out of focus, single cells cannot be told apart. Say their diameter, in pixels, "
            "by --diameter-px if you can see them"
        )
    notices = [*_unsure(heat), *_rivals(found), *_differing(clues)]
    config = replace(config, diameter_px=round(best.diameter_px, 2))
    return Settled(config, tuple(notices), tuple(found[:3]), len(clues))


def weigh_sizes(clues: Sequence[Clues]) -> list[Hypothesis]:
    """Return the usual diameters that could be, best first; none where nothing is like a cell."""
    net = sum((_density(one) for one in clues), np.zeros(len(_GRID)))
    if not net.any():
        return []
    # A size that few cells have is that of something else, such as a cluster or a shadow.
    count = np.array([sum(_cells_of(one, float(size)) for one in clues) for size in 2.0**_GRID])
    net = net * count / (count + _FEW_PER_FIELD * len(clues))
    discs = np.mean([one.discs for one in clues], axis=0)
    support = net / net.max()
    if discs.any():
        support = support * (1 - _DISC_SHARE + _DISC_SHARE * _disc_support(discs))
    support = support / support.max()
    inner = support[1:-1]
    tops = 1 + np.flatnonzero((inner > support[:-2]) & (inner >= support[2:]))
    tops = tops[np.argsort(-support[tops])]
    chosen: list[Hypothesis] = []
    for top in tops:
        size = float(2.0 ** _GRID[top])
        if all(abs(np.log2(size / other.diameter_px)) > _APART for other in chosen):
            cells = sum(_cells_of(one, size) for one in clues)
            chosen.append(Hypothesis(size, float(support[top]), cells))
    return chosen


def _density(clues: Clues) -> np.ndarray:
    peaks = clues.peaks
    if not len(peaks):
        return np.zeros(len(_GRID))
    weight = peaks[:, 3] ** _SURENESS_POWER * peaks[:, 2] ** _SIZE_POWER / peaks[:, 4]
    apart = (_GRID[:, None] - np.log2(peaks[:, 2])) / _BANDWIDTH
    height, width = clues.shape
    return np.exp(-0.5 * apart**2) @ weight / (height * width)


def _disc_support(discs: np.ndarray) -> np.ndarray:
    """Return how well discs of each size of the grid explain the best map for it, at most 1."""
    support = np.zeros(len(_GRID))
    for sizes, likeness in zip(disc_sizes(), discs, strict=True):
        if likeness.max() > 0:
            apart = (_GRID[:, None] - np.log2(sizes)) / _DISC_BANDWIDTH
            curve = (np.exp(-0.5 * apart**2) * likeness).max(axis=1)
            support = np.maximum(support, curve)
    return support / support.max()


def _cells_of(clues: Clues, size: float) -> float:
    peaks = clues.peaks
    alike = np.abs(np.log2(peaks[:, 2] / size)) < _APART if len(peaks) else np.zeros(0, bool)
    return float(peaks[alike, 3].sum())


def _clear_size(clues: Clues) -> float:
    """Return the size that one field speaks for; 0 where it is not clear."""
    found = weigh_sizes([clues])
    if not found or found[0].cells < 6 * _FEWEST:
        return 0.0
    rival = found[1].support if len(found) > 1 else 0.0
    return found[0].diameter_px if rival < _CLEAR else 0.0


def _heat_of(size: Hypothesis, clues: Sequence[Clues]) -> np.ndarray:
    """Return (N,) how sure the network is of each cell of about this size."""
    heat = [
        one.peaks[np.abs(np.log2(one.peaks[:, 2] / size.diameter_px)) < _APART, 3]
        for one in clues if len(one.peaks)
    ]
    return np.concatenate([np.zeros(0), *heat])


def _unsure(heat: np.ndarray) -> list[str]:
    """Warn where even the surest answers are weak: the fields hold something else, or a layer."""
    if float(np.quantile(heat, 0.9)) >= _SURE:
        return []
    return [
        "nothing in these fields is surely a single cell: where cells form a layer, or are out of "
        "focus, single cells cannot be told apart and what is found may be parts of cells; look at "
        "--overlay, give the size by --diameter-px, or train on corrected fields by --train"
    ]


def _rivals(found: Sequence[Hypothesis]) -> list[str]:
    rivals = [one for one in found[1:] if one.support > _NARROW and one.cells >= _FEWEST]
    if not rivals:
        return []
    best, second = found[0], rivals[0]
    return [
        f"cells of {second.diameter_px:.0f} px explain the fields nearly as well as those of "
        f"{best.diameter_px:.0f} px, which were looked for: see both by --sheet, and say which by "
        f"--diameter-px {best.diameter_px:.0f} or --diameter-px {second.diameter_px:.0f}"
    ]


def _differing(clues: Sequence[Clues]) -> list[str]:
    """Warn where fields speak clearly for different sizes."""
    sizes = [size for size in map(_clear_size, clues) if size]
    if len(sizes) < 2 or np.ptp(np.log2(sizes)) <= 2 * _ALIKE:
        return []
    return [
        f"the fields differ: in some, cells are about {min(sizes):.0f} px wide, in others "
        f"{max(sizes):.0f} px, but one size is looked for in all; if they were recorded at "
        "different magnifications, find the cells of each apart, by --diameter-px"
    ]
