"""The table of formats: which reader, package and first bytes belong to which file suffix."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from stemcls.imaging.readers import czi, lif, nd2, olympus, raster, tiff
from stemcls.imaging.readers.scene import Scene

Open = Callable[[Path], AbstractContextManager[Sequence[Scene]]]


@dataclass(frozen=True)
class Reader:
    """One format.

    Attributes:
        format: Its name, as in "named .png but holds JPEG data".
        open: Opens a file; yields its scenes until the context ends.
        signatures: What its files begin with; none where nothing is certain.
        package: The optional package it needs, or None.
        extra: The extra of stemcls that brings the package.
        python: Least Python version the package runs on.
    """

    format: str
    open: Open
    signatures: tuple[bytes, ...] = ()
    package: str | None = None
    extra: str | None = None
    python: tuple[int, int] = (3, 11)


def _microscope(
    format: str, opens: Open, package: str, *signatures: bytes, python: tuple[int, int] = (3, 11)
) -> Reader:
    return Reader(format, opens, signatures, package, "microscopes", python)


_JPEG = Reader("JPEG", raster.open_raster, (b"\xff\xd8\xff",))
_TIFF = Reader("TIFF", tiff.open_tiff, (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"))
_OME_TIFF = Reader("OME-TIFF", tiff.open_tiff, _TIFF.signatures)

READERS: dict[str, Reader] = {
    ".png": Reader("PNG", raster.open_raster, (b"\x89PNG\r\n\x1a\n",)),
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".bmp": Reader("BMP", raster.open_raster, (b"BM",)),
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".ome.tif": _OME_TIFF,
    ".ome.tiff": _OME_TIFF,
    ".nd2": _microscope(
        "Nikon ND2", nd2.open_nd2, "nd2", b"\xda\xce\xbe\n", b"\0\0\0\x0cjP  \r\n\x87\n"
    ),
    ".czi": _microscope("Zeiss CZI", czi.open_czi, "pylibCZIrw", b"ZISRAWFILE"),
    ".lif": _microscope("Leica LIF", lif.open_lif, "liffile", b"\x70\0\0\0"),
    ".oib": _microscope(
        "Olympus OIB", olympus.open_oif, "oiffile", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
    ),
    ".oif": _microscope("Olympus OIF", olympus.open_oif, "oiffile", b"\xff\xfe[\0", b"["),
    ".oir": _microscope(
        "Olympus OIR", olympus.open_oir, "oirfile", b"OLYMPUSRAWFORMAT", python=(3, 12)
    ),
    ".poir": _microscope(
        "Olympus POIR", olympus.open_poir, "oirfile", b"PK\x03\x04", python=(3, 12)
    ),
}


def suffix_of(path: Path) -> str:
    """Return the longest ending of the name that `READERS` knows, or an empty string."""
    name = path.name.lower()
    return max((suffix for suffix in READERS if name.endswith(suffix)), key=len, default="")


def format_of(head: bytes) -> str | None:
    """Return the format whose signature these first bytes are, or None."""
    found = [
        (len(signature), reader.format)
        for reader in READERS.values()
        for signature in reader.signatures
        if len(signature) > 1 and head.startswith(signature)
    ]
    return max(found)[1].removeprefix("OME-") if found else None


def missing_package(reader: Reader) -> str | None:
    """Return why a reader's package cannot be used and the way out, or None if it can.

    Imports the package; nothing else does before a file of its format is opened.
    """
    if reader.package is None:
        return None
    if sys.version_info < reader.python:
        needed, found = (".".join(map(str, v)) for v in (reader.python, sys.version_info[:2]))
        return (
            f"the package {reader.package} needs Python {needed} or newer, this is {found}; use "
            "such a Python, or export the file as OME-TIFF from the microscope software"
        )
    way_out = f"pip install 'stemcls[{reader.extra}]'"
    try:
        importlib.import_module(reader.package)
    except ModuleNotFoundError as error:
        if error.name == reader.package:
            return f"the package {reader.package} is not installed; {way_out}"
        return f"the package {reader.package} lacks {error.name}; {way_out}"
    except ImportError as error:
        return f"the package {reader.package} cannot be imported ({error}); {way_out}"
    return None
