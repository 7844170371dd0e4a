"""Classify every cell of new fields, crops or stores into one table."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stemcls import atomic
from stemcls.config.imaging import DetectConfig, ReadConfig
from stemcls.errors import InputError, explained_disk_errors
from stemcls.evaluation.calibration.conformal import least_probabilities, sets_of
from stemcls.imaging.listing.positions import Position, as_position
from stemcls.imaging.listing.walk import STORE_SUFFIXES, shown
from stemcls.imaging.overlay import draw_overlay
from stemcls.models.inference import predict
from stemcls.models.saved import ModelCard
from stemcls.notices import Notice, gathered
from stemcls.prediction.familiarity import Familiarity
from stemcls.prediction.inputs import load_samples
from stemcls.prediction.sample import Sample
from stemcls.prediction.summary import SUMMARY, Summary, summary_cells
from stemcls.prediction.tableformat import Columns, TableFormat, new_tables
from stemcls.progress import Update

COLUMNS = ("path", "scene", "y_px", "x_px", "radius_px", "class", "score", "notes")
NUMBERS = ("y_px", "x_px", "radius_px", "score")
_LONGEST_NAME = 200  # bytes


@dataclass(frozen=True)
class Table:
    """What was predicted.

    Attributes:
        out: CSV, one row per cell: `COLUMNS`, then one probability `p_<class>` per class; of a
            calibrated model also `set`, the classes that the cell may be.
        rows: Cells.
        composition: Class name to number of cells.
        skipped: Files that could not be used, with the reason.
        overlays: One picture per field.
        dropped: Why found cells are not in the table, and how many for each reason.
        warnings: What is odd about the files.
        summary: Rows of `Summary`: per field, well, group and class.
    """

    out: Path
    rows: int
    composition: dict[str, int]
    skipped: list[dict[str, str]]
    overlays: list[str]
    dropped: dict[str, int]
    warnings: list[Notice]
    summary: list[dict[str, Any]]


@dataclass(frozen=True, eq=False)
class Predicted:
    """One file, and what the model says of its N crops.

    Attributes:
        sample: The crops.
        probabilities: (N, K) float32.
    """

    sample: Sample
    probabilities: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        """(N,) int64, index of the likeliest class."""
        return self.probabilities.argmax(axis=1)


def predict_files(
    model: Any,
    card: ModelCard,
    paths: Sequence[Path | Position],
    *,
    detection: DetectConfig | None = None,
    kind: str = "auto",
    pixel_size_um: float = 0.0,
    views: int = 1,
    batch_size: int = 64,
    read: ReadConfig | None = None,
    channels: str = "",
    novelty: Familiarity | None = None,
) -> Iterator[Predicted | tuple[Path | Position, str]]:
    """Yield what the model says of each file, or the file and why it was skipped.

    Args:
        model: keras.Model that `card` describes.
        card: Its card.
        paths: Files, stores and positions of files, from `inputs.expand`.
        detection, kind, pixel_size_um: As `inputs.load_sample`.
        views: Dihedral views averaged: 1, 2, 4 or 8.
        batch_size: Crops per step of the network.
        read: Which planes of a file, from `inputs.reading_of`.
        channels: As `inputs.load_sample`.
        novelty: Of a calibrated model: says which cells are unlike those of training.
    """
    for sample in load_samples(paths, card, detection, kind, pixel_size_um, read, channels):
        if not isinstance(sample, Sample):
            yield sample
            continue
        probabilities = predict(
            model, sample.read, np.arange(sample.n), views=views, batch_size=batch_size
        )
        yield Predicted(novelty.noted(sample) if novelty else sample, probabilities)


def predict_table(
    model: Any,
    card: ModelCard,
    paths: Sequence[Path | Position],
    out: Path,
    *,
    detection: DetectConfig | None = None,
    kind: str = "auto",
    pixel_size_um: float = 0.0,
    overlays: Path | None = None,
    views: int = 1,
    batch_size: int = 64,
    update: Update | None = None,
    read: ReadConfig | None = None,
    channels: str = "",
    group: str = "",
    form: TableFormat | None = None,
    novelty: Familiarity | None = None,
) -> Table:
    """Predict `paths` file by file; tables and overlays take their names when all is done.

    Args:
        model, card, paths: As for `predict_files`.
        out: Table to write, its summary beside it; an existing file is never overwritten.
        detection, kind, pixel_size_um, views, batch_size, read, channels, novelty: As for
            `predict_files`.
        overlays: Folder for one PNG per field, with each cell ringed in its class' colour.
        update: Called as update(done, total, note).
        group: Regular expression on a file's path whose first group, in parentheses, names its
            group; "": stores say theirs, and every other file is one.
        form: How tables are written.
    Raises:
        InputError: `out`, its summary or `overlays` exists, a group that no path has, or not one
            file could be used.
    """
    form = form or TableFormat()
    beside = out.with_name(f"{out.stem}-summary.csv")
    for path in (out, *((beside,) if form.kind == "csv" else ()), *filter(None, (overlays,))):
        atomic.check_new(path)
    pattern = _pattern(group)
    counts = np.zeros(len(card.classes), dtype=np.int64)
    skipped: list[dict[str, str]] = []
    pictures: list[str] = []
    dropped: Counter[str] = Counter()
    notices: list[Notice] = []
    summary = Summary(card.classes)
    header = columns_of(card)
    cells = Columns(tuple(header), frozenset(
        name for name in header if name in NUMBERS or name.startswith("p_")
    ))
    with (
        explained_disk_errors(out, "no table was written; free some space and run it again"),
        new_tables(out, beside, form, cells, SUMMARY) as (table, levels),
        ExitStack() as drawn,
    ):
        folder: Path | None = None
        found = predict_files(
            model, card, paths, detection=detection, kind=kind, pixel_size_um=pixel_size_um,
            views=views, batch_size=batch_size, read=read, channels=channels, novelty=novelty,
        )
        for number, one in enumerate(found, start=1):
            if not isinstance(one, Predicted):
                path, reason = one
                skipped.append({"path": shown(str(path)), "reason": reason})
                continue
            table.writerows(rows_of(one, card))
            _sum_up(summary, one, pattern)
            dropped.update(one.sample.dropped)
            notices += one.sample.notices
            counts += np.bincount(one.predicted, minlength=len(counts))
            if overlays is not None and one.sample.image is not None:
                if folder is None:
                    folder = drawn.enter_context(atomic.new_folder(overlays))
                pictures.append(_draw(one, one.sample.image, card, folder, number))
            if update:
                update(number, len(paths), f"{counts.sum()} cells")
        if len(skipped) == len(paths):
            first = skipped[0]
            raise InputError(f"no file could be used; the first: {first['reason']}")
        rows = list(summary.rows())
        levels.writerows(map(summary_cells, rows))
    if overlays is not None and folder is not None:
        pictures = [str(overlays / Path(name).name) for name in pictures]
    composition = dict(zip(card.classes, counts.tolist(), strict=True))
    return Table(
        out, int(counts.sum()), composition, skipped, pictures, dict(dropped),
        gathered(notices), rows,
    )


def _pattern(group: str) -> re.Pattern[str] | None:
    if not group:
        return None
    try:
        pattern = re.compile(group)
    except re.error as error:
        raise InputError(f"--group {group!r} is no regular expression: {error}") from None
    if not pattern.groups:
        raise InputError(
            f"--group {group!r} has no group in parentheses that names the group, as in "
            "'(donor-[0-9]+)'"
        )
    return pattern


def _sum_up(summary: Summary, found: Predicted, pattern: re.Pattern[str] | None) -> None:
    sample = found.sample
    groups, own = sample.groups, None
    name = shown(as_position(sample.path).path)
    if pattern is not None:
        named = {path: _group_in(pattern, path) for path in {*sample.paths, name}}
        groups, own = [named[path] for path in sample.paths], named[name]
    if sample.n:
        summary.add(
            sample.paths, sample.scene, groups, sample.wells, found.predicted,
            found.probabilities.max(axis=1),
        )
    if as_position(sample.path).path.suffix.lower() not in STORE_SUFFIXES:
        summary.left_out(name, sample.scene, own, sum(sample.dropped.values()))


def _group_in(pattern: re.Pattern[str], path: str) -> str:
    found = pattern.search(path)
    return (found.group(1) or "") if found else ""


def columns_of(card: ModelCard) -> list[str]:
    """Return the heading of a model's table."""
    last = ["set"] if least_probabilities(card) else []
    return [*COLUMNS, *(f"p_{name}" for name in card.classes), *last]


