"""Join finished models into one plain Keras graph that averages their probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from stemcls.errors import InputError
from stemcls.models.saved import ModelCard

ALIKE = ("classes", "shape", "channels", "dtype", "kind", "pixel_size_um")
# Where and how a store was made, which says nothing of what its crops look like.
_NO_MATTER = ("group", "group_what", "subsample", "subsample_seed", "recorded")


def join_models(models: Sequence[Any], weights: Sequence[float]) -> Any:
    """Return one flat model: raw pixels -> every member -> weighted mean of the probabilities.

    Args:
        models: M flat functional keras.Models, (N, H, W, C) raw pixels to (N, K) probabilities.
        weights: M shares that sum to 1.
    Returns: keras.Model with input `crops` and output layer `probabilities` (N, K) float32. Layers
        of the first member are called `member1_<name>`, and so on; all are built-in, weights are
        copies.
    Source: a linear opinion pool, Stone 1961, Annals of Mathematical Statistics 32, 1339.
    """
    import keras

    inputs = keras.Input(models[0].input_shape[1:], name="crops")
    outputs = [
        _inlined(model, inputs, f"member{number}_") for number, model in enumerate(models, start=1)
    ]
    if np.ptp(weights) == 0:
        mean = keras.layers.Average(name="probabilities", dtype="float32")(outputs)
    else:
        shares = [
            keras.layers.Rescaling(float(weight), name=f"member{number}_share", dtype="float32")(p)
            for number, (weight, p) in enumerate(zip(weights, outputs, strict=True), start=1)
        ]
        mean = keras.layers.Add(name="probabilities", dtype="float32")(shares)
    return keras.Model(inputs, mean, name="stemcls_ensemble")


def _inlined(model: Any, x: Any, prefix: str) -> Any:
    from keras import tree

    made = {id(model.inputs[0]): x}
    for operation in model.operations:
        if id(operation.output) in made:
            continue
        sources = tree.map_structure(lambda tensor: made[id(tensor)], operation.input)
        config = {**operation.get_config(), "name": prefix + operation.name}
        layer = type(operation).from_config(config)
        made[id(operation.output)] = layer(sources)
        layer.set_weights(operation.get_weights())
    return made[id(model.outputs[0])]


def check_alike(cards: Sequence[ModelCard], names: Sequence[str]) -> None:
    """Refuse models that take other crops, or name other classes, than the first.

    Raises:
        InputError: Names the first difference and both values.
    """
    first = cards[0]
    for card, name in zip(cards[1:], names[1:], strict=True):
        for key in ALIKE:
            ours, theirs = getattr(first, key), getattr(card, key)
            if ours != theirs:
                raise InputError(_differs(key, names[0], ours, name, theirs))
        for key in sorted({*first.build, *card.build} - {*_NO_MATTER}):
            ours, theirs = first.build.get(key), card.build.get(key)
            if ours != theirs:
                raise InputError(_differs(f"build setting {key}", names[0], ours, name, theirs))


def _differs(key: str, one: str, ours: Any, other: str, theirs: Any) -> str:
    return (
        f"an ensemble needs members that take the same crops and name the same classes, but the "
        f"{key} of {one} is {ours!r} and of {other} {theirs!r}; leave one out, or train it on a "
        "store built like the other's"
    )


def check_explainable(card: ModelCard, where: object) -> None:
    """Refuse heat maps of an ensemble: it has the logits of each member, but none of its own.

    Raises:
        InputError: Names the members, which can be explained.
    """
    ensemble = card.provenance.get("ensemble")
    if ensemble:
        members = ", ".join(member["path"] for member in ensemble["members"])
        raise InputError(
            f"{where} is an ensemble: it averages probabilities and has no layer of logits of its "
            f"own that a heat map could follow; explain its members one by one: {members}"
        )


def check_unlearned(card: ModelCard, where: object, store_hash: str | None = None) -> None:
    """Refuse to score an ensemble on crops that some of its members have learned from.

    Args:
        card: Of any model; all but ensembles without a split of their own pass.
        where: Its run, for the message.
        store_hash: `content_hash` of the store to be scored; None: the one it comes from.
    Raises:
        InputError: Says why, and what can be scored.
    """
    ensemble = card.provenance.get("ensemble") or {}
    why = ensemble.get("unscored")
    hashes = {member["store_hash"] for member in ensemble.get("members", ())}
    if why and (store_hash is None or store_hash in hashes):
        raise InputError(
            f"{where} cannot be scored on the crops of its own store: {why}; give a labelled store "
            f"that no member has seen: stemcls evaluate {where} STORE"
        )
