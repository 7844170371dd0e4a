"""`stemcls morphometry`: how large and how bright the cells of each class are."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stemcls.commands.terminal import Json, Workspace, print_json, print_table, say

if TYPE_CHECKING:
    from stemcls.evaluation.morphometry import Comparison, Result
    from stemcls.evaluation.statistics import Pair


def morphometry(
    stores: Annotated[list[Path], typer.Argument(metavar="STORE...", help="Crop stores (.h5).")],
    by: Annotated[
        str, typer.Option(help="What is compared: label, group (donors) or store.")
    ] = "label",
    classes: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Only these classes, in this order. Several: with commas between, or repeated.",
        ),
    ] = None,
    test: Annotated[
        str,
        typer.Option(
            help="t test of every two classes: welch lets variances differ, student (unpaired, as "
            "in Wang 2023) takes them for equal."
        ),
    ] = "welch",
    out: Annotated[
        Path | None,
        typer.Option(help="New folder for cells.csv, units.csv, box plots and morphometry.json."),
    ] = None,
    workspace: Workspace = Path(),
    json: Json = False,
) -> None:
    """Compare diameter (um) and intensity of cells between classes: by donor, and by cell."""
    from stemcls.atomic import check_free
    from stemcls.evaluation.morphometry import measure
    from stemcls.store.find import find_store

    if out is not None:
        check_free(out)
    stores = [find_store(store, workspace) for store in stores]
    found = measure(stores, by, classes or (), test)
    document: dict[str, Any] = found.to_document()
    files = found.write(out) if out is not None else []
    document |= {"out": None if out is None else str(out), "files": [path.name for path in files]}
    for warning in found.table.warnings:
        say(f"warning: {warning}")
    for reason, count in found.table.left_out.items():
        say(f"left out: {count} crops, {reason}")
    if json:
        print_json(document)
        return
    for result in found.results:
        _show(result, test)
    if len(found.table.classes) > 1:
        units = found.results[0].units.n_is
        say(
            f"judge by the rows where n is {units}: cells that share one are alike, so p is "
            "too small where n is cells"
        )
    if out is not None:
        say(f"table, figures and numbers: {out}")


def show_summary(result: Result) -> None:
    """Print what one measure is in each class."""
    if result.missing:
        say(f"{result.measure.title}: unknown for {result.missing} cells, which are left out")
    units, cells = result.units, result.cells
    title = f"{result.measure.title}, {result.measure.unit}"
    print_table(
        title, ("class", units.n_is, "mean +- SEM", "cells", "mean +- SEM", "median"),
        (_summary_row(name, units, cells) for name in cells.samples),
    )  # fmt: skip


def _show(result: Result, test: str) -> None:
    from stemcls.evaluation.statistics import TESTS

    show_summary(result)
    units, cells = result.units, result.cells
    title = f"{result.measure.title}, {result.measure.unit}"
    if len(cells.samples) < 2:
        say(f"{title}: one class, so nothing to compare")
        return
    rows = []
    for level in (units, cells):
        rows += [_anova_row(level), *(_pair_row(level, pair) for pair in level.pairs)]
    print_table(
        f"{title}: one-way ANOVA; {TESTS[test]}, two-tailed, Holm's p",
        ("n is", "compared", "difference (95 %)", "Hedges' g (95 %)", "p"), rows,
    )


def _summary_row(name: str, units: Comparison, cells: Comparison) -> list[Any]:
    unit, cell = units.summaries[name], cells.summaries[name]
    median = _figure(cell.median, 4) if cell.n else "-"
    return [
        name, unit.n, _plus_minus(unit.mean, unit.sem), cell.n, _plus_minus(cell.mean, cell.sem),
        median,
    ]  # fmt: skip


def _anova_row(level: Comparison) -> list[Any]:
    anova = level.anova
    if anova is None:
        return [level.n_is, "all classes", f"not tested: {level.why_not}", "", ""]
    f = f"F({anova.df_between}, {anova.df_within}) = {_figure(anova.f)}"
    return [level.n_is, "all classes", f, f"eta squared {anova.eta_squared:.2f}", _p(anova.p)]


def _pair_row(level: Comparison, pair: Pair) -> list[Any]:
    names = f"{pair.first} - {pair.second}"
    found = pair.result
    if found is None:
        return [level.n_is, names, f"not tested: {pair.why_not}", "", ""]
    return [
        level.n_is, names, _interval(found.difference, found.difference_ci),
        _interval(found.hedges_g, found.hedges_g_ci), f"{_p(pair.p_holm)} {pair.stars}",
    ]  # fmt: skip


def _figure(value: float, digits: int = 3) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.{digits}g}"


def _plus_minus(mean: float, sem: float) -> str:
    """Return both with as many decimals as show two digits of the standard error."""
    if math.isnan(mean):
        return "-"
    if math.isnan(sem) or sem == 0:
        return _figure(mean, 4)
    decimals = min(max(1 - math.floor(math.log10(sem)), 0), 6)
    return f"{mean:.{decimals}f} +- {sem:.{decimals}f}"


def _interval(value: float, ends: tuple[float, float]) -> str:
    return f"{_figure(value)} ({_figure(ends[0])} to {_figure(ends[1])})"


def _p(p: float) -> str:
    return "< 0.0001" if p < 1e-4 else f"{p:.2g}"
