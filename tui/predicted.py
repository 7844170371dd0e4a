"""Read tables of `stemcls predict`, cut them by score, and draw their cells; no Textual here."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stemcls.errors import InputError
from stemcls.safetext import text_of_cell

TABLE = "cells.csv"
_COLUMNS = ("path", "y_px", "x_px", "radius_px", "class", "score")
_PROBABILITY = "p_"
# Okabe and Ito's colours, as `stemcls predict` rings cells.
COLOURS = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0),
    (204, 121, 167), (0, 0, 0),
)  # fmt: skip
_CUT = (128, 128, 128)
_COARSE_PX = 200


@dataclass(frozen=True, eq=False)
class PredictedField:
    """One file of a table.

    Attributes:
        path: As the table names it.
        rows: Positions of its cells in the table.
        picture: The overlay that was drawn of it, or None.
    """

    path: str
    rows: np.ndarray
    picture: Path | None


@dataclass(frozen=True, eq=False)
class PredictedTable:
    """A table of N classed cells.

    Attributes:
        path: The CSV file.
        header: Its columns.
        lines: Its N lines as text.
        classes: K names.
        labels: (N,) int, the predicted class.
        score: (N,) float, its probability.
        centers_px: (N, 2) y, x.
        radius_px: (N,).
        fields: By path; also fields without a cell where there is a picture of them.
    """

    path: Path
    header: list[str]
    lines: list[list[str]]
    classes: tuple[str, ...]
    labels: np.ndarray
    score: np.ndarray
    centers_px: np.ndarray
    radius_px: np.ndarray
    fields: list[PredictedField]

    def kept(self, cut: float) -> np.ndarray:
        """Return (N,) bool: cells whose score is `cut` or more."""
        return self.score >= cut - 1e-7

    def composition(self, cut: float, rows: np.ndarray | None = None) -> np.ndarray:
        """Return (K,) int: cells of each class from a score on.

        Args:
            cut: Least score.
            rows: Only of these; None: of all.
        """
        labels, kept = self.labels, self.kept(cut)
        if rows is not None:
            labels, kept = labels[rows], kept[rows]
        return np.bincount(labels[kept], minlength=len(self.classes))

    def lines_from(self, cut: float) -> Iterator[list[str]]:
        """Yield the lines of the cells whose score is `cut` or more."""
        return (self.lines[place] for place in np.flatnonzero(self.kept(cut)).tolist())


def read_table(path: Path) -> PredictedTable:
    """Read a table whole.

    Raises:
        InputError: It is missing or no such table.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *lines = list(csv.reader(file))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is no table of predictions: {error}") from None
    names = [name for name in header if name.startswith(_PROBABILITY)]
    if not set(_COLUMNS) <= set(header) or header[0] != "path" or not names:
        raise InputError(
            f"{path} is no table of predictions: expected columns {', '.join(_COLUMNS)} and "
            f"{_PROBABILITY}<class> of each class, found {', '.join(header)}"
        )
    classes = tuple(name.removeprefix(_PROBABILITY) for name in names)
    number = {name: place for place, name in enumerate(classes)}
    # Tables of older versions lack columns in between.
    y, x, radius, label, score = map(header.index, _COLUMNS[1:])
    try:
        values = np.array(
            [(line[y], line[x], line[radius], line[score]) for line in lines], dtype=np.float64
        ).reshape(-1, 4)
        labels = np.array([number[text_of_cell(line[label])] for line in lines], dtype=np.int64)
    except (KeyError, ValueError, IndexError) as error:
        raise InputError(f"{path}: a line does not fit the header: {error!r}") from None
    return PredictedTable(
        path, header, lines, classes, labels, values[:, 3], values[:, :2], values[:, 2],
        _fields(path, lines),
    )


