"""`stemcls tune`: search for the settings that train best, and go on with a search."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from stemcls.commands.experiments import Changes, ConfigFile, Recipe, base_of, experiment_of
from stemcls.commands.terminal import (
    Backend,
    Json,
    Workspace,
    config_options,
    print_json,
    print_table,
    progress,
    say,
)
from stemcls.config.experiment import Experiment
from stemcls.config.options import split_list, with_assignments
from stemcls.errors import InputError
from stemcls.evaluation.numbertext import number_text, with_interval

TRIALS, FOLDS, SAMPLES, SHOWN = 30, 3, 3, 10


@config_options(Experiment, skip=("store", "backbone"))
def tune(
    given: dict[str, Any],
    store: Annotated[
        Path | None, typer.Argument(help="Crop store; not needed with --config or --resume.")
    ] = None,
    trials: Annotated[
        int | None, typer.Option(min=1, max=100_000, help=f"Settings to try (default: {TRIALS}).")
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            min=1, max=100, help=f"Grouped folds that score a setting (default: {FOLDS})."
        ),
    ] = None,
    backbone: Annotated[
        list[str] | None,
        typer.Option(
            help="Network. Several to search among: with commas between, or repeated."
        ),
    ] = None,
    objective: Annotated[
        str | None, typer.Option(
            help="Metric to improve: balanced_accuracy (default), auroc, mean_recall, accuracy, "
            "f1_macro, ..., or of one class: CLASS.sensitivity."
        ),
    ] = None,
    algorithm: Annotated[
        str | None, typer.Option(
            help="How settings are suggested: ei (default), random, kerastuner or hyperband."
        ),
    ] = None,
    space: Annotated[
        Path | None, typer.Option(help="TOML of the search space (default: by the experiment).")
    ] = None,
    racing: Annotated[
        bool | None, typer.Option(
            "--racing/--no-racing", help="Give up settings that are hopeless after their first "
            "folds (default).", show_default=False,
        ),
    ] = None,
    slots: Annotated[
        int | None,
        typer.Option(min=1, max=4096, help="Folds at once (default: one per GPU, else 1)."),
    ] = None,
    devices: Annotated[
        str, typer.Option(help="cpu, or numbers of GPUs: 0,1 (default: all GPUs, else cpu).")
    ] = "",
    scheduler: Annotated[
        str | None, typer.Option(
            metavar="ADDRESS", help="Run folds on a Dask cluster: tcp://HOST:PORT."
        ),
    ] = None,
    max_hours: Annotated[
        float | None,
        typer.Option(min=0.0, max=100_000.0, help="Begin no fold after this; conclude then."),
    ] = None,
    config: ConfigFile = None,
    recipe: Recipe = None,
    changes: Changes = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="STUDY", help="Go on with a study (folder or name).")
    ] = None,
    extend: Annotated[
        int | None, typer.Option(min=1, max=100_000, help="With --resume: this many trials more.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the space and three samples; train nothing.")
    ] = False,
    backend: Backend = None,
    workspace: Workspace = Path(),
    json: Json = False,
) -> None:
    """Search settings by Bayesian optimisation of a grouped cross-validation.

    Groups that test are held out first and score the best and the initial settings in the end. The
    first Ctrl-C finishes the folds under way, a second abandons them; --resume goes on.
    """
    from stemcls.models.backend import choose_backend
    from stemcls.store.find import open_same
    from stemcls.tuning.running.machine import machine_of
    from stemcls.tuning.study.setup import check_store, new_study
    from stemcls.tuning.study.study import Study

    if extend is not None and resume is None:
        raise InputError("--extend adds trials to a study: give --resume STUDY; else --trials")
    study = Study.open(resume, workspace) if resume is not None else None
    old = study.definition if study is not None else None
    name = choose_backend(backend or (old.backend if old else None))
    machine = machine_of(slots, [d for d in devices.split(",") if d], scheduler, say)
    search = {"objective": objective, "folds": folds, "algorithm": algorithm, "racing": racing}
    settings = with_assignments(given, changes)
    backbone = split_list(backbone or ())
    if old and not (store or config or recipe or settings or backbone or space):
        chosen: Any = {key: value for key, value in search.items() if value is not None}
        wanted = dataclasses.replace(old, backend=name, **chosen)
    else:
        base = base_of(recipe, config)
        if study and old and not (recipe or config):
            base = old.to_mapping()["experiment"]
            found = open_same(old.experiment.store, old.store_hash, study.path, workspace)
            base["store"] = str(found.path)
        experiment = experiment_of(store, base, settings, workspace)
        wanted = _defined(experiment, backbone or (), space, search, machine.n_slots, name, old)
        if old and wanted.store_hash == old.store_hash:  # the same crops, wherever they lie
            recorded = dataclasses.replace(wanted.experiment, store=old.experiment.store)
            wanted = dataclasses.replace(wanted, experiment=recorded)
    if dry_run:
        _show_space(wanted, json)
        return
    if study is None:
        study, in_all = new_study(wanted, workspace, trials or TRIALS), None
    else:
        study.check_same(wanted)
        check_store(study)
        _warn_of_version(study)
        in_all = study.n_trials + extend if extend else trials
    document = _run(study, machine, max_hours, in_all)
    if json:
        print_json(document)
        return
    _show(document)


def _run(study: Any, machine: Any, max_hours: float | None, in_all: int | None) -> dict[str, Any]:
    from stemcls.tuning.session import run_session

    backend = study.definition.backend
    say(f"study {study.path} on {backend}, {machine.n_slots} fold(s) at once")
    try:
        with progress("tune") as update:
            return run_session(
                study, machine, max_hours=max_hours, extend_to=in_all, update=update, say=say
            )
    except BaseException:
        if study.run.summary()["state"] in ("cancelled", "failed"):
            say(f"go on with: stemcls tune --resume {study.path}")
        raise


def _defined(
    experiment: Experiment, backbones: Sequence[str], space: Path | None,
    search: dict[str, Any], n_slots: int, backend: str, old: Any,
) -> Any:
    from stemcls.tuning.study.objective import DEFAULT
    from stemcls.tuning.study.setup import define

    if backbones:
        model = dataclasses.replace(experiment.model, backbone=backbones[0])
        experiment = dataclasses.replace(experiment, model=model)
    kept = {
        key: getattr(old, key) if old and value is None else value
        for key, value in search.items()
    }
    n_folds = FOLDS if kept["folds"] is None else kept["folds"]
    return define(
        experiment, _space_of(experiment, backbones, space, old, n_folds),
        objective=kept["objective"] or DEFAULT,
        folds=n_folds,
        algorithm=kept["algorithm"] or "ei",
        racing=True if kept["racing"] is None else kept["racing"],
        slots=n_slots, backend=backend,
    )


def _space_of(
    experiment: Experiment, backbones: Sequence[str], space: Path | None, old: Any, folds: int
) -> Any:
    from stemcls.tuning.space.default import default_space
    from stemcls.tuning.space.dimensions import Dimension
    from stemcls.tuning.space.file import read_space
    from stemcls.tuning.space.space import SearchSpace

    if space is None:
        if old and not backbones:
            return old.space
        return default_space(experiment, backbones, _crops_of_a_fold(experiment, folds))
    found = read_space(space, experiment)
    if len(backbones) > 1 and all(d.key != "model.backbone" for d in found.dimensions):
        networks = Dimension(key="model.backbone", kind="choice", choices=tuple(backbones))
        return SearchSpace((networks, *found.dimensions))
    return found


def _crops_of_a_fold(experiment: Experiment, folds: int) -> int:
    """Return about how many crops a fold trains on, rather too few than too many."""
    from stemcls.store.classes import class_index
    from stemcls.store.cropstore import CropStore

    store, split = CropStore.open(Path(experiment.store)), experiment.split
    labelled = int((class_index(store, split.classes or store.classes) >= 0).sum())
    share = (1 - split.test) * (1 - 1 / folds) - split.validation
    return max(1, int(0.9 * share * labelled))


def _warn_of_version(study: Any) -> None:
    from importlib.metadata import version

    if study.made_by != version("stemcls"):
        say(
            f"{study.path} was begun by stemcls {study.made_by}, this is {version('stemcls')}: "
            "trials from now on may be other ones than that version would have suggested"
        )


def _show_space(definition: Any, json: bool) -> None:
    from stemcls.tuning.study.setup import samples

    settings = samples(definition, SAMPLES)
    size = definition.space.size()
    if json:
        print_json({
            "space": definition.space.to_dict(), "size": size, "samples": settings,
            "objective": definition.objective, "folds": definition.folds,
        })
        return
    many = "infinitely many" if size is None else f"{size:,}"
    print_table(
        f"{many} settings; objective: {definition.objective}, mean over {definition.folds} folds",
        ("setting", "values", "initial", "only where"),
        (
            (
                d.key, d.range, d.default,
                f"{d.when.key} is {', '.join(map(str, d.when.values))}" if d.when else "",
            )
            for d in definition.space.dimensions
        ),
    )
    print_table(
        "samples", ("setting", "initial", *(f"sample {n}" for n in range(2, len(settings) + 1))),
        (
            (d.key, *(str(sample.get(d.key, "-")) for sample in settings))
            for d in definition.space.dimensions
        ),
    )


def _show(document: dict[str, Any]) -> None:
    best, initial = document["best"], document["initial"]
    finished = [t for t in document["trials"] if t["state"] == "finished"]
    leading = sorted(finished, key=lambda t: (-t["score"], t["number"]))[:SHOWN]
    marks = dict.fromkeys(document["alike"], "alike")
    marks[best["trial"]] = "chosen"
    print_table(
        f"leading trials by {document['objective']}, {len(document['trials'])} in all",
        ("trial", "mean", "SD over folds", "weights", "", "settings"),
        (
            (
                t["number"], t["score"], "-" if t["std"] is None else t["std"],
                f"{t['parameters']:,}", marks.get(t["number"], ""),
                ", ".join(f"{key}={value}" for key, value in t["values"].items()),
            )
            for t in leading
        ),
    )
    say(document["reason"])
    sides = [side for side in (best, initial) if side["metrics"]]
    if len(sides) == 2 and best["trial"] != initial["trial"]:
        differences = document["comparison"]["runs"][0]["differences"] or {}
        print_table(
            "on crops that the search never saw",
            ("metric", f"chosen (trial {best['trial']})", "initial (trial 0)", "difference, 95 %"),
            (
                (key, *(number_text(side["metrics"].get(key)) for side in sides),
                 _difference(differences.get(key)))
                for key in document["comparison"]["runs"][0]["metrics"]
            ),
        )
    for note in document["notes"]:
        say(f"note: {note}")
    say(f"report: {document['report']}")
    say(f"next: stemcls train --config {best['config']}   or   stemcls evaluate {best['run']}")


def _difference(found: dict[str, Any] | None) -> str:
    return with_interval(found["difference"], found["ci"], "+.3f") if found else "-"
