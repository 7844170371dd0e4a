"""`stemcls weights`: which ImageNet weights are here, whether they are whole, and more of them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from stemcls.commands.terminal import Backend, Json, print_json, print_table, say
from stemcls.errors import InputError, StemclsError, check_known

_ACTIONS = ("list", "verify", "import")


def weights(
    action: Annotated[str, typer.Argument(metavar="list|verify|import")] = "list",
    file: Annotated[
        Path | None, typer.Argument(help="To import: .h5 of Keras; .safetensors, .npz of torch.")
    ] = None,
    backbone: Annotated[
        str | None, typer.Option(help="Only this one; needed to import.")
    ] = None,
    alpha: Annotated[
        float, typer.Option(min=0.05, max=4.0, help="Width multiplier of the MobileNets.")
    ] = 1.0,
    replace: Annotated[
        bool, typer.Option("--replace", help="Import in the place of other weights.")
    ] = False,
    backend: Backend = None,
    json: Json = False,
) -> None:
    """List or verify the ImageNet weights on this machine, or import a file for offline use.

    `train --weights imagenet` takes imported files first, then Keras' own cache or a download.
    """
    check_known(action, _ACTIONS, f"weights cannot {action!r}")
    if backbone is not None:
        from stemcls.models.backbones import backbone_named

        backbone_named(backbone)
    if action == "import":
        _import(file, backbone, alpha, replace, backend, json)
        return
    if file is not None:
        raise InputError(f"weights {action} takes no file, found {file}; import does")
    _show(action, backbone, json)


def _show(action: str, backbone: str | None, json: bool) -> None:
    from stemcls.models.weights.cache import keras_cache, offline_cache, weights_states

    rows = [asdict(state) for state in weights_states(backbone)]
    if action == "verify":
        rows = [row for row in rows if row["state"] != "absent"]
    corrupt = [row for row in rows if row["state"] == "corrupt"]
    if json:
        caches = {"offline": offline_cache(), "keras": keras_cache()}
        print_json({"weights": rows, "caches": caches, "corrupt": len(corrupt)})
    elif rows:
        print_table(action, ("backbone", "alpha", "state", "MiB", "file"), map(_line, rows))
        _advise(rows, all_of_them=backbone is None)
    if not rows:
        say(
            f"no weights to verify in {offline_cache()} or {keras_cache()}; "
            "`stemcls weights list` says how to get them"
        )
    if corrupt and action == "verify":
        names = ", ".join(str(row["path"]) for row in corrupt)
        raise StemclsError(f"{len(corrupt)} of {len(rows)} files are corrupt: {names}")


def _line(row: dict[str, Any]) -> tuple[Any, ...]:
    size = "-" if row["bytes"] is None else f"{row['bytes'] / 2**20:.1f}"
    file = "-" if row["path"] is None else f"{row['file']} ({row['cache']} cache)"
    return (row["backbone"], f"{row['alpha']:g}", row["state"], size, file)


def _advise(rows: list[dict[str, Any]], all_of_them: bool) -> None:
    for row in rows:
        if row["state"] == "corrupt" or not all_of_them:
            say(f"{row['backbone']} {row['alpha']:g}: {row['how']}")
    if all_of_them and any(row["state"] == "absent" for row in rows):
        say("where an absent file is to be had: stemcls weights list --backbone NAME")


def _import(
    file: Path | None,
    backbone: str | None,
    alpha: float,
    replace: bool,
    backend: str | None,
    json: bool,
) -> None:
    from stemcls.models.backbones import BACKBONES
    from stemcls.models.backend import start_keras

    if file is None or backbone is None:
        raise InputError("import needs both: stemcls weights import FILE --backbone NAME")
    row = BACKBONES[backbone]
    if not row.pretrained:
        raise InputError(f"{backbone} has no ImageNet weights; it is trained with --weights none")
    if row.alphas and alpha not in row.alphas:
        those = ", ".join(f"{width:g}" for width in row.alphas)
        raise InputError(f"{backbone} has ImageNet weights for alpha {those}, not {alpha:g}")
    if not row.alphas and alpha != 1.0:
        raise InputError(f"{backbone} takes no --alpha")
    start_keras(backend)
    from stemcls.models.weights.cache import keep
    from stemcls.models.weights.load import check_fits

    parameters = check_fits(file, backbone, alpha)
    document = {**keep(file, backbone, alpha, replace), "parameters": parameters}
    if json:
        print_json(document)
        return
    say(f"{file} fits {backbone} ({parameters} parameters); kept as {document['path']}")
    if document["published"] is False:
        say("its checksum is not the one of the published file: it may be of another origin")
