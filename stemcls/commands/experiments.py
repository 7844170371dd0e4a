"""What `train` and `tune` share: the experiment that a file, a recipe and the options describe."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from stemcls.commands.terminal import resolved
from stemcls.config.experiment import MEMBERS, Experiment
from stemcls.config.options import merged, read_toml
from stemcls.config.recipes import recipe
from stemcls.errors import InputError

ConfigFile = Annotated[
    Path | None, typer.Option(help="TOML of an experiment; options given beside it win.")
]
Recipe = Annotated[
    str | None, typer.Option(
        help="Start from a published way to train: wang, khalkhali, kim, parthasarathy or "
        "gradual; --config and options win."
    ),
]
Changes = Annotated[
    list[str] | None, typer.Option(
        "--set", metavar="KEY=VALUE",
        help="Change any setting, as in stages.finetune.schedule=cosine or stages.1.epochs=5.",
    ),
]


def base_of(recipe_name: str | None, config: Path | None) -> dict[str, Any]:
    """Return what a recipe and a file say, the file first, as nested plain values.

    Raises:
        InputError: The file does not exist, or is that of an ensemble.
    """
    base = recipe(recipe_name) if recipe_name else {}
    if config is None:
        return base
    settings = read_toml(config)
    if MEMBERS in settings:
        members = " ".join(map(str, settings[MEMBERS]))
        raise InputError(
            f"{config} is of an ensemble, which is joined of trained runs and has no training of "
            "its own: train each member by its own config.toml, then join the new runs with "
            f"stemcls ensemble; its members are {members}"
        )
    return merged(base, settings)


def experiment_of(
    store: Path | None, base: dict[str, Any], given: dict[str, Any], workspace: Path
) -> Experiment:
    """Return the experiment that a base and the options describe, its store found.

    Raises:
        InputError: A setting that does not exist or fit, or no such store.
    """
    if store is not None:
        given = {**given, "store": str(store)}
    experiment = resolved(Experiment, given, base)
    if not experiment.store:
        raise InputError("which store? give one as STORE, or as `store` in --config FILE")
    from stemcls.store.find import find_store

    return replace(experiment, store=str(find_store(Path(experiment.store), workspace)))
