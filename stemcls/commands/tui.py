"""`stemcls tui`: open the terminal UI."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from stemcls.errors import InputError, StemclsError


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
    _ask_terminal_for_pictures()
    from tui.app import StemclsApp

    StemclsApp(folder).run()


def _ask_terminal_for_pictures() -> None:
    """Let textual-image ask the terminal what it can draw: once the UI reads the keys, it cannot.

    With half cells, or without pictures, nobody asks.
    """
    from tui.settings import Settings, read_settings

    try:
        settings = read_settings()
    except StemclsError:
        settings = Settings()  # the UI says what is wrong with the file
    if settings.pictures in ("auto", "kitty", "sixel"):
        import textual_image.renderable  # noqa: F401
        from textual_image._terminal import get_cell_size

        get_cell_size()
