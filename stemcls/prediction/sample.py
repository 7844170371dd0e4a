"""The crops of one file or store with their places, their notes, and what is odd about them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from stemcls.imaging.listing.positions import Position
from stemcls.models.cardcheck import SHORT
from stemcls.models.saved import ModelCard
from stemcls.models.storecheck import fit_store
from stemcls.notices import Notice
from stemcls.store.cropstore import CropStore
from stemcls.store.verify import open_verified

AT_BORDER = "at the border: filled by reflection"
_WELL = re.compile(r"(?P<row>[A-P])/?(?P<column>[0-2]?\d)(?:/|\b)")


@dataclass(frozen=True, eq=False)
class Sample:
    """The crops of one file, or of one store.

    Attributes:
        path: The file, or which position of it.
        n: Crops.
        read: Rows (n,) to crops (n, H, W, C).
        centers_px: (N, 2) y, x in the file named by `paths`.
        radius_px: (N,).
        paths: (N,) file that each crop is from.
        image: (Y, X, C) composite to draw on; None for crops and stores.
        dropped: Why found cells were left out, and how many for each reason.
        scene: Position of the file that was read; "" where it has only one, or for stores.
        notes: (N,) what is odd about each crop, "" for most.
        notices: What is odd about the file.
        groups: (N,) group of each crop; empty where none are named.
        wells: (N,) well of each crop, "" where unknown; empty where none is known.
    """

    path: Path | Position
    n: int
    read: Callable[[np.ndarray], np.ndarray]
    centers_px: np.ndarray
    radius_px: np.ndarray
    paths: list[str]
    image: np.ndarray | None = None
    dropped: dict[str, int] = field(default_factory=dict)
    scene: str = ""
    notes: list[str] = field(default_factory=list)
    notices: tuple[Notice, ...] = ()
    groups: list[str] = field(default_factory=list)
    wells: list[str] = field(default_factory=list)


def sample_of_store(path: Path, card: ModelCard) -> Sample:
    """Read the crops of a store the way a model takes them.

    Raises:
        InputError: As `fit_store`.
    """
    store = open_verified(path)
    read, notices = fit_store(card, store)
    about = [json.loads(text or "{}") for text in store.fields.metadata or ()]
    wells = [next((str(row[key]) for key in row if key.casefold() == "well"), "") for row in about]
    names = [str(store.fields.path[index]) for index in store.field_index]
    border = store.at_border if store.at_border is not None else np.zeros(len(store), bool)
    return Sample(
        path, len(store), read, store.centers_px, store.radius_px, names,
        notes=_notes_of_store(store, border, notices), notices=tuple(notices),
        groups=[store.group_names[group] for group in store.group_index]
        if store.has_groups else [],
        wells=[wells[field] for field in store.field_index] if wells else [],
    )


def _notes_of_store(
    store: CropStore, border: np.ndarray, notices: Sequence[Notice]
) -> list[str]:
    """Return notes of crops: warnings of some fields stand beside the crops of those."""
    of_field = {
        name: with_notes([""], [one for one in notices if name in one.paths])[0]
        for name in store.fields.path
    }
    of_all = with_notes([""], [one for one in notices if str(store.path) in one.paths])[0]
    return [
        "; ".join(filter(None, (AT_BORDER if over else "", of_all, of_field[name])))
        for over, name in zip(
            border, (store.fields.path[field] for field in store.field_index), strict=True
        )
    ]


def with_notes(notes: list[str], notices: Iterable[Notice]) -> list[str]:
    """Return the notes of crops with what is odd about their whole file behind."""
    said = [SHORT[one.kind] for one in notices if one.kind in SHORT]
    return ["; ".join((*([note] if note else ()), *said)) for note in notes]


def well_of(scene: str) -> str:
    """Return the well that the name of a scene says, as in B/03/0 or B03; "" where it says none."""
    found = _WELL.match(scene)
    return f"{found['row']}{int(found['column']):02d}" if found else ""
