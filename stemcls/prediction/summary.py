"""Sum up predictions per field, well, group and class, with intervals over groups."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from stemcls.evaluation.proportions import composition_of_counts
from stemcls.prediction.tableformat import Columns

LEVELS = ("field", "well", "group", "class")
SUMMARY = Columns(
    ("level", "name", "scene", "class", "n", "cells", "share", "share_low", "share_high",
     "mean_score", "left_out", "interval"),
    frozenset(("n", "cells", "share", "share_low", "share_high", "mean_score", "left_out")),
)


class Summary:
    """Counts predicted cells as they come; it keeps a few numbers per field, and no cells.

    Args:
        classes: K names.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self._classes = tuple(classes)
        k = len(self._classes)
        # Of each field, well and group: by unit (n, sum of scores) of each class.
        self._units: dict[tuple[str, str, str], dict[str, np.ndarray]] = defaultdict(
            lambda: defaultdict(lambda: np.zeros((2, k)))
        )
        self._left_out: Counter[tuple[str, str, str]] = Counter()

    def add(
        self, fields: Sequence[str], scene: str, groups: Sequence[str], wells: Sequence[str],
        called: np.ndarray, score: np.ndarray,
    ) -> None:
        """Take up the cells of one file or store.

        Args:
            fields: (N,) file of each cell.
            scene: Position of the file.
            groups: (N,) group of each; empty where none is named: every field is one then.
            wells: (N,) well of each, "" where unknown; empty where none is known.
            called: (N,) int, index of the class.
            score: (N,) its probability.
        """
        k = len(self._classes)
        places: dict[tuple[str, str, str], int] = {}
        code = np.array([
            places.setdefault(place, len(places))
            for place in zip(fields, groups or fields, wells or [""] * len(fields), strict=True)
        ], np.int64)
        where = code * k + called
        counts = np.bincount(where, minlength=len(places) * k).reshape(-1, k)
        sums = np.bincount(where, score, minlength=len(places) * k).reshape(-1, k)
        for (field, group, well), at in places.items():
            keys = [("field", field, scene), ("class", "all", "")]
            keys += [("well", well, "")] if well else []
            keys += [("group", group, "")] if groups else []
            for key in keys:
                self._units[key][group] += np.stack([counts[at], sums[at]])

    def left_out(self, field: str, scene: str, group: str | None, cells: int) -> None:
        """Count cells of a field that are not predicted; a field without cells is there too."""
        keys = [("field", field, scene), ("class", "all", "")]
        for key in keys + ([("group", group, "")] if group is not None else []):
            self._units[key][field if group is None else group] += 0
            self._left_out[key] += cells

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield a row for each class of each field, well, group and of all."""
        order = sorted(self._units, key=lambda key: LEVELS.index(key[0]))
        for key in order:
            yield from self._rows_of(key)

    def _rows_of(self, key: tuple[str, str, str]) -> Iterator[dict[str, Any]]:
        level, name, scene = key
        units = self._units[key]
        each = np.array(list(units.values())).reshape(-1, 2, len(self._classes))
        shares, why = composition_of_counts(each[:, 0].astype(np.int64))
        scores = each[:, 1].sum(axis=0)
        cells = int(each[:, 0].sum())
        for index, (label, share) in enumerate(zip(self._classes, shares, strict=True)):
            low, high = share.share_ci or (None, None)
            told = f"95 % over {why}" if low is not None else why
            if low is None and why.endswith(" groups"):
                told = f"no interval: the {why} do not differ"
            yield {
                "level": level, "name": name, "scene": scene, "class": label, "n": share.n,
                "cells": cells, "share": share.share if cells else None, "share_low": low,
                "share_high": high,
                "mean_score": float(scores[index] / share.n) if share.n else None,
                "left_out": self._left_out[key] if level != "well" else None,
                "interval": told if level in ("well", "class") else "",
            }


def summary_cells(row: dict[str, Any]) -> list[Any]:
    """Return a row of the summary as text for a table, under `SUMMARY`."""
    return [_text(row[name]) for name in SUMMARY.names]


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6f}" if isinstance(value, float) else str(value)
