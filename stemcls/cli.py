"""The `stemcls` command: gathers the commands and turns errors into exit codes."""

from __future__ import annotations

import logging
import os
import sys
from typing import Annotated

import typer

from stemcls.commands import table
from stemcls.commands.terminal import with_home
from stemcls.errors import StemclsError

app = typer.Typer(
    name="stemcls",
    help="From microscope fields of stem cells to a Keras classifier that a lab can trust.",
    no_args_is_help=False,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(version("stemcls"))
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print version."),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        if sys.stdin.isatty() and sys.stdout.isatty():
            from stemcls.commands.tui import tui

            tui()
        else:
            print(context.get_help())


for name, command in table.COMMANDS.items():
    app.command(name)(with_home(command))


def main() -> None:
    """Run the command line; the exit code says how it ended (0, 1, 2, 3 or 130)."""
    debug = bool(os.environ.get("STEMCLS_DEBUG"))
    # It logs what it also raises; our own message names the file and the way out.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    try:
        app()
    except StemclsError as error:
        if debug:
            raise
        print(f"stemcls: {error}", file=sys.stderr)
        for note in getattr(error, "__notes__", ()):
            print(f"  {note}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("stemcls: interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read our output has gone; point stdout away so that closing it cannot fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if debug:
            raise
        print(f"stemcls: {error.filename or ''}: {error.strerror or error}", file=sys.stderr)
        by_user = (PermissionError, IsADirectoryError, NotADirectoryError, FileExistsError)
        sys.exit(2 if isinstance(error, by_user) else 1)
