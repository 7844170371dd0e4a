"""`stemcls audit`: whether a score can be believed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from stemcls.commands.terminal import (
    Backend,
    Device,
    Json,
    Workspace,
    config_options,
    print_json,
    print_table,
    progress,
    resolved,
    say,
)
from stemcls.config.probes import HEAD_FLAGS, AuditConfig
from stemcls.evaluation.numbertext import interval_text

_SHOWN = {"pass": "pass", "warn": "WARN", "fail": "FAIL"}


@config_options(AuditConfig, skip=HEAD_FLAGS)
def audit(
    store: Annotated[Path, typer.Argument(help="Labelled crop store (.h5).")],
    given: dict[str, Any],
    run: Annotated[
        Path | None, typer.Argument(help="A finished run on it: its split and channels, too.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="File for the result (default: STORE with .audit.json in place of .h5; with RUN, "
            "evaluation/audit.json in the run); an earlier one is replaced."
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit code 1 if a check warns or fails.")
    ] = False,
    backend: Backend = None,
    device: Device = "auto",
    workspace: Workspace = Path(),
    json: Json = False,
) -> None:
    """Search a store for leaks between sides of a split and for shortcuts past the cells.

    A store named without folder is looked for in the workspace's datasets/.
    """
    from stemcls.atomic import check_new, new_file
    from stemcls.errors import StemclsError
    from stemcls.interruption import interruptible
    from stemcls.runs import Run
    from stemcls.store.auditfile import write_audit
    from stemcls.store.find import find_store
    from stemcls.store.verify import open_verified

    config = resolved(AuditConfig, given)
    opened = open_verified(find_store(store, workspace))
    found = None if run is None else Run.open(run, workspace)
    if config.features == "backbone" or found is not None:
        from stemcls.models.backend import start_keras

        start_keras(backend, device)
    from stemcls.audit.run import audit_store, place_of

    if out is not None:
        check_new(out)
    place = out or place_of(opened, found)
    with progress("audit") as update, interruptible() as interruption:
        document = audit_store(opened, config, found, workspace, interruption, update)
    if out is None:
        place.parent.mkdir(parents=True, exist_ok=True)
        write_audit(place, document)
    else:
        with new_file(out) as temporary:
            write_audit(temporary, document)
    if json:
        print_json({**document, "out": str(place)})
    else:
        _show(document)
        say(f"written to {place}")
    alarms = [check["name"] for check in document["checks"] if check["status"] != "pass"]
    if strict and alarms:
        raise StemclsError(f"not passed: {', '.join(alarms)}")


def _show(document: dict[str, Any]) -> None:
    print_table(
        f"audit of {document['store']}: {document['status']}",
        ("check", "status", "value", "95 % interval", "what the value is"),
        (
            (check["name"], _SHOWN[check["status"]], float(check["value"]),
             interval_text(check["interval"]), check["measures"])
            for check in document["checks"]
        ),
    )  # fmt: skip
    for check in document["checks"]:
        print(f"{_SHOWN[check['status']]}  {check['title']}\n      {check['why']}")
        if check["status"] != "pass":
            print(f"      It matters: {check['means']}")
        if check["todo"]:
            print(f"      To do: {check['todo']}")
    for check in document["not_run"]:
        print(f"----  {check['title']}\n      Not told: {check['why']}")
    if document["left_out"]:
        say(
            f"too few {document['groups']} for classifiers, and left out of theirs: "
            f"{', '.join(document['left_out'])}"
        )
