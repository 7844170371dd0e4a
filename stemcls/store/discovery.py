"""List what a store is built from: images with their labels, groups and known cell centres."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from stemcls.config.imaging import FilesConfig, ReadConfig
from stemcls.errors import InputError
from stemcls.imaging.listing.channelfiles import SEPARATE, composed, question, recognised
from stemcls.imaging.listing.excluding import check_excludes, is_excluded
from stemcls.imaging.listing.fields import nothing_found
from stemcls.imaging.listing.positions import ALL, Position, as_position, expand_positions
from stemcls.imaging.listing.walk import (
    PassedOver,
    Walk,
    set_of,
    shown,
    walk,
)
from stemcls.store.classfolders import Meaning, few_images, meanings
from stemcls.store.grouping import grouped, kept_together, missing_groups
from stemcls.store.manifest import Tables
from stemcls.store.sources import Listing, Source


def list_sources(
    folder: Path, manifest: Path | None, cells: Path | None, group: str | None,
    label: str | None = None, files: FilesConfig | None = None, read: ReadConfig | None = None,
    group_what: str = "group",
) -> Listing:
    """List images in a fixed order, one source per position and chosen time point of a file.

    Args:
        folder: SRC; without a manifest its folders name the classes.
        manifest: Table with path, label and optionally group, scene, time, z, and metadata.
        cells: Table with field, x_px, y_px and optionally label, radius_px, group.
        group: "folder", "folder2", a column of the manifest or of the cells, or a regular
            expression on the path below SRC whose first group names the group.
        label: Column of the manifest or of the cells that names the classes.
        files: What folders and names mean.
        read: Which positions and time points of a file are images.
        group_what: What a group is, as the user said.
    Raises:
        InputError: SRC or a table is missing or malformed, there are no images, or the folders can
            mean several things.
    """
    files, read = files or FilesConfig(), read or ReadConfig()
    if not folder.exists():
        raise InputError(f"{shown(folder)} does not exist: expected a folder of images")
    tables = Tables(manifest, cells, label, group)
    walked = None
    if manifest is not None:
        listing = _from_manifest(tables.sources(folder), manifest, files)
    elif folder.is_dir():
        walked = walk(folder, files.exclude)
        check_excludes(files.exclude, walked.excluded_by, shown(folder))
        listing = _from_folder(walked, files)
    else:
        listing = Listing([Source(folder, shown(folder.name))])
    bases = listing.sources
    sources, names, in_time = _expanded(bases, read)
    sources = tables.with_cells(sources)
    notices, found = [*listing.notices, *tables.notices], None
    if walked is not None:
        # A table with labels overrules the folders, so there is nothing to ask.
        asked = files if cells is None or any(one.label for one in sources) else replace(
            files, class_level=files.class_level or 1, split_folders="classes"
        )
        found, told = meanings([source.name for source in bases], asked, shown(folder))
        notices += told if asked is files else []
        _check_aliases(walked, found)
        found = {name: found[names[name]] for name in names}
        sources = [_placed(source, found, files) for source in sources]
    if group is not None and not tables.takes_group:
        sources = grouped(sources, group, found)
    sources, told = kept_together(sources, in_time)
    notices += [*missing_groups(sources, found, group_what), *told]
    notices += few_images(source.label for source in sources)
    return replace(listing, sources=sources, notices=tuple(notices))


def _from_folder(walked: Walk, files: FilesConfig) -> Listing:
    """Return every image of a folder, its class still the name of its first folder."""
    if not walked.images:
        raise InputError(nothing_found(walked))
    folder = walked.folder
    paths = {path.relative_to(folder).as_posix(): path for path in walked.images}
    skipped = list(walked.skipped)
    choice = files.one_file_per_channel
    if choice in ("", SEPARATE):
        known = None if choice else recognised(list(paths))
        if known:
            raise InputError(question(list(paths), known[1]))
        places: Mapping[str, Position] = {below: as_position(path) for below, path in paths.items()}
    else:
        places, others = composed(paths, choice)
        skipped += [
            PassedOver(shown(below), "no channel in its name, as the others have")
            for below in others
        ]
    sources = [
        Source(
            place.path, place.called(below), below.partition("/")[0] if "/" in below else None,
            problem=place.problem, files=place.files, channels=place.channels,
        )
        for below, place in places.items()
    ]
    stores = [
        PassedOver(shown(path.relative_to(folder)), "a crop store of stemcls")
        for path in walked.stores
    ]
    return Listing(sources, tuple(skipped), (*walked.ignored, *stores))


def _from_manifest(rows: Sequence[Source], manifest: Path, files: FilesConfig) -> Listing:
    sources, ignored, matched = [], [], set()
    for source in _without_sets(rows):
        pattern = is_excluded(source.name, files.exclude)
        if pattern is None:
            sources.append(source)
        else:
            matched.add(pattern)
            ignored.append(PassedOver(source.name, f"--exclude {pattern}"))
    check_excludes(files.exclude, matched, shown(manifest))
    if not sources:
        raise InputError(f"{shown(manifest)} names no images")
    return Listing(sources, ignored=tuple(ignored))


def _without_sets(sources: Sequence[Source]) -> Iterator[Source]:
    """Give a problem to files of one set that are listed as if each were an image of its own."""
    listed = {source.path.resolve() for source in sources}
    for source in sources:
        beside = () if source.problem or source.scene else set_of(source.path)
        twice = [path for path in beside if path != source.path and path.resolve() in listed]
        yield source if not twice else replace(source, problem=(
            f"it is of one set of files with {shown(twice[0].name)}, which is listed too: name "
            "one of them, or give the scene of each in a column"
        ))


def _expanded(
    bases: Sequence[Source], read: ReadConfig
) -> tuple[list[Source], dict[str, str], list[str]]:
    """Return a source for every position and time point of the files.

    Returns: The sources; the name of each and that of its file; names of single time points.
    """
    sources, names, in_time = [], {}, []
    for base in bases:
        if base.problem or base.files:
            sources.append(base)
            names[base.name] = base.name
            continue
        asked = replace(read, scene=base.scene or read.scene, time=base.time or read.time)
        for position in expand_positions(base.path, asked):
            name = base.name if base.name.endswith("]") and base.scene else (
                base.name + (f"[{position.title}]" if position.title else "")
            )
            names[name] = base.name
            if "t=" in position.title:
                in_time.append(name)
            given = {
                what: getattr(position, what) or getattr(base, what).replace(ALL, "")
                for what in ("scene", "time")
            }
            sources.append(replace(base, name=name, **given, problem=position.problem))
    return sources, names, in_time


def _placed(source: Source, found: Mapping[str, Meaning], files: FilesConfig) -> Source:
    """Return a source with the class that its folders name, unless a table gave its own."""
    meaning = found.get(source.name)
    if meaning is None or source.label is None:
        return source
    metadata = source.metadata
    if files.split_folders == "merge":
        metadata = {**metadata, "split": meaning.split or ""}
    return replace(source, label=meaning.label, metadata=metadata)


def _check_aliases(walked: Walk, found: Mapping[str, Meaning]) -> None:
    """Refuse a link by which images would be in two classes.

    Raises:
        InputError: There is one.
    """
    for link, other in walked.aliases:
        classes = {_class_at(other, found), _class_at(link, found)}
        if len(classes) > 1:
            raise InputError(
                f"{shown(walked.folder)}: {link} is a link to {other or 'SRC'}, which lies in "
                "another folder of classes, so its images would be of two classes; remove the link "
                "or leave it out by --exclude"
            )


def _class_at(path: str, found: Mapping[str, Meaning]) -> str:
    """Return the class of the images at or below a path, else the name of its first folder."""
    label = next((
        one.label for name, one in found.items()
        if one.label and (name == path or name.startswith(f"{path}/"))
    ), None)
    return label or unicodedata.normalize("NFC", path.partition("/")[0])
