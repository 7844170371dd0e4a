"""`stemcls report`: all that a finished run has to show, as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stemcls.commands.terminal import Json, Workspace, print_json, progress, say
from stemcls.errors import InputError

if TYPE_CHECKING:
    from stemcls.runs import Run


def report(
    run: Annotated[
        Path, typer.Argument(help="A finished run, cross-validation or study, by folder or name.")
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
    commands left in the run (explain, calibrate, audit, evaluate with other stores) is in it. Of a
    study, which has written its own report, this says where that is.
    """
    from stemcls.evaluation.report.write import write_report
    from stemcls.runs import Run

    opened = Run.open(run, workspace)
    if opened.is_study:
        path = _report_of_study(opened, out is not None or consistency)
    else:
        with progress("report") as update:
            path = write_report(opened, out, consistency, update)
    if json:
        print_json({"report": str(path), "bytes": path.stat().st_size})
        return
    print(path)
    say(f"{path.stat().st_size / 2**20:.1f} MiB, opens in any browser")


def _report_of_study(study: Run, changed: bool) -> Path:
    page = study.path / "report" / "report.html"
    if not page.is_file():
        raise InputError(
            f"{study.path} is a study that is {study.summary()['state']}, and its report is "
            f"written when its search ends; go on with `stemcls tune --resume {study.path}`"
        )
    if changed:
        raise InputError(
            f"{study.path} is a study and has its report already, {page}; --out and --consistency "
            f"are for reports of runs, such as those in {study.path / 'final'}"
        )
    say(f"report of the study; those of its models: stemcls report {study.path / 'final'}/RUN")
    return page
