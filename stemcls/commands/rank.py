"""`stemcls rank`: which backbone suits the crops of a store."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from stemcls.commands.terminal import (
    Backend,
    Device,
    Json,
    Workspace,
    config_options,
    print_json,
    print_table,
    progress,
    resolved,
    say,
)
from stemcls.config.experiment import SplitConfig
from stemcls.config.options import MOST_SEED
from stemcls.errors import InputError
from stemcls.evaluation.numbertext import interval_text


@config_options(SplitConfig, skip=("validation", "test"))
def rank(
    store: Annotated[Path, typer.Argument(help="Labelled crop store (.h5).")],
    given: dict[str, Any],
    backbone: Annotated[
        list[str] | None, typer.Option(help="Only these backbones, repeatable (default: all).")
    ] = None,
    file: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[:ALPHA]=FILE", help="Weights file of a backbone that no cache holds."
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, max=MOST_SEED, help="Seed of the folds.")
    ] = 0,
    backend: Backend = None,
    device: Device = "auto",
    workspace: Workspace = Path(),
    json: Json = False,
) -> None:
    """Rank the backbones whose weights are here on the crops of a store, in minutes.

    Logistic regression on frozen features, as the first stage of `stemcls train`; scored by folds
    that keep groups together.
    """
    from stemcls.interruption import interruptible
    from stemcls.models.backend import start_keras
    from stemcls.store.find import find_store
    from stemcls.store.verify import open_verified

    split = resolved(SplitConfig, given)
    opened = open_verified(find_store(store, workspace))
    files = dict(map(_named_file, file or []))
    start_keras(backend, device)
    from stemcls.probes.rank import candidates, fastest_of_the_best
    from stemcls.probes.rank import rank as ranked

    models = candidates(tuple(backbone or ()), files)
    with progress("rank") as update, interruptible() as interruption:
        rows = list(ranked(opened, models, split, seed, workspace, interruption, update))
    rows.sort(key=lambda row: -row.score)
    chosen = fastest_of_the_best(rows)
    document = {
        "store": str(opened.path), "metric": "mean_recall",
        "backbones": [asdict(row) for row in rows],
        "chosen": chosen.name, "alpha": chosen.alpha, "warnings": [],
    }
    if json:
        print_json(document)
        return
    print_table(
        "mean recall of crops whose groups were left out",
        ("backbone", "alpha", "score", "95 % interval", "s a view of all", "parameters"),
        (
            (row.name, f"{row.alpha:g}", row.score, interval_text(row.score_ci),
             f"{row.seconds:.1f}", f"{row.parameters:,}")
            for row in rows
        ),
    )  # fmt: skip
    alpha = f" --alpha {chosen.alpha:g}" if chosen.alpha != 1 else ""
    weights = f" --weights {chosen.weights}" if chosen.weights != "imagenet" else ""
    say(
        f"the fastest within one standard error of the best: stemcls train {store} --backbone "
        f"{chosen.name}{alpha}{weights}"
    )


def _named_file(text: str) -> tuple[str, str]:
    name, _, path = text.partition("=")
    if not path or not Path(path).is_file():
        raise InputError(
            f"--file {text}: expected BACKBONE=FILE with a weights file that exists, as in "
            "MobileNetV2=mobilenet_v2.weights.h5"
        )
    return name, path