def _fields(path: Path, lines: list[list[str]]) -> list[PredictedField]:
    rows: dict[str, list[int]] = {}
    for place, line in enumerate(lines):
        rows.setdefault(line[0], []).append(place)
    # `stemcls predict` names the folder after the table, `stemcls demo` does not.
    homes = (path.with_name(f"{path.stem}-overlays"), path.with_name("overlays"))
    pictures = sorted(picture for home in homes for picture in home.glob("*.png"))
    left = {picture.stem: picture for picture in pictures}
    found = []
    for name, places in rows.items():
        field = Path(name)
        stem = f"{field.parent.name}-{field.name}".lstrip("-")
        # A second field of that name was drawn as NAME-2.
        names = [stem, *(f"{stem}-{number}" for number in range(2, 100))]
        taken = next((left.pop(name) for name in names if name in left), None)
        found.append(PredictedField(name, np.array(places), taken))
    found += [
        PredictedField(stem, np.zeros(0, np.int64), picture) for stem, picture in left.items()
    ]
    return found


def read_picture(field: PredictedField, edge_px: int) -> tuple[np.ndarray, float] | None:
    """Return a field, downscaled, and by how much; None where there is no picture of it.

    Args:
        field: Of a table.
        edge_px: Longest edge of the picture at most.
    Returns: (H, W, 3) uint8 and the scale, at most 1.
    Raises:
        InputError: The picture is gone or damaged.
    """
    if field.picture is None:
        return None
    from PIL import Image

    try:
        with Image.open(field.picture) as opened:
            width_px = opened.width
            opened.thumbnail((edge_px, edge_px))
            image = opened.convert("RGB")
    except (OSError, ValueError) as error:
        raise InputError(f"the picture {field.picture} cannot be read: {error}") from None
    return np.asarray(image), image.width / width_px


def draw_cells(
    table: PredictedTable, field: PredictedField, pixels: np.ndarray, scale: float, cut: float
) -> np.ndarray:
    """Ring the cells of a field in the colours of their classes, grey below the cut.

    Args:
        table: Of the field.
        field: One of its fields.
        pixels, scale: From `read_picture`.
        cut: Least score.
    Returns: (H, W, 3) uint8.
    """
    from PIL import Image, ImageDraw

    image = Image.fromarray(pixels)
    pen = ImageDraw.Draw(image)
    width = 2 if max(pixels.shape[:2]) > _COARSE_PX else 1
    kept = table.kept(cut)
    for row in field.rows.tolist():
        y, x = table.centers_px[row] * scale
        radius = max(table.radius_px[row] * scale, 2.0)
        colour = COLOURS[table.labels[row] % len(COLOURS)] if kept[row] else _CUT
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline=colour, width=width)
    return np.asarray(image)


@dataclass(frozen=True)
class TableEntry:
    """A table as a list shows it.

    Attributes:
        path: The CSV file.
        name: Its folder, below the workspace's predictions/ or the run's.
        n_cells: How many lines it has.
        written: Seconds since the epoch.
    """

    path: Path
    name: str
    n_cells: int
    written: float


class TableShelf:
    """The tables of a workspace; lines are counted again only where a file has changed.

    Args:
        workspace: Its predictions/ is looked at, and those beside runs.
    """

    def __init__(self, workspace: Path) -> None:
        self._workspace = workspace
        self._known: dict[tuple[Path, int, int], int] = {}

    def read(self) -> list[TableEntry]:
        """Return every table, newest first."""
        patterns = (f"predictions/*/{TABLE}", f"saved_models/*/predictions*/{TABLE}")
        found = []
        for path in (path for pattern in patterns for path in self._workspace.glob(pattern)):
            try:
                status = path.stat()
                key = (path, status.st_mtime_ns, status.st_size)
                if key not in self._known:
                    self._known[key] = _count_lines(path)
            except OSError:
                continue  # removed just now
            name = path.parent.name
            if path.parent.parent.name != "predictions":
                name = f"{path.parent.parent.name}/{name}"
            found.append(TableEntry(path, name, self._known[key], status.st_mtime))
        return sorted(found, key=lambda entry: entry.written, reverse=True)


def _count_lines(path: Path) -> int:
    with path.open("rb") as file:
        return max(0, sum(block.count(b"\n") for block in iter(lambda: file.read(2**20), b"")) - 1)
