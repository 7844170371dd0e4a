"""`stemcls tui`: open the terminal UI, here or in a browser."""

import os
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

from stemcls.errors import InputError, StemclsError
from stemcls.extras import check_extra

DEFAULT_PORT = 8720


def tui(
    workspace: Annotated[
        Path | None,
        typer.Option(
            envvar="STEMCLS_WORKSPACE",
            help="Folder that holds datasets/ and saved_models/ (default: the current folder).",
        ),
    ] = None,
    serve: Annotated[
        bool, typer.Option("--serve", help="Show it in a browser instead of this terminal.")
    ] = False,
    host: Annotated[
        str,
        typer.Option(help="With --serve: address to listen on; the default is reached from this "
                          "machine only."),
    ] = "localhost",
    port: Annotated[
        int, typer.Option(help="With --serve: port to listen on.", min=1, max=65535)
    ] = DEFAULT_PORT,
) -> None:
    """Open the terminal UI: stores, training, runs as they happen, results.

    Bare `stemcls` on a terminal opens it too.
    """
    # Bare `stemcls` calls this without Typer, which would have read the variable.
    folder = (workspace or Path(os.environ.get("STEMCLS_WORKSPACE") or ".")).expanduser()
    if not folder.is_dir():
        raise InputError(f"the workspace {folder} is not a folder; make it, or name another")
    if serve:
        _serve(folder.resolve(), host, port)
        return
    # A process of --serve talks to the browser through pipes.
    in_browser = "web_driver" in os.environ.get("TEXTUAL_DRIVER", "")
    if not in_browser and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InputError(
            "the terminal UI needs a terminal on stdin and stdout; `stemcls runs --json` is for "
            "scripts"
        )
    _open(folder, in_browser)


def _serve(workspace: Path, host: str, port: int) -> None:
    check_extra("--serve", ["textual_serve"], "browser")
    from tui.browser import BrowserServer, is_local

    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.create_server((host, port), family=family):
            pass
    except OSError as error:
        raise InputError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; choose another --port"
        ) from error
    if not is_local(host):
        typer.echo(
            f"warning: {host} can be reached from other machines, and the connection is not "
            "encrypted: whoever reads the address below on its way can start jobs and delete "
            "runs as you. `ssh -L` to localhost is safer.",
            err=True,
        )
    BrowserServer(workspace, host, port).serve()


def _open(workspace: Path, in_browser: bool) -> None:
    from tui.settings import Settings, read_settings

    try:
        settings = read_settings()
    except StemclsError:
        settings = Settings()  # the UI says what is wrong with the file
    pictures = settings.pictures in ("kitty", "sixel")
    if settings.pictures == "auto" and not in_browser:
        from tui.terminal import PicturesAsked

        # Importing the UI takes longer than most answers.
        with PicturesAsked() as asked:
            import tui.app  # noqa: F401
        pictures = asked.draws
    if pictures:
        _load_pictures()
    from tui.app import StemclsApp

    StemclsApp(workspace).run()


def _load_pictures() -> None:
    """Let textual-image ask the terminal for details: once the UI reads the keys, it cannot."""
    import textual_image.renderable  # noqa: F401
    from textual_image._terminal import get_cell_size

    get_cell_size()
