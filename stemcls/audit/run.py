"""Run all checks on a store, and on a run where one is given."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stemcls.audit.finding import CannotTellError
from stemcls.audit.subject import Subject
from stemcls.audit.table import AUDIT_CHECKS
from stemcls.config.options import to_mapping
from stemcls.config.probes import AuditConfig
from stemcls.errors import InputError
from stemcls.evaluation.runfiles import read_split
from stemcls.interruption import Interruption
from stemcls.progress import Update
from stemcls.runs import Run
from stemcls.store.auditfile import audit_path, worst_of
from stemcls.store.cropstore import CropStore


def audit_store(
    store: CropStore,
    config: AuditConfig,
    run: Run | None,
    workspace: Path,
    interruption: Interruption,
    update: Update | None = None,
) -> dict[str, Any]:
    """Ask every question of `AUDIT_CHECKS`.

    Args:
        store: Labelled crops of two classes or more.
        config: Settings.
        run: A finished run on this store, or None.
        workspace: Keeps features of backbones.
        interruption: May stop it between steps.
        update: Called as update(done, total, note).
    Returns: `store`, `store_hash`, `run`, `status` (the gravest), `checks` (name, title, status,
        value, interval, measures, why, means, todo, details), `not_run` (name, title, why),
        `classes`, `left_out`, `crops`, `settings`, `created`.
    Raises:
        InputError: Fewer than two classes, or a run on another store.
        CancelledError: It was asked to stop.
    """
    if run is not None:
        read_split(run).check(store)
    subject = Subject(store, config, run, workspace, interruption, update)
    checks: list[dict[str, Any]] = []
    not_run: list[dict[str, str]] = []
    for number, (name, check) in enumerate(AUDIT_CHECKS.items()):
        interruption.check()
        if update is not None:
            update(number, len(AUDIT_CHECKS), name)
        try:
            finding = check.run(subject)
        except CannotTellError as error:
            not_run.append({"name": name, "title": check.title, "why": str(error)})
            continue
        checks.append({
            "name": name, "title": check.title, "status": finding.status, "value": finding.value,
            "interval": finding.interval, "measures": check.measures, "why": finding.why,
            "means": check.means, "todo": finding.todo, "details": finding.details,
        })
    return {
        "store": str(store.path),
        "store_hash": store.content_hash,
        "run": None if run is None else str(run.path),
        "status": worst_of(check["status"] for check in checks),
        "checks": checks,
        "not_run": not_run,
        "classes": subject.classes,
        "left_out": subject.left_out,
        "crops": len(subject.rows),
        "groups": subject.group_nouns,
        "settings": to_mapping(config),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def place_of(store: CropStore, run: Run | None) -> Path:
    """Return where an audit is kept: beside the store, or in the run's evaluation/.

    Raises:
        InputError: The run is a cross-validation.
    """
    if run is None:
        return audit_path(store.path)
    if run.folds():
        raise InputError(
            f"{run.path} is a cross-validation; give one of its folds, for instance "
            f"{run.folds()[0].path}"
        )
    return run.path / "evaluation" / "audit.json"
