"""The table of formats: which reader, package and first bytes belong to which file suffix."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stemcls.imaging.readers import (
    czi,
    lif,
    nd2,
    olympus,
    omezarr,
    pictures,
    raster,
    tiff,
)
from stemcls.imaging.readers.bioio import bioio_opener
from stemcls.imaging.readers.scene import Scene

Open = Callable[[Path], AbstractContextManager[Sequence[Scene]]]


@dataclass(frozen=True)
class Reader:
    """One format.

    Attributes:
        format: Its name, as in "named .png but holds JPEG data".
        open: Opens a file; yields its scenes until the context ends.
        signatures: What its files begin with; none where nothing is certain.
        inside: What lies at byte `at`, for formats whose beginning does not say enough.
        at: See `inside`.
        certain: Whether the signature alone, under any name, says the format.
        folder: Whether its images are folders, not files.
        package: The optional package it needs, or None.
        extra: The extra of stemcls that brings the package.
        python: Least Python version the package runs on.
    """

    format: str
    open: Open
    signatures: tuple[bytes, ...] = ()
    inside: tuple[bytes, ...] = ()
    at: int = 8
    certain: bool = True
    folder: bool = False
    package: str | None = None
    extra: str | None = None
    python: tuple[int, int] = (3, 11)

    def recognises(self, head: bytes) -> bool:
        """Tell whether a file that begins so is of this format, as far as can be seen."""
        begins = not self.signatures or head.startswith(self.signatures)
        return begins and (not self.inside or head.startswith(self.inside, self.at))


def _microscope(
    format: str, opens: Open, package: str, *signatures: bytes, certain: bool = True,
    python: tuple[int, int] = (3, 11),
) -> Reader:  # fmt: skip
    return Reader(
        format, opens, signatures, certain=certain, package=package, extra="microscopes",
        python=python,
    )  # fmt: skip


_JPEG = Reader("JPEG", raster.open_jpeg, (b"\xff\xd8\xff",))
_JPEG_2000 = Reader(
    "JPEG 2000", pictures.open_jpeg2000, (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")
)
_TIFF = Reader("TIFF", tiff.open_tiff, (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"))


def _tiff(format: str) -> Reader:
    return replace(_TIFF, format=format)


def _bioio(format: str, package: str, **marks: Any) -> Reader:
    return Reader(format, bioio_opener(package), package=package, extra="bioio", **marks)


_DELTAVISION = _bioio("DeltaVision", "bioio_dv", inside=(b"\xa0\xc0", b"\xc0\xa0"), at=96)
_OME_TIFF = _tiff("OME-TIFF")

READERS: dict[str, Reader] = {
    ".png": Reader("PNG", raster.open_png, (b"\x89PNG\r\n\x1a\n",)),
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".jpe": _JPEG,
    ".jfif": _JPEG,
    ".bmp": Reader("BMP", pictures.open_bmp, (b"BM",), certain=False),
    ".gif": Reader("GIF", pictures.open_gif, (b"GIF87a", b"GIF89a")),
    ".webp": Reader("WebP", pictures.open_webp, (b"RIFF",), inside=(b"WEBP",)),
    ".jp2": _JPEG_2000,
    ".j2k": _JPEG_2000,
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".btf": _TIFF,
    ".tf8": _TIFF,
    ".ome.tif": _OME_TIFF,
    ".ome.tiff": _OME_TIFF,
    ".ome.btf": _OME_TIFF,
    ".ome.tf2": _OME_TIFF,
    ".ome.tf8": _OME_TIFF,
    ".lsm": _tiff("Zeiss LSM"),
    ".stk": _tiff("MetaMorph STK"),
    ".svs": _tiff("Aperio SVS"),
    ".zarr": Reader("OME-Zarr", omezarr.open_zarr, folder=True, package="zarr", extra="zarr"),
    ".nd2": _microscope(
        "Nikon ND2", nd2.open_nd2, "nd2", b"\xda\xce\xbe\n", b"\0\0\0\x0cjP  \r\n\x87\n"
    ),
    ".czi": _microscope("Zeiss CZI", czi.open_czi, "pylibCZIrw", b"ZISRAWFILE"),
    ".lif": _microscope("Leica LIF", lif.open_lif, "liffile", b"\x70\0\0\0", certain=False),
    ".oib": _microscope(
        "Olympus OIB", olympus.open_oif, "oiffile", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        certain=False,
    ),
    ".oif": _microscope(
        "Olympus OIF", olympus.open_oif, "oiffile", b"\xff\xfe[\0", b"[", certain=False
    ),
    ".oir": _microscope(
        "Olympus OIR", olympus.open_oir, "oirfile", b"OLYMPUSRAWFORMAT", python=(3, 12)
    ),
    ".poir": _microscope(
        "Olympus POIR", olympus.open_poir, "oirfile", b"PK\x03\x04", certain=False,
        python=(3, 12),
    ),
    ".dv": _DELTAVISION,
    ".r3d": _DELTAVISION,
}


def suffix_of(path: Path) -> str:
    """Return the longest ending of the name that `READERS` knows, or an empty string."""
    name = path.name.lower()
    return max((suffix for suffix in READERS if name.endswith(suffix)), key=len, default="")


def reader_of_content(head: bytes) -> Reader | None:
    """Return the format of a file that begins so, whatever it is called; None if none is sure."""
    found = (one for one in READERS.values() if one.certain and one.signatures)
    return next((one for one in found if one.recognises(head)), None)


def is_image_folder(path: Path) -> bool:
    """Tell whether a folder is one image (OME-Zarr), which is read as a whole."""
    reader = READERS.get(suffix_of(path))
    if reader is None or not reader.folder or not path.is_dir():
        return False
    return any((path / name).is_file() for name in (".zattrs", ".zgroup", ".zarray", "zarr.json"))


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
