"""List what a store is built from: images with their labels, groups and known cell centres."""

from __future__ import annotations

import math
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from stemcls.errors import InputError
from stemcls.imaging.readers import READERS
from stemcls.store.tables import place_in, rows_of


@dataclass(frozen=True, slots=True)
class KnownCell:
    """One cell whose centre a table gives; `radius_px` is NaN where it does not say."""

    y_px: float
    x_px: float
    label: str | None = None
    radius_px: float = math.nan
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """One image and what is known about it before it is read.

    Attributes:
        path: The file.
        name: Its path below the source folder, or as the manifest gives it.
        label: Class, or None.
        group: Donor, line, mouse or experiment, or None.
        cells: Known centres, or None where none were given.
        problem: Why it cannot be used, or None.
    """

    path: Path
    name: str
    label: str | None = None
    group: str | None = None
    cells: tuple[KnownCell, ...] | None = None
    problem: str | None = None


def list_sources(
    folder: Path, manifest: Path | None, cells: Path | None, group: str | None
) -> list[Source]:
    """List images in a fixed order.

    Args:
        folder: SRC; without a manifest its first folder level names the classes.
        manifest: CSV with path, label and optionally group.
        cells: CSV with field, x_px, y_px and optionally label, radius_px, group.
        group: Regular expression on the path below SRC; its first group names the group.
    Raises:
        InputError: SRC or a table is missing or malformed, or there are no images.
    """
    if not folder.exists():
        raise InputError(f"{folder} does not exist: expected a folder of images")
    if manifest is not None:
        sources = list(_from_manifest(manifest, folder))
    else:
        sources = list(_from_folder(folder))
    if not sources:
        where = manifest if manifest is not None else folder
        formats = ", ".join(sorted(READERS))
        raise InputError(f"{where} names no images; formats that can be read: {formats}")
    if group is not None:
        sources = list(_grouped(sources, group))
    if cells is not None:
        sources = _with_cells(sources, cells)
    return sources


def _from_folder(folder: Path) -> Iterator[Source]:
    from stemcls.imaging.readers import list_images, list_unread

    if folder.is_file():
        yield Source(folder, _text(folder.name))
        return
    for path in sorted([*list_images(folder), *list_unread(folder)]):
        below = path.relative_to(folder)
        label = _text(below.parts[0]) if len(below.parts) > 1 else None
        yield Source(path, _text(below.as_posix()), label)


def _from_manifest(manifest: Path, folder: Path) -> Iterator[Source]:
    seen: dict[Path, int] = {}
    for number, row in rows_of(manifest, ("path", "label")):
        given = row["path"]
        if not given:
            raise InputError(f"{manifest} line {number}: the path is empty")
        tried = [manifest.parent / given, folder / given]
        path = next((place for place in tried if place.is_file()), tried[0])
        if path in seen:
            raise InputError(
                f"{manifest} line {number}: {given} is also on line {seen[path]}; one image "
                "may be listed once"
            )
        seen[path] = number
        problem = None
        if not path.is_file():
            problem = f"{manifest.name} line {number} names it, but there is no such file"
        yield Source(
            path, Path(given).as_posix(), row["label"] or None, row.get("group") or None,
            problem=problem,
        )


def _grouped(sources: list[Source], pattern: str) -> Iterator[Source]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise InputError(f"--group {pattern!r} is not a regular expression: {error}") from error
    if not compiled.groups:
        raise InputError(
            f"--group {pattern!r} has no group in parentheses; e.g. '(donor[0-9]+)' takes the "
            "donor out of the path"
        )
    for source in sources:
        found = compiled.search(source.name)
        name = found.group(1) if found else None
        if name:
            yield replace(source, group=name)
        else:
            yield replace(
                source, problem=source.problem or f"--group {pattern!r} does not match its path"
            )


def _with_cells(sources: list[Source], table: Path) -> list[Source]:
    by_name = {source.name: source for source in sources}
    by_bare_name = defaultdict(list)
    for source in sources:
        by_bare_name[source.path.name].append(source)
    found: dict[str, list[KnownCell]] = defaultdict(list)
    labelled = False
    for number, row in rows_of(table, ("field", "x_px", "y_px")):
        labelled = "label" in row
        field = Path(row["field"]).as_posix()
        if field not in by_name:
            candidates = by_bare_name.get(field, [])
            if len(candidates) > 1:
                raise InputError(
                    f"{table} line {number}: {field} could be any of "
                    f"{', '.join(source.name for source in candidates[:4])}; give the path below "
                    "the source folder"
                )
            field = candidates[0].name if candidates else field
        y_px, x_px, radius_px = place_in(row, table, number)
        cell = KnownCell(y_px, x_px, row.get("label") or None, radius_px, row.get("group") or None)
        found[field].append(cell)
    listed = []
    for source in sources:
        cells = tuple(found.pop(source.name, ()))
        problem = source.problem
        if not cells and problem is None:
            problem = f"{table.name} gives no cells of it"
        # A table with labels overrules the folder's; its empty ones mean unlabelled.
        label = None if labelled else source.label
        listed.append(replace(source, label=label, cells=cells, problem=problem))
    listed += [
        Source(
            Path(field), field, cells=tuple(cells),
            problem=f"{table.name} gives {len(cells)} cells of it, but there is no such image",
        )
        for field, cells in found.items()
    ]
    return listed


def _text(name: str) -> str:
    """Return a file name as valid Unicode; bytes that are not UTF-8 are shown as \\x.."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
