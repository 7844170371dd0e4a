"""List what a store is built from: images with their labels, groups and known cell centres."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from stemcls.errors import InputError
from stemcls.imaging.readers import READERS
from stemcls.store.manifest import Tables
from stemcls.store.sources import Listing, Source


def list_sources(
    folder: Path, manifest: Path | None, cells: Path | None, group: str | None,
    label: str | None = None,
) -> Listing:
    """List images in a fixed order.

    Args:
        folder: SRC; without a manifest its first folder level names the classes.
        manifest: Table with path, label and optionally group, scene, time, z, and metadata.
        cells: Table with field, x_px, y_px and optionally label, radius_px, group.
        group: Column of the manifest or of the cells, or a regular expression on the path below
            SRC whose first group names the group.
        label: Column of the manifest or of the cells that names the classes.
    Raises:
        InputError: SRC or a table is missing or malformed, or there are no images.
    """
    if not folder.exists():
        raise InputError(f"{folder} does not exist: expected a folder of images")
    tables = Tables(manifest, cells, label, group)
    sources = list(_from_folder(folder)) if manifest is None else tables.sources(folder)
    if not sources:
        where = manifest if manifest is not None else folder
        formats = ", ".join(sorted(READERS))
        raise InputError(f"{where} names no images; formats that can be read: {formats}")
    if group is not None and not tables.takes_group:
        sources = list(_grouped(sources, group))
    return Listing(tables.with_cells(sources), notices=tables.notices)


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


def _from_folder(folder: Path) -> Iterator[Source]:
    from stemcls.imaging.readers import list_images, list_unread

    if folder.is_file():
        yield Source(folder, _text(folder.name))
        return
    for path in sorted([*list_images(folder), *list_unread(folder)]):
        below = path.relative_to(folder)
        label = _text(below.parts[0]) if len(below.parts) > 1 else None
        yield Source(path, _text(below.as_posix()), label)


def _text(name: str) -> str:
    """Return a file name as valid Unicode; bytes that are not UTF-8 are shown as \\x.."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
