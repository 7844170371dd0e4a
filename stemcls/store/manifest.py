"""Read the tables that name a build's images and its known cell centres."""

from __future__ import annotations

import filecmp
import os
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from stemcls.config.imaging import FOLDER_LEVELS
from stemcls.errors import InputError, nearest
from stemcls.safetext import safe_text
from stemcls.store.knowncells import read_cells, with_known_cells
from stemcls.store.names import normal_name, twin_key
from stemcls.store.sources import Source
from stemcls.store.tables import Table, posix_path, read_table

_BYTE = re.compile(r"\\x([89a-f][0-9a-f])")


class Tables:
    """The tables that a build was given, and the columns of them that it takes.

    Attributes:
        takes_group: Whether `--group` names a column, and not a pattern on paths.
        notices: What was taken otherwise than it is written.
    """

    def __init__(
        self, manifest: Path | None, cells: Path | None, label: str | None, group: str | None
    ) -> None:
        """Read both tables.

        Args:
            manifest: Table with path and label, and optionally group, scene, time and z; all
                other columns are kept as metadata of the image.
            cells: Table of known cells.
            label, group: Columns to take in place of `label` and `group`.
        Raises:
            InputError: A table cannot be read, or no table has such a column.
        """
        needed = ("path",) if label else ("path", "label")
        self._manifest = None if manifest is None else read_table(
            manifest, needed, ("label", "group", "scene", "time", "z"), verbatim=("path",)
        )
        self._cells = None if cells is None else read_cells(cells)
        self._label = self._columns("label", label)
        self._group = self._columns("group", group)
        self.takes_group = group is not None and any(self._group)
        tables = (table for table in (self._manifest, self._cells) if table is not None)
        self.notices = tuple(notice for table in tables for notice in table.notices)

    def sources(self, folder: Path) -> list[Source]:
        """Return the images of the manifest, in its order.

        Args:
            folder: SRC; paths are looked for beside the manifest and there.
        Raises:
            InputError: An image is named twice, or could be either of two different files.
        """
        table = self._manifest
        if table is None:
            return []
        label, group = self._label[0] or "label", self._group[0] or "group"
        own = {"path", "scene", "time", "z"} | ({"label", "group"} & {label, group})
        seen: dict[tuple[object, str, str], tuple[int, str]] = {}
        scenes: dict[object, tuple[int, str]] = {}
        sources = []
        for line, row in table:
            path = _found(table.path, folder, row["path"], line)
            scene, time = row.get("scene", ""), row.get("time", "")
            name = row.get(label, "")
            _check_once(table.path, line, path, (scene, time), name, seen, scenes)
            problem = None
            if not path.is_file():
                problem = f"{table.path.name} line {line} names it, but there is no such file"
            metadata = {
                normal_name(column): normal_name(text) for column, text in row.items()
                if text and column not in own
            }
            sources.append(Source(
                path, safe_text(posix_path(row["path"])), name or None, row.get(group) or None,
                problem=problem, scene=scene, time=time, z=row.get("z", ""), metadata=metadata,
            ))
        return sources

    def with_cells(self, sources: list[Source]) -> list[Source]:
        """Return the images with the known cells of the table, if there is one.

        Raises:
            InputError: As `with_known_cells`.
        """
        if self._cells is None:
            return sources
        label, group = self._label[1] or "label", self._group[1] or "group"
        listed, notices = with_known_cells(sources, self._cells, label, group)
        self.notices = (*self.notices, *notices)
        return listed

    def _columns(self, option: str, name: str | None) -> tuple[str | None, str | None]:
        """Return the columns of manifest and cells that an option names, None where it does not."""
        if name is None:
            return None, None
        found = _column(self._manifest, name), _column(self._cells, name)
        tables = [table for table in (self._manifest, self._cells) if table is not None]
        pattern = option == "group" and ("(" in name or not tables or name in FOLDER_LEVELS)
        if any(found) or pattern:
            return found
        if not tables:
            raise InputError(f"--label {name!r} names a column: give --manifest or --cells too")
        columns = [column for table in tables for column in table.columns]
        hint = "; a pattern on the path needs parentheses, as in '(donor[0-9]+)'"
        raise InputError(
            f"--{option} {name!r} is no column of {' or '.join(str(t.path) for t in tables)}"
            f"{nearest(name, columns)}{hint if option == 'group' else ''}"
        )


def _column(table: Table | None, name: str) -> str | None:
    """Return the column of that name; case, blanks, - and _ matter only between two alike."""
    if table is None:
        return None
    if name in table.columns:
        return name
    alike = [column for column in table.columns if twin_key(column) == twin_key(name)]
    return alike[0] if len(alike) == 1 else None


def _found(manifest: Path, folder: Path, given: str, line: int) -> Path:
    """Return the file that a manifest means, or where it was looked for first.

    Raises:
        InputError: The path is empty, or two different files could be meant.
    """
    if not given:
        raise InputError(f"{manifest} line {line}: the path is empty")
    first = manifest.parent / given
    for spelling in _spellings(given):
        here, there = manifest.parent / spelling, folder / spelling
        places = [place for place in (here, there) if place.is_file()]
        if len(places) == 2 and not _same_file(here, there):
            raise InputError(
                f"{manifest} line {line}: {given} is both {here} and {there}, which differ; give "
                "the whole path, or move the manifest"
            )
        if places:
            return places[0]
    return first


def _spellings(given: str) -> Iterator[str]:
    """Yield the ways in which a path may be written on the disk, each once."""
    found = [given]
    for text in (given, given.replace("\\", "/")):
        found += [text, unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text)]
        # Bytes of names that are no UTF-8, as stemcls writes them.
        found.append(_BYTE.sub(lambda byte: os.fsdecode(bytes.fromhex(byte.group(1))), text))
    yield from dict.fromkeys(found)


def _same_file(one: Path, other: Path) -> bool:
    return one.samefile(other) or filecmp.cmp(one, other, shallow=False)


def _check_once(
    manifest: Path, line: int, path: Path, place: tuple[str, str], label: str,
    seen: dict[tuple[object, str, str], tuple[int, str]],
    scenes: dict[object, tuple[int, str]],
) -> None:
    """Refuse an image that an earlier line names too, through links and other spellings too."""
    try:
        stat = path.stat()
        identity: object = (stat.st_dev, stat.st_ino)
    except (OSError, ValueError):
        identity = str(path)
    key = (identity, *place)
    if key in seen:
        before, other = seen[key]
        which = f" (scene {place[0] or 'not given'}, time {place[1] or 'not given'})" if any(
            place
        ) else ""
        labels = "" if normal_name(label) == normal_name(other) else (
            f", there with label {other!r}, here with {label!r}"
        )
        raise InputError(
            f"{manifest} line {line}: {path} is also on line {before}{which}{labels}; one image "
            "may be listed once, its scenes and times each once"
        )
    seen[key] = (line, label)
    before, scene = scenes.setdefault(identity, (line, place[0]))
    if bool(scene) != bool(place[0]):
        raise InputError(
            f"{manifest} line {line}: {path} is on line {before} too, and only one of the two "
            "names a scene; give the scene on both"
        )
