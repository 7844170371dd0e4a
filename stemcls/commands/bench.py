"""`stemcls bench`: stemcls beside a baseline, on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from stemcls.commands.terminal import Json, print_json, print_table, say
from stemcls.errors import InputError, StemclsError, nearest

# Name -> module and function; a function takes the data folder and returns a row, or several. A
# name also stands for those that begin with it and a dash.
BENCHMARKS: dict[str, tuple[str, str]] = {
    "startup": ("stemcls.bench.startup", "startup"),
    "store": ("stemcls.bench.store", "store"),
    "detect-blobs": ("stemcls.bench.blobs", "blobs"),
    "detect-simulated": ("stemcls.bench.fields", "simulated_cells"),
    "detect-real": ("stemcls.bench.detectreal", "real_fields"),
    "detect-build": ("stemcls.bench.fields", "build_rate"),
    "first-answer": ("stemcls.bench.firstanswer", "first_answer"),
    "train-input": ("stemcls.bench.training", "train_input"),
    "train-frozen": ("stemcls.bench.frozen", "train_frozen"),
    "train-start": ("stemcls.bench.firststep", "train_start"),
    "train-recipe": ("stemcls.bench.recipe", "train_recipe"),
    "predict-store": ("stemcls.bench.prediction", "predict_store"),
    "predict-fields": ("stemcls.bench.prediction", "predict_fields"),
    "serve": ("stemcls.bench.serving", "serve"),
    "evaluate": ("stemcls.bench.evaluation", "evaluate"),
    "audit": ("stemcls.bench.audit", "audit"),
    "copies": ("stemcls.bench.copies", "copies"),
    "curve": ("stemcls.bench.curve", "curve"),
    "explain-scorecam": ("stemcls.bench.explaining", "explain_scorecam"),
    "explain-gradcam": ("stemcls.bench.explaining", "explain_gradcam"),
    "explain-memory": ("stemcls.bench.explaining", "explain_memory"),
    "explain-rates": ("stemcls.bench.explaining", "explain_rates"),
    "tune-suggestion": ("stemcls.bench.tuning", "suggestion_seconds"),
    "tune-random": ("stemcls.bench.tuning", "random_trials"),
    "tune-stock": ("stemcls.bench.tuning", "stock_trials"),
    "tune-head": ("stemcls.bench.study", "head_study"),
    "tune-real": ("stemcls.bench.study", "real_study"),
    "tui": ("stemcls.bench.terminal", "tui"),
    "scale": ("stemcls.bench.scale", "scale"),
    "ht1080": ("stemcls.bench.real", "ht1080"),
    "chula": ("stemcls.bench.real", "chula"),
}


def bench(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...",
            help=f"{', '.join(BENCHMARKS)}, or the beginning of several: detect (default: all).",
        ),
    ] = None,
    data: Annotated[
        Path, typer.Option(help="Folder of real images, for the benchmarks that need them.")
    ] = Path("../shared/data"),
    seeds: Annotated[
        int,
        typer.Option(min=1, max=1000, help="Seeds of each search in tune-random and tune-stock."),
    ] = 10,
    crops: Annotated[
        list[int] | None,
        typer.Option(
            min=1, max=10_000_000,
            help="Sizes of scale, given twice or more (default: 2000 and 8000; the papers': "
            "74000 and 600000).",
        ),
    ] = None,
    step: Annotated[
        list[str] | None, typer.Option(help="A step of scale to measure (default: all).")
    ] = None,
    json: Json = False,
) -> None:
    """Measure stemcls beside a baseline; exit code 1 if one falls short of its target."""
    from importlib import import_module
    from inspect import signature

    from stemcls.bench.backends import advice
    from stemcls.bench.measure import passed

    wanted = [one for name in names or BENCHMARKS for one in _called(name)]
    rows: list[dict[str, Any]] = []
    for name in wanted:
        say(f"bench {name} ...")
        module, function = BENCHMARKS[name]
        measure = getattr(import_module(module), function)
        given = {"seeds": seeds, "crops": crops, "steps": step}
        takes = signature(measure).parameters
        options = {key: value for key, value in given.items() if value and key in takes}
        try:
            found = measure(data, **options)
        except InputError as error:
            if names and name in names:
                raise
            say(f"left out: {error}")
            continue
        rows += found if isinstance(found, list) else [found]
    if json:
        print_json(rows)
    else:
        _show(rows)
    told = advice(rows)
    if told:
        say(told)
    short = [row["name"] for row in rows if not passed(row)]
    if short:
        raise StemclsError(
            f"below target or unequal to the baseline: {', '.join(short)}; run it again on an idle "
            "machine before you believe it"
        )


def _called(name: str) -> list[str]:
    """Return the benchmarks that a name stands for.

    Raises:
        InputError: There are none.
    """
    found = [one for one in BENCHMARKS if one == name or one.startswith(f"{name}-")]
    if not found:
        raise InputError(f"there is no benchmark {name!r}{nearest(name, BENCHMARKS)}")
    return found


def _show(rows: list[dict[str, Any]]) -> None:
    print_table(
        "benchmarks (ratio above 1: stemcls is better)",
        ("name", "stemcls", "baseline", "unit", "ratio", "target", "equal outputs"),
        (
            tuple(
                "-" if row[key] is None else row[key]
                for key in (
                    "name", "ours", "baseline", "unit", "ratio", "target", "equal_outputs"
                )
            )
            for row in rows
        ),
    )
