"""Embed the crops of a run at every level, measure their separation, write pages and figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stemcls import atomic
from stemcls.config.options import to_mapping
from stemcls.config.probes import EmbedConfig
from stemcls.errors import InputError
from stemcls.evaluation.runfiles import (
    finished_model,
    folder_of,
    open_split,
    read_split,
)
from stemcls.interruption import Interruption
from stemcls.probes.embedding import LAYOUTS, reduced, separation
from stemcls.probes.spaces import Space, spaces_of
from stemcls.progress import Update
from stemcls.runs import Run
from stemcls.store.classes import class_index
from stemcls.store.cropstore import CropStore
from stemcls.store.places import COLUMNS, places_of
from stemcls.store.units import unit_index, unit_names
from stemcls.store.verify import open_verified


@dataclass(frozen=True, eq=False)
class Shown:
    """The crops that are embedded.

    Attributes:
        store: Their store.
        rows, labels, groups: (n,) int.
        group_names: What the numbers in `groups` stand for.
        classes: K names.
        part: Which crops they are, in words.
    """

    store: CropStore
    rows: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    group_names: Mapping[int, str]
    classes: tuple[str, ...]
    part: str


@dataclass(frozen=True, eq=False)
class Panel:
    """One space in one layout: (n, 2) `points`."""

    space: Space
    method: str
    points: np.ndarray


def embed_run(
    run: Run, store_path: Path | None, config: EmbedConfig, out: Path | None,
    interruption: Interruption, update: Update | None = None,
) -> dict[str, Any]:
    """Embed crops of a run's test split, or of another store, and write what was found.

    Args:
        run: A finished run.
        store_path: Another labelled store; None: the run's own.
        config: Settings.
        out: New folder; None: evaluation/embedding in the run.
        interruption: May stop it.
        update: Called as update(done, total, note).
    Returns: `spaces` (stage, layer, silhouette, purity, ... each with an interval), `missing`,
        `n`, `classes`, `part`, `out` and `files`.
    Raises:
        InputError: No model, no labelled crop of its classes, or `out` exists.
        CancelledError: It was asked to stop.
    """
    shown = crops_to_show(run, store_path, config)
    name = "embedding" if store_path is None else f"embedding-{folder_of(shown.store)}"
    place = out or run.path / "evaluation" / name
    atomic.check_new(place)
    for method in config.methods:
        if method == "umap":
            LAYOUTS[method](np.random.default_rng(0).normal(size=(20, 4)), 5, 0)
    spaces, missing = spaces_of(run, shown.store, shown.rows, interruption)
    panels: list[Panel] = []
    rows: list[dict[str, Any]] = []
    total = len(spaces) * len(config.methods)
    for space in spaces:
        components = reduced(space.features, config.seed)
        scores = separation(components, shown.labels, shown.groups, config.neighbours, config.seed)
        rows.append({"stage": space.stage, "layer": space.layer, "title": space.title, **scores})
        for method in config.methods:
            interruption.check()
            if update is not None:
                update(len(panels), total, f"{method} of {space.title}")
            points = LAYOUTS[method](components, config.perplexity, config.seed)
            panels.append(Panel(space, method, points))
    document = {
        "run": str(run.path), "store": str(shown.store.path), "part": shown.part,
        "n": len(shown.rows), "classes": shown.classes, "spaces": rows, "missing": missing,
        "settings": to_mapping(config),
    }
    files = _write(place, document, shown, panels)
    return {**document, "out": str(place), "files": [path.name for path in files]}


def crops_to_show(run: Run, store_path: Path | None, config: EmbedConfig) -> Shown:
    """Return the crops of the run's test split, or all of another store with its classes.

    Raises:
        InputError: There is none.
    """
    finished_model(run)  # says what a study, a cross-validation or an unfinished run needs
    if store_path is None:
        store, split = open_split(run)
        part, rows = f"{split.scored_on} split", split.scored_rows
    else:
        store, split = open_verified(store_path), read_split(run)
        part = "another store"
        rows = np.flatnonzero(class_index(store, split.classes) >= 0)
        if not len(rows):
            raise InputError(
                f"{store.path} has no crop of the run's classes ({', '.join(split.classes)})"
            )
    if len(rows) > config.crops:
        rows = np.sort(np.random.default_rng(config.seed).choice(rows, config.crops, False))
    by = "field" if split.by == "field" else "group"
    return Shown(
        store, rows, class_index(store, split.classes)[rows], unit_index(store, by)[rows],
        unit_names(store, by), split.classes, part,
    )


def _write(
    out: Path, document: dict[str, Any], shown: Shown, panels: list[Panel]
) -> list[Path]:
    from stemcls.evaluation.figures import write_figure
    from stemcls.probes.embedfigure import draw_panels
    from stemcls.probes.scatterpage import scatter_page

    with atomic.new_folder(out) as temporary:
        files = write_figure(draw_panels(document, shown, panels), temporary / "embedding")
        page, table = temporary / "embedding.html", temporary / "coordinates.csv"
        atomic.write_text(page, scatter_page(document, shown, panels))
        _write_table(table, shown, panels)
        atomic.write_json(temporary / "embedding.json", document)
    return [*atomic.moved([*files, page, table], temporary, out), out / "embedding.json"]


def _write_table(path: Path, shown: Shown, panels: list[Panel]) -> None:
    names = [f"{panel.space.stage} {panel.space.layer} {panel.method}" for panel in panels]
    axes = [f"{name} {axis}" for name in names for axis in "xy"]
    header = ["row", "label", "group", *COLUMNS, *axes]
    with atomic.csv_writer(path) as writer:
        writer.writerow(header)
        places = places_of(shown.store, shown.rows)
        for place, row in enumerate(shown.rows):
            points = [f"{value:.5g}" for panel in panels for value in panel.points[place]]
            label = shown.classes[shown.labels[place]]
            group = shown.group_names[shown.groups[place]]
            writer.writerow([row, label, group, *places[place], *points])
