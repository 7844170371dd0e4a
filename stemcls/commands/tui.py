"""`stemcls tui`: open the terminal UI."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from stemcls.errors import InputError


def tui(
    workspace: Annotated[
        Path | None,
        typer.Option(
            envvar="STEMCLS_WORKSPACE",
            help="Folder that holds datasets/ and saved_models/ (default: the current folder).",
        ),
    ] = None,
) -> None:
    """Open the terminal UI: stores, runs as they happen, and a form that starts training.

    Bare `stemcls` on a terminal opens it too.
    """
    # Bare `stemcls` calls this without Typer, which would have read the variable.
    folder = workspace or Path(os.environ.get("STEMCLS_WORKSPACE") or ".")
    if not folder.is_dir():
        raise InputError(f"the workspace {folder} is not a folder; make it, or name another")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InputError(
            "the terminal UI needs a terminal on stdin and stdout; `stemcls runs --json` is for "
            "scripts"
        )
    from tui.app import StemclsApp

    StemclsApp(folder).run()
