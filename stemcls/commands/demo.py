"""`stemcls demo`: the whole route on simulated fields, without a network."""

from pathlib import Path
from typing import Annotated, Any

import typer

from stemcls.commands.terminal import (
    Backend,
    Device,
    Json,
    Workspace,
    print_json,
    print_metrics,
    progress,
    say,
)
from stemcls.config.options import MOST_SEED

# Unlike the donors of one study, the field to predict is drawn with a seed nobody trained on.
NEW_FIELDS_SEED = 1000


def demo(
    workspace: Workspace = Path(),
    fields: Annotated[int, typer.Option(min=4, max=1000, help="Fields per class.")] = 12,
    epochs: Annotated[int, typer.Option(min=1, max=100_000, help="Epochs of training.")] = 8,
    seed: Annotated[int, typer.Option(min=0, max=MOST_SEED, help="Seed of everything random.")] = 0,
    backend: Backend = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Simulate three classes, build, train, evaluate, explain and predict: a tour in a minute.

    Fields and store go to the workspace's datasets/, the run to its saved_models/; nothing is
    overwritten.
    """
    import time

    from stemcls.models.backend import start_keras

    begun = time.monotonic()
    name = start_keras(backend, device)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    fields_dir = workspace / "datasets" / f"demo-{stamp}-fields"
    store = workspace / "datasets" / f"demo-{stamp}.h5"

    simulated = _simulate(fields_dir, fields, seed, "1/6 simulate")
    built = _build(fields_dir, store, Path(simulated["truth"]))
    say(f"2/6 build: {built['crops']} crops of {built['fields']} fields -> {store}")
    run, metrics = _train(store, workspace, epochs, seed, name)
    explained = _explain(run)
    say(f"5/6 explain: {len(explained['files'])} pictures")
    table = _predict(run, workspace / "datasets" / f"demo-{stamp}-new-fields", seed)
    seconds = time.monotonic() - begun
    document = {
        "seconds": round(seconds, 1),
        "run": str(run.path),
        "metrics": metrics,
        "store": str(store),
        "fields": str(fields_dir),
        "explanations": explained["files"],
        "predictions": str(table.out),
        "composition": table.composition,
    }
    if json:
        print_json(document)
        return
    print_metrics("test split: donors that training never saw", metrics)
    say(f"done in {seconds:.0f} s on {name}. To look at:")
    for what, where in (
        ("model (plain Keras)", run.model_path),
        ("numbers", run.path / "evaluation" / "metrics.json"),
        ("confusion matrix", run.path / "evaluation" / "confusion.png"),
        ("what it looks at", explained["gallery"]),
        ("new cells, classed", table.out),
        ("drawn on their fields", table.overlays[0]),
    ):
        say(f"  {what:22} {where}")
    where = f" --workspace {workspace}" if workspace != Path() else ""
    say("browse this demo:")
    say(f"  stemcls tui{where}")
    say("your own images: put them into my-images/, one folder per class, then")
    mine = workspace / "datasets" / "mine.h5"
    say(f"  mkdir -p my-images && stemcls tui{where}")
    say(f"  stemcls build my-images --out {mine} && stemcls train {mine}{where}")


def _simulate(out: Path, fields: int, seed: int, title: str) -> dict[str, Any]:
    from stemcls.config.imaging import SimulateConfig
    from stemcls.imaging.simulation.simulate import simulate

    config = SimulateConfig(fields=fields, groups=fields, seed=seed)
    with progress(title) as update:
        return simulate(out, config, update)


def _build(source: Path, store: Path, truth: Path) -> dict[str, Any]:
    """Cells are found, not read from the truth; the truth only gives those found their class."""
    from stemcls.config.imaging import BuildConfig
    from stemcls.store.build import build_store

    store.parent.mkdir(parents=True, exist_ok=True)
    config = BuildConfig(group_what="donor", match_px=8.0)
    with progress("2/6 build") as update:
        return build_store(source, store, config, None, truth, update)


def _train(store: Path, workspace: Path, epochs: int, seed: int, backend: str) -> Any:
    from stemcls.config.experiment import (
        AugmentConfig,
        Experiment,
        ModelConfig,
        SplitConfig,
        StageConfig,
    )
    from stemcls.training.train import prepare_run, train

    experiment = Experiment(
        store=str(store),
        name="demo",
        seed=seed,
        split=SplitConfig(validation=0.17, test=0.25),
        model=ModelConfig(
            backbone="TinyCNN", weights="none", pooling="rings", dropout=0.0, l2=1e-4
        ),
        # A few epochs find the features; what to make of them is then solved for.
        stages=(
            StageConfig(
                name="scratch", epochs=epochs, learning_rate=3e-3, schedule="cosine",
                patience=max(epochs, 1),
            ),
            StageConfig(name="head", trainable="none", epochs=1, views=4, optimizer="lbfgs"),
        ),
        # Donors differ in exposure; a network that has seen that generalises to the next one.
        augment=AugmentConfig(brightness=0.3),
    )
    run = prepare_run(experiment, workspace)
    with progress(f"3/6 train on {backend}") as update:
        metrics = train(run, update)
    say(f"4/6 evaluate: mean recall {metrics['mean_recall']:.3f} on {metrics['n']} test cells")
    return run, metrics


def _explain(run: Any) -> dict[str, Any]:
    from stemcls.config.explain import ExplainConfig
    from stemcls.explain.report import explain_run

    return explain_run(run, config=ExplainConfig(per_class=1))


def _predict(run: Any, fields: Path, seed: int) -> Any:
    from stemcls.models.saved import load_model
    from stemcls.prediction.inputs import expand
    from stemcls.prediction.predict import predict_table

    _simulate(fields, 1, seed + NEW_FIELDS_SEED, "6/6 simulate new fields")
    model, card = load_model(run.model_path)
    out = run.path / "predictions"
    with progress("6/6 predict") as update:
        return predict_table(
            model, card, list(expand([fields]).names), out / "cells.csv", overlays=out / "overlays",
            views=card.views, update=update,
        )
