"""What the build wizard knows without Textual: the images of a folder, groups, command lines."""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stemcls.config.imaging import FOLDER_LEVELS, BuildConfig
from stemcls.config.options import Option, from_mapping
from stemcls.errors import InputError
from tui.flags import flags

MOST_FILES = 20_000
SHOWN = 8


@dataclass(frozen=True)
class FolderView:
    """The files of a folder of images.

    Attributes:
        folder: It.
        files: Paths below it, sorted; hidden ones left out.
        more: Whether there are more than `MOST_FILES`.
    """

    folder: Path
    files: tuple[str, ...] = ()
    more: bool = False

    @property
    def likely_images(self) -> tuple[str, ...]:
        """The files, those of the commonest kind first: tables and notes lie beside images."""
        kinds = Counter(Path(name).suffix.lower() for name in self.files)
        return tuple(
            sorted(self.files, key=lambda name: (-kinds[Path(name).suffix.lower()], name))
        )

    @property
    def about(self) -> str:
        """Return one or two lines: how many files of which kind, and the classes."""
        if not self.files:
            return f"{self.folder} holds no files."
        kinds = Counter(Path(name).suffix.lower() or "no suffix" for name in self.files)
        tops = Counter(parts[0] for name in self.files if len(parts := Path(name).parts) > 1)
        first = f"{len(self.files)}{'+' if self.more else ''} files: {listed(kinds)}."
        if not tops:
            return f"{first} No sub-folders, so no classes unless a manifest or cells name them."
        inner = Counter(
            parts[1] for name in self.files if len(parts := Path(name).parts) > 2
        )
        donors = f" In them: {listed(inner)}; group: folder takes these as donors." if inner else ""
        return f"{first} Sub-folders, one class each: {listed(tops)}.{donors}"


def scan(folder: Path) -> FolderView:
    """List the files below a folder.

    Raises:
        InputError: It is no folder.
        OSError: It cannot be read.
    """
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}; type or pick one that holds images")
    found: list[str] = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            str((Path(place) / name).relative_to(folder))
            for name in sorted(names) if not name.startswith(".")
        ]
        if len(found) > MOST_FILES:
            return FolderView(folder, tuple(found[:MOST_FILES]), more=True)
    return FolderView(folder, tuple(sorted(found)))


def listed(counts: Counter[str]) -> str:
    """Return `a 12, b 3` of the commonest, and how many more there are."""
    shown = ", ".join(f"{name} {count}" for name, count in counts.most_common(SHOWN))
    more = len(counts) - SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def grouping(files: Iterable[str], pattern: str) -> str:
    """Return what `folder`, `folder2` or a regular expression makes of the paths.

    Raises:
        InputError: It is no regular expression, has no group, or matches nothing.
    """
    if pattern in FOLDER_LEVELS:
        level = FOLDER_LEVELS[pattern]
        return _counted(pattern, [
            parts[level] if len(parts := Path(name).parts) > level + 1 else None for name in files
        ])
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise InputError(f"group: {pattern!r} is not a regular expression: {error}") from error
    if not compiled.groups:
        raise InputError(f"group: {pattern!r} needs parentheses, as in '(donor[0-9]+)'")
    return _counted(
        pattern,
        [found.group(1) if (found := compiled.search(name)) else None for name in files],
    )


def _counted(pattern: str, names: list[str | None]) -> str:
    counts = Counter(name for name in names if name)
    missing = sum(not name for name in names)
    if not counts:
        raise InputError(f"group: {pattern!r} matches none of the {len(names)} paths")
    lost = f"; {missing} files do not match and would be left out" if missing else ""
    return f"{len(counts)} groups: {listed(counts)}{lost}."


@dataclass(frozen=True)
class Plan:
    """A build as it was filled in.

    Attributes:
        source: Folder of images.
        out: The store to make.
        settings: Options of `BuildConfig` that differ from their defaults, with their values.
        manifest, cells: CSV tables, or None.
    """

    source: Path
    out: Path
    settings: list[tuple[Option, Any]] = field(default_factory=list)
    manifest: Path | None = None
    cells: Path | None = None

    @property
    def arguments(self) -> list[str]:
        """The command line after `stemcls build`."""
        found = [str(self.source), "--out", str(self.out)]
        for flag, path in (("--manifest", self.manifest), ("--cells", self.cells)):
            found += [flag, str(path)] if path else []
        return found + flags(self.settings)

    def check(self) -> None:
        """Refuse what the build would refuse at once.

        Raises:
            InputError: With what is wrong and what to do.
        """
        config: Any = {}
        for option, value in self.settings:
            section = config
            for key in option.keys[:-1]:
                section = section.setdefault(key, {})
            section[option.keys[-1]] = value
        from_mapping(BuildConfig, config)
        if self.out.exists():
            raise InputError(f"{self.out} exists already and is never overwritten; name another")
        for name, path in (("manifest", self.manifest), ("cells", self.cells)):
            if path and not path.is_file():
                raise InputError(f"{name}: there is no file {path}")
        place = next(one for one in self.out.parents if one.is_dir())
        if not os.access(place, os.W_OK | os.X_OK):
            raise InputError(
                f"{place} cannot be written, so no store can be built in this workspace; open "
                "another one with `stemcls tui --workspace FOLDER`"
            )


def detect_argv(image: Path, overlay: Path, settings: list[tuple[Option, Any]]) -> list[str]:
    """Return the command line that finds the cells of one field and draws them."""
    command = [sys.executable, "-m", "stemcls", "detect"]
    return [*command, str(image), "--json", "--overlay", str(overlay), *flags(settings)]
