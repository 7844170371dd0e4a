"""Compare a crop store with the one that a model learned from: reorder, refuse, or warn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from stemcls.errors import InputError
from stemcls.models.cardcheck import REACH, SCALED, WORDS, other_scale, outside, turned_over
from stemcls.models.channels import is_generic, match_names, reordered, unnamed
from stemcls.models.saved import ModelCard
from stemcls.models.seen import Seen, field_measures, seen_in_store
from stemcls.notices import Notice
from stemcls.store.cropstore import CropStore


def fit_store(
    card: ModelCard, store: CropStore
) -> tuple[Callable[[np.ndarray], np.ndarray], list[Notice]]:
    """Return how to read a store's crops as a model takes them, and what is odd about them.

    Raises:
        InputError: Its crops are of another shape or type, of other channels, or were brought to
            8 bit in another way.
    """
    card.check_crops(store)
    seen, here = card.training, seen_in_store(store)
    order, notices = _store_order(card, store, seen, here)
    if seen.scale and here.scale and seen.scale != here.scale:
        raise InputError(
            f"{store.path}: its pixels were {SCALED[here.scale]}, those of training "
            f"{SCALED[seen.scale]}, so brightness means something else; build it again from "
            f"files of {' or '.join(seen.dtypes) or 'the same type'}"
            + ("" if seen.scale == "kept" else f" with --scale {_OPTION[seen.scale]}")
        )
    contrast = [here.contrast[at] for at in order] if order and here.contrast else here.contrast
    notices += _store_odd(card, store, seen, contrast)
    if order is None:
        return store.read, notices
    taken = order
    return lambda rows: np.ascontiguousarray(store.read(rows)[..., taken]), notices


def check_store(card: ModelCard, store: CropStore) -> list[Notice]:
    """Return what is odd about a store that is to be used as it is, as training does.

    Raises:
        InputError: As `fit_store`, or its channels come in another order.
    """
    read, notices = fit_store(card, store)
    if read != store.read:
        raise InputError(
            f"{store.path} holds the channels {', '.join(store.slices)}, the model learned from "
            f"{', '.join(card.training.slices)}; build it again with --channels "
            f"'{','.join(card.training.slices)}'"
        )
    return notices


_OPTION = {"own": "field", "store": "store"}


def _store_order(
    card: ModelCard, store: CropStore, seen: Seen, here: Seen
) -> tuple[list[int] | None, list[Notice]]:
    """Return which channels of a store's crops to take, None for all as they are.

    Raises:
        InputError: The store shows other channels.
    """
    if not seen.slices or not here.slices or seen.slices == here.slices:
        return None, []
    alone = len(seen.slices) == len(here.slices) == 1
    if alone and (is_generic(seen.slices[0]) or is_generic(here.slices[0])):
        return None, [unnamed(here.slices, seen.slices)]
    places = match_names(seen.slices, here.slices)
    same = len(seen.slices) == len(here.slices)
    if places is None or not same:
        if same and (seen.mixed_slices or here.mixed_slices):
            return None, [unnamed(here.slices, seen.slices)]
        raise InputError(
            f"{store.path} shows the channels {', '.join(here.slices)}, the model learned from "
            f"{', '.join(seen.slices)}; build it again with --channels for those, in that order"
        )
    if places == tuple(range(len(places))) or len(card.channels) < len(places):
        return None, []
    rest = range(len(places), len(card.channels))  # the empty blue of two slices
    said = reordered(here.slices, seen.slices, "put in that order")
    return [*places, *rest], [replace(said, paths=(str(store.path),))]


def _store_odd(
    card: ModelCard, store: CropStore, seen: Seen, contrast: Sequence[tuple[float, ...]]
) -> Iterator[Notice]:
    where = (str(store.path),)
    if card.pixel_size_um and not store.pixel_size_um:
        yield Notice(
            "pixel-size-unknown",
            "it does not say how large its pixels are, so the scale could not be checked (training "
            f"had {card.pixel_size_um:.4g} um a pixel); build it with --pixel-size-um", where,
        )
    elif store.pixel_size_um:
        for one in other_scale(store.pixel_size_um, card.pixel_size_um):
            yield replace(one, paths=where)
    ours, theirs = (
        (build.get("quality", {}).get("flatten"), build.get("quality", {}).get("target_brightness"))
        for build in (store.config, card.build)
    )
    if store.config and card.build and ours != theirs:
        yield Notice(
            "normalisation",
            f"its light was treated otherwise (flatten, target brightness: {ours}) than in "
            f"training ({theirs}); build it with the settings of the training store", where,
        )
    measures: Mapping[str, np.ndarray] = field_measures(store)
    for what in REACH:
        usual = getattr(seen, what)
        odd = [
            name for name, value in zip(store.fields.path, measures[what], strict=True)
            if outside(float(value), usual, REACH[what])
        ]
        if odd:
            name, kind, full = WORDS[what]
            yield Notice(
                kind,
                f"{name} of {len(odd)} of {len(store.fields)} fields lies outside that of training "
                f"({full} there from {usual[0]:.3g} to {usual[2]:.3g}): the model has seen nothing "
                "like them", tuple(odd),
            )
    medians = [usual[1] for usual in contrast if len(usual) == 3]
    if len(medians) == len(seen.contrast) == len(card.channels):
        turned = [
            name for name, value, usual in zip(card.channels, medians, seen.contrast, strict=True)
            if turned_over(value, usual)
        ]
        if turned:
            yield Notice(
                "inverted-contrast",
                "its cells stand out from their surroundings the other way round than in training "
                f"({', '.join(turned)})", where,
            )
