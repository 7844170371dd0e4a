"""Read what other commands left in a run's folder: calibration, external sets, heat maps, audit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stemcls.evaluation.page import file_data, is_picture
from stemcls.evaluation.saliency import of_run
from stemcls.runs import Run
from stemcls.store.auditfile import audit_path, read_audit
from stemcls.store.cropstore import CropStore

MOST_PICTURES = 12
_OWN = ("test", "validation", "folds", None)


def calibration(run: Run) -> dict[str, Any] | None:
    """Return calibration.json of `stemcls calibrate`, None where there is none."""
    return run.read_json("calibrated/calibration.json")


def externals(run: Run) -> list[dict[str, Any]]:
    """Return the metrics of every other store that the run was scored on, by name."""
    found = []
    for path in sorted((run.path / "evaluation").glob("*/metrics.json")):
        document = run.read_json(str(path.relative_to(run.path)))
        metrics = (document or {}).get("metrics", {})
        if metrics.get("evaluated_on") not in _OWN:
            found.append({"name": path.parent.name, **metrics})
    return found


def audit(run: Run, store_hash: str, store: CropStore | None) -> dict[str, Any] | None:
    """Return what `stemcls audit` found: of the run, else of its store; None where nothing.

    Returns: `checks`, `not_run`, and `stale`: whether the crops have changed since.
    """
    places = [run.path / "evaluation" / "audit.json"]
    if store is not None:
        places.append(audit_path(store.path))
    for place in places:
        found = read_audit(place, store_hash)
        if found is not None:
            not_run = found.document.get("not_run", [])
            return {"checks": found.checks, "not_run": not_run, "stale": found.stale}
    return None


def gathered(run: Run, store_hash: str, store: CropStore | None) -> dict[str, Any]:
    """Return all of it.

    Returns: `calibration`, `externals`, `audit`, `explained` (rows of the methods of the newest
        explanation of the run's own crops) and `looks`, what these look at in a word and a
        sentence, or None.
    """
    rows = explained(run)
    return {
        "calibration": calibration(run), "externals": externals(run),
        "audit": audit(run, store_hash, store), "explained": rows, "looks": of_run(rows),
    }


def explained(run: Run) -> list[dict[str, Any]]:
    """Return a row for each method of the newest explanation that tells of methods."""
    home = run.path / "explanations"
    # Those of other stores lie in folders of their own.
    for document in sorted(home.glob("*/explanation.json"), reverse=True):
        said = run.read_json(str(document.relative_to(run.path)))
        if isinstance(said, dict) and said.get("methods"):
            return list(said["methods"])
    return []


def saliency(run: Run) -> list[dict[str, str]]:
    """Return pictures of `stemcls explain` with captions, newest first: at most `MOST_PICTURES`."""
    found: list[dict[str, str]] = []
    for document in sorted((run.path / "explanations").rglob("explanation.json"), reverse=True):
        for path, caption in _drawn(run, document):
            if path.is_file() and is_picture(path):
                found.append({"caption": caption, "data": file_data(path)})
            if len(found) == MOST_PICTURES:
                return found
    return found


def _drawn(run: Run, document: Path) -> Iterator[tuple[Path, str]]:
    said = run.read_json(str(document.relative_to(run.path)))
    rows = said["rows"]
    for number, name in enumerate(said["files"]):
        # Named from where the command ran; the run may be elsewhere by now.
        inside = Path(name).relative_to(said["out"])
        yield document.parent / inside, f"{inside.parent}, row {rows[number % len(rows)]}"