def rows_of(found: Predicted, card: ModelCard) -> Iterator[list[Any]]:
    """Yield a line of the table for each cell, under `columns_of`."""
    sample, classes, least = found.sample, card.classes, least_probabilities(card)
    sets = sets_of(found.probabilities, least) if least else [()] * sample.n
    for path, (y, x), radius, note, row, inside in zip(
        sample.paths, sample.centers_px, sample.radius_px, sample.notes, found.probabilities, sets,
        strict=True,
    ):
        best = int(row.argmax())
        place = [path, sample.scene, f"{y:.2f}", f"{x:.2f}", f"{radius:.2f}"]
        last = ["; ".join(classes[i] for i in np.flatnonzero(inside))] if least else []
        yield [
            *place, classes[best], f"{row[best]:.6f}", note,
            *(f"{value:.6f}" for value in row), *last,
        ]


def _draw(
    found: Predicted, image: np.ndarray, card: ModelCard, folder: Path, number: int
) -> str:
    sample = found.sample
    place = as_position(sample.path)
    name = f"{place.path.parent.name}-{place.name}".lstrip("-").replace("/", "-")
    if len(name.encode()) > _LONGEST_NAME:  # most systems take 255 bytes
        name = name.encode()[:_LONGEST_NAME].decode("utf-8", "ignore")
    path = folder / f"{name}.png"
    if path.exists():
        path = folder / f"{name}-{number}.png"
    draw_overlay(
        image, sample.centers_px, sample.radius_px, path,
        labels=found.predicted, classes=card.classes, scores=found.probabilities.max(axis=1),
    )
    return str(path)
