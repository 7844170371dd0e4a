"""`stemcls report`: all that a finished run has to show, as one HTML file."""

from pathlib import Path
from typing import Annotated

import typer

from stemcls.commands.terminal import Json, Workspace, print_json, progress, say


def report(
    run: Annotated[
        Path, typer.Argument(help="A finished run or cross-validation, by folder or name.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="New HTML file (default: report.html in the run).")
    ] = None,
    consistency: Annotated[
        bool, typer.Option(
            "--consistency", help="Labels come from sorting: call scores consistency rates."
        ),
    ] = False,
    workspace: Workspace = Path(),
    json: Json = False,
) -> None:
    """Write data, split, scores, figures, cells, calibration, audit, methods and checklist.

    The file holds everything inside itself: it opens from disk, without a network. What other
    commands left in the run (explain, calibrate, audit, evaluate with other stores) is in it.
    """
    from stemcls.evaluation.report.write import write_report
    from stemcls.runs import Run

    with progress("report") as update:
        path = write_report(Run.open(run, workspace), out, consistency, update)
    if json:
        print_json({"report": str(path), "bytes": path.stat().st_size})
        return
    print(path)
    say(f"{path.stat().st_size / 2**20:.1f} MiB, opens in any browser")
