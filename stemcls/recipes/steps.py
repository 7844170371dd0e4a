"""The steps that recipes are made of, each a few lines around what a command does too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from stemcls.interruption import interruptible
from stemcls.recipes.layout import find_images, write_manifest
from stemcls.recipes.work import BEGUN, Work
from stemcls.runs import Run

Found = dict[str, Any]


def build(work: Work) -> Found:
    """Find the images by the layout, list them in manifest.csv, and build the crop store."""
    from stemcls.store.build import build_store

    layout, manifest = work.protocol.layout, work.run.path / "manifest.csv"
    if not work.store_path.exists():
        sources = find_images(work.data, layout)
        write_manifest(manifest, sources)
        named = layout.group_what if any(source.group for source in sources) else ""
        config = replace(work.protocol.build, group_what=named or "group")
        with work.show("build") as update:
            document = build_store(
                work.data, work.store_path, config, manifest, update=update, tell=work.say
            )
        work.keep("build", BEGUN, skipped=document["skipped"], dropped=document["dropped"])
    kept = work.results.get("build", {})
    store = work.store()
    counts = np.bincount(store.labels[store.labels >= 0], minlength=len(store.classes))
    return {
        "store": str(store.path), "crops": len(store), "fields": len(store.fields),
        "classes": dict(zip(store.classes, counts.tolist(), strict=True)),
        "groups": len(store.group_names) if store.has_groups else 0,
        "group_what": store.group_what,
        "skipped": kept.get("skipped", []), "dropped": kept.get("dropped", {}),
    }


def audit(work: Work) -> Found:
    """Ask what `stemcls audit` asks of the store."""
    from stemcls.audit.run import audit_store, place_of
    from stemcls.store.auditfile import write_audit

    store = work.store()
    with work.show("audit") as update, interruptible() as interruption:
        document = audit_store(
            store, work.protocol.audit, None, work.workspace, interruption, update
        )
    write_audit(place_of(store, None), document)
    checks = [
        {key: check[key] for key in ("title", "status", "why", "todo")}
        for check in document["checks"]
    ]
    return {"status": document["status"], "checks": checks, "not_run": document["not_run"]}


def train(work: Work) -> Found:
    """Train the network, or go on where training stopped."""
    from stemcls.training.train import prepare_run
    from stemcls.training.train import train as train_run

    kept = work.results.get("train", {})
    if "run" in kept:
        run = Run(Path(kept["run"]))
    else:
        run = prepare_run(work.experiment(), work.workspace)
        work.keep("train", BEGUN, run=str(run.path))
    with work.show("train") as update:
        metrics = train_run(run, update)
    return {"run": str(run.path), "metrics": metrics}


def search(work: Work) -> Found:
    """Search settings, or go on with the search; then score the best and the initial ones."""
    from stemcls.tuning.running.machine import machine_of
    from stemcls.tuning.session import run_session
    from stemcls.tuning.space.default import default_space
    from stemcls.tuning.study.setup import check_store, define, new_study
    from stemcls.tuning.study.study import Study

    machine = machine_of(work.slots, (), work.scheduler, work.say)
    kept, wanted = work.results.get("search", {}), work.protocol.search
    if "study" in kept:
        study = Study.open(Path(kept["study"]))
        check_store(study)
    else:
        experiment = work.experiment()
        definition = define(
            experiment, default_space(experiment), objective=wanted.objective, folds=wanted.folds,
            algorithm=wanted.algorithm, racing=wanted.racing, slots=machine.n_slots,
            backend=work.backend,
        )
        study = new_study(definition, work.workspace, wanted.trials)
        work.keep("search", BEGUN, study=str(study.path))
    with work.show("search") as update:
        document = run_session(study, machine, update=update, say=work.say)
    shown = ("study", "best", "initial", "alike", "reason", "comparison", "report", "seconds")
    return {key: document[key] for key in shown} | {"trials": len(document["trials"])}


def evaluate(work: Work) -> Found:
    """Score the model on its test split, with all figures and the run's own report."""
    from stemcls.evaluation.details import write_details
    from stemcls.evaluation.report.write import write_report
    from stemcls.evaluation.runfiles import read_split
    from stemcls.training.score import score_run

    run, by_sorting = work.trained(), work.protocol.consistency
    with work.show("evaluate") as update:
        evaluation, folder = score_run(run, consistency=by_sorting, update=update)
        write_details(folder, evaluation, work.store(), read_split(run).by, update)
        report = write_report(run, consistency=by_sorting, update=update)
    return {**evaluation.to_document(), "folder": str(folder), "report": str(report)}


def morphometry(work: Work) -> Found:
    """Measure the diameters of the cells of each class; tests as in Wang 2023."""
    from stemcls.evaluation.morphometry import measure

    found = measure([work.store_path], classes=work.protocol.layout.classes, test="student")
    found.write(work.fresh("morphometry"))
    sizes = {result.measure.name: result for result in found.results}
    in_um = sizes.get("diameter_um")
    cells = in_um.cells.summaries if in_um else {}
    return {"diameter_um": {name: summary.mean for name, summary in cells.items()}}


def curve(work: Work) -> Found:
    """Measure a learning curve with frozen features of the recipe's backbone."""
    from stemcls.probes.learning import learning_curve, write_curve

    experiment = work.protocol.experiment
    config = replace(
        work.protocol.curve, model=experiment.model, classes=experiment.split.classes
    )
    with work.show("curve") as update, interruptible() as interruption:
        document, found = learning_curve(
            work.store(), config, work.workspace, interruption, update
        )
    write_curve(work.fresh("curve"), document, found)
    return {key: document[key] for key in ("points", "at_double", "advice", "missing")}


def embed(work: Work) -> Found:
    """Lay out the test crops before and after training."""
    from stemcls.probes.embed import embed_run

    with work.show("embed") as update, interruptible() as interruption:
        document = embed_run(
            work.trained(), None, work.protocol.embed, work.fresh("embed"), interruption, update
        )
    return {key: document[key] for key in ("spaces", "missing", "out")}


def explain(work: Work) -> Found:
    """Draw what the model looks at."""
    from stemcls.explain.report import explain_run

    with work.show("explain") as update:
        document = explain_run(
            work.trained(), config=work.protocol.explain, out=work.fresh("explain"), update=update
        )
    rows = [{key: row[key] for key in ("method", "layer", "pixel_score")}
            for row in document["methods"]]
    return {"methods": rows, "gallery": document["gallery"]}


@dataclass(frozen=True)
class Step:
    """A step of a recipe.

    Attributes:
        do: Does it; takes up what an earlier process left.
        needed: Whether later steps build on it; the others may fail, which the report then says.
        keras: Whether it needs Keras in this process.
    """

    do: Callable[[Work], Found]
    needed: bool = False
    keras: bool = False


STEPS: Mapping[str, Step] = MappingProxyType({
    "build": Step(build, needed=True),
    "audit": Step(audit),
    "train": Step(train, needed=True, keras=True),
    "search": Step(search, needed=True),
    "evaluate": Step(evaluate, needed=True, keras=True),
    "morphometry": Step(morphometry),
    "curve": Step(curve, keras=True),
    "embed": Step(embed, keras=True),
    "explain": Step(explain, keras=True),
})
