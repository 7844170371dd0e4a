"""Save a model as a plain .keras file that also carries its labels, and load it back safely."""

from __future__ import annotations

import json
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from stemcls import atomic
from stemcls.errors import InputError
from stemcls.store.cropstore import CropStore

CARD_MEMBER = "stemcls/model.json"


@dataclass(frozen=True)
class ModelCard:
    """What one must know to feed a model and read its output.

    Attributes:
        classes: K names, in the order of the probabilities.
        size_px: Height and width of the crops it takes.
        channels: Their channel names.
        dtype: uint8 or uint16, as stored.
        pixel_size_um: Of the training store, or None.
        kind: What a sample was: cells, crops or fields.
        build: Resolved settings that made the store, so that new fields are treated alike.
        provenance: Store hash, run, experiment, versions.
    """

    classes: tuple[str, ...]
    size_px: tuple[int, int]
    channels: tuple[str, ...]
    dtype: str
    pixel_size_um: float | None = None
    kind: str = "cells"
    build: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def views(self) -> int:
        """Dihedral views that its run averaged when it was scored."""
        return int(self.provenance.get("experiment", {}).get("test_views", 1))

    def check_crops(self, store: CropStore) -> None:
        """Refuse a store with crops of another shape or depth than the model takes.

        Raises:
            InputError: Names both.
        """
        shape, dtype = tuple(store.shape[1:]), str(store.dtype)
        if (shape, dtype) != (self.shape, self.dtype):
            raise InputError(
                f"{store.path} holds crops {shape} of {dtype}, the model takes {self.shape} of "
                f"{self.dtype}; build it with the size, --channels and --scale of the training "
                "store"
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C) of one crop."""
        return (*self.size_px, len(self.channels))


def save_model(model: Any, path: Path, card: ModelCard) -> None:
    """Write `path` (.keras), `labels.json` and `model.json` beside it, each atomically.

    The .keras file gets a copy of the card as an extra zip member, which Keras ignores. Optimizer
    and loss stay out of it: a loss of our own would keep it from loading elsewhere.
    """
    import keras

    bare = keras.Model(model.inputs, model.outputs, name=model.name)
    with atomic.replacing(path) as temporary:
        bare.save(temporary)
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.writestr(CARD_MEMBER, atomic.dump_json(asdict(card), indent=2))
    atomic.write_json(path.with_name("model.json"), asdict(card))
    atomic.write_json(path.with_name("labels.json"), list(card.classes))


def read_card(path: Path) -> ModelCard:
    """Return the card of a .keras file: from inside it, else from `model.json` beside it.

    Raises:
        InputError: No such file, not a .keras file, or no card in or beside it.
    """
    card = find_card(path)
    if card is None:
        raise InputError(
            f"{path} says nothing of its classes and crops: it was not saved by stemcls, or was "
            f"saved again elsewhere; put the model.json of its run beside it"
        )
    return card


def find_card(path: Path) -> ModelCard | None:
    """Return the card of a .keras file as `read_card` does, None where there is none.

    Raises:
        InputError: No such file, not a .keras file, or a damaged card.
    """
    if not path.is_file():
        raise InputError(f"there is no model {path}")
    try:
        with zipfile.ZipFile(path) as archive:
            text = archive.read(CARD_MEMBER).decode() if CARD_MEMBER in archive.namelist() else None
    except zipfile.BadZipFile:
        raise InputError(f"{path} is not a .keras file (or was cut off): it is no zip") from None
    beside = path.with_name("model.json")
    if text is None and beside.is_file():
        text = beside.read_text(encoding="utf-8")
    if text is None:
        return None
    try:
        document = json.loads(text)
        document["classes"] = tuple(document["classes"])
        document["channels"] = tuple(document["channels"])
        height, width = document["size_px"]
        document["size_px"] = (int(height), int(width))
        return ModelCard(**document)
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"the card of {path} is damaged or of another version: {error}") from error


def load_model(path: Path) -> tuple[Any, ModelCard]:
    """Load a model without running any code from the file (Keras' safe mode).

    Raises:
        InputError: As `read_card`, or Keras refuses the file.
    """
    card = read_card(path)
    return load_bare(path), card


def load_bare(path: Path) -> Any:
    """Load the model of any .keras file, with a card or without, in Keras' safe mode.

    Raises:
        InputError: Keras refuses the file.
    """
    import keras

    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"Keras cannot load {path}: {str(error).splitlines()[0]}") from error
