"""The `stemcls` command: gathers the commands and turns errors into exit codes."""

from __future__ import annotations

import errno
import io
import logging
import os
import sys
from typing import Annotated

import typer

from stemcls.commands import table
from stemcls.commands.terminal import with_checked_arguments, with_home
from stemcls.errors import StemclsError
from stemcls.interruption import EXIT_CODE, Interruption, raising, stopped_line
from stemcls.safetext import safe_text

app = typer.Typer(
    name="stemcls",
    help="From microscope fields of stem cells to a Keras classifier that a lab can trust.",
    no_args_is_help=False,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# What a wrong path leads to, whichever command it was given to.
OF_PATHS = frozenset({
    errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.EEXIST,
    errno.ELOOP, errno.ENAMETOOLONG, errno.EROFS, errno.ENXIO,
})


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
    app.command(name)(with_home(with_checked_arguments(command)))


def main() -> None:
    """Run the command line; the exit code says how it ended (0, 1, 2, 3 or 130)."""
    for stream in (sys.stdout, sys.stderr):
        # What the terminal's encoding does not have is shown as an escape.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # It logs what it also raises; our own message names the file and the way out.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    with raising() as interruption:
        code = _run(interruption)
    sys.exit(code)


def _run(interruption: Interruption) -> int:
    """Run the command; return the exit code."""
    debug = bool(os.environ.get("STEMCLS_DEBUG"))
    try:
        app()
    except StemclsError as error:
        if debug:
            raise
        print(safe_text(f"stemcls: {error}", keep="\n"), file=sys.stderr)
        for note in getattr(error, "__notes__", ()):
            print(safe_text(f"  {note}", keep="\n"), file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # Whoever read our output has gone; point stdout away so that closing it cannot fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except SystemExit as end:
        if end.code == EXIT_CODE and interruption.is_asked():
            print(stopped_line(interruption.asked_by), file=sys.stderr)
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        raise
    except BaseException as error:
        # What a library was doing when the signal came may turn the exception into another.
        if interruption.is_asked() or isinstance(error, KeyboardInterrupt):
            print(stopped_line(interruption.asked_by), file=sys.stderr)
            return EXIT_CODE
        if debug or not isinstance(error, OSError):
            raise
        message = f"stemcls: {error.filename or ''}: {error.strerror or error}"
        print(safe_text(message, keep="\n"), file=sys.stderr)
        return 2 if error.errno in OF_PATHS else 1
    return 0
