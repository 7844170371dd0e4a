"""Say how large a saved model is without loading Keras."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from stemcls.errors import InputError

WEIGHTS_MEMBER = "model.weights.h5"


def count_parameters(path: Path) -> int:
    """Return the number of weights in a .keras file, those that do not learn included.

    Raises:
        InputError: It is no such file.
    """
    import h5py

    try:
        with zipfile.ZipFile(path) as archive:
            content = io.BytesIO(archive.read(WEIGHTS_MEMBER))
        with h5py.File(content, "r") as file:
            sizes: list[int] = []
            # The state of a random generator (of dropout) is whole numbers and no weight.
            file.visititems(
                lambda _, item: sizes.append(int(item.size))
                if isinstance(item, h5py.Dataset) and item.dtype.kind == "f" else None
            )
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is not a whole .keras file: {error}") from error
    return sum(sizes)
