"""Gather what was measured in the cells of crop stores, by class and by donor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stemcls.errors import InputError, check_known
from stemcls.store.classes import places_among
from stemcls.store.cropstore import CropStore
from stemcls.store.units import plural
from stemcls.store.verify import open_verified

BY = ("label", "group", "store")


@dataclass(frozen=True, eq=False)
class Measure:
    """One number per cell.

    Attributes:
        name: diameter_um, diameter_px or intensity_<channel>.
        title: The same for people.
        unit: um, px or raw.
        values: (N,) float64, NaN where unknown.
    """

    name: str
    title: str
    unit: str
    values: np.ndarray


@dataclass(frozen=True, eq=False)
class CellTable:
    """N cells of one or more stores.

    Attributes:
        classes: K names.
        class_index: (N,) int index into `classes`.
        units: Names of the independent units: donors, or fields where no donors are known.
        unit_index: (N,) int index into `units`.
        unit_what: What a unit is, in words.
        stores: Paths of the stores.
        store_index, row: (N,) int, where a cell comes from.
        fields: (N,) paths of the fields.
        radius_px: (N,) float64, NaN where unknown.
        pixel_size_um: (N,) float64, of the field, NaN where unknown.
        measures: What is known about the cells.
        left_out: Reason to number of cells.
        warnings: What the reader must know, in sentences.
    """

    classes: tuple[str, ...]
    class_index: np.ndarray
    units: tuple[str, ...]
    unit_index: np.ndarray
    unit_what: str
    stores: tuple[Path, ...]
    store_index: np.ndarray
    row: np.ndarray
    fields: np.ndarray
    radius_px: np.ndarray
    pixel_size_um: np.ndarray
    measures: tuple[Measure, ...]
    left_out: dict[str, int]
    warnings: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.row)


def gather_cells(
    paths: Sequence[Path], by: str = "label", classes: Sequence[str] = ()
) -> CellTable:
    """Read diameters and intensities of all cells; images are not touched.

    Args:
        paths: Crop stores; classes and donors of the same name are taken for the same.
        by: What tells classes apart: label, group (units are then fields) or store.
        classes: Names of those wanted, in order; none: all.
    Raises:
        InputError: No store, no such class, no cells, nothing measured, or the pixel size is
            known for only some cells.
    """
    check_known(by, BY, f"--by {by!r} is not a choice")
    if len(set(map(Path.resolve, paths))) < len(paths):
        raise InputError("the same store is named twice; its cells would count double")
    stores = [open_verified(path) for path in paths]
    names, index = _classes(stores, by)
    return _table(stores, by, names, index, classes)


def cells_of_store(
    store: CropStore, classes: Sequence[str], class_index: np.ndarray
) -> CellTable:
    """Read what was measured in all N cells of a store under classes given from elsewhere.

    Args:
        store: The crops.
        classes: K names.
        class_index: (N,) int index into `classes`.
    Raises:
        InputError: Nothing was measured, or the pixel size is known for only some cells.
    """
    return _table([store], "label", list(classes), class_index, classes)


def _table(
    stores: Sequence[CropStore], by: str, names: list[str], index: np.ndarray,
    classes: Sequence[str],
) -> CellTable:
    present = [names[number] for number in np.unique(index[index >= 0])]
    wanted = _wanted(classes, names) if classes else present
    unlabelled = index < 0
    place_of = places_among(names, wanted)[index]
    kept = np.flatnonzero(place_of >= 0)
    left_out = Counter(
        {
            "no label": int(unlabelled.sum()),
            "of another class": int((~unlabelled & (place_of < 0)).sum()),
        }
    )
    if not len(kept):
        raise InputError(
            f"no cells to measure: {len(index)} crops, {left_out['no label']} of them without a "
            "label; build a store with labels, or compare --by group or --by store"
        )
    radius_px = np.concatenate([store.radius_px for store in stores]).astype(np.float64)[kept]
    radius_px[~(np.isfinite(radius_px) & (radius_px > 0))] = np.nan
    sizes_um = np.concatenate([s.fields.pixel_size_um[s.field_index] for s in stores])[kept]
    sizes_um = np.where(np.isfinite(sizes_um) & (sizes_um > 0), sizes_um, np.nan)
    fields = np.concatenate([np.array(s.fields.path, object)[s.field_index] for s in stores])[kept]
    store_index = np.repeat(np.arange(len(stores)), [len(store) for store in stores])[kept]
    warnings: list[str] = []
    measures = _diameters(radius_px, sizes_um, fields, warnings)
    intensities = _intensities(stores, kept)
    if intensities and np.isnan(radius_px).any():
        warnings.append(
            f"{int(np.isnan(radius_px).sum())} cells have no radius, so their intensity is not of "
            "the cell alone: the mean of the whole image, or of the middle of the crop where the "
            "centre was given"
        )
    measures += intensities
    if not measures:
        raise InputError(
            f"nothing was measured in these {len(kept)} crops: no radius and no intensity is known"
        )
    units, unit_index, what = _units(stores, by, kept, place_of[kept], len(wanted), warnings)
    return CellTable(
        tuple(wanted), place_of[kept], units, unit_index, what,
        tuple(store.path for store in stores), store_index,
        np.concatenate([np.arange(len(store)) for store in stores])[kept], fields, radius_px,
        sizes_um, tuple(measures), {why: n for why, n in left_out.items() if n}, tuple(warnings),
    )


def _classes(stores: Sequence[CropStore], by: str) -> tuple[list[str], np.ndarray]:
    """Return names, and an index into them for every crop, -1 where it has no class."""
    if by == "store":
        stems = [store.path.stem for store in stores]
        unique = len(set(stems)) == len(stems)
        names = stems if unique else [str(store.path) for store in stores]
        return names, np.repeat(np.arange(len(stores)), [len(store) for store in stores])
    names, parts = [], []
    for store in stores:
        own = store.classes if by == "label" else store.group_names
        names += [name for name in dict.fromkeys(own) if name not in names]
        index = store.labels if by == "label" else store.group_index
        parts.append(places_among(own, names)[index])
    return names, np.concatenate(parts)


def _wanted(given: Sequence[str], names: Sequence[str]) -> list[str]:
    wanted: list[str] = []
    for text in given:
        for name in [text] if text in names else [part.strip() for part in text.split(",")]:
            check_known(name, names, f"there is no class {name!r}")
            if name not in wanted:
                wanted.append(name)
    return wanted


def _diameters(
    radius_px: np.ndarray, sizes_um: np.ndarray, fields: np.ndarray, warnings: list[str]
) -> list[Measure]:
    measured = np.isfinite(radius_px)
    if not measured.any():
        warnings.append(
            "no cell has a radius (ready-made crops, whole fields, or given centres without "
            "radius_px), so there are no diameters; cells that stemcls finds in fields have one"
        )
        return []
    known = np.isfinite(sizes_um[measured])
    if not known.any():
        warnings.append(
            "PIXEL SIZE UNKNOWN: diameters are in pixels and cannot be compared with other "
            "microscopes; build again with --pixel-size-um to have micrometres"
        )
        return [Measure("diameter_px", "diameter", "px", 2 * radius_px)]
    if not known.all():
        with_size, without = set(fields[measured][known]), set(fields[measured][~known])
        raise InputError(
            f"the pixel size is known for {int(known.sum())} cells of {len(with_size)} fields "
            f"and unknown for {int((~known).sum())} cells of {len(without)} fields (such as "
            f"{min(without)}), so their diameters cannot be compared; build the latter again with "
            "--pixel-size-um, or leave their store out"
        )
    found = np.unique(np.round(sizes_um[measured], 6))
    if len(found) > 1:
        warnings.append(
            f"pixel sizes differ ({found[0]:g} to {found[-1]:g} um): each field's own was used"
        )
    return [Measure("diameter_um", "diameter", "um", 2 * radius_px * sizes_um)]


def _intensities(stores: Sequence[CropStore], kept: np.ndarray) -> list[Measure]:
    """Return the raw mean of every channel of any store, NaN where a cell has none."""
    columns: dict[str, np.ndarray] = {}
    start, total = 0, sum(map(len, stores))
    for store in stores:
        names = list(store.intensity_channels)
        for number in range(store.intensity.shape[1]):
            name = names[number] if number < len(names) else f"channel {number + 1}"
            if name in names[:number]:
                name = f"{name} ({number + 1})"
            column = columns.setdefault(name, np.full(total, np.nan))
            column[start : start + len(store)] = store.intensity[:, number]
        start += len(store)
    measures = []
    for name, column in columns.items():
        values = np.where(np.isfinite(column), column, np.nan)[kept]
        if np.isfinite(values).any():
            measures.append(Measure(f"intensity_{name}", f"intensity of {name}", "raw", values))
    return measures


def _units(
    stores: Sequence[CropStore], by: str, kept: np.ndarray, class_index: np.ndarray, k: int,
    warnings: list[str],
) -> tuple[tuple[str, ...], np.ndarray, str]:
    """Return names of the independent units, an index for every kept cell, what a unit is."""
    names: dict[tuple[int, str], int] = {}
    parts, kinds, lone = [], [], 0
    for number, store in enumerate(stores):
        paths = set(store.fields.path)
        named = store.has_groups and by != "group"
        own = store.group_names if named else store.fields.path
        # Donors of one name are one donor; fields of one name in two stores are two fields.
        keys = [(-1 if named and name not in paths else number, name) for name in own]
        place = np.array([names.setdefault(key, len(names)) for key in keys] or [0])
        index = store.group_index if named else store.field_index
        parts.append(place[index])
        kinds.append(store.group_what if named else "field")
        if named:
            stand_in = np.array([key[0] >= 0 for key in keys] or [False])
            lone += int(stand_in[index].sum())
    chosen = np.concatenate(parts)[kept]
    what = " or ".join(dict.fromkeys(kinds))
    if what == "field":
        if by == "group":
            reason, remedy = "groups are what is compared", ""
        else:
            reason, remedy = "no donors are named", " (`stemcls build --group` names donors)"
        warnings.append(
            f"{reason}, so fields stand for independent units; fields of one donor are alike, so p "
            f"is too small{remedy}"
        )
    if lone:
        warnings.append(f"{lone} crops have no {what}; each of their fields counts as one")
    pairs = np.unique(np.stack([chosen, class_index]), axis=1)
    shared = int((np.bincount(pairs[0]) > 1).sum())
    if shared and k > 1:
        warnings.append(
            f"{shared} {plural(what)} have cells in more than one class; the tests do not "
            "pair their means, which as a rule makes p larger than it need be"
        )
    return tuple(name for _, name in names), chosen, what
