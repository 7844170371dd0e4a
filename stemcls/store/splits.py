"""Divide a store's crops into training, validation and test rows that share no unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stemcls.config.experiment import SplitConfig
from stemcls.documents import check_seal, sealed
from stemcls.errors import InputError
from stemcls.store.assign import assign_units
from stemcls.store.classes import check_classes, class_index
from stemcls.store.cropstore import CropStore
from stemcls.store.units import plural, unit_index, unit_names, unit_noun

SIDES = ("train", "validation", "test")
_ANEW = "take the file from a backup, or train anew"


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of a store on each side; a group or field is never on two sides.

    Attributes:
        train: Rows that train, sorted int64.
        validation: Rows that stop training and choose the weights.
        test: Rows for the final numbers; may be empty.
        classes: The classes in use, in the order of the network's outputs.
        by: What was kept together: group, field or crop.
        store_hash: `content_hash` of the store.
        units: Names of the groups or fields on each side; empty where crops were dealt singly.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    classes: tuple[str, ...]
    by: str
    store_hash: str
    units: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def rows(self) -> np.ndarray:
        """The rows of all sides."""
        return np.concatenate([getattr(self, side) for side in SIDES])

    @property
    def scored_on(self) -> str:
        """The side that final numbers are of: test, or validation where nothing is held out."""
        return "test" if len(self.test) else "validation"

    @property
    def scored_rows(self) -> np.ndarray:
        """The rows of that side."""
        return np.asarray(getattr(self, self.scored_on))

    def targets(self, store: CropStore, rows: np.ndarray) -> np.ndarray:
        """Return (n,) int64 index into `classes` of each row.

        Raises:
            InputError: A row has no label, or one that is not among `classes`.
        """
        check_classes(store, self.classes)
        targets = class_index(store, self.classes)[rows]
        if len(targets) and targets.min() < 0:
            row = np.asarray(rows)[int(np.argmin(targets))]
            raise InputError(f"row {row} of {store.path} is in none of the classes of the split")
        return targets

    def units_of(self, store: CropStore, rows: np.ndarray) -> np.ndarray:
        """Return (n,) number of the group, field or crop of each row that was kept together."""
        return unit_index(store, self.by)[rows]

    def check(self, store: CropStore) -> None:
        """Refuse a store that is not the one that was split.

        Raises:
            InputError: Its images, labels or groups differ, or the split does not fit it.
        """
        if store.content_hash != self.store_hash:
            raise InputError(
                f"{store.path} is not the store that this split was made for: its images, labels "
                f"or groups differ (expected content {self.store_hash[:12]}, found "
                f"{store.content_hash[:12]}); use the old store, or train anew"
            )
        if len(self.rows) and self.rows.max() >= len(store):
            raise InputError(
                f"the split names row {self.rows.max()}, {store.path} has {len(store)} crops: "
                f"{_ANEW}"
            )
        self.targets(store, self.rows)
        self._check_sides(store)

    def _check_sides(self, store: CropStore) -> None:
        if self.by == "crop":
            return
        seen: dict[int, str] = {}
        for side in SIDES:
            for unit in np.unique(self.units_of(store, getattr(self, side))).tolist():
                if unit in seen:
                    name = unit_names(store, self.by).get(unit, unit)
                    raise InputError(
                        f"the split has {unit_noun(store, self.by)} {name!r} on two sides, "
                        f"{seen[unit]} and {side}: {_ANEW}"
                    )
                seen[unit] = side

    def to_mapping(self) -> dict[str, Any]:
        """Return plain values for `split.json`."""
        return sealed({
            "by": self.by,
            "store_hash": self.store_hash,
            "classes": list(self.classes),
            "units": {side: list(names) for side, names in self.units.items()},
            **{side: getattr(self, side).tolist() for side in SIDES},
        })

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Split:
        """Rebuild a split from what `to_mapping` gave.

        Raises:
            InputError: Something is missing, malformed or contradicts itself, or was changed after
                it was written.
        """
        check_seal(mapping, "the split", _ANEW)
        try:
            rows = {side: _row_numbers(mapping[side], side) for side in SIDES}
            split = cls(
                **rows,
                classes=tuple(map(str, mapping["classes"])),
                by=mapping["by"],
                store_hash=mapping["store_hash"],
                units={side: tuple(names) for side, names in mapping["units"].items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise InputError(
                f"this is not a split, {error!r} is missing or malformed: {_ANEW}"
            ) from error
        if split.by not in ("group", "field", "crop"):
            raise InputError(f"the split keeps {split.by!r} together, which is nothing: {_ANEW}")
        if len(set(split.classes)) < max(len(split.classes), 2):
            raise InputError(
                f"the split is of the classes {', '.join(split.classes)}, expected two or more "
                f"different ones: {_ANEW}"
            )
        every, counts = np.unique(split.rows, return_counts=True)
        if (counts > 1).any():
            raise InputError(
                f"the split has row {every[counts > 1][0]} more than once or on two sides: {_ANEW}"
            )
        return split


def _row_numbers(given: Any, side: str) -> np.ndarray:
    """Return the rows of one side as int64.

    Raises:
        ValueError: They are no list of whole numbers from 0.
    """
    if not isinstance(given, list) or not all(type(row) is int and row >= 0 for row in given):
        raise ValueError(f"the rows of {side}")
    return np.array(given, np.int64)


@dataclass(frozen=True, eq=False)
class _Pool:
    """Rows to divide, with the unit and class of each."""

    rows: np.ndarray
    unit: np.ndarray
    names: Mapping[int, str]
    target: np.ndarray
    classes: tuple[str, ...]
    by: str

    def counts(self) -> np.ndarray:
        counts = np.zeros((int(self.unit.max()) + 1, len(self.classes)), np.int64)
        np.add.at(counts, (self.unit, self.target), 1)
        return counts


def make_split(
    store: CropStore, config: SplitConfig, seed: int, rows: np.ndarray | None = None
) -> Split:
    """Divide the labelled rows of the chosen classes into train, validation and test.

    Args:
        store: The crops.
        config: Shares, classes, and what to keep together.
        seed: Makes the split repeatable.
        rows: Divide only these (default: all).
    Raises:
        InputError: An unknown class, or too few groups or fields of a class for every side.
    """
    pool = _pool(store, config, rows)
    shares: tuple[float, ...]
    if config.test:
        shares = (1 - config.validation - config.test, config.validation, config.test)
    else:
        shares = (1 - config.validation, config.validation)
    if shares[0] <= 0:
        raise InputError(
            f"validation {config.validation} and test {config.test} leave nothing to train on; "
            "their sum must stay below 1"
        )
    sides = _assign(store, pool, np.array(shares), seed, config)
    return _split(store, pool, sides)


def make_folds(
    store: CropStore, config: SplitConfig, folds: int, seed: int, rows: np.ndarray | None = None
) -> list[Split]:
    """Divide the rows into folds; in split k, fold k is the test set.

    Validation rows are drawn from the other folds by the same grouping, so that they are
    `config.validation` of all rows; `config.test` plays no part.

    Args:
        store: The crops.
        config: Validation share, classes, and what to keep together.
        folds: How many, at least 2.
        seed: Makes the folds repeatable.
        rows: Divide only these (default: all).
    Raises:
        InputError: An unknown class, or fewer groups or fields of a class than folds.
    """
    if folds < 2:
        raise InputError(f"cross-validation needs at least 2 folds, not {folds}")
    pool = _pool(store, config, rows)
    fold_of = _assign(store, pool, np.full(folds, 1 / folds), seed, config, what="fold")
    splits = []
    for fold in range(folds):
        rest = fold_of != fold
        share = min(config.validation / (1 - 1 / folds), 0.5)
        inner = _Pool(
            pool.rows[rest], pool.unit[rest], pool.names, pool.target[rest], pool.classes, pool.by
        )
        sides = np.full(len(pool.rows), 2)
        sides[rest] = _assign(
            store, inner, np.array([1 - share, share]), seed + fold, config,
            what=f"side of fold {fold + 1}'s training part",
        )
        splits.append(_split(store, pool, sides))
    return splits


def labelled_pool(
    store: CropStore, config: SplitConfig
) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[str, ...]]:
    """Return labelled rows, their class and unit numbers, and the classes, undivided.

    Raises:
        InputError: An unknown class, or fewer than two; groups are asked for that are not there.
    """
    pool = _pool(store, config, None)
    return pool.rows, pool.target, pool.unit, pool.classes


def _pool(store: CropStore, config: SplitConfig, rows: np.ndarray | None) -> _Pool:
    check_classes(store, config.classes)
    classes = tuple(dict.fromkeys(config.classes)) or store.classes
    if len(classes) < 2:
        raise InputError(
            f"a classifier needs at least 2 classes, {store.path} offers {list(classes)}: "
            "name classes by folders, by --manifest, or by the label column of --cells"
        )
    wanted = np.arange(len(store)) if rows is None else np.unique(rows)
    target = class_index(store, classes)[wanted]
    wanted, target = wanted[target >= 0].astype(np.int64), target[target >= 0]
    by = config.by
    if by == "auto":
        by = "group" if store.has_groups else "field"
    if by == "group" and not store.has_groups:
        raise InputError(
            f"{store.path} names no groups: build it with --group REGEX or a group column, or "
            "use --split-by field"
        )
    return _Pool(
        wanted, unit_index(store, by)[wanted], unit_names(store, by), target, classes, by
    )


def _assign(
    store: CropStore, pool: _Pool, shares: np.ndarray, seed: int, config: SplitConfig,
    what: str = "side",
) -> np.ndarray:
    """Return the side of each row of the pool."""
    counts = pool.counts()
    units_of_class = (counts > 0).sum(axis=0)
    scarce = int(np.argmin(units_of_class))
    if units_of_class[scarce] < len(shares):
        raise InputError(_too_few(store, pool, int(units_of_class[scarce]), scarce, shares, what))
    used = np.flatnonzero(counts.any(axis=1))
    sides = assign_units(counts[used], shares, seed)
    if sides is None:
        raise InputError(
            f"no way was found to have every class on every {what}: the rarest, "
            f"{pool.classes[scarce]!r}, is in {units_of_class[scarce]} of {len(used)} "
            f"{_nouns(pool, store)[1]}, which it shares with other classes; "
            f"{_advice(pool, store, config)}"
        )
    side_of_unit = np.full(len(counts), -1)
    side_of_unit[used] = sides
    return side_of_unit[pool.unit]


def _too_few(
    store: CropStore, pool: _Pool, n_units: int, label: int, shares: np.ndarray, what: str
) -> str:
    one, many = _nouns(pool, store)
    if what == "side":
        fewer = "; --test 0 needs one less" if len(shares) == 3 else ""
    else:
        fewer = "; fewer --folds need less"
    crops = ""
    if pool.by != "crop":
        crops = (
            f"; --split-by crop lets crops of one {one} fall on several sides, at the price of "
            f"scores that say nothing about new {many}"
        )
    return (
        f"class {pool.classes[label]!r} has {n_units} {one if n_units == 1 else many} in "
        f"{store.path}, but {len(shares)} are needed, one for each {what}: add more {many}, or "
        f"leave the class out with --classes{fewer}{crops}"
    )


def _advice(pool: _Pool, store: CropStore, config: SplitConfig) -> str:
    one, many = _nouns(pool, store)
    fewer = ", use --test 0" if config.test else ""
    return (
        f"add more {many}, leave the class out with --classes{fewer}, or accept crops of one {one} "
        "on several sides with --split-by crop"
    )


def _nouns(pool: _Pool, store: CropStore) -> tuple[str, str]:
    one = unit_noun(store, pool.by)
    return one, plural(one)


def _split(store: CropStore, pool: _Pool, sides: np.ndarray) -> Split:
    rows = {name: pool.rows[sides == number] for number, name in enumerate(SIDES)}
    units: dict[str, tuple[str, ...]] = {}
    if pool.names:
        units = {
            name: tuple(pool.names[unit] for unit in np.unique(pool.unit[sides == number]))
            for number, name in enumerate(SIDES)
        }
    return Split(
        **rows, classes=pool.classes, by=pool.by, store_hash=store.content_hash, units=units
    )
