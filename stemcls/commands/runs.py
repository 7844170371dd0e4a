"""`stemcls runs`: what is in saved_models, with its state."""

from pathlib import Path

from stemcls.commands.terminal import Json, Workspace, print_json, print_table, say


def runs(workspace: Workspace = Path(), json: Json = False) -> None:
    """List the runs of the workspace, newest first, with state and headline metrics."""
    from stemcls.runs import list_runs

    found = [run.summary() for run in list_runs(workspace)]
    if json:
        print_json({"runs": found})
        return
    if not found:
        say(f"no runs in {workspace / 'saved_models'} yet; `stemcls train STORE` makes one")
        return
    rows = []
    for run in found:
        metrics = run["metrics"] or {}
        scores = [metrics.get(key) for key in ("mean_recall", "auroc")]
        shown = ["-" if score is None else f"{score:.3f}" for score in scores]
        place = f"{run['stage'] or ''} {run['epoch'] or ''}".strip()
        rows.append([run["run"], run["state"], place, *shown, run["message"] or ""])
    print_table("runs", ("run", "state", "at", "mean recall", "AUROC", "message"), rows)
