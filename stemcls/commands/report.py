"""`stemcls report`: all that a finished run has to show, as one HTML file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    figures: Annotated[
        Path | None, typer.Option(help="New folder: write every figure as PDF and SVG, too.")
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
    from stemcls.evaluation.report.summary import read_verdict
    from stemcls.evaluation.report.write import write_report
    from stemcls.runs import Run

    opened = Run.open(run, workspace)
    if opened.is_study:
        path = _report_of_study(opened, out is not None or consistency or figures is not None)
        lines, drawn = [], []
    else:
        with progress("report") as update:
            path = write_report(opened, out, consistency, update)
        lines = read_verdict(opened)
        drawn = _figures(opened, figures) if figures is not None else []
    if json:
        document: dict[str, Any] = {"report": str(path), "bytes": path.stat().st_size}
        if lines:
            document["verdict"] = [asdict(line) for line in lines]
        if drawn:
            document["figures"] = [str(file) for file in drawn]
        print_json(document)
        return
    print(path)
    if drawn:
        say(f"figures for a paper: {len(drawn)} files in {figures}")
    say(f"{path.stat().st_size / 2**20:.1f} MiB, opens in any browser")


def _figures(run: Run, folder: Path) -> list[Path]:
    from stemcls.evaluation.report.source import read_source
    from stemcls.evaluation.report.write import write_figures

    with progress("figures") as update:
        return write_figures(read_source(run), folder, update)


def _report_of_study(study: Run, changed: bool) -> Path:
    page = study.path / "report" / "report.html"
    if not page.is_file():
        raise InputError(
            f"{study.path} is a study that is {study.summary()['state']}, and its report is "
            f"written when its search ends; go on with `stemcls tune --resume {study.path}`"
        )
    if changed:
        raise InputError(
            f"{study.path} is a study and has its report already, {page}; --out, --figures and "
            f"--consistency are for reports of runs, such as those in {study.path / 'final'}"
        )
    say(f"report of the study; those of its models: stemcls report {study.path / 'final'}/RUN")
    return page
