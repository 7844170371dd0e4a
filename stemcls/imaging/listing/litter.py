"""Names of files and folders that are no images, and of formats that no reader is there for."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import PurePath

_NAS = "kept by the storage system, not by you"
_BIN = "a bin of deleted files"
_SNAPSHOT = "older states that the storage system keeps"
_SYSTEM = "kept by the operating system"
_THUMBNAILS = "thumbnails"
_PROGRAM = "kept by a program"
# Compared without regard to case.
LITTER_FOLDERS = {
    "@eadir": _THUMBNAILS + " of a Synology", "@tmp": _NAS, "@sharebin": _BIN, "@recycle": _BIN,
    "@recently-snapshot": _SNAPSHOT, "#recycle": _BIN, "#snapshot": _SNAPSHOT,
    "@synoresource": _NAS, "@syno": _NAS, "@synodrive": _NAS, "@appstore": _NAS,
    "$recycle.bin": _BIN, "recycle.bin": _BIN, "recycler": _BIN, "recycled": _BIN,
    "recycle bin": _BIN, "network trash folder": _BIN, "trash": _BIN, "found.000": _SYSTEM,
    "lost+found": _SYSTEM, "system volume information": _SYSTEM, "temporary items": _SYSTEM,
    "__macosx": _SYSTEM, "~snapshot": _SNAPSHOT, "thumbs": _THUMBNAILS,
    "thumbnails": _THUMBNAILS, "_thumbs": _THUMBNAILS, "_thumbnails": _THUMBNAILS,
    "__pycache__": _PROGRAM, "node_modules": _PROGRAM,
}
LITTER_FILES = {
    "thumbs.db": _THUMBNAILS + " of Windows", "ehthumbs.db": _THUMBNAILS + " of Windows",
    "ehthumbs_vista.db": _THUMBNAILS + " of Windows", "desktop.ini": _SYSTEM,
    "autorun.inf": _SYSTEM, "icon\r": _SYSTEM, "picasa.ini": _PROGRAM,
}
HIDDEN = "hidden: its name begins with a dot"
# Suffixes of files that hold no pixels.
DOCUMENTS = {
    "a text": ".txt .md .rst .rtf .log .readme .nfo .tex .bib",
    "a table": ".csv .tsv .xls .xlsx .xlsm .ods .dat .pzfx .jmp .parquet",
    "a document": ".pdf .doc .docx .odt .ppt .pptx .odp .html .htm .eps .svg .ai .psd .indd",
    "settings or metadata": ".xml .json .jsonl .yaml .yml .toml .ini .cfg .conf .prefs .db "
    ".sqlite .sqlite3 .md5 .sha1 .sha256 .plist .xmp .companion.ome .lock .pid .url .webloc",
    "a program": ".py .pyc .ipynb .r .m .ijm .groovy .js .sh .bat .ps1 .jar .exe .dll .cppipe "
    ".cpproj .ilp .qpproj .qpdata .class",
    "regions or settings of ImageJ": ".roi .lut",
    "a model": ".keras .pt .pth .onnx .tflite .pkl .joblib .weights",
    "a temporary file": ".tmp .temp .bak .swp .swo .cache",
}
_DOCUMENT_OF = {
    suffix: what for what, suffixes in DOCUMENTS.items() for suffix in suffixes.split()
}
# Formats of microscopes, slide scanners and pictures that may have no reader here.
FORMATS = {
    "Olympus VSI": ".vsi .ets", "Zeiss ZVI or LSM": ".zvi .lsm", "Imaris": ".ims",
    "DeltaVision": ".dv .r3d .d3d", "MetaMorph": ".stk .nd .htd", "Leica": ".lei .lof .xlif "
    ".xlef .xllf .scn", "Olympus POIR of several parts": ".mpoir", "imaging flow cytometry":
    ".cif .daf .rif .fcs", "SlideBook": ".sld .sldy", "a slide scanner": ".svs .ndpi .ndpis "
    ".qptiff .mrxs .vms .vmu .bif .tmap .isyntax .afi", "JPEG 2000 or JPEG XL":
    ".jp2 .j2k .jpx .jpf .jxl .jxr .wdp", "a picture": ".gif .webp .heic .heif .avif .ppm .pgm "
    ".pbm .pnm .tga .exr .hdr .ico .jfif .jpe .jif .dib .pcx .ras", "a camera's raw file":
    ".nef .dng .cr2 .cr3 .arw .orf .raf .rw2 .raw", "DICOM": ".dcm .dicom", "NIfTI, MRC or FITS":
    ".nii .nii.gz .mrc .map .rec .st .fits .fit .fts .nrrd .mha .mhd", "TIFF of another suffix":
    ".btf .tf2 .tf8 .ome.btf .ome.tf2 .ome.tf8 .flex .gel", "Imspector": ".obf .msr",
    "a high-content screener": ".c01 .xdce .mes .mvd2 .acff .zpo .am .oib.files",
    "ICS": ".ics .ids", "Bruker, Zeiss or Nikon": ".pcf .pcoraw .nif .nd3 .czmbi",
    "an array": ".npy .npz .mat .zarr .n5 .h5 .hdf5 .he5 .klb .idx .ubyte .tfrecord .ome.zarr "
    ".zarr.zip", "a film": ".avi .mp4 .mov .mkv .wmv .mpg .mpeg .webm .m4v .seq",
    "an archive": ".zip .rar .7z .tar .tgz .gz .bz2 .xz .tar.gz .tar.bz2",
    "a Windows shortcut, which is not followed": ".lnk",
    "an unfinished download or copy": ".part .partial .crdownload .filepart .download",
}  # fmt: skip
_FORMAT_OF = {suffix: what for what, suffixes in FORMATS.items() for suffix in suffixes.split()}
_WAYS_OUT = {
    "an archive": "unpack it",
    "a film": "export its frames",
    "a Windows shortcut, which is not followed": "copy what it leads to, or make a link",
    "an unfinished download or copy": "finish it",
}
# Outlines of cells, as segmentation programs write them beside the images.
MASK_FOLDERS = re.compile(r"(.*[_ .-])?(masks?|cp_masks|segmentations?)|\d\d_(gt|st|res|err_seg)")
MASK_FILES = re.compile(r".+[_ .-](masks?|cp_masks|cp_outlines)|.+_seg(?=\.npy$)")
# These words say it only where an image of the name without them lies beside.
MASK_WORDS = re.compile(
    r"(.+?)[_ .-](labels?|seg|segmented|segmentation|outlines?|contours?|flows|gt|annotations?)"
)
THUMBNAIL_FILES = re.compile(r".+[_-]thumb(nail)?s?([0-9a-f-]{36})?")
OVERLAYS = "-overlays"
LOOK = "-look.png"
_OWN_FILES = {"detect-grid.png": "a contact sheet of `stemcls detect`"}
# One of these in a folder makes it a run or a study.
OWN_MARKS = {"events.jsonl": "a run of stemcls", "study.toml": "a study of stemcls",
             "study.json": "a study of stemcls"}  # fmt: skip


def folder_litter(name: str, beside: Collection[str] = ()) -> str | None:
    """Return why a folder of this name is passed over, or None.

    Args:
        name: Of the folder.
        beside: Lower-case names of the files beside it.
    """
    low = name.casefold()
    if reason := LITTER_FOLDERS.get(low):
        return reason
    if low.startswith("."):
        return _BIN if low.startswith(".trash") else HIDDEN
    if low.endswith(OVERLAYS):
        return "pictures drawn by stemcls"
    if MASK_FOLDERS.fullmatch(low):
        return "label masks, not images"
    for owner in (low.removesuffix(".files"), f"{low.strip('_')}.vsi", f"{low}.mrxs"):
        if owner != low and owner in beside:
            return f"planes that belong to the {PurePath(owner).suffix} file of that name"
    return None


def file_litter(name: str, stems: Collection[str] = ()) -> str | None:
    """Return why a file of this name is no image of cells, or None.

    Args:
        name: Of the file.
        stems: Lower-case names of the image files beside it, without their suffixes.
    """
    low = name.casefold()
    if reason := LITTER_FILES.get(low) or _OWN_FILES.get(low):
        return reason
    if low.startswith("."):
        return "left by macOS: not the file itself" if low.startswith("._") else HIDDEN
    if low.startswith(("~$", "~lock")) or low.endswith("~"):
        return "a temporary file"
    if low.endswith(LOOK):
        return "a contact sheet of stemcls"
    if THUMBNAIL_FILES.fullmatch(stem_of(low)):
        return "a thumbnail"
    if MASK_FILES.fullmatch(stem_of(low)) or (MASK_FILES.match(low) and low.endswith("_seg.npy")):
        return "a label mask, not an image"
    found = MASK_WORDS.fullmatch(stem_of(low))
    if found and found.group(1) in stems:
        return "a label mask of the image beside it"
    if low.startswith("roiset") and low.endswith(".zip"):
        return "regions of ImageJ"
    what = _DOCUMENT_OF.get(_known_ending(low, _DOCUMENT_OF))
    return f"no image: {what}" if what else None


def unread_reason(name: str, held: str | None) -> str:
    """Return why a file of a suffix without a reader is skipped.

    Args:
        name: Of the file.
        held: Format that its first bytes are, or None.
    """
    low = name.casefold()
    suffix = _known_ending(low, _FORMAT_OF) or PurePath(low).suffix
    what = _FORMAT_OF.get(suffix)
    shown = suffix or "no suffix"
    if what is None and held:
        return f"{shown}: it holds {held} data; give it the suffix of its format"
    if what is None:
        return f"{shown}: no image format that is read here; if it is one, export it as OME-TIFF"
    if held and what in ("a picture", "TIFF of another suffix"):
        return f"{shown}: it holds {held} data; give it the suffix of its format"
    return f"{shown} ({what}) is not read here; {_WAYS_OUT.get(what, 'export it as OME-TIFF')}"


def stem_of(low: str) -> str:
    """Return a lower-case name without its suffix, `.ome` taken for a part of the suffix."""
    stem = low.rpartition(".")[0] or low
    return stem.removesuffix(".ome")


def _known_ending(low: str, table: Collection[str]) -> str:
    """Return the longest ending of a name, from a dot on, that a table knows, or ""."""
    place = low.find(".")
    while place >= 0:
        if low[place:] in table:
            return low[place:]
        place = low.find(".", place + 1)
    return ""
