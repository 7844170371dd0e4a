"""Read what other commands left in a run's folder: calibration, external sets, heat maps, audit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stemcls.errors import InputError
from stemcls.evaluation.report.drawings import file_data, is_picture
from stemcls.runs import Run
from stemcls.store.auditfile import audit_path, read_audit
from stemcls.store.cropstore import CropStore

MOST_PICTURES = 24
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


def saliency(run: Run) -> list[dict[str, str]]:
    """Return pictures of `stemcls explain` with captions: at most `MOST_PICTURES`.

    They are named by an `index.json` (`images`: names, or objects with `file` and `caption`) or by
    an `explanation.json` (`files`) anywhere below the run's explanations/.
    """
    found: list[dict[str, str]] = []
    seen: set[Path] = set()
    for index in sorted((run.path / "explanations").rglob("*.json")):
        for path, caption in _listed(index):
            if path not in seen and path.is_file() and is_picture(path):
                seen.add(path)
                found.append({"caption": caption or path.stem, "data": file_data(path)})
            if len(found) == MOST_PICTURES:
                return found
    return found


def _listed(index: Path) -> Iterator[tuple[Path, str]]:
    key = {"index.json": "images", "explanation.json": "files"}.get(index.name)
    if key is None:
        return
    try:
        document = json.loads(index.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise InputError(f"{index} is damaged: {error}") from error
    entries = document.get(key, ()) if isinstance(document, dict) else document
    if not isinstance(entries, list):
        return
    for entry in entries:
        named = entry if isinstance(entry, dict) else {"file": entry}
        name = named.get("file") or named.get("path")
        if isinstance(name, str):
            # Overlays are named from where the command ran, which may be elsewhere by now.
            beside = index.parent / Path(name).name
            path = beside if beside.is_file() else index.parent / name
            yield path, str(named.get("caption") or named.get("title") or "")
