"""List the fields that a command was given: files, the images of folders, positions of files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stemcls.config.imaging import ReadConfig
from stemcls.errors import InputError
from stemcls.imaging.listing.channelfiles import SEPARATE, composed, question, recognised
from stemcls.imaging.listing.excluding import check_excludes, is_excluded
from stemcls.imaging.listing.positions import Position, as_position, expand_positions
from stemcls.imaging.listing.walk import (
    STORE_SUFFIXES,
    PassedOver,
    Walk,
    set_of,
    shown,
    walk,
)
from stemcls.imaging.readers import READERS, is_image_folder
from stemcls.notices import Notice


@dataclass
class FieldList:
    """What a command works on.

    Attributes:
        names: Every field, and what it is called: its path below the folder given, else its bare
            name; where two would be called the same, all keep their whole path.
        stores: Crop stores, as far as they were asked for.
        skipped: path and reason of what cannot be used.
        ignored: path and reason of what is no image.
        notices: What is odd about the list.
    """

    names: dict[Position, str] = field(default_factory=dict)
    stores: list[Path] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)
    ignored: list[dict[str, str]] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)


def list_fields(
    given: Sequence[Path], read: ReadConfig | None = None, exclude: Sequence[str] = (),
    channels: str = "", stores: bool = False,
) -> FieldList:
    """List the fields of files and folders; what is given twice counts once.

    Args:
        given: Files and folders.
        read: Which positions and time points of a file are fields, see `expand_positions`.
        exclude: Patterns of what to leave out of folders.
        channels: "auto" or a pattern that puts one file per channel together; "no" or "" does not.
        stores: Whether crop stores are wanted too; of a folder only where it holds no images.

    Raises:
        InputError: A path that does not exist, or a folder without anything that can be used.
    """
    found = FieldList()
    seen: set[Path] = set()
    matched: set[str] = set()
    for path in given:
        if path.is_dir() and not is_image_folder(path):
            walked = walk(path, exclude)
            matched |= walked.excluded_by
            _take_folder(found, walked, seen, read or ReadConfig(), channels, stores)
        elif path.exists():
            if stores and path.suffix.lower() in STORE_SUFFIXES:
                found.stores += [] if path in found.stores else [path]
                continue
            if pattern := is_excluded(shown(path), exclude):
                matched.add(pattern)
                reason = f"--exclude {pattern}"
                found.ignored.append({"path": shown(path), "reason": reason})
            elif path.resolve() not in seen:
                seen |= {one.resolve() for one in set_of(path)}
                for position in expand_positions(path, read or ReadConfig()):
                    found.names[position] = position.name
        else:
            raise InputError(
                f"{shown(path)} does not exist; give image files, or folders of them"
            )
    check_excludes(exclude, matched, ", ".join(map(shown, given)))
    if len(set(found.names.values())) < len(found.names):
        whole = {position: position.called(position.path.as_posix()) for position in found.names}
        found.names.update(whole)
    return found


def nothing_found(walked: Walk) -> str:
    """Say that a folder holds no images, and what it holds instead."""
    told = f"{shown(walked.folder)} holds no images; formats that can be read: {', '.join(READERS)}"
    for what, entries in (("skipped", walked.skipped), ("ignored", walked.ignored)):
        if entries:
            told += f"; {what}: {_examples(entries)}"
    return told


def _take_folder(
    found: FieldList, walked: Walk, seen: set[Path], read: ReadConfig, channels: str, stores: bool
) -> None:
    folder = walked.folder
    found.skipped += [entry.document(folder) for entry in walked.skipped]
    found.ignored += [entry.document(folder) for entry in walked.ignored]
    # A store beside the images that it was built from would count every cell twice.
    wanted = walked.stores if stores and not walked.images else ()
    found.stores += [path for path in wanted if path not in found.stores]
    found.ignored += [
        {"path": shown(path), "reason": "a crop store; name it to use it"}
        for path in walked.stores if path not in wanted
    ]
    if not walked.images and not wanted:
        raise InputError(nothing_found(walked))
    files = {path.relative_to(folder).as_posix(): path for path in walked.images}
    for below, place in _samples(found, files, channels).items():
        if not place.files:
            if place.path.resolve() in seen:
                continue
            seen |= {one.resolve() for one in set_of(place.path)}
        positions = [place] if place.files else expand_positions(place.path, read)
        for position in positions:
            found.names[position] = position.called(below)


def _samples(
    found: FieldList, files: dict[str, Path], channels: str
) -> dict[str, Position]:
    if channels in ("", SEPARATE):
        known = None if channels else recognised(list(files))
        if known:
            found.notices.append(Notice("one-file-per-channel", question(list(files), known[1])))
        return {below: as_position(path) for below, path in files.items()}
    samples, others = composed(files, channels)
    for below in others:
        found.skipped.append(
            {"path": shown(files[below]), "reason": "no channel in its name, as the others have"}
        )
    return samples


def _examples(entries: Sequence[PassedOver]) -> str:
    told = "; ".join(f"{entry.path} ({entry.reason})" for entry in entries[:3])
    return told + (f"; and {len(entries) - 3} more" if len(entries) > 3 else "")
