"""Choose Keras' backend once, before anything imports Keras, and say what it is."""

from __future__ import annotations

import ctypes
import importlib.util
import logging
import os
import platform
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from stemcls.errors import InputError, check_known
from stemcls.models import parallel
from stemcls.models.devices import choose_device, n_devices

BACKENDS = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}

# mallopt's parameters (malloc.h of the GNU C library), and the largest value it takes.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
INT_MAX = 2**31 - 1
TOP_PAD_BYTES = 256 * 2**20


def choose_backend(name: str | None, device: str = "auto", shares_batches: bool = False) -> str:
    """Set backend and device of this process; call it before the first `import keras`.

    Args:
        name: tensorflow, jax or torch; None keeps KERAS_BACKEND, else tensorflow.
        device: As for `choose_device`.
        shares_batches: The work to be done can be split over several devices.
    Returns: the name in force.
    Raises:
        InputError: The name is unknown, its package is not installed, there is no such device, or
            Keras already runs on another. There is no fall-back to one that was not asked for.
    """
    wanted = name or os.environ.get("KERAS_BACKEND") or "tensorflow"
    check_known(wanted, BACKENDS, f"there is no backend {wanted!r}")
    if importlib.util.find_spec(BACKENDS[wanted]) is None:
        raise InputError(
            f"backend {wanted!r} is not installed; `pip install 'stemcls[{wanted}]'`, "
            f"or choose one of: {', '.join(installed_backends()) or 'none is installed'}"
        )
    if "keras" in sys.modules:
        import keras

        if keras.backend.backend() != wanted:
            raise InputError(
                f"Keras already runs on {keras.backend.backend()}; start a new process for {wanted}"
            )
    if n_devices(device) > 1:
        if not shares_batches:
            raise InputError(f"--device {device}: this command computes on one device; name one")
        if wanted not in parallel.BACKENDS:
            raise InputError(
                f"--device {device}: Keras spreads batches over several GPUs on "
                f"{' and '.join(parallel.BACKENDS)} only, and this is {wanted}; add --backend "
                f"{parallel.BACKENDS[0]}, or name one GPU"
            )
    choose_device(device)
    os.environ["KERAS_BACKEND"] = wanted
    # Read once at import by each framework: quiet logs, and no seizing of all GPU memory.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    return wanted


def load_keras(device: str = "auto") -> None:
    """Import Keras on the backend chosen, without the banners that TensorFlow's C++ code prints.

    They go to the process' stderr before any log level is read; if the import fails they are
    shown after all.

    Args:
        device: As `choose_backend` was told; of several GPUs each takes its share of every batch.
    """
    if "keras" not in sys.modules:
        keep_freed_memory()
        _import_quietly()
        # TensorFlow advises against building functions in loops; one network after another is no
        # loop.
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
    if n_devices(device) > 1:
        parallel.spread(n_devices(device))


def start_keras(name: str | None, device: str = "auto", shares_batches: bool = False) -> str:
    """Choose the backend, import Keras on it, and return its name.

    Args:
        name, device, shares_batches: As for `choose_backend`, which see for what is refused.
    """
    chosen = choose_backend(name, device, shares_batches)
    load_keras(device)
    return chosen


def _import_quietly() -> None:
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as banners:
        os.dup2(banners.fileno(), 2)
        try:
            import keras  # noqa: F401
        except Exception:
            banners.seek(0)
            os.write(kept, banners.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def keep_freed_memory() -> bool:
    """Have the C library keep freed memory for the next step instead of giving it back.

    Every training step frees and takes the same large buffers. By default the GNU C library maps
    and unmaps each of them, and the kernel's clearing of new pages is a large part of a step.

    Returns: True if it was told so; False on systems with another C library, and where the user
        has set one of its MALLOC_ variables.
    """
    if platform.libc_ver()[0] != "glibc" or any(name.startswith("MALLOC_") for name in os.environ):
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return all(
        mallopt(parameter, value) == 1
        for parameter, value in (
            (M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, INT_MAX), (M_TOP_PAD, TOP_PAD_BYTES)
        )
    )


def installed_backends() -> list[str]:
    """Return the names of the backends whose packages are here, without importing them."""
    return [name for name, package in BACKENDS.items() if importlib.util.find_spec(package)]


def describe_environment() -> dict[str, Any]:
    """Return versions, backend and devices, as kept in a run's environment.json."""
    import keras

    packages = ("stemcls", "keras", "tensorflow", "jax", "torch", "numpy", "h5py", "scikit-learn")
    versions: dict[str, str | None] = {}
    for package in packages:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    return {
        "backend": keras.backend.backend(),
        "devices": keras.distribution.list_devices() if _lists_devices() else ["cpu"],
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "versions": versions,
    }


def _lists_devices() -> bool:
    import keras

    return keras.backend.backend() in ("tensorflow", "jax")
