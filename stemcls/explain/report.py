"""Explain cells by several methods: pictures, figures, a gallery, arrays and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from stemcls import atomic
from stemcls.config.explain import ExplainConfig
from stemcls.errors import InputError, check_known, explained_disk_errors
from stemcls.evaluation.intervals import mean_interval
from stemcls.evaluation.saliency import conclusion, look_of, of_run
from stemcls.explain.explain import Explanation, explain
from stemcls.explain.gallery import write_gallery
from stemcls.explain.graph import backbone_layer, has_map
from stemcls.explain.methods import METHODS, method_named
from stemcls.explain.pixelscore import compare_hits, inside_share
from stemcls.explain.probe import Probe, open_probe
from stemcls.explain.selection import Cells, choose_cells, named_cells, parse_rows
from stemcls.explain.subject import Subject, open_run
from stemcls.explain.write import write_explanations
from stemcls.models.inference import predict
from stemcls.progress import Update
from stemcls.runs import Run

CHECKED_CELLS = 16
MOST_LEARNED = 1000
DOCUMENT = "explanation.json"


def explain_run(run: Run, store_path: Path | None = None, **options: Any) -> dict[str, Any]:
    """Explain cells of a finished run; see `explain_subject`.

    Args:
        run: A finished run.
        store_path: Another store; None takes the run's own, and its test split.
        options: Of `explain_subject`.
    """
    return explain_subject(open_run(run, store_path), **options)


def explain_subject(
    subject: Subject,
    config: ExplainConfig | None = None,
    *,
    out: Path | None = None,
    check: bool = False,
    update: Update | None = None,
) -> dict[str, Any]:
    """Explain cells and write everything to a new folder.

    Args:
        subject: Model and cells.
        config: Methods, layers and choice of cells.
        out: A new folder; None: one named by the time, below the subject's own.
        check: Also say whether each method passes the sanity checks on this model.
        update: Called as update(done, total, note).
    Returns: What explanation.json holds: `files` (one overlay for each method and pictured cell),
        `pixel_score` (mean over the cells that count, first method), `looks_at` (cell, background,
        unsure or unknown) and `conclusion`, the same in a sentence (first method that is asked
        about a class), `rows`, `pixel_scores` (of
        the pictured cells), `methods` (one row each), `gallery`, `arrays`, `figures`, `out`.
    Raises:
        InputError: Unknown method, layer or class, rows outside the store, a folder in use, or a
            model that cannot be explained.
        StemclsError: The disk is full. Of unfinished work nothing is kept.
    """
    config = config or ExplainConfig()
    names = _method_names(config.methods)
    wanted = _class_index(config.target, subject.classes)
    if out is not None:
        atomic.check_free(out)
    probe = _opened(subject, config)
    cells = _chosen(subject, config)
    images = subject.store.read(cells.rows)
    targets = cells.predicted if wanted is None else np.full(len(cells), wanted)
    found = [
        explain(
            probe, images, targets, name, settings=config.settings,
            update=_counted(update, position, len(names)),
        )
        for position, name in enumerate(names)
    ]
    radius_px = subject.radius_px[cells.rows]
    rows = [
        _row(one, cells, radius_px, subject.classes, config.settings.seed) for one in found
    ]
    if check:
        _add_checks(rows, probe, images, targets, cells, subject, config, update)
    out = out or _new_folder(subject.folder)
    look, concluded = of_run(rows) or ("", "")
    with (
        explained_disk_errors(out, "nothing was kept; choose another place with --out"),
        atomic.new_folder(out) as new,
    ):
        written = write_explanations(new, found, images, cells, subject, radius_px)
        document = atomic.moved({
            "files": written["files"],
            "pixel_score": rows[0]["pixel_score"],
            "rows": cells.rows[cells.pictured].tolist(),
            "pixel_scores": rows[0]["pixel_scores"],
            "looks_at": look,
            "conclusion": concluded,
            "method": rows[0]["method"],
            "layer": rows[0]["layer"],
            "class": config.target or None,
            "store": str(subject.store.path),
            "n_cells": int(cells.sampled.sum()),
            "methods": rows,
            "figures": [str(path) for path in written["figures"].values()],
            "arrays": str(written["arrays"]),
            "gallery": str(out / "gallery.html"),
            "out": str(out),
        }, new, out)
        write_gallery(
            new / "gallery.html", f"What {subject.folder.parent.name} looks at", document,
            written["pictures"], written["figures"],
        )
        atomic.write_json(new / DOCUMENT, document)
    return document


def _method_names(given: Sequence[str]) -> list[str]:
    names = [name.strip() for text in given for name in text.split(",")]
    return [method_named(name).name for name in dict.fromkeys(names)]


def _class_index(name: str, classes: Sequence[str]) -> int | None:
    if not name:
        return None
    check_known(name, classes, f"the model knows no class {name!r}")
    return list(classes).index(name)


def _opened(subject: Subject, config: ExplainConfig) -> Probe:
    layers = [name.strip() for text in config.layers for name in text.split(",")]
    probe = open_probe(subject.model, layers or None)
    if layers or not subject.backbone or not has_map(probe.model):
        return probe
    return open_probe(subject.model, backbone_layer(probe.model, subject.backbone))


def _chosen(subject: Subject, config: ExplainConfig) -> Cells:
    store, truth = subject.store, subject.truth
    rows = parse_rows(config.rows, len(store)) if config.rows else subject.candidates
    probabilities = predict(subject.model, store.read, rows, views=subject.views)
    if probabilities.shape[1] == 1:
        probabilities = np.concatenate([1 - probabilities, probabilities], axis=1)
    if config.rows:
        return named_cells(rows, truth[rows], probabilities, store.group_index[rows])
    return choose_cells(
        rows, truth[rows], probabilities, store.group_index[rows], subject.classes,
        config.per_class, config.cells, config.settings.seed,
    )


def _row(
    one: Explanation, cells: Cells, radius_px: np.ndarray, classes: Sequence[str], seed: int
) -> dict[str, Any]:
    """Return what is said of one method; statistics are of the cells drawn at random, if any."""
    counted = cells.sampled if cells.sampled.any() else np.ones(len(cells), dtype=bool)
    share = inside_share(one.heatmaps[counted], radius_px[counted])
    known = np.isfinite(share["mass"])
    inside: dict[str, Any] | None = None
    if known.any():
        inside = {name: float(values[known].mean()) for name, values in share.items()}
        inside["n"] = int(known.sum())
        inside["gain_ci"] = mean_interval(
            (share["mass"] - share["area"])[known], cells.groups[counted][known], seed
        )
    scores = one.pixel_score
    return {
        "method": one.method,
        "layer": one.layer,
        "class_aware": METHODS[one.method].class_aware,
        "pixel_score": float(scores[counted].mean()),
        "pixel_scores": scores[cells.pictured].tolist(),
        "hits": compare_hits(
            scores[counted], cells.truth[counted], cells.predicted[counted],
            cells.groups[counted], classes,
        ),
        "inside": inside,
        "looks_at": look_of(inside),
        "conclusion": conclusion(one.method, inside),
        "report": one.report,
        "check": None,
    }


def _add_checks(
    rows: list[dict[str, Any]], probe: Probe, images: np.ndarray, targets: np.ndarray,
    cells: Cells, subject: Subject, config: ExplainConfig, update: Update | None,
) -> None:
    from stemcls.explain.randomise import train_on_random_labels
    from stemcls.explain.sanity import check

    some = np.flatnonzero(cells.sampled)[:CHECKED_CELLS]
    some = some if len(some) else np.arange(min(len(cells), CHECKED_CELLS))
    forgetful, learned = None, None
    if config.label_epochs:
        learning = _labelled(subject, config.settings.seed)
        forgetful, learned = train_on_random_labels(
            probe, subject.store.read(learning), subject.truth[learning], config.label_epochs,
            config.settings.seed,
        )
    for position, row in enumerate(rows):
        found = check(
            probe, METHODS[row["method"]], images[some], targets[some], config.settings,
            _counted(update, position, len(rows), "check "), forgetful,
        )
        row["check"] = found.document()
        if learned is not None:
            row["check"]["labels"]["learned"] = learned


def _labelled(subject: Subject, seed: int) -> np.ndarray:
    """Return rows to train on: of those that are not explained where there are any."""
    known = np.flatnonzero(subject.truth >= 0)
    others = np.setdiff1d(known, subject.candidates)
    rows = others if len(others) else known
    if not len(rows):
        raise InputError(
            f"--check-labels needs labels to shuffle, but {subject.store.path} has none of the "
            "model's classes; leave it out"
        )
    return np.sort(np.random.default_rng(seed).permutation(rows)[:MOST_LEARNED])


def _counted(
    update: Update | None, position: int, n_methods: int, what: str = ""
) -> Update | None:
    """Count the steps of one of several methods as a part of all."""
    if update is None:
        return None
    tell = update
    return lambda done, total, note: tell(position * total + done, n_methods * total, what + note)


def _new_folder(home: Path) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    names = [stamp, *(f"{stamp}-{number}" for number in range(1, 1000))]
    return next(home / name for name in names if not (home / name).exists())
