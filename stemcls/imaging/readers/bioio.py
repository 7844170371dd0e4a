"""Read a file by one of the readers of the bioio project, plane by plane."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.imaging.readers.quiet import no_warnings
from stemcls.imaging.readers.scene import Scene, positive, square


def bioio_opener(package: str) -> Callable[[Path], AbstractContextManager[Sequence[Scene]]]:
    """Return what opens files by a package of bioio that has a class `Reader`.

    Its scenes are scenes; a mosaic's tiles, which bioio calls M, are scenes of their own. A pixel
    of exactly 1 is what bioio says where a file says nothing, and is not believed.
    """

    @contextmanager
    def opened(path: Path) -> Iterator[Sequence[Scene]]:
        with no_warnings():
            reader = importlib.import_module(package).Reader(str(path))
            scenes = [
                scene for name in reader.scenes for scene in _scenes(reader, name)
            ]
        yield scenes

    return opened


def _scenes(reader: Any, name: str) -> Iterator[Scene]:
    reader.set_scene(name)
    lengths = {axis: int(reader.dims[axis][0]) for axis in reader.dims.order}
    samples = lengths.get("S", 1)
    axes = {a: n for a, n in lengths.items() if a not in "YXSM" and n > 1}
    names = tuple(map(str, reader.channel_names or ()))
    size = reader.physical_pixel_sizes
    edges = [0.0 if value == 1 else positive(value) for value in (size.X, size.Y)]
    tiles = lengths.get("M", 1)

    def at(tile: int) -> Callable[[Mapping[str, int]], np.ndarray]:
        def read(index: Mapping[str, int]) -> np.ndarray:
            reader.set_scene(name)
            place = {**index, **({"M": tile} if "M" in lengths else {})}
            wanted = "YXS" if "S" in lengths else "YX"
            with no_warnings():
                plane = np.asarray(reader.get_image_dask_data(wanted, **place).compute())
            return plane[..., 0] if plane.ndim == 3 and samples == 1 else plane

        return read

    for tile in range(tiles):
        yield Scene(
            name if tiles == 1 else f"{name} tile {tile}", axes, (lengths["Y"], lengths["X"]),
            np.dtype(reader.dtype), at(tile), samples,
            names if len(names) == axes.get("C", 1) and not _counted(names) else (),
            square(*edges),
        )  # fmt: skip


def _counted(names: Sequence[str]) -> bool:
    """Tell whether names are mere numbers, which a file without names is given."""
    return all(name.isdecimal() or name.startswith("Channel:") for name in names)
