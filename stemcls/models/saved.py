"""Save a model as a plain .keras file that also carries its labels, and load it back safely."""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from stemcls import atomic
from stemcls.errors import InputError
from stemcls.models.portable import write_keras
from stemcls.models.seen import Seen, seen_in_settings
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
        weights_digest: Of the weights that it describes; empty in cards of older versions.
        seen: What the images of training were like; of older cards what `build` says of it.
    """

    classes: tuple[str, ...]
    size_px: tuple[int, int]
    channels: tuple[str, ...]
    dtype: str
    pixel_size_um: float | None = None
    kind: str = "cells"
    build: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    weights_digest: str = field(default="", compare=False)
    seen: Seen = field(default_factory=Seen, compare=False)

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
    def training(self) -> Seen:
        """What the images of training were like, as far as anything says it."""
        return self.seen if self.seen.n_fields else seen_in_settings(self.build)

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
    card = replace(card, weights_digest=_digest(bare.get_weights()))
    with atomic.replacing(path) as temporary:
        write_keras(bare, temporary)
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
        InputError: No such file, not a .keras file, a damaged card, one that names a class twice,
            or a run whose model is that of another run.
    """
    if not path.is_file():
        raise InputError(f"there is no model {path}")
    try:
        with zipfile.ZipFile(path) as archive:
            text = archive.read(CARD_MEMBER).decode() if CARD_MEMBER in archive.namelist() else None
    except zipfile.BadZipFile:
        raise InputError(f"{path} is not a .keras file (or was cut off): it is no zip") from None
    beside = path.with_name("model.json")
    said = beside.read_text(encoding="utf-8") if beside.is_file() else None
    if text is None:
        return None if said is None else _parsed(said, path)
    card = _parsed(text, path)
    if said is not None and path.with_name("events.jsonl").is_file():  # a run has one model
        _check_same(card, _parsed(said, beside), path)
    return card


def _parsed(text: str, path: Path) -> ModelCard:
    try:
        document = json.loads(text)
        document["classes"] = tuple(document["classes"])
        document["channels"] = tuple(document["channels"])
        height, width = document["size_px"]
        document["size_px"] = (int(height), int(width))
        document["seen"] = Seen.of(document.get("seen") or {})
        card = ModelCard(**document)
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"the card of {path} is damaged or of another version: {error}") from error
    twice = sorted({name for name in card.classes if card.classes.count(name) > 1})
    if twice:
        raise InputError(
            f"the card of {path} names a class twice ({', '.join(map(repr, twice))}), so its "
            "probabilities cannot be told apart; put the model.json of its run back"
        )
    return card


def _check_same(inside: ModelCard, beside: ModelCard, path: Path) -> None:
    for what in ("classes", "shape", "weights_digest"):
        ours, theirs = getattr(inside, what), getattr(beside, what)
        if ours != theirs and (what != "weights_digest" or (ours and theirs)):
            raise InputError(
                f"{path} and the model.json beside it are of two different runs: {what} "
                f"{_short(ours)} and {_short(theirs)}; put back the files of one run"
            )


def _short(value: Any) -> str:
    return value[:12] if isinstance(value, str) else str(value)


def load_model(path: Path) -> tuple[Any, ModelCard]:
    """Load a model without running any code from the file (Keras' safe mode).

    Raises:
        InputError: As `read_card`, Keras refuses the file, its weights are no numbers, or it is not
            the model that its card describes.
    """
    card = read_card(path)
    model = load_bare(path)
    check_described(model, card, path)
    return model, card


def load_bare(path: Path) -> Any:
    """Load the model of any .keras file, with a card or without, in Keras' safe mode.

    Raises:
        InputError: Keras refuses the file, or a weight is not finite.
    """
    import keras

    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, KeyError) as error:
        why = str(error).splitlines()[0]
        raise InputError(
            f"Keras cannot load {path} (this is Keras {keras.__version__}{_made_by(path)}): {why}"
        ) from error
    for variable, values in zip(model.weights, model.get_weights(), strict=True):
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise InputError(
                f"{path} holds weights that are not finite ({variable.path}): its training went "
                "wrong, and its answers are none; train again with a lower learning rate, or use "
                "another run"
            )
    return model


def check_described(model: Any, card: ModelCard, path: Path) -> None:
    """Refuse a model and a card that do not belong together.

    Raises:
        InputError: Other inputs, another number of outputs, or other weights.
    """
    takes, gives = np.atleast_1d(model.input_shape)[1:].tolist(), int(model.output_shape[-1])
    if gives != len(card.classes):
        problem = f"it has {gives} outputs, the card {len(card.classes)} classes"
    elif tuple(takes) != card.shape:
        problem = f"it takes crops {tuple(takes)}, the card says {card.shape}"
    elif card.weights_digest and card.weights_digest != _digest(model.get_weights()):
        problem = "its weights are not those that the card was written for"
    else:
        return
    raise InputError(
        f"{path} does not fit its card (classes {', '.join(card.classes)}): {problem}; they are of "
        "two different runs, so put the model.json of its own run beside it, or use that run"
    )


def _digest(weights: list[np.ndarray]) -> str:
    """Return a digest of arrays in any order: versions of Keras may list layers differently."""
    each = []
    for values in weights:
        digest = hashlib.sha256(f"{values.dtype} {values.shape} ".encode())
        digest.update(np.ascontiguousarray(values).data)
        each.append(digest.digest())
    each.sort()
    return hashlib.sha256(b"".join(each)).hexdigest()


def _made_by(path: Path) -> str:
    """Say which Keras wrote a file, as far as it tells."""
    try:
        with zipfile.ZipFile(path) as archive:
            about = json.loads(archive.read("metadata.json"))
            return f", it was saved by {about['keras_version']}"
    except (KeyError, ValueError, OSError, zipfile.BadZipFile):
        return ""
