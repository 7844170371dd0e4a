"""Choose Keras' backend once, before anything imports Keras, and say what it is."""

from __future__ import annotations

import importlib.util
import logging
import os
import platform
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from stemcls.errors import InputError, nearest
from stemcls.models.devices import choose_device

BACKENDS = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}


def choose_backend(name: str | None, device: str = "auto") -> str:
    """Set backend and device of this process; call it before the first `import keras`.

    Args:
        name: tensorflow, jax or torch; None keeps KERAS_BACKEND, else tensorflow.
        device: As for `choose_device`.
    Returns: the name in force.
    Raises:
        InputError: The name is unknown, its package is not installed, there is no such device, or
            Keras already runs on another. There is no fall-back to one that was not asked for.
    """
    wanted = name or os.environ.get("KERAS_BACKEND") or "tensorflow"
    if wanted not in BACKENDS:
        raise InputError(f"there is no backend {wanted!r}{nearest(wanted, BACKENDS)}")
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
    choose_device(device)
    os.environ["KERAS_BACKEND"] = wanted
    # Read once at import by each framework: quiet logs, and no seizing of all GPU memory.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    return wanted


def load_keras() -> None:
    """Import Keras on the backend chosen, without the banners that TensorFlow's C++ code prints.

    They go to the process' stderr before any log level is read; if the import fails they are
    shown after all.
    """
    if "keras" in sys.modules:
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as banners:
        os.dup2(banners.fileno(), 2)
        try:
            import keras  # noqa: F401
        except BaseException:
            banners.seek(0)
            os.write(kept, banners.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
    # TensorFlow advises against building functions in loops; one network after another is no loop.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


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
