"""What can be done with a run of a list; work on the disk goes on in a thread."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from textual.widget import Widget

from stemcls.errors import InputError, StemclsError
from stemcls.runs import Run
from tui import commandlines, jobs
from tui.board import keep_about
from tui.devices import usual_device
from tui.screens.ask import Ask, Confirm

Row = dict[str, Any]


def stop_run(widget: Widget, row: Row) -> None:
    """Stop the run of a row, or take its job back, and say what came of it."""
    def work() -> str:
        if row["state"] in ("queued", "starting"):
            jobs.take_back(Path(row["job"].record).parents[2], row["job"])
            queued = row["state"] == "queued"
            return f"{_name(row)} was {'taken out of the queue' if queued else 'stopped'}."
        jobs.stop(_run_of(row))
        return f"{_name(row)} stops at its next step; r resumes it."

    _do(widget, work)


def resume_run(widget: Widget, workspace: Path, row: Row) -> None:
    """Resume the run of a row and say what came of it."""
    def work() -> str:
        run = _run_of(row)
        device = usual_device(jobs.last_start(run).get("device"))
        commandlines.resume(workspace, run, device)
        return f"{row['run']} goes on in a new process."

    _do(widget, work)


def run_again(widget: Widget, workspace: Path, row: Row) -> None:
    """Launch the run of a row once more as a new job, and say what came of it."""
    def work() -> str:
        run = _run_of(row)
        if row["state"] in ("running", "stalled", "starting"):
            raise InputError(f"{_name(row)} is {row['state']}; wait for its end, or stop it")
        job = commandlines.again(workspace, run, usual_device(row.get("device")))
        return f"{job.name} begins again on {job.device}, as a run of its own."

    _do(widget, work)


def rename_run(widget: Widget, row: Row) -> None:
    """Ask for a title; the folder keeps its name."""
    _ask(widget, row, "Title (empty: the folder's name)", "title",
         "" if _name(row) == row["run"] else _name(row))


def tag_run(widget: Widget, row: Row) -> None:
    """Ask for tags."""
    _ask(widget, row, "Tags, split by commas", "tags", ", ".join(row["tags"]))


def note_run(widget: Widget, row: Row) -> None:
    """Ask for a note."""
    _ask(widget, row, "Note", "note", row["note"])


def delete_run(widget: Widget, workspace: Path, row: Row) -> None:
    """Ask, and delete the folder of a run."""
    try:
        run = _run_of(row)
        check_deletable(workspace, run, row["state"])
    except StemclsError as error:
        widget.app.notify(str(error), severity="warning", markup=False)
        return

    def answered(yes: bool | None) -> None:
        if yes:
            _do(widget, lambda: delete(workspace, run))

    widget.app.push_screen(
        Confirm(f"Delete {_name(row)}?\n{run.path}\nIts model, numbers and log are gone then."),
        answered,
    )


def delete(workspace: Path, run: Run) -> str:
    """Delete the folder of a run, unless it has come to life since it was asked.

    Raises:
        InputError: It lives, or is no run of this workspace.
    """
    check_deletable(workspace, run, run.summary()["state"])
    shutil.rmtree(run.path)
    return f"{run.name} is deleted."


def check_deletable(workspace: Path, run: Run, state: str) -> None:
    """Check that a run's folder may be deleted.

    Raises:
        InputError: It lives, or is no run of this workspace.
    """
    if state in ("running", "stalled", "starting", "queued"):
        raise InputError(f"{run.name} is {state} and is not deleted; stop it first")
    if any(job.run == str(run.path) for job in jobs.open_jobs(workspace)):
        raise InputError(f"{run.name} is about to be resumed and is not deleted")
    if run.path.parent != workspace / "saved_models" or run.path.is_symlink():
        raise InputError(f"{run.path} is no run of this workspace and is not deleted")


def _ask(widget: Widget, row: Row, question: str, field: str, value: str) -> None:
    if not row["path"]:
        widget.app.notify("It has no run folder yet.", severity="warning")
        return

    def answered(text: str | None) -> None:
        if text is None:
            return
        words = (part.strip() for part in text.split(","))
        kept = tuple(word for word in words if word) if field == "tags" else text

        def work() -> str:
            keep_about(Path(row["path"]), **{field: kept})
            return ""

        _do(widget, work)

    widget.app.push_screen(Ask(f"{question} of {row['run']}", value), answered)


def _name(row: Row) -> str:
    return str(row.get("title") or row["run"])


def _run_of(row: Row) -> Run:
    if not row["path"]:
        raise InputError(f"{_name(row)} is {row['state']} and has no run folder yet.")
    if not Path(row["path"]).is_dir():
        raise InputError(f"{row['run']} is gone.")
    return Run(Path(row["path"]))


def _do(widget: Widget, work: Callable[[], str]) -> None:
    """Do something in a thread and say what came of it."""
    app = widget.app

    async def doing() -> None:
        try:
            said = await asyncio.to_thread(work)
        except (StemclsError, OSError) as error:
            app.notify(str(error), severity="warning", markup=False)
        else:
            if said:
                app.notify(said, markup=False)

    app.run_worker(doing(), group="doing")
