"""Score found cells against known ones, per field and pooled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.errors import InputError
from stemcls.imaging.field import Detections
from stemcls.imaging.tuning.matching import Matching, match_centers


@dataclass(frozen=True, eq=False)
class KnownCells:
    """The cells that are really there.

    Attributes:
        centers_px: (M, 2) y, x.
        radius_px: (M,), NaN where unknown.
    """

    centers_px: np.ndarray
    radius_px: np.ndarray


@dataclass(frozen=True, eq=False)
class FieldScore:
    """How the cells found in one field compare with the known ones.

    Attributes:
        matching: The pairs.
        radius_ratio: (R,) found over true radius of the pairs whose true radius is known.
    """

    matching: Matching
    radius_ratio: np.ndarray


def known_by_path(
    names: Mapping[Path, str], known: Mapping[str, KnownCells], table: Path
) -> dict[Path, KnownCells]:
    """Find the known cells of each file: by its path below the table, as given, or by its name.

    Args:
        names: File to its name, from `list_fields`.
        known: Field, as the table writes it, to its cells.
        table: The table they came from.
    Returns: Files that the table knows, only.

    Raises:
        InputError: The table knows none, or one of its fields could be several files.
    """
    beside = table.resolve().parent
    found: dict[Path, str] = {}
    for path, name in names.items():
        keys = [str(path), path.as_posix(), name, path.name]
        if path.resolve().is_relative_to(beside):
            keys.insert(0, path.resolve().relative_to(beside).as_posix())
        key = next((key for key in keys if key in known), None)
        if key is not None:
            found[path] = key
    taken: dict[str, Path] = {}
    for path, key in found.items():
        if key in taken:
            raise InputError(
                f"{table}: the field {key!r} could be {taken[key]} or {path}; give its path "
                "below the table's folder"
            )
        taken[key] = path
    if not found:
        raise InputError(
            f"{table} knows none of the fields given; its first field is {next(iter(known), '')!r}"
        )
    return {path: known[key] for path, key in found.items()}


def score_field(cells: Detections, known: KnownCells, within_px: float) -> FieldScore:
    """Pair found cells with known ones at most `within_px` apart."""
    matching = match_centers(cells.centers_px, known.centers_px, within_px)
    rows, columns = matching.pairs.T
    truth = known.radius_px[columns]
    ratio = cells.radius_px[rows][truth > 0] / truth[truth > 0]
    return FieldScore(matching, ratio)


def summarise(scores: Sequence[FieldScore]) -> dict[str, Any]:
    """Return the scores of one field, or of several pooled cell by cell.

    Returns: found, known, matched, precision, recall, f1, mean_error_px and median_error_px
        (distance of the pairs), radius_bias (mean of found over true radius, less 1) and
        radius_sd (SD of that ratio). What is undefined is None; precision or recall of nothing
        is 0 where the other side holds cells.
    """
    n_found = sum(score.matching.n_found for score in scores)
    n_truth = sum(score.matching.n_truth for score in scores)
    distance = np.concatenate([score.matching.distance_px for score in scores])
    ratio = np.concatenate([score.radius_ratio for score in scores])
    hits = len(distance)
    nothing = not n_found and not n_truth
    return {
        "found": n_found,
        "known": n_truth,
        "matched": hits,
        "precision": None if nothing else hits / max(n_found, 1),
        "recall": None if nothing else hits / max(n_truth, 1),
        "f1": None if nothing else 2 * hits / (n_found + n_truth),
        "mean_error_px": float(distance.mean()) if hits else None,
        "median_error_px": float(np.median(distance)) if hits else None,
        "radius_bias": float(ratio.mean()) - 1 if len(ratio) else None,
        "radius_sd": float(ratio.std(ddof=1)) if len(ratio) > 1 else None,
    }
