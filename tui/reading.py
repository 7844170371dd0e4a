"""Read the workspace for the screens; blocking, so the UI calls it in a thread."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.errors import StemclsError
from stemcls.runs import Run
from stemcls.store.auditfile import AuditResult, audit_path, read_audit
from stemcls.store.cropstore import CropStore
from tui import jobs
from tui.board import EMPTY, Board
from tui.tail import last_lines
from tui.use import Use, read_use

LOG_LINES = 300
_SCORES = {"metrics", "confusion", "labels"}


@dataclass(frozen=True, eq=False)
class StoreEntry:
    """One file of datasets/: an open store and its audit, or why it cannot be opened."""

    path: Path
    store: CropStore | None
    error: str = ""
    audit: AuditResult | None = None

    @property
    def class_counts(self) -> list[tuple[str, int]]:
        """Crops of each class, and of none where some are unlabelled."""
        if self.store is None:
            return []
        labels = self.store.labels
        counts = np.bincount(labels[labels >= 0], minlength=len(self.store.classes))
        rows = list(zip(self.store.classes, counts.tolist(), strict=True))
        unlabelled = int(np.count_nonzero(labels < 0))
        return [*rows, ("(unlabelled)", unlabelled)] if unlabelled else rows

    @property
    def group_counts(self) -> list[tuple[str, int, list[str]]]:
        """Name, crops and classes of each group."""
        if self.store is None:
            return []
        rows = []
        for index, name in enumerate(self.store.group_names):
            labels = self.store.labels[self.store.group_index == index]
            classes = [self.store.classes[label] for label in np.unique(labels) if label >= 0]
            rows.append((name, len(labels), classes))
        return rows


class StoreShelf:
    """The stores of a workspace; a file is opened again only when it has changed."""

    def __init__(self, workspace: Path) -> None:
        self.folder = workspace / "datasets"
        self._known: dict[Path, tuple[tuple[int, ...], StoreEntry]] = {}

    def read(self) -> list[StoreEntry]:
        """Return every store, by name."""
        entries = []
        found = [*self.folder.glob("*.h5"), *self.folder.glob("*.hdf5")]
        for path in sorted(path for path in found if not path.name.startswith(".")):
            version = (*version_of(path), *version_of(audit_path(path)))
            known = self._known.get(path)
            if known is None or known[0] != version:
                known = (version, _open_store(path))
                self._known[path] = known
            entries.append(known[1])
        return entries


@dataclass(frozen=True)
class RunsView:
    """What the list of runs shows at one moment."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    dead: list[jobs.Job] = field(default_factory=list)


