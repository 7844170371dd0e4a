"""Read OME-TIFF: one file, or a set of files of which each knows the others by name and UUID."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from stemcls.imaging.readers.ifds import check_directories
from stemcls.imaging.readers.ome import Member, OmeDocument, OmeImage, ome_document, ome_uuid
from stemcls.imaging.readers.pages import Pages, read_page
from stemcls.imaging.readers.photometric import meaning_of
from stemcls.imaging.readers.scene import NotReadError, Scene, fewer_bits


def ome_scenes(path: Path, file: tifffile.TiffFile) -> list[Scene] | None:
    """Return the scenes that OME-XML describes, or None where there is no OME-XML to follow.

    In a set of files each scene is read from the member that holds it. A file whose companions
    are all gone, or that was renamed, gives the scenes that lie in it.

    Raises:
        ValueError: It cannot be told which member of a set the file is, or the pages are not
            what the OME-XML says.
    """
    xml = file.ome_metadata if file.is_ome else None
    if not xml:
        return None
    members = _Members(path, file, ome_document(xml))
    images = members.document.images
    if not images or any(image.modulo for image in images):
        return None
    remarks: tuple[str, ...] = ()
    if members.others and not any(map(Path.exists, members.others.values())):
        kept = [image for image in images if any(members.is_own(b.member) for b in image.blocks)]
        if len(kept) < len(images):
            remarks = (
                f"it is one file of a set of {len(members.others) + 1}, and the others are not "
                f"beside it: {len(kept)} of {len(images)} scenes are read",
            )
        images = tuple(kept)
    kinds: dict[tuple[int, tuple[int, int]], Pages] = {}
    # Scenes in this file first: a scene of the same form in another file is not opened for it.
    for image in sorted(images, key=lambda one: not members.is_own(one.blocks[0].member)):
        key = (image.stored, image.shape)
        if key not in kinds:
            kinds[key] = members.pages_like(image)
    return [
        members.scene(image, kinds[image.stored, image.shape], remarks) for image in images
    ]


def set_files(path: Path) -> tuple[Path, ...]:
    """Return the files of the set that an OME-TIFF belongs to, those that are there.

    Returns: `path` alone where it is no OME-TIFF or stands alone.
    """
    with tifffile.TiffFile(path) as file:
        xml = file.ome_metadata if file.is_ome else None
        if not xml:
            return (path,)
        members = _Members(path, file, ome_document(xml))
        files = {path, *(other for other in members.others.values() if other.exists())}
        if members.described_by is not None:
            files.add(members.described_by)
        return tuple(sorted(files))


class _Members:
    """The files of a set, opened one at a time."""

    def __init__(self, path: Path, file: tifffile.TiffFile, document: OmeDocument) -> None:
        self._path = path
        self._file = file
        self._uuid = document.uuid
        self.described_by: Path | None = None
        if document.elsewhere:
            self.described_by = path.with_name(Path(document.elsewhere).name)
            document = _described_elsewhere(self.described_by)
        self.document = document
        self._named = {block.member for image in document.images for block in image.blocks}
        self._own = self._which_is_own()
        self.others = {
            member: path.with_name(Path(member.name).name)
            for member in self._named if member not in self._own and member.name
        }  # fmt: skip

    def _which_is_own(self) -> set[Member]:
        """Return the members that are this file: by UUID, else by name, else the only one."""
        own = {Member()}
        by_uuid = {one for one in self._named if one.uuid and one.uuid == self._uuid}
        by_name = {one for one in self._named if one.name.casefold() == self._path.name.casefold()}
        taken = by_uuid or {one for one in by_name if not self._uuid or not one.uuid}
        if not taken:
            # Writers that give every block a UUID that no file has.
            taken = by_name
        rest = self._named - own
        if not taken and len(rest) == 1:
            taken = rest
        if not taken and rest and not (self._named & own):
            names = ", ".join(sorted(one.name for one in rest)[:4])
            raise NotReadError(
                f"its OME-XML is about {names}, and nothing tells which of them it was; "
                "give it its old name"
            )
        return own | taken

    def is_own(self, member: Member) -> bool:
        return member in self._own

    def scene(self, image: OmeImage, pages: Pages, remarks: tuple[str, ...]) -> Scene:
        """Return the scene of an image; its pages are checked against `pages` as they are read."""
        stored = image.axes
        lengths = tuple(stored.values())
        own_size = len(self._file.pages)
        bare = all(block.count is None and block.member == Member() for block in image.blocks)
        if bare and len(self.document.images) == 1 and math.prod(lengths) > own_size:
            raise ValueError(
                f"its OME-XML says {math.prod(lengths)} planes, the file holds {own_size}"
            )

        places: dict[int, tuple[Member, int]] = {}

        def read(index: Mapping[str, int]) -> np.ndarray:
            def plane(place: Mapping[str, int]) -> np.ndarray:
                number = int(
                    np.ravel_multi_index([place.get(axis, 0) for axis in stored], lengths)
                )
                if not places:
                    places.update(image.places(self._count))
                found = places.get(number)
                if found is None:
                    at = ", ".join(f"{axis}={place.get(axis, 0)}" for axis in stored)
                    raise ValueError(f"there is no plane at {at}; the recording stopped before it")
                with self._opened(found[0]) as file:
                    if found[1] >= len(file.pages):
                        raise ValueError(
                            f"plane {number + 1} is page {found[1] + 1} of a file that has "
                            f"{len(file.pages)}"
                        )
                    page = file.pages[found[1]]
                    if meaning_of(page) != pages.meaning:
                        raise ValueError(f"page {found[1] + 1} has other pixels than page 1")
                    return _arranged(page, read_page(page, self._path), image)

            if not pages.channels:
                return pages.read(index, plane)
            return pages.read({"C": 0, **index}, plane)

        axes = {axis: length for axis, length in pages.axes(stored).items() if length > 1}
        names = image.channels
        if pages.channels and len(names) != axes.get("C", 1):
            names = pages.channels
        if len(names) != axes.get("C", 1):
            names = ()
        bits = fewer_bits(image.bits, pages.dtype) or pages.bits
        return Scene(
            image.name, axes, pages.shape, pages.dtype, read, pages.samples, names,
            image.pixel_size_um, image.acquired, image.position_um, bits,
            (*pages.remarks, *remarks),
        )  # fmt: skip

    def pages_like(self, image: OmeImage) -> Pages:
        """Open the first page of an image that can be had."""
        missing: ValueError | None = None
        places = image.places(self._count)
        for member, ifd in places.values():
            try:
                with self._opened(member) as file:
                    page = file.pages[min(ifd, len(file.pages) - 1)]
                    lengths = {"Y": page.imagelength, "X": page.imagewidth, "S": 1}
                    made = Pages(page, lengths)
                    if (page.imagelength, page.imagewidth) != image.shape:
                        raise ValueError(_other_size(page, image))
                    return made
            except NotReadError as error:
                missing = ValueError(str(error))
        raise missing or ValueError("its OME-XML says of an image that it has no planes")

    def _count(self, member: Member) -> int:
        with self._opened(member) as file:
            return len(file.pages)

    def _opened(self, member: Member) -> _Held | tifffile.TiffFile:
        if self.is_own(member):
            return _Held(self._file)
        other = self.others.get(member)
        if other is None or not other.exists():
            raise NotReadError(
                f"{member.name or member.uuid}, another file of the same OME-TIFF, is missing; "
                "it must lie beside this one"
            )
        check_directories(other)
        file = tifffile.TiffFile(other)
        xml = file.ome_metadata if file.is_ome else None
        if xml and member.uuid:
            found = ome_uuid(xml)
            if found and found != member.uuid:
                file.close()
                raise NotReadError(
                    f"{other.name} is not the file of that name that this set was made with (its "
                    "UUID is another); put the set together again"
                )
        return file


class _Held:
    """A file that stays open after a `with`."""

    def __init__(self, file: tifffile.TiffFile) -> None:
        self._file = file

    def __enter__(self) -> tifffile.TiffFile:
        return self._file

    def __exit__(self, *_: object) -> None:
        pass


def _described_elsewhere(path: Path) -> OmeDocument:
    if not path.exists():
        raise NotReadError(
            f"{path.name}, which has the OME-XML of this file, is missing; it must lie beside it"
        )
    with path.open("rb") as file:
        is_tiff = file.read(2) in (b"II", b"MM")
    if not is_tiff:
        return ome_document(path.read_text("utf-8"))
    with tifffile.TiffFile(path) as tiff:
        return ome_document(tiff.ome_metadata or "")


def _arranged(page: Any, pixels: np.ndarray, image: OmeImage) -> np.ndarray:
    """Return (Y, X) or (Y, X, S) of a page as it was decoded."""
    if (page.imagelength, page.imagewidth) != image.shape:
        raise ValueError(_other_size(page, image))
    letters = page.axes
    kept = [axis for axis in letters if axis in "YXS"]
    if pixels.size != math.prod(pixels.shape[letters.index(axis)] for axis in kept):
        raise ValueError(f"a page has the axes {letters}, expected Y, X and samples")
    pixels = pixels.reshape([pixels.shape[letters.index(axis)] for axis in kept])
    return np.transpose(pixels, [kept.index(axis) for axis in "YXS" if axis in kept])


def _other_size(page: Any, image: OmeImage) -> str:
    said = "x".join(map(str, image.shape))
    return f"its OME-XML says {said} pixels, a page has {page.imagelength}x{page.imagewidth}"
