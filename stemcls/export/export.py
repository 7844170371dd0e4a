"""Export a run: write it, load it again, compare it with the run, and only then name it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from stemcls import atomic
from stemcls.errors import InputError, StemclsError, explained_disk_errors
from stemcls.export.card import CARD_FILE, Credits, card_text
from stemcls.export.parcel import Parcel, open_parcel
from stemcls.export.targets import TARGETS, Target
from stemcls.progress import Update
from stemcls.runs import Run

DOCUMENT = "export.json"


def export_run(
    run: Run,
    target: Target,
    out: Path | None = None,
    store_path: Path | None = None,
    calibrated: bool = False,
    credits: Credits | None = None,
    update: Update | None = None,
) -> dict[str, Any]:
    """Export a finished run to a new folder: the model, its labels, and its card.

    Args:
        run: A finished run.
        target: The format; its packages must be there (`check_packages`).
        out: A new folder; None: `exports/<format>` in the run.
        store_path: Where the crops to compare with are from; None: the run's own store.
        calibrated: Export the model that `stemcls calibrate` saved.
        credits: What the authors say of the model.
        update: Called as update(done, total, note).
    Returns: What export.json holds: `out`, `model`, `format`, `labels`, `card`, `n` crops compared
        and their `side`, `largest_difference` of a probability and its `tolerance`.
    Raises:
        InputError: A folder in use, no model, or no crops to compare with.
        StemclsError: The copy says something else than the run, or the disk is full. Nothing is
            left then.
    """
    name = f"{target.name}-calibrated" if calibrated else target.name
    out = out or run.path / "exports" / name
    _check_folder(out)
    tell = update or _tell_nobody
    tell(0, 3, "the run's own answers")
    parcel = open_parcel(run, store_path, calibrated)
    credits = credits or Credits()
    with (
        explained_disk_errors(out, "nothing was written; free some space and repeat"),
        atomic.new_folder(out) as folder,
    ):
        (folder / CARD_FILE).write_text(card_text(parcel, credits, target.name), encoding="utf-8")
        tell(1, 3, f"writing {target.name}")
        about = target.write(parcel, folder / target.file, credits)
        tell(2, 3, "loading it again")
        difference = _compared(target, folder / target.file, parcel)
        atomic.write_json(folder / "labels.json", list(parcel.card.classes))
        atomic.write_json(folder / "model.json", asdict(parcel.card))
        document = {
            "out": str(out), "model": str(out / target.file), "format": target.name,
            "run": run.name, "calibrated": calibrated, "labels": list(parcel.card.classes),
            "card": str(out / CARD_FILE), "n": len(parcel.crops), "side": parcel.side,
            "rows": parcel.rows, "largest_difference": difference,
            "tolerance": target.tolerance, **about,
        }
        atomic.write_json(folder / DOCUMENT, document)
    tell(3, 3, "done")
    return document


def _tell_nobody(_done: int, _total: int, _note: str) -> None:
    """Take the place of `update` where nobody wants to know."""


def _check_folder(out: Path) -> None:
    files = {suffix for target in TARGETS.values() if (suffix := Path(target.file).suffix)}
    if out.suffix in files:
        raise InputError(
            f"--out {out} is to be a new folder, for the model goes with its labels and its card; "
            f"leave out {out.suffix}"
        )
    atomic.check_free(out)


def _compared(target: Target, path: Path, parcel: Parcel) -> float:
    """Return the largest difference between the copy's probabilities and the run's.

    Raises:
        StemclsError: It is above the tolerance, or the copy names other classes first.
    """
    found = target.predict(path, parcel.crops)
    wanted = parcel.probabilities
    if found.shape != wanted.shape:
        raise StemclsError(
            f"the {target.name} export gives {found.shape} probabilities, the run {wanted.shape}; "
            "nothing was written"
        )
    difference = float(np.abs(found - wanted).max())
    if not difference <= target.tolerance:
        raise StemclsError(
            f"the {target.name} export differs from the run by {difference:.2g} in a probability, "
            f"more than {target.tolerance:g}; nothing was written"
        )
    return difference
