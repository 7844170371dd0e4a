"""Score found cells against known ones, per field and pooled."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
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
        radius_px: (R, 2) found and true radius of the pairs whose true radius is known.
    """

    matching: Matching
    radius_px: np.ndarray


def known_by_path(
    paths: Iterable[Path], known: Mapping[str, KnownCells], table: Path
) -> dict[Path, KnownCells]:
    """Find the known cells of each file.

    A field of the table is the file at that path below the table's folder; else the one file whose
    path ends with it, so that a bare name will do where it is unique.

    Args:
        paths: Image files.
        known: Field, as the table writes it, to its cells.
        table: The table they came from.
    Returns: Files that the table knows, only.

    Raises:
        InputError: The table knows none, one of its fields could be several files, or two of its
            fields are the same file.
    """
    exact = {path.resolve(): path for path in paths}
    by_name: dict[str, list[Path]] = defaultdict(list)
    for given in exact.values():
        # As a table names it; outlines are named without the ending.
        for name in {given.name, given.stem}:
            by_name[name].append(given)
    field_of: dict[Path, str] = {}
    for field in known:
        beside = exact.get((table.parent / field).resolve())
        path = beside or _ending_with(field, by_name, table)
        if path is None:
            continue
        if path in field_of:
            raise InputError(
                f"{table}: the fields {field_of[path]!r} and {field!r} are both {path}; write it "
                "one way"
            )
        field_of[path] = field
    if not field_of:
        raise InputError(
            f"{table} knows none of the fields given ({len(exact)}); its first is "
            f"{next(iter(known), '')!r}, expected {next(iter(by_name), '')!r} or the like"
        )
    return {path: known[field] for path, field in field_of.items()}


def _ending_with(field: str, by_name: Mapping[str, list[Path]], table: Path) -> Path | None:
    parts = Path(field).parts
    found = [
        path for path in by_name.get(Path(field).name, ())
        if parts in (
            path.absolute().parts[-len(parts) :],
            path.with_suffix("").absolute().parts[-len(parts) :],
        )
    ]  # fmt: skip
    if len(found) > 1:
        raise InputError(
            f"{table}: the field {field!r} could be {found[0]} or {found[1]}; give its path below "
            "the table's folder"
        )
    return found[0] if found else None


def score_field(cells: Detections, known: KnownCells, within_px: float) -> FieldScore:
    """Pair found cells with known ones at most `within_px` apart."""
    matching = match_centers(cells.centers_px, known.centers_px, within_px)
    rows, columns = matching.pairs.T
    radii = np.stack([cells.radius_px[rows], known.radius_px[columns]], axis=1)
    return FieldScore(matching, radii[np.isfinite(radii[:, 1])])


def summarise(scores: Sequence[FieldScore]) -> dict[str, Any]:
    """Return the scores of one field, or of several pooled cell by cell.

    Returns: found, known, matched, precision, recall, f1; mean_error_px and median_error_px, the
        distance of the pairs; of those with a known radius (radius_pairs) radius_error_px, the
        mean absolute difference, radius_bias, the mean of found over true radius less 1, and
        radius_sd, the SD of that ratio. What is undefined is None; precision or recall of nothing
        is 0 where the other side holds cells.
    """
    n_found = sum(score.matching.n_found for score in scores)
    n_known = sum(score.matching.n_truth for score in scores)
    distance = np.concatenate([np.zeros(0), *(score.matching.distance_px for score in scores)])
    found, true = np.concatenate([np.zeros((0, 2)), *(score.radius_px for score in scores)]).T
    ratio = found / true
    hits = len(distance)
    nothing = not n_found and not n_known
    return {
        "found": n_found,
        "known": n_known,
        "matched": hits,
        "precision": None if nothing else hits / max(n_found, 1),
        "recall": None if nothing else hits / max(n_known, 1),
        "f1": None if nothing else 2 * hits / (n_found + n_known),
        "mean_error_px": float(distance.mean()) if hits else None,
        "median_error_px": float(np.median(distance)) if hits else None,
        "radius_pairs": len(ratio),
        "radius_error_px": float(np.abs(found - true).mean()) if len(ratio) else None,
        "radius_bias": float(ratio.mean()) - 1 if len(ratio) else None,
        "radius_sd": float(ratio.std(ddof=1)) if len(ratio) > 1 else None,
    }