class RunBoard:
    """The jobs and runs of a workspace, as rows of a list."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self.board = Board(workspace)

    def read(self) -> RunsView:
        """Return jobs in the queue and starting, then all runs, and jobs that just died."""
        self.board.look()
        coming, dead = jobs.settle(self.workspace, self._starts)
        resumed = {job.run: job for job in coming if job.run}
        rows = [_row_of(job) for job in coming if job.run not in self.board.followers]
        for row in self.board.rows:
            job = resumed.get(row["path"])
            rows.append(row if job is None else {**row, **_coming(job)})
        return RunsView(rows, dead)

    def _starts(self) -> jobs.Starts:
        self.board.look()  # once more: a job may have begun its run since
        return self.board.starts()


def _row_of(job: jobs.Job) -> dict[str, Any]:
    return {**EMPTY, "run": job.name, "title": job.name, "key": job.record, **_coming(job)}


def _coming(job: jobs.Job) -> dict[str, Any]:
    message = f"waits until {job.device} is free" if job.queued else (
        f"process {job.pid} is loading; its output: {job.log}"
    )
    return {
        "state": "queued" if job.queued else "starting", "device": job.device, "host": job.host,
        "message": message,
        "job": job, "left": None, "resumable": False,
    }


@dataclass(frozen=True)
class RunView:
    """What the screen of one run shows at one moment.

    Attributes:
        summary: `Run.summary`.
        evaluation: evaluation/metrics.json, or None.
        problem: Why the evaluation cannot be read, "" where it can.
        folds: Headline metrics of each finished fold.
        externals: Metrics of each other store it was scored on, with `name`.
        calibrated: Calibration numbers of the calibrated model on the test crops, or None.
        epochs: Epoch events in order, each with `fold` ("" in a single run).
        log: The last lines of log.txt, of the current fold too.
        explained: What `stemcls explain` said, newest first; see `read_explanations`.
        use: Its exports, and its comparison where it was adapted.
    """

    summary: dict[str, Any]
    evaluation: dict[str, Any] | None
    problem: str
    folds: list[dict[str, Any]]
    externals: list[dict[str, Any]]
    calibrated: dict[str, Any] | None
    epochs: list[dict[str, Any]]
    log: list[str]
    explained: list[dict[str, Any]]
    use: Use


def read_run(run: Run) -> RunView:
    """Read everything that the screen of one run shows."""
    evaluation, problem = None, ""
    externals: list[dict[str, Any]] = []
    calibrated = None
    try:
        evaluation = run.read_json("evaluation/metrics.json")
        if evaluation is not None and not evaluation.keys() >= _SCORES:
            evaluation, problem = None, f"{run.path}/evaluation/metrics.json has an unknown form"
        externals = _externals(run)
        calibrated = ((run.read_json("calibrated/calibration.json") or {}).get("test") or {}).get(
            "after"
        )
    except (StemclsError, OSError) as error:
        problem = str(error)
    epochs: dict[tuple[Any, ...], dict[str, Any]] = {}
    log = last_lines(run.path / "log.txt", LOG_LINES)
    for fold in run.folds() or [run]:
        label = "" if fold is run else fold.name.removeprefix("fold-")
        for event in fold.events():
            if event.get("event") == "epoch":  # an epoch repeated after a resume replaces the first
                key = (label, event.get("stage"), event.get("epoch"))
                epochs.pop(key, None)
                epochs[key] = {**event, "fold": label}
        if label:
            log += [f"[{label}] {line}" for line in last_lines(fold.path / "log.txt", 40)]
    folds = {event.get("fold"): event for event in run.events()
             if event.get("event") == "metric" and "fold" in event}
    return RunView(
        summary=run.summary(), evaluation=evaluation, problem=problem,
        folds=[
            {"fold": number, **(event.get("fold_metrics") or {})}
            for number, event in folds.items()
        ],
        externals=externals, calibrated=calibrated,
        epochs=list(epochs.values()), log=log[-LOG_LINES:], explained=read_explanations(run),
        use=read_use(run),
    )


def read_run_on(run: Run, name: str) -> RunView:
    """Read a run with its scores on another store, by the name of that, in place of its own."""
    view = read_run(run)
    try:
        document = run.read_json(f"evaluation/{name}/metrics.json")
    except (StemclsError, OSError) as error:
        return replace(view, evaluation=None, problem=str(error))
    if not (document or {}).keys() >= _SCORES:
        return replace(view, evaluation=None, problem=f"the scores on {name} have an unknown form")
    return replace(view, evaluation=document)


def _externals(run: Run) -> list[dict[str, Any]]:
    found = []
    for path in sorted((run.path / "evaluation").glob("*/metrics.json")):
        document = run.read_json(f"evaluation/{path.parent.name}/metrics.json") or {}
        metrics = document.get("metrics") or {}
        if metrics.get("evaluated_on") not in ("test", "validation", "folds", None):
            found.append({"name": path.parent.name, **metrics})
    return found


def read_explanations(run: Run) -> list[dict[str, Any]]:
    """Return one row per method of every explanation of a run, newest first.

    Returns: `folder` below the run's explanations/, `gallery` and what `methods` of the document
        hold; a damaged document gives a row with `folder` and `problem`.
    """
    rows = []
    home = run.path / "explanations"
    for path in sorted(home.rglob("explanation.json"), reverse=True):
        folder = str(path.parent.relative_to(home))
        try:
            document = run.read_json(str(path.relative_to(run.path)))
            rows += [
                {"folder": folder, "gallery": document["gallery"], "n": document["n_cells"], **row}
                for row in document["methods"]
            ]
        except (StemclsError, OSError, KeyError, TypeError) as error:
            rows.append({"folder": folder, "problem": f"cannot be read: {error}"})
    return rows


def version_of(path: Path) -> tuple[int, int]:
    """Return what changes with a file; zeros where there is none."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0  # not there, removed just now, or a link to nowhere: open() says which
    return status.st_mtime_ns, status.st_size


def _open_store(path: Path) -> StoreEntry:
    try:
        store = CropStore.open(path)
        audit = read_audit(audit_path(path), store.content_hash)
        return StoreEntry(path, store, audit=audit)
    except (StemclsError, OSError, RuntimeError, ValueError) as error:
        return StoreEntry(path, None, "\n".join([str(error), *getattr(error, "__notes__", [])]))
