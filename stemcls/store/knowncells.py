"""Give the known cells of a table to the images that they lie in."""

from __future__ import annotations

import contextlib
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from stemcls.errors import InputError
from stemcls.imaging.detection.exchange import is_circles
from stemcls.notices import Notice
from stemcls.store.decimals import place_in
from stemcls.store.names import normal_name
from stemcls.store.outlines import read_outlines
from stemcls.store.sources import KnownCell, Source
from stemcls.store.tables import Table, posix_path, read_table

# Two centres nearer than this, in pixels, are one place.
SAME_PLACE_PX = 1.0
_PLACE = ("x_px", "y_px", "radius_px")


def read_cells(path: Path) -> Table:
    """Read a table of field, x_px, y_px, and optionally label, radius_px, group, scene, time.

    The table that `stemcls predict` writes is taken too: its path is the field, its class the
    label. Outlines of other programs will do in its place.

    Raises:
        InputError: As `read_table` and `read_outlines`.
    """
    if is_circles(path):
        return read_outlines(path)
    known = ("label", "radius_px", "group", "scene", "time")
    try:
        return read_table(
            path, ("field", "x_px", "y_px"), known, numbers=_PLACE, verbatim=("field",)
        )
    except InputError as error:
        table = _read_predictions(path, known)
        if table is None:
            raise error from None
    return _of_predictions(table)


def _read_predictions(path: Path, known: tuple[str, ...]) -> Table | None:
    """Read a table of predictions, of a workbook its sheet of cells; None where it is none."""
    sheets = (f"{path}#cells",) if path.suffix.lower() == ".xlsx" else ()
    for one in (path, *map(Path, sheets)):
        with contextlib.suppress(InputError):
            return read_table(
                one, ("path", "x_px", "y_px", "class", "score"), known, numbers=_PLACE,
                verbatim=("path",),
            )
    return None


def _of_predictions(table: Table) -> Table:
    """Return a table of predictions with the names of a table of known cells."""
    names = {"path": "field"} | ({} if "label" in table.columns else {"class": "label"})
    rows = tuple(
        (line, {names.get(column, column): text for column, text in row.items()})
        for line, row in table.rows
    )
    told = Notice(
        "cells-predicted",
        f"{table.path.name} is a table of predictions: its classes are taken as labels, and nobody "
        "has looked at them; a model that learns from them repeats their errors",
        (str(table.path),),
    )
    columns = tuple(names.get(column, column) for column in table.columns)
    return replace(table, columns=columns, rows=rows, notices=(*table.notices, told))


def with_known_cells(
    sources: list[Source], table: Table, label: str = "label", group: str = "group"
) -> tuple[list[Source], tuple[Notice, ...]]:
    """Return the images with their known cells, and what is odd about those.

    Args:
        sources: All images.
        table: As `read_cells` returns it.
        label, group: Columns that name the classes and groups; they may be missing.
    Raises:
        InputError: A field could be any of several images, a centre is no number, or one place
            has two labels.
    """
    index = _Fields(sources)
    found: dict[int, list[KnownCell]] = defaultdict(list)
    unknown: dict[str, int] = defaultdict(int)
    places: dict[int, _Places] = defaultdict(_Places)
    repeated: list[tuple[int, int]] = []
    for line, row in table:
        y_px, x_px, radius_px = place_in(row, table.path, line)
        at = index.find(row, table.path, line)
        if at is None:
            unknown[posix_path(row["field"])] += 1
            continue
        cell = KnownCell(
            y_px, x_px, row.get(label) or None, radius_px, row.get(group) or None
        )
        before = places[at].add(cell, line, table.path, row["field"])
        if before is None:
            found[at].append(cell)
        else:
            repeated.append((before, line))
    listed = []
    for number, source in enumerate(sources):
        cells = tuple(found.get(number, ()))
        problem = source.problem
        if not cells and problem is None:
            problem = f"{table.path.name} gives no cells of it"
        # A table with labels overrules the folder's; its empty ones mean unlabelled.
        name = None if label in table.columns else source.label
        listed.append(replace(source, label=name, cells=cells, problem=problem))
    listed += [
        Source(
            Path(field), field, cells=(),
            problem=f"{table.path.name} gives {count} cells of it, but there is no such image",
        )
        for field, count in unknown.items()
    ]
    return listed, tuple(_repeated(table.path, repeated))


