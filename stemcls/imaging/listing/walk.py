"""Walk a folder once and account for everything in it: images, stores, skipped, ignored."""

from __future__ import annotations

import os
import stat
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stemcls.errors import InputError
from stemcls.imaging.listing import litter
from stemcls.imaging.listing.excluding import is_excluded
from stemcls.imaging.readers import READERS, dataset_files, is_image_folder, suffix_of
from stemcls.imaging.readers.ifds import is_one_page
from stemcls.imaging.readers.table import reader_of_content
from stemcls.imaging.readers.tiff import open_tiff
from stemcls.safetext import safe_text

STORE_SUFFIXES = (".h5", ".hdf5")
_STORE_FORMAT = "stemcls-crops"
# Of one reason so many are named one by one; the others are counted.
MOST_NAMED = 100
_LINK_LOOP = "a link to a folder that it lies in"


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A file or folder that is not used, and why; `path` is below the folder that was walked."""

    path: str
    reason: str

    def document(self, folder: Path | None = None) -> dict[str, str]:
        """Return what `--json` prints of it, its path below `folder` where one is given."""
        path = shown(folder / self.path) if folder else self.path
        return {"path": path, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Walk:
    """Everything below a folder.

    Attributes:
        folder: What was walked.
        images: Files, and folders that are one image each, sorted.
        stores: Crop stores, sorted.
        skipped: Images, or what may be images, that cannot be used.
        ignored: What is no image.
        aliases: Links to what was found elsewhere too: the link and the other path, both below
            `folder`. They are ignored.
        excluded_by: The patterns of `exclude` that matched something.
    """

    folder: Path
    images: tuple[Path, ...] = ()
    stores: tuple[Path, ...] = ()
    skipped: tuple[PassedOver, ...] = ()
    ignored: tuple[PassedOver, ...] = ()
    aliases: tuple[tuple[str, str], ...] = ()
    excluded_by: frozenset[str] = frozenset()


def shown(path: str | os.PathLike[str]) -> str:
    """Return a path as text that is safe to show; bytes that are not UTF-8 become \\x.."""
    return safe_text(os.fspath(path))


def walk(folder: Path, exclude: Sequence[str] = ()) -> Walk:
    """Account for every file and folder below a folder.

    Links are followed. A folder that is reached twice counts once: as itself where it lies below
    `folder`, else by the first link.

    Args:
        folder: Where to look.
        exclude: Patterns of what to leave out, see `is_excluded`.

    Raises:
        InputError: There is no such folder, or it cannot be listed.
    """
    if not folder.is_dir():
        raise InputError(f"{shown(folder)} is not a folder; give a folder that holds images")
    try:
        os.scandir(folder).close()
    except OSError as error:
        raise InputError(
            f"{shown(folder)} cannot be listed: {error.strerror}; check its rights"
        ) from error
    return _Walker(folder, tuple(exclude)).run()


@dataclass
class _Walker:
    folder: Path
    exclude: tuple[str, ...]
    images: list[Path] = field(default_factory=list)
    stores: list[Path] = field(default_factory=list)
    skipped: list[PassedOver] = field(default_factory=list)
    ignored: list[PassedOver] = field(default_factory=list)
    aliases: list[tuple[str, str]] = field(default_factory=list)
    excluded_by: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    folders: dict[tuple[int, int], str] = field(default_factory=dict)

    def run(self) -> Walk:
        found = self.folder.stat()
        self.folders[found.st_dev, found.st_ino] = ""
        self._folder("")
        # What lies here counts as itself, so links wait.
        files: dict[tuple[int, int], str] | None = None
        while self.links:
            below = min(self.links)
            self.links.remove(below)
            if (self.folder / below).is_dir():
                self._linked_folder(below)
            else:
                files = self._ids() if files is None else files
                self._linked_file(below, files)
        self._join_sets()
        return Walk(
            self.folder, tuple(sorted(self.images)), tuple(sorted(self.stores)),
            summed(self.skipped), summed(self.ignored), tuple(self.aliases),
            frozenset(self.excluded_by),
        )

    def _join_sets(self) -> None:
        """Keep one file of each set of files that hold the same images."""
        there = set(self.images)
        members: set[Path] = set()
        for path in sorted(self.images):
            for other in () if path in members else set_of(path):
                if other != path and other not in members:
                    members.add(other)
                    if other in there:
                        self._ignore(
                            other.relative_to(self.folder).as_posix(),
                            f"read with {shown(path.name)}, of whose set of files it is",
                        )
        self.images = [path for path in self.images if path not in members]
        belong = {shown(path) for path in members}
        for entry in [one for one in self.skipped if shown(self.folder / one.path) in belong]:
            self.skipped.remove(entry)
            self._ignore(entry.path, "a part of the image beside it")

    def _folder(self, below: str) -> None:
        waiting = [below]
        while waiting:
            below = waiting.pop()
            try:
                with os.scandir(self.folder / below) as found:
                    entries = sorted(found, key=lambda entry: entry.name)
            except OSError as error:
                self._skip(below, f"cannot be listed: {error.strerror or error}; check its rights")
                continue
            names = {entry.name.casefold() for entry in entries}
            if mark := next((why for name, why in litter.OWN_MARKS.items() if name in names), None):
                self._ignore(below or ".", mark)
                continue
            stems = {litter.stem_of(low) for low in names if suffix_of(Path(low))}
            for entry in entries:
                inner = f"{below}/{entry.name}" if below else entry.name
                if inside := self._entry(entry, inner, names, stems):
                    waiting.append(inside)

    def _entry(
        self, entry: os.DirEntry[str], below: str, names: set[str], stems: set[str]
    ) -> str | None:
        """Take up one entry; return it where it is a folder to look into."""
        if pattern := is_excluded(shown(below), self.exclude):
            self.excluded_by.add(pattern)
            self._ignore(below, f"--exclude {pattern}")
            return None
        try:
            kind = entry.stat().st_mode
        except OSError as error:
            self._unreached(entry, below, stems, error)
            return None
        if stat.S_ISDIR(kind):
            if reason := litter.folder_litter(entry.name, names):
                self._ignore(below, reason)
            elif self._is_image_folder(entry, below):
                pass
            elif entry.is_symlink():
                self.links.append(below)
            else:
                return self._new_folder(entry.stat(), below)
        elif reason := litter.file_litter(entry.name, stems):
            self._ignore(below, reason)
        elif not stat.S_ISREG(kind):
            self._skip(below, "a pipe, socket or device, not a file")
        elif entry.is_symlink():
            self.links.append(below)
        else:
            self._file(below)
        return None

    def _unreached(
        self, entry: os.DirEntry[str], below: str, stems: set[str], error: OSError
    ) -> None:
        reason = litter.folder_litter(entry.name) or litter.file_litter(entry.name, stems)
        if reason:
            self._ignore(below, reason)
        elif entry.is_symlink():
            try:
                leads_to = shown((self.folder / below).readlink())
            except OSError:
                leads_to = "?"
            self._skip(
                below,
                f"a link to {leads_to}, which cannot be reached: {error.strerror or error}; mend "
                "it or take it out of the folder",
            )
        else:
            self._skip(below, f"cannot be read: {error.strerror or error}")

    def _new_folder(self, found: os.stat_result, below: str) -> str | None:
        identity = (found.st_dev, found.st_ino)
        if identity in self.folders:  # below a link, or mounted twice
            self._alias(below, self.folders[identity])
            return None
        self.folders[identity] = below
        return below

    def _linked_folder(self, below: str) -> None:
        place = self.folder / below
        real, holder = os.path.realpath(place), os.path.realpath(place.parent)
        root = os.path.realpath(self.folder)
        if any(_holds(real, inner) for inner in (holder, root)):
            self._ignore(below, _LINK_LOOP)
            return
        try:
            found = place.stat()
        except OSError as error:
            self._skip(below, f"cannot be read: {error.strerror or error}")
            return
        if inside := self._new_folder(found, below):
            self._folder(inside)

    def _linked_file(self, below: str, files: dict[tuple[int, int], str]) -> None:
        try:
            found = (self.folder / below).stat()
        except OSError as error:
            self._skip(below, f"cannot be read: {error.strerror or error}")
            return
        other = files.setdefault((found.st_dev, found.st_ino), below)
        if other != below:
            self._alias(below, other)
        else:
            self._file(below)

    def _ids(self) -> dict[tuple[int, int], str]:
        found = {}
        for path in (*self.images, *self.stores):
            status = path.stat()
            found[status.st_dev, status.st_ino] = path.relative_to(self.folder).as_posix()
        return found

    def _alias(self, below: str, other: str) -> None:
        self.aliases.append((shown(below), shown(other)))
        self._ignore(below, f"leads to {shown(other) or 'the folder itself'}, which counts already")

    def _is_image_folder(self, entry: os.DirEntry[str], below: str) -> bool:
        """Take up a folder that is one image, such as OME-Zarr; say whether it is one."""
        place = self.folder / below
        if is_image_folder(place):
            self.images.append(place)
        elif entry.name.casefold().endswith((".zarr", ".n5")) or any(
            (place / name).is_file() for name in (".zgroup", ".zattrs", ".zarray", "zarr.json")
        ):
            self._skip(below, "a folder of an array, but no OME-Zarr that is read here; name it "
                       "NAME.ome.zarr if it is one, or export it as OME-TIFF")  # fmt: skip
        else:
            return False
        return True

    def _file(self, below: str) -> None:
        path = self.folder / below
        if suffix_of(path):
            self.images.append(path)
        elif path.suffix.lower() in STORE_SUFFIXES and is_store(path):
            self.stores.append(path)
        else:
            head = head_of(path)
            reader = reader_of_content(head) if head else None
            held = reader.format if reader else None
            if not held and not path.suffix and head and _is_text(head):
                self._ignore(below, "no image: a text")
            else:
                self._skip(below, litter.unread_reason(shown(path.name), held))

    def _skip(self, below: str, reason: str) -> None:
        self.skipped.append(PassedOver(shown(below), reason))

    def _ignore(self, below: str, reason: str) -> None:
        self.ignored.append(PassedOver(shown(below), reason))


def summed(entries: Iterable[PassedOver]) -> tuple[PassedOver, ...]:
    """Return what was passed over, sorted; of many alike the first 100 and how many more."""
    alike: dict[str, list[PassedOver]] = defaultdict(list)
    for entry in sorted(entries, key=lambda entry: entry.path):
        alike[entry.reason].append(entry)
    kept = []
    for reason, members in alike.items():
        kept += members[:MOST_NAMED]
        if more := members[MOST_NAMED:]:
            last = more[0].path
            kept.append(PassedOver(last, f"{reason}; the same holds for {len(more) - 1} more"))
    return tuple(sorted(kept, key=lambda entry: entry.path))


def is_store(path: Path) -> bool:
    """Say whether an HDF5 file is a crop store of stemcls."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return bool(file.attrs.get("format") == _STORE_FORMAT)
    except OSError:
        return False


def set_of(path: Path) -> tuple[Path, ...]:
    """Return the files that hold the same images as a file, itself among them.

    What cannot lie in several files is not opened.
    """
    suffix = suffix_of(path)
    tiff = suffix in READERS and READERS[suffix].open is open_tiff
    return dataset_files(path) if suffix == ".oir" or (tiff and not is_one_page(path)) else (path,)


def _holds(outer: str, inner: str) -> bool:
    return inner == outer or inner.startswith(outer.rstrip(os.sep) + os.sep)


def head_of(path: Path) -> bytes:
    """Return the first bytes of a file, none where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(64)
    except OSError:
        return b""


def _is_text(head: bytes) -> bool:
    return b"\0" not in head and all(byte >= 32 or byte in b"\t\r\n\f" for byte in head)
