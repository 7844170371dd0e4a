"""The checks of `stemcls doctor`, each a plain mapping: name, status, value, why."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from stemcls.errors import InputError

Check = dict[str, Any]
_LEAST_PYTHON = (3, 11)
_LEAST_FREE_BYTES = 5 * 2**30
# What microscope TIFFs and CZIs are compressed with; attributes of imagecodecs.
_CODECS = ("LZW", "DEFLATE", "ZSTD", "LZMA", "PACKBITS", "JPEG8", "JPEG2K", "JPEGXR", "WEBP")


def check_machine(workspace: Path) -> Iterator[Check]:
    """Check versions, backends, devices, codecs, weights and workspace; imports no backend."""
    yield _python()
    yield _keras()
    yield from _backends()
    yield _gpus()
    yield _processor()
    yield _codecs()
    yield _weights()
    yield _workspace(workspace)


def check_formats() -> Iterator[Check]:
    """Check for each format whether the package that it needs can be imported."""
    from stemcls.imaging.readers import READERS, missing_package

    suffixes: dict[str, list[str]] = {}
    for suffix, reader in READERS.items():
        suffixes.setdefault(reader.format, []).append(suffix)
    for name, ends in suffixes.items():
        reader = READERS[ends[0]]
        problem = missing_package(reader)
        value = {
            "suffixes": ends,
            "package": reader.package,
            "version": _version_of(reader.package) if reader.package else None,
        }
        why = problem or (f"read by {reader.package}" if reader.package else "always read")
        yield _check(f"format {name}", "warn" if problem else "pass", value, why)


def check_files(paths: Iterable[Path]) -> Iterator[Check]:
    """Check whether files, and the images below folders, open, and with which choices."""
    from stemcls.imaging.listing.walk import walk

    for path in paths:
        if not path.is_dir():
            yield _file(path)
            continue
        walked = walk(path)
        if not walked.images:
            yield _check(f"file {path}", "fail", None, "the folder holds no image files")
        yield from map(_file, walked.images)
        for entry in walked.skipped:
            told = entry.document(path)
            yield _check(f"file {told['path']}", "fail", None, told["reason"])


def _file(path: Path) -> Check:
    from stemcls.imaging.readers import describe_file, read_field

    name = f"file {path}"
    try:
        value = describe_file(path)
    except InputError as error:
        return _check(name, "fail", None, str(error))
    value["opens"] = False
    try:
        field = read_field(path)
    except InputError as error:
        # Left open is a matter of options; anything else is a file that cannot be used.
        status = "warn" if "choose with" in str(error) else "fail"
        return _check(name, status, value, str(error))
    value["opens"] = True
    slices, rows, columns = field.pixels.shape
    named = ", ".join(field.channels[:6]) + (", ..." if slices > 6 else "")
    why = "; ".join(
        [f"opens as it is: {slices} x {rows} x {columns} ({named})", *field.remarks]
    )
    return _check(name, "pass", value, why)


def _python() -> Check:
    value = {"python": platform.python_version(), "stemcls": _version_of("stemcls")}
    good = sys.version_info >= _LEAST_PYTHON
    why = f"{platform.system()} {platform.machine()}"
    return _check("python", "pass" if good else "fail", value,
                  why if good else "stemcls needs Python 3.11 or newer")  # fmt: skip


def _keras() -> Check:
    found = _version_of("keras")
    why = "builds and trains the models" if found else "pip install --upgrade stemcls"
    return _check("keras", "pass" if found else "fail", found, why)


def _backends() -> Iterator[Check]:
    from stemcls.models.backend import BACKENDS

    wanted = os.environ.get("KERAS_BACKEND") or "tensorflow"
    for name, package in BACKENDS.items():
        spec = importlib.util.find_spec(package)
        found = (_version_of(package) or _version_of(f"{package}-cpu") or "?") if spec else None
        if found:
            why = "used unless you choose another" if name == wanted else "installed"
            yield _check(f"backend {name}", "pass", found, why)
        else:
            status = "fail" if name == wanted else "warn"
            why = f"not installed; pip install 'stemcls[{name}]'"
            if name == "tensorflow":
                why = "not installed; pip install tensorflow"
            yield _check(f"backend {name}", status, None, why)
    if wanted not in BACKENDS:
        yield _check(
            f"backend {wanted}", "fail", None,
            f"KERAS_BACKEND names it, but the backends are {', '.join(BACKENDS)}",
        )


def _gpus() -> Check:
    from stemcls.models.devices import NoGpuToolError, list_gpus

    try:
        found = list_gpus()
    except NoGpuToolError as error:
        missing = shutil.which("nvidia-smi") is None
        return _check("gpu", "pass" if missing else "warn", [], str(error))
    value = [
        f"{gpu.index}: {gpu.name}, {gpu.free_mib} of {gpu.total_mib} MiB free, driver {gpu.driver}"
        for gpu in found
    ]
    return _check("gpu", "pass", value, "used where the backend was built for it; --device N")


def _processor() -> Check:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    value: dict[str, Any] = {"cores": usable, "ram_gib": None}
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        value["ram_gib"] = round(memory / 2**30, 1)
    return _check("processor", "pass", value, "cores that this process may use, and memory")


def _codecs() -> Check:
    try:
        import imagecodecs
    except ImportError as error:
        return _check(
            "codecs", "warn", None,
            f"imagecodecs cannot be imported ({error}), so compressed TIFFs are not read; "
            "pip install imagecodecs",
        )
    found = {
        name: bool(getattr(getattr(imagecodecs, name, None), "available", False))
        for name in _CODECS
    }
    lacking = [name for name, there in found.items() if not there]
    why = f"imagecodecs lacks {', '.join(lacking)}" if lacking else "all are there"
    value = {"imagecodecs": _version_of("imagecodecs"), **found}
    return _check("codecs", "warn" if lacking else "pass", value, why)


def _weights() -> Check:
    from stemcls.models.weights.cache import keras_cache, offline_cache

    folders = (offline_cache(), keras_cache())
    files = sorted(
        path.name for folder in folders for path in folder.rglob("*")
        if path.suffix in (".h5", ".npz", ".safetensors") and path.is_file()
    )
    value = {"folders": [str(folder) for folder in folders], "files": files}
    if files:
        return _check(
            "weights", "pass", value,
            f"{len(files)} files, used without a network; stemcls weights verify checks them",
        )
    return _check(
        "weights", "warn", value,
        "none yet: ImageNet weights are downloaded on first use; without a network, stemcls "
        "weights list says what to fetch and stemcls weights import keeps it",
    )


def _workspace(workspace: Path) -> Check:
    place = workspace.resolve()
    existing = next(one for one in (place, *place.parents) if one.is_dir())
    free = shutil.disk_usage(existing).free
    value = {
        "folder": str(place),
        "free_gib": round(free / 2**30, 1),
        "stores": len(list((place / "datasets").glob("**/*.h5"))),
        "runs": sum(one.is_dir() for one in (place / "saved_models").glob("*")),
    }
    if not os.access(existing, os.W_OK | os.X_OK):
        return _check("workspace", "fail", value, f"{existing} cannot be written; use --workspace")
    if free < _LEAST_FREE_BYTES:
        return _check("workspace", "warn", value, "less than 5 GiB of disk are free")
    return _check("workspace", "pass", value, "can be written")


def _version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _check(name: str, status: str, value: Any, why: str) -> Check:
    return {"name": name, "status": status, "value": value, "why": why}
