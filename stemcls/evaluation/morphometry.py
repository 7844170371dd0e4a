"""Compare the size and brightness of cells between classes, by donor and by cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.atomic import check_free, csv_writer, moved, new_folder, write_json
from stemcls.errors import check_known, explained_disk_errors
from stemcls.evaluation.celltable import CellTable, Measure, gather_cells, plural
from stemcls.evaluation.statistics import (
    TESTS,
    Anova,
    Pair,
    Summary,
    UndefinedTestError,
    compare_pairs,
    mean_of,
    one_way_anova,
    summarise,
)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Classes compared on one measure at one level.

    Attributes:
        n_is: What n counts: cells, donors, fields, ...
        samples: Name of each class to its values, one per cell or one mean per unit.
        summaries: Name of each class to what its sample looks like.
        anova: None where there is none.
        why_not: Why there is none.
        pairs: Every two classes that have values.
    """

    n_is: str
    samples: dict[str, np.ndarray]
    summaries: dict[str, Summary]
    anova: Anova | None
    why_not: str
    pairs: list[Pair]

    def to_document(self) -> dict[str, Any]:
        """Return plain values; what is not defined is None."""
        return {
            "n_is": self.n_is,
            "summary": {name: asdict(summary) for name, summary in self.summaries.items()},
            "anova": asdict(self.anova) if self.anova else None,
            "why_no_anova": self.why_not or None,
            "pairs": [
                {
                    "first": pair.first, "second": pair.second,
                    **(asdict(pair.result) if pair.result else {}),
                    "p_holm": pair.p_holm, "stars": pair.stars,
                    "why_no_test": pair.why_not or None,
                }
                for pair in self.pairs
            ],
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class Result:
    """One measure: units compared (the main line), then cells.

    Attributes:
        measure: What was measured.
        units: One mean per unit and class.
        cells: One value per cell; cells of a unit are alike, so p is too small here.
        missing: Cells without this measure.
        members: (class, unit, cells, mean) of every unit and class.
    """

    measure: Measure
    units: Comparison
    cells: Comparison
    missing: int
    members: list[tuple[str, str, int, float]]

    def to_document(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "name": self.measure.name,
            "unit": self.measure.unit,
            "missing": self.missing,
            "by_unit": {
                **self.units.to_document(),
                "means": [
                    {"class": name, "name": unit, "cells": cells, "mean": mean}
                    for name, unit, cells, mean in self.members
                ],
            },
            "by_cell": self.cells.to_document(),
        }


@dataclass(frozen=True, eq=False)
class Morphometry:
    """What `measure` found.

    Attributes:
        table: The cells.
        test: A key of `TESTS`.
        by: What told classes apart.
        results: One per measure.
    """

    table: CellTable
    test: str
    by: str
    results: list[Result]

    def to_document(self) -> dict[str, Any]:
        """Return what `stemcls morphometry --json` prints, but for the files."""
        table = self.table
        return {
            "stores": [str(path) for path in table.stores],
            "by": self.by,
            "classes": list(table.classes),
            "cells": len(table),
            "unit_is": table.unit_what,
            "test": self.test,
            "left_out": table.left_out,
            "warnings": list(table.warnings),
            "measures": [result.to_document() for result in self.results],
        }

    def write(self, folder: Path) -> list[Path]:
        """Write `cells.csv`, `units.csv`, a figure per measure, and last `morphometry.json`.

        Raises:
            InputError: The folder is there and not empty.
            StemclsError: The disk is full.
        """
        from stemcls.evaluation.boxplots import draw_boxes
        from stemcls.evaluation.figures import write_figure

        check_free(folder)
        with (
            explained_disk_errors(folder, "the store is as it was; free some space and repeat"),
            new_folder(folder) as temporary,
        ):
            paths = [self._write_cells(temporary / "cells.csv"), self._write_units(temporary)]
            for number, result in enumerate(self.results):
                stem = temporary / f"{number + 1}-{_file_name(result.measure.name)}"
                paths += write_figure(draw_boxes(result), stem)
            write_json(temporary / "morphometry.json", self.to_document())
        return [*moved(paths, temporary, folder), folder / "morphometry.json"]

    def _write_cells(self, path: Path) -> Path:
        table = self.table
        columns = [result.measure for result in self.results]
        with csv_writer(path) as writer:
            writer.writerow(
                ["store", "row", "class", table.unit_what, "field_path", "radius_px",
                 "pixel_size_um", *(column.name for column in columns)]
            )  # fmt: skip
            for i in range(len(table)):
                numbers = (
                    table.radius_px[i], table.pixel_size_um[i], *(c.values[i] for c in columns)
                )
                writer.writerow(
                    [table.stores[table.store_index[i]], table.row[i],
                     table.classes[table.class_index[i]], table.units[table.unit_index[i]],
                     table.fields[i], *map(_number, numbers)]
                )  # fmt: skip
        return path

    def _write_units(self, folder: Path) -> Path:
        path = folder / "units.csv"
        with csv_writer(path) as writer:
            writer.writerow(["measure", "class", self.table.unit_what, "cells", "mean"])
            for result in self.results:
                for name, unit, cells, mean in result.members:
                    writer.writerow([result.measure.name, name, unit, cells, _number(mean)])
        return path


def measure(
    stores: Sequence[Path], by: str = "label", classes: Sequence[str] = (), test: str = "welch"
) -> Morphometry:
    """Compare diameter and intensity between classes.

    Args:
        stores: Crop stores.
        by: What tells classes apart; see `gather_cells`.
        classes: Names of those wanted; none: all.
        test: A key of `TESTS`, for every two classes.
    Raises:
        InputError: See `gather_cells`, or no such test.
    """
    check_known(test, TESTS, f"--test {test!r} is not a choice")
    table = gather_cells(stores, by, classes)
    return Morphometry(table, test, by, compare_measures(table, test))


def compare_measures(table: CellTable, test: str = "welch") -> list[Result]:
    """Compare the classes of a table on each of its measures, by unit and by cell."""
    return [_result(table, one, test) for one in table.measures]


def _result(table: CellTable, one: Measure, test: str) -> Result:
    known = np.isfinite(one.values)
    cells: dict[str, np.ndarray] = {}
    units: dict[str, np.ndarray] = {}
    members: list[tuple[str, str, int, float]] = []
    for number, name in enumerate(table.classes):
        rows = np.flatnonzero(known & (table.class_index == number))
        cells[name] = one.values[rows]
        rows = rows[np.argsort(table.unit_index[rows], kind="stable")]
        found, starts = np.unique(table.unit_index[rows], return_index=True)
        parts = np.split(one.values[rows], starts[1:]) if len(found) else []
        means = [mean_of(part) for part in parts]
        units[name] = np.array(means, np.float64)
        members += [
            (name, table.units[unit], len(part), mean)
            for unit, part, mean in zip(found, parts, means, strict=True)
        ]
    return Result(
        one, compare(units, plural(table.unit_what), test), compare(cells, "cells", test),
        int((~known).sum()), members,
    )  # fmt: skip


def compare(samples: dict[str, np.ndarray], n_is: str, test: str = "welch") -> Comparison:
    """Summarise and compare samples; classes without values are summarised only.

    Args:
        samples: Name of each class to its (n,) finite values.
        n_is: What a value stands for, in the plural.
        test: A key of `TESTS`.
    """
    present = {name: values for name, values in samples.items() if len(values)}
    anova, why_not = None, ""
    try:
        anova = one_way_anova(present)
    except UndefinedTestError as error:
        why_not = str(error)
    summaries = {name: summarise(values) for name, values in samples.items()}
    return Comparison(n_is, samples, summaries, anova, why_not, compare_pairs(present, test))


def _number(value: float) -> str:
    return f"{value:.9g}" if np.isfinite(value) else ""


def _file_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name)[:60]