def _repeated(path: Path, pairs: list[tuple[int, int]]) -> Iterator[Notice]:
    if pairs:
        before, line = pairs[0]
        yield Notice(
            "same-place",
            f"{path.name} gives {len(pairs)} places twice, within {SAME_PLACE_PX:g} px and with "
            f"the same label (lines {before} and {line}); each is used once",
            (str(path),),
        )


class _Fields:
    """Finds the image that a row of a table of cells means."""

    def __init__(self, sources: list[Source]) -> None:
        self._by_name: dict[str, list[int]] = defaultdict(list)
        self._by_bare_name: dict[str, list[int]] = defaultdict(list)
        self._sources = sources
        for number, source in enumerate(sources):
            whole = source.name.removesuffix(f"[{source.place.title}]")
            for name in {_folded(source.name), _folded(whole)}:
                self._by_name[name].append(number)
            self._by_bare_name[_folded(source.path.name)].append(number)
            if source.path.stem != source.path.name:  # as other programs name outlines
                self._by_bare_name[_folded(source.path.stem)].append(number)

    def find(self, row: Mapping[str, str], table: Path, line: int) -> int | None:
        """Return the number of the source, None where there is no such image.

        Raises:
            InputError: No field is named, or it could be any of several.
        """
        field = posix_path(row["field"]) if row["field"] else ""
        if not field:
            raise InputError(f"{table} line {line}: the field is empty, expected an image's name")
        key = _folded(field)
        candidates = self._by_name.get(key) or self._below(key) or self._by_bare_name.get(key, [])
        for column in ("scene", "time"):
            wanted = row.get(column, "")
            if wanted and len(candidates) > 1:
                candidates = [
                    at for at in candidates
                    if wanted in (found := getattr(self._sources[at], column), found.lstrip("#"))
                ]
        if len(candidates) > 1:
            names = {self._sources[at].name for at in candidates}
            if len(names) == 1:
                raise InputError(
                    f"{table} line {line}: {field} has {len(candidates)} scenes or time points; "
                    "say which in a column scene or time"
                )
            raise InputError(
                f"{table} line {line}: {field} could be any of {', '.join(sorted(names)[:4])}; "
                "give the path below the source folder"
            )
        return candidates[0] if candidates else None


    def _below(self, key: str) -> list[int]:
        """Return the images whose name is the end of a longer path, the longest name that fits."""
        parts = key.split("/")
        ends = ("/".join(parts[at:]) for at in range(1, len(parts)))
        return next((self._by_name[end] for end in ends if end in self._by_name), [])


class _Places:
    """The known centres of one field, to see which are one place."""

    def __init__(self) -> None:
        self._cells: dict[tuple[int, int], list[tuple[KnownCell, int]]] = defaultdict(list)

    def add(self, cell: KnownCell, line: int, table: Path, field: str) -> int | None:
        """Return the line that gave this place already, None where it is a new one.

        Raises:
            InputError: It was given with another label or group.
        """
        row, column = int(cell.y_px // SAME_PLACE_PX), int(cell.x_px // SAME_PLACE_PX)
        near = (
            one for y in (row - 1, row, row + 1) for x in (column - 1, column, column + 1)
            for one in self._cells.get((y, x), ())
        )
        for other, before in near:
            away = (cell.y_px - other.y_px) ** 2 + (cell.x_px - other.x_px) ** 2
            if away > SAME_PLACE_PX**2:
                continue
            for what in ("label", "group"):
                mine, theirs = getattr(cell, what), getattr(other, what)
                if mine and theirs and normal_name(mine) != normal_name(theirs):
                    raise InputError(
                        f"{table} lines {before} and {line}: {field} has one place with two "
                        f"{what}s, {theirs!r} and {mine!r} at x {cell.x_px:g}, y {cell.y_px:g}; "
                        "correct one of them"
                    )
            return before
        self._cells[row, column].append((cell, line))
        return None


def _folded(name: str) -> str:
    """Return a path in one Unicode form, as disks and tables may write it in either."""
    return unicodedata.normalize("NFC", name)
