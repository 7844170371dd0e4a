"""Read the tables that name a build's images and its known cell centres."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from stemcls.errors import InputError
from stemcls.store.sources import KnownCell, Source
from stemcls.store.tables import place_in, rows_of


def sources_of_manifest(manifest: Path, folder: Path) -> Iterator[Source]:
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


def with_known_cells(sources: list[Source], table: Path) -> list[Source]:
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
