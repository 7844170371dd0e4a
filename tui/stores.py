"""What the screens say about a store: its fields with their quality, and how it would be split."""

from __future__ import annotations

import json

import numpy as np
from rich.text import Text

from stemcls.config.experiment import SplitConfig
from stemcls.errors import StemclsError
from stemcls.store.cropstore import CropStore
from stemcls.store.splits import SIDES, make_split
from tui.drawing import bar
from tui.reading import StoreEntry
from tui.widgets.audit import audit_text

SHOWN_GROUPS = 200
SHOWN_FIELDS = 1000
SHOWN_UNITS = 40
FIELD_COLUMNS = (
    "field", "crops", "cells", "brightness", "focus", "clipped", "unevenness", "left out", "group",
)


def describe(entry: StoreEntry) -> Text:
    """Return class balance, properties, audit and groups of a store, or why it cannot be opened."""
    if entry.store is None:
        return Text(f"{entry.path.name} cannot be opened.\n{entry.error}", style="red")
    store = entry.store
    text = Text()
    text.append(f"{entry.path.name}\n", style="bold")
    rows = entry.class_counts
    widest = max((len(name) for name, _ in rows), default=0)
    most = max((count for _, count in rows), default=0)
    for name, count in rows:
        share = count / max(len(store), 1)
        text.append(f"{name:<{widest}} ")
        text.append(f"{bar(count / max(most, 1), 30):<30}", style="cyan")
        text.append(f" {count:>7}  {share:6.1%}\n")
    size = "unknown" if store.pixel_size_um is None else f"{store.pixel_size_um:g} um"
    text.append(
        f"\npixel size {size}, {store.dtype}, channels {', '.join(store.channels)}\n"
        f"images {store.layout.kind}"
        + (f", {store.layout.compression}" if store.layout.compression else "")
        + f", created {store.created or 'unknown'}\n"
    )
    groups = entry.group_counts
    heading = store.group_what if store.has_groups else "field"
    text.append_text(audit_text(entry.audit, entry.path))
    text.append(f"\n{len(store.fields)} fields, {len(groups)} groups ({heading}), "
                "kept together in a split\n")
    for name, count, classes in groups[:SHOWN_GROUPS]:
        text.append(f"  {name}: {count} crops of {', '.join(classes) or 'no class'}\n")
    if len(groups) > SHOWN_GROUPS:
        text.append(f"  and {len(groups) - SHOWN_GROUPS} more\n")
    return text


def field_rows(store: CropStore) -> list[list[Text]]:
    """Return a row of `FIELD_COLUMNS` for each of the first `SHOWN_FIELDS` fields."""
    fields = store.fields
    crops = np.bincount(store.field_index, minlength=len(fields))
    group = np.full(len(fields), -1)
    group[store.field_index] = store.group_index
    rows = []
    for number in range(min(len(fields), SHOWN_FIELDS)):
        cells = int(fields.n_cells[number])
        numbers = [
            str(crops[number]), "-" if cells < 0 else str(cells),
            *(_measure(column, number) for column in
              (fields.brightness, fields.focus, fields.saturated, fields.unevenness)),
            str(sum(json.loads(fields.dropped[number]).values())) if fields.dropped else "-",
        ]
        kept = store.group_names[group[number]] if store.has_groups and group[number] >= 0 else "-"
        rows.append([
            Text(fields.path[number]), *(Text(one, justify="right") for one in numbers), Text(kept),
        ])
    return rows


def split_text(store: CropStore) -> Text:
    """Return how many crops of each class go to each side with the default settings."""
    try:
        split = make_split(store, SplitConfig(), 0)
    except StemclsError as error:
        return Text(f"It cannot be split as it is.\n\n{error}")
    widest = max(8, *(len(name) for name in split.classes))
    text = Text(f"{'':<{widest}}")
    sides = {side: getattr(split, side) for side in SIDES}
    for side in SIDES:
        text.append(f"{side:>12}", style="bold")
    for name in split.classes:
        text.append(f"\n{name:<{widest}}")
        label = store.classes.index(name)
        for rows in sides.values():
            text.append(f"{np.count_nonzero(store.labels[rows] == label):>12}")
    text.append(f"\n{'crops':<{widest}}")
    for rows in sides.values():
        text.append(f"{len(rows):>12}", style="bold")
    text.append("\n\nThe default split, seed 0; the training form has its settings. Kept together: "
                f"{split.by}.\n")
    for side in SIDES:
        units = split.units.get(side, ())
        if units:
            more = f" and {len(units) - SHOWN_UNITS} more" if len(units) > SHOWN_UNITS else ""
            text.append(f"  {side}: {', '.join(units[:SHOWN_UNITS])}{more}\n")
    return text


def _measure(column: np.ndarray | None, number: int) -> str:
    if column is None or not np.isfinite(column[number]):
        return "-"
    return f"{float(column[number]):.3g}"
