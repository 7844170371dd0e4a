"""Open a page in the person's browser, or put its path or command where they can take it."""

from __future__ import annotations

import os
import shlex
import sys
import webbrowser
from pathlib import Path

from textual.app import App

from stemcls.runs import Run


def has_display() -> bool:
    """Return whether a browser could show a window here."""
    if sys.platform in ("darwin", "win32"):
        return "SSH_CONNECTION" not in os.environ
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def open_page(app: App[None], path: Path) -> None:
    """Open an HTML file; without a display show its path and copy it to the clipboard."""
    if has_display():
        app.run_worker(lambda: webbrowser.open(path.as_uri()), thread=True, exit_on_error=False)
        app.notify(f"Opening {path}", markup=False)
        return
    app.copy_to_clipboard(str(path))
    app.notify(
        f"{path}\nThere is no display here: the path is in your clipboard if your terminal allows "
        "it (OSC 52).", title="Report", timeout=15, markup=False,
    )


def copy_serve_command(app: App[None], run: Run) -> None:
    """Show and copy the command that shows a run's model as a web page.

    The page is served as long as its terminal is open, so it is the person who starts it.
    """
    command = f"stemcls serve {shlex.quote(str(run.path))}"
    app.copy_to_clipboard(command)
    app.notify(
        f"{command}\nType it in another terminal: it prints the page's address, which only this "
        "machine reaches, and Ctrl-C ends it. It is in your clipboard if your terminal allows it "
        "(OSC 52).", title="Web page", timeout=15, markup=False,
    )
