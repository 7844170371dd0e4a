"""Lay uploads out as files that the readers take, after a look at their size; zips are unpacked."""

from __future__ import annotations

import shutil
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from stemcls.config.serve import MEGABYTE, ServeConfig
from stemcls.errors import InputError
from stemcls.imaging.readers import READERS, count_pixels, suffix_of

_CHUNK_BYTES = 2**20
_END_OF_ZIP = b"PK\x05\x06"
_LONGEST_ZIP_END = 22 + 2**16
_DIRECTORY_BYTES_PER_FILE = 1024
# Python unpacks these piece by piece; of the others one piece may be thousands of times as large.
_BOUNDED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class TooLargeError(InputError):
    """More bytes, files or pixels than one request may bring."""


@dataclass(frozen=True)
class Upload:
    """One image.

    Attributes:
        name: As the user calls it; of an image in a zip its path there.
        path: Where it lies, under a name of our own.
    """

    name: str
    path: Path

    def renamed(self, text: str) -> str:
        """Return a message with the user's name of the file in it."""
        return text.replace(str(self.path), self.name)


Skipped = tuple[str, str]


def lay_out(
    files: Sequence[tuple[str, IO[bytes]]], folder: Path, config: ServeConfig
) -> tuple[list[Upload], list[Skipped]]:
    """Copy images, also those inside zips, to a folder, and look at how large they are.

    Args:
        files: Name and content of each upload.
        folder: An empty one.
        config: The limits.
    Returns: images that may be read, and the name of each other file with the reason.
    Raises:
        TooLargeError: Too many files, or a zip that unpacks to too much.
        InputError: A zip that cannot be opened.
    """
    kept: list[Upload] = []
    skipped: list[Skipped] = []
    budget = [config.max_upload_bytes]
    for name, content in _unpacked(files, config):
        if len(kept) + len(skipped) >= config.max_files:
            raise TooLargeError(f"more than {config.max_files} files in one request; send fewer")
        suffix = suffix_of(Path(name))
        if not suffix:
            skipped.append((name, f"{name} has no image suffix that is read: {', '.join(READERS)}"))
            continue
        upload = Upload(name, folder / f"{len(kept):04d}{suffix}")
        _copy(content, upload, budget)
        reason = _refusal(upload, config.max_megapixels)
        if reason:
            upload.path.unlink()
            skipped.append((name, reason))
        else:
            kept.append(upload)
    return kept, skipped


def _unpacked(
    files: Sequence[tuple[str, IO[bytes]]], config: ServeConfig
) -> Iterator[tuple[str, IO[bytes]]]:
    for given, content in files:
        name = _plain(given)
        if not name.lower().endswith(".zip"):
            yield name, content
            continue
        try:
            _check_directory(content, name, config.max_files)
            with zipfile.ZipFile(content) as archive:
                for entry in archive.infolist():
                    inside = PurePosixPath(entry.filename)
                    if entry.is_dir() or inside.name.startswith(".") or "__MACOSX" in inside.parts:
                        continue
                    if entry.compress_type not in _BOUNDED:
                        raise InputError(f"{name} is packed in an unusual way; zip it again")
                    with archive.open(entry) as member:
                        yield _plain(entry.filename), member
        except (zipfile.BadZipFile, EOFError, ValueError, OSError) as error:
            raise InputError(f"{name} is no zip that can be unpacked: {error}") from error
        except RuntimeError as error:  # a password
            raise InputError(f"{name} cannot be unpacked: {error}; zip it again") from error


def _check_directory(content: IO[bytes], name: str, max_files: int) -> None:
    """Refuse a zip whose list of files alone is too long to be read.

    Raises:
        TooLargeError: It is.
    """
    size = content.seek(0, 2)
    content.seek(max(0, size - _LONGEST_ZIP_END))
    end = content.read()
    place = end.rfind(_END_OF_ZIP)
    content.seek(0)
    if place < 0 or place + 22 > len(end):
        return  # zipfile says what is wrong with it
    (length,) = struct.unpack("<L", end[place + 12 : place + 16])
    if length > max_files * _DIRECTORY_BYTES_PER_FILE:
        raise TooLargeError(f"{name} holds more than {max_files} files; send fewer at once")


def _plain(name: str) -> str:
    """Return a name as it may be shown and written to a table: no folders above, no controls."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    shown = "".join(one for one in "/".join(parts) if one.isprintable())
    return shown[-200:] or "unnamed"


def _copy(content: IO[bytes], upload: Upload, budget: list[int]) -> None:
    with upload.path.open("wb") as file:
        for chunk in _chunks(content, upload.name):
            budget[0] -= len(chunk)
            if budget[0] < 0:
                raise TooLargeError(f"{upload.name} unpacks to more than one request may bring")
            file.write(chunk)


def _chunks(content: IO[bytes], name: str) -> Iterator[bytes]:
    while True:
        try:
            chunk = content.read(_CHUNK_BYTES)
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise InputError(f"{name} cannot be unpacked: {error}; zip it again") from error
        if not chunk:
            return
        yield chunk


def _refusal(upload: Upload, max_megapixels: float) -> str:
    """Return why an image is not read at all, "" if it may be."""
    try:
        pixels = count_pixels(upload.path)
    except InputError as error:
        return upload.renamed(str(error))
    if pixels > max_megapixels * MEGABYTE:
        return (
            f"{upload.name} has {pixels / MEGABYTE:.1f} million pixels, at most {max_megapixels:g} "
            "are taken; send a part of it"
        )
    return ""


def remove(folder: Path) -> None:
    """Remove what was laid out."""
    shutil.rmtree(folder, ignore_errors=True)
