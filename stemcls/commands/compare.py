"""`stemcls compare`: finished runs side by side, and whether their differences hold."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from stemcls.commands.terminal import (
    Backend,
    Device,
    Json,
    Workspace,
    print_json,
    print_table,
    progress,
    say,
)
from stemcls.errors import InputError
from stemcls.evaluation.numbertext import interval_text, number_text, with_interval


def compare(
    runs: Annotated[
        list[Path], typer.Argument(help="Finished runs or cross-validations, by folder or name.")
    ],
    baseline: Annotated[
        Path | None, typer.Option(help="Compare the others with this run (default: the best).")
    ] = None,
    by: Annotated[
        str, typer.Option(help="Metric that says which run is best.")
    ] = "mean_recall",
    shared: Annotated[
        bool, typer.Option(
            "--shared", help="Compare single runs of different test splits on the crops they share."
        ),
    ] = False,
    speed: Annotated[
        bool, typer.Option("--speed", help="Also measure crops per second of each model, here.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="New folder for CSV files and the figure.")
    ] = None,
    backend: Backend = None,
    device: Device = "auto",
    workspace: Workspace = Path(),
    json: Json = False,
) -> None:
    """Lay runs side by side: scores, paired tests on the same folds or crops, size and speed.

    Runs trained with the same store, --folds and --seed share their folds, whatever the backbone.
    """
    from stemcls.atomic import check_new
    from stemcls.runs import Run

    if backend and not speed:
        raise InputError("--backend is for --speed; nothing else here needs a backend")
    if out is not None:
        check_new(out)
    opened = [Run.open(run, workspace) for run in runs]
    place = None
    if baseline is not None:
        wanted = Run.open(baseline, workspace)
        paths = [run.path.resolve() for run in opened]
        if wanted.path.resolve() not in paths:
            opened.append(wanted)
            paths.append(wanted.path.resolve())
        place = paths.index(wanted.path.resolve())
    from stemcls.evaluation.finished import on_shared_crops, read_finished
    from stemcls.evaluation.sidebyside import lay_side_by_side, write_comparison

    finished = [read_finished(run) for run in opened]
    if shared:
        finished = on_shared_crops(finished)
    document = lay_side_by_side(finished, by, place)
    if speed:
        _measure(document["runs"], finished, backend, device)
    files = write_comparison(out, document) if out is not None else []
    _warn(document)
    if json:
        print_json({**document, "files": [str(file) for file in files]})
        return
    _print(document)
    for note in document["notes"]:
        say(f"note: {note}")
    if files:
        say(f"tables and figure: {out}")


def _measure(
    rows: list[dict[str, Any]], finished: list[Any], backend: str | None, device: str
) -> None:
    from stemcls.models.backend import start_keras

    start_keras(backend, device)
    import keras

    from stemcls.evaluation.runfiles import store_of
    from stemcls.models.saved import load_model
    from stemcls.models.speed import crops_per_second, device_name

    with progress("speed") as update:
        for number, (row, run) in enumerate(zip(rows, finished, strict=True), start=1):
            store = store_of(run.parts[0], run.splits[0])
            model, card = load_model(run.parts[0].model_path)
            card.check_crops(store)
            row["crops_per_second"] = crops_per_second(model, store.read(slice(0, 512)))
            row["device"] = device_name()
            keras.utils.clear_session()
            update(number, len(rows), row["run"])


def _warn(document: dict[str, Any]) -> None:
    for run in document["runs"]:
        if run["not_comparable"]:
            say(
                f"NOT COMPARABLE: the figures of {run['run']} and {document['reference']} must not "
                f"be weighed against each other: {run['not_comparable']}; not tested"
            )


def _print(document: dict[str, Any]) -> None:
    runs = document["runs"]
    letters = [_letter(place) for place in range(len(runs))]
    print_table(
        "runs", ("", "run", "backbone", "scored on", "crops"),
        ([letter, run["run"], run["backbone"], run["evaluated_on"], run["n"]]
         for letter, run in zip(letters, runs, strict=True)),
    )
    rows = [[key, *(_score(run["metrics"][key]) for run in runs)] for key in runs[0]["metrics"]]
    rows += [
        [name, *(_quantity(run[key], digits) for run in runs)]
        for name, key, digits in (
            ("parameters", "parameters", 0), ("model, MiB", "model_mib", 1),
            ("training, s", "seconds", 0), ("crops/s", "crops_per_second", 0),
        )
    ]
    print_table(
        "side by side (mean +- SD over folds, or score and 95 % interval)", ("", *letters), rows
    )
    _print_tests(document, letters)
    for device in {run["device"] for run in runs if run["device"]}:
        say(f"crops/s: batches of 64 on {device}, median of 3 passes after one to warm up")


def _print_tests(document: dict[str, Any], letters: list[str]) -> None:
    tested = [
        (letter, run)
        for letter, run in zip(letters, document["runs"], strict=True) if run["differences"]
    ]
    if not tested:
        return
    print_table(
        f"difference to {document['reference']}: {document['test']}",
        ("metric", "run", "difference", "95 % interval", "p (Holm)"),
        ([key, letter, *_difference(run["differences"][key])]
         for key in tested[0][1]["differences"] for letter, run in tested),
    )
    disagreeing = [(letter, run["mcnemar"]) for letter, run in tested if run["mcnemar"]]
    if disagreeing:
        print_table(
            "crops that only one of them gets right (McNemar's p takes crops as independent)",
            ("run", "the run", document["reference"], "p"),
            ([letter, *counts.values()] for letter, counts in disagreeing),
        )


def _letter(place: int) -> str:
    return chr(ord("A") + place) if place < 26 else str(place + 1)


def _score(score: dict[str, Any]) -> str:
    if not math.isfinite(score["mean"]):
        return "-"
    if score["ci"]:
        return with_interval(score["mean"], score["ci"])
    spread = f" +- {score['sd']:.3f}" if math.isfinite(score["sd"]) else ""
    return f"{score['mean']:.3f}{spread}"


def _difference(found: dict[str, Any]) -> list[str]:
    return [
        number_text(found["difference"], "+.3f"), interval_text(found["ci"], "+.3f"),
        number_text(found["p_holm"], ".3g"),
    ]


def _quantity(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"
