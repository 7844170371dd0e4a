"""Describe a sample by the classes that a model gives its cells: shares, cuts, intensities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.atomic import check_free, csv_writer, moved, new_folder, write_json
from stemcls.errors import InputError, explained_disk_errors
from stemcls.evaluation.celltable import CellTable, cells_of_store
from stemcls.evaluation.morphometry import Morphometry, compare_measures
from stemcls.evaluation.proportions import Share, composition
from stemcls.store.cropstore import CropStore
from stemcls.store.places import COLUMNS, places_of


@dataclass(frozen=True, eq=False)
class Cut:
    """What is left of a sample where only surer predictions count.

    Attributes:
        cut: Least prediction score.
        kept, lost: Crops.
        lost_of_class: Share of each predicted class that is lost, NaN where it has no crops.
        shares: Composition of what is kept.
    """

    cut: float
    kept: int
    lost: int
    lost_of_class: tuple[float, ...]
    shares: tuple[Share, ...]


@dataclass(frozen=True, eq=False)
class Gate:
    """The brightest cells of one channel.

    Attributes:
        measure: intensity_<channel>.
        top_percent: Share of cells asked for, percent.
        threshold: Least intensity in the gate, raw units.
        n: Cells in it; equal values at its edge are all inside.
        shares: Composition of the gate.
        outside: Composition of the rest.
    """

    measure: str
    top_percent: float
    threshold: float
    n: int
    shares: tuple[Share, ...]
    outside: tuple[Share, ...]


@dataclass(frozen=True, eq=False)
class Population:
    """What `describe_population` found.

    Attributes:
        store: What was predicted.
        classes: K names.
        probabilities: (N, K).
        called: (N,) int.
        shares: Composition.
        ci_of: What the intervals are over, or why there are none.
        cuts: One for each score cut.
        gates: One for each channel, empty where no intensity is known.
        measures: Diameter and intensities compared between predicted classes, or None.
        why_not: Why there are none.
    """

    store: CropStore
    classes: tuple[str, ...]
    probabilities: np.ndarray
    called: np.ndarray
    shares: tuple[Share, ...]
    ci_of: str
    cuts: tuple[Cut, ...]
    gates: tuple[Gate, ...]
    measures: Morphometry | None
    why_not: str

    @property
    def said_of_intervals(self) -> str:
        """What the intervals are over, or why there are none, for a heading."""
        any_ci = any(share.share_ci for share in self.shares)
        return f"95 % intervals over {self.ci_of}" if any_ci else self.ci_of

    def to_document(self) -> dict[str, Any]:
        """Return plain values: `n`, `composition`, `cuts`, `gates`, `measures`."""
        return {
            "store": str(self.store.path),
            "n": len(self.called),
            "n_groups": len(np.unique(self.store.group_index)),
            "ci_of": self.ci_of,
            "classes": list(self.classes),
            "composition": self._named(self.shares),
            "cuts": [
                {
                    "cut": cut.cut, "kept": cut.kept, "lost": cut.lost,
                    "lost_of_class": dict(zip(self.classes, cut.lost_of_class, strict=True)),
                    "composition": self._named(cut.shares),
                }
                for cut in self.cuts
            ],
            "gates": [
                {
                    "measure": gate.measure, "top_percent": gate.top_percent,
                    "threshold": gate.threshold, "n": gate.n,
                    "composition": self._named(gate.shares),
                    "outside": self._named(gate.outside),
                }
                for gate in self.gates
            ],
            "measures": self.measures.to_document()["measures"] if self.measures else [],
            "why_no_measures": self.why_not or None,
            "warnings": list(self.measures.table.warnings) if self.measures else [],
        }  # fmt: skip

    def write(self, folder: Path) -> list[Path]:
        """Write `cells.csv`, figures (PNG and SVG), `morphometry/`, and last `populations.json`.

        Raises:
            InputError: The folder is there and not empty.
            StemclsError: The disk is full.
        """
        from stemcls.evaluation.figures import write_figure
        from stemcls.evaluation.populationcharts import draw_composition, draw_gate

        check_free(folder)
        with (
            explained_disk_errors(folder, "the store is as it was; free some space and repeat"),
            new_folder(folder) as temporary,
        ):
            paths = [self._write_cells(temporary / "cells.csv")]
            paths += write_figure(draw_composition(self), temporary / "composition")
            for number, gate in enumerate(self.gates, start=1):
                paths += write_figure(draw_gate(self, gate), temporary / f"gate-{number}")
            if self.measures:
                paths += self.measures.write(temporary / "morphometry")
            write_json(temporary / "populations.json", self.to_document())
        return [*moved(paths, temporary, folder), folder / "populations.json"]

    def intensity(self, measure: str) -> np.ndarray:
        """Return (N,) values of one measure."""
        if self.measures is None:
            raise InputError(f"{self.store.path} has no measures")
        return next(
            one.values for one in self.measures.table.measures if one.name == measure
        )

    def _named(self, shares: Sequence[Share]) -> dict[str, Any]:
        return {name: asdict(share) for name, share in zip(self.classes, shares, strict=True)}

    def _write_cells(self, path: Path) -> Path:
        measures = self.measures.table.measures if self.measures else ()
        store, score = self.store, self.probabilities.max(axis=1)
        places = places_of(store, range(len(store)))
        with csv_writer(path) as writer:
            writer.writerow([
                "row", *COLUMNS, store.group_what, "class", "score",
                *(f"p_{name}" for name in self.classes), *(one.name for one in measures),
            ])
            for row, (called, p) in enumerate(zip(self.called, self.probabilities, strict=True)):
                values = (one.values[row] for one in measures)
                writer.writerow([
                    row, *places[row], store.group_names[store.group_index[row]],
                    self.classes[called], f"{score[row]:.6f}", *(f"{value:.6f}" for value in p),
                    *("" if math.isnan(value) else f"{value:.9g}" for value in values),
                ])
        return path


def describe_population(
    store: CropStore,
    probabilities: np.ndarray,
    classes: tuple[str, ...],
    *,
    cuts: Sequence[float],
    top_percent: float = 5.0,
    test: str = "welch",
    seed: int = 0,
) -> Population:
    """Describe all crops of a store by their predicted classes; labels play no part.

    Args:
        store: N crops.
        probabilities: (N, K).
        classes: K names.
        cuts: Least prediction scores, 0 to 1.
        top_percent: Percent of cells in the gate of each channel.
        test: t test of every two classes, a key of `statistics.TESTS`.
        seed: Of the resampling.
    Raises:
        InputError: A cut or percentage out of range, or a store without crops.
    """
    if not len(store):
        raise InputError(f"{store.path} has no crops")
    for cut in cuts:
        if not 0 <= cut <= 1:
            raise InputError(f"a score cut is between 0 and 1, found {cut}")
    if not 0 < top_percent < 100:
        raise InputError(f"--top is a percentage between 0 and 100, found {top_percent}")
    called, k = probabilities.argmax(axis=1), len(classes)
    groups = store.group_index
    shares, ci_of = composition(called, groups, k, seed)
    measures, why_not = None, ""
    try:
        table = cells_of_store(store, classes, called)
        measures = Morphometry(table, test, "predicted class", compare_measures(table, test))
    except InputError as error:
        why_not = str(error)
    score = probabilities.max(axis=1)
    return Population(
        store=store, classes=classes, probabilities=probabilities, called=called,
        shares=tuple(shares), ci_of=ci_of, measures=measures, why_not=why_not,
        cuts=tuple(_cut(cut, score, called, groups, k, seed) for cut in cuts),
        gates=_gates(measures.table if measures else None, called, groups, k, top_percent, seed),
    )


def _cut(
    cut: float, score: np.ndarray, called: np.ndarray, groups: np.ndarray, k: int, seed: int
) -> Cut:
    kept = score >= cut
    before = np.bincount(called, minlength=k)
    lost = np.bincount(called[~kept], minlength=k)
    return Cut(
        cut, int(kept.sum()), int((~kept).sum()),
        tuple(n / of if of else math.nan for n, of in zip(lost.tolist(), before, strict=True)),
        tuple(composition(called[kept], groups[kept], k, seed)[0]),
    )


def _gates(
    table: CellTable | None, called: np.ndarray, groups: np.ndarray, k: int, top_percent: float,
    seed: int,
) -> tuple[Gate, ...]:
    gates = []
    for measure in table.measures if table else ():
        known = np.isfinite(measure.values)
        if not measure.name.startswith("intensity_") or not known.any():
            continue
        wanted = max(1, round(known.sum() * top_percent / 100))
        threshold = float(np.sort(measure.values[known])[-wanted])
        inside = known & (measure.values >= threshold)
        rest = known & ~inside
        gates.append(
            Gate(
                measure.name, top_percent, threshold, int(inside.sum()),
                tuple(composition(called[inside], groups[inside], k, seed)[0]),
                tuple(composition(called[rest], groups[rest], k, seed)[0]),
            )
        )
    return tuple(gates)
