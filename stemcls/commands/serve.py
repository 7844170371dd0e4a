"""`stemcls serve`: a model as a web page and a JSON API."""

from __future__ import annotations

from functools import partial
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
    resolved,
    say,
)
from stemcls.config.serve import PACKAGES, ServeConfig
from stemcls.errors import StemclsError
from stemcls.extras import check_extra


@config_options(ServeConfig)
def serve(
    given: dict[str, Any],
    model: Annotated[Path, typer.Argument(help="A finished run, or a .keras file it saved.")],
    backend: Backend = None,
    device: Device = "auto",
    workspace: Workspace = Path(),
    json: Json = False,
) -> None:
    """Show a page where colleagues drop images and see every cell classed; also a JSON API.

    Only this machine can reach it unless --host says otherwise. Nothing uploaded is kept. Ctrl-C
    ends it. Needs the extra `web`: pip install 'stemcls[web]'.
    """
    from stemcls.evaluation.runfiles import model_named
    from stemcls.models.backend import choose_backend
    from stemcls.models.saved import read_card

    check_extra("serve", PACKAGES, "web")
    config = resolved(ServeConfig, given)
    path = model_named(model, workspace)
    card = read_card(path)
    choose_backend(backend, device, shares_batches=True)
    from stemcls.serving.serve import open_server
    from stemcls.serving.work import load

    name = path.parent.name if path.name == "model.keras" else path.stem
    if name == "calibrated":
        name = f"{path.parent.parent.name} (calibrated)"
    server = open_server(partial(load, path, device), card, name, config, _tell, _known(path))
    if not config.is_local:
        say(
            f"WARNING: {config.host} can be reached from other machines. There is no password and "
            "no encryption: whoever reaches it can use it. Keep it behind a firewall, or use the "
            "default address and an ssh tunnel."
        )
    if json:
        print_json({"url": server.url, "model": str(path), "description": "openapi.json"})
    else:
        print(server.url, flush=True)
    say("loading the model; the page can be opened already. Ctrl-C ends it")
    server.run()


def _known(model: Path) -> list[Any]:
    """Return the verdict on the run that a model lies in; nothing for other files."""
    from stemcls.evaluation.report.summary import read_verdict
    from stemcls.runs import Run

    home = model.parent.parent if model.parent.name == "calibrated" else model.parent
    if not (home / "events.jsonl").is_file():
        return []
    try:
        return read_verdict(Run(home))
    except (StemclsError, OSError, KeyError, ValueError) as error:
        say(f"warning: nothing is shown of how good the model is: {error}")
        return []


def _tell(state: str) -> None:
    if state == "ready":
        say("ready")
