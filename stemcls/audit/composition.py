"""Checks of how a store is made up: its groups, its days, and crops it holds twice."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from stemcls.audit.duplicates import find_twins
from stemcls.audit.finding import CannotTellError, Finding
from stemcls.audit.subject import Subject
from stemcls.evaluation.runfiles import read_split
from stemcls.store.names import twins_of
from stemcls.store.splits import SIDES

MOST_COMPARED = 50_000
# Training, validation and test need three; a little less where sizes are uneven.
LEAST_EFFECTIVE = 2.5
_SHOWN = 10


def check_groups(subject: Subject) -> Finding:
    """See whether what must stay together can be told, and whether the run kept it together."""
    store = subject.store
    split_twice = _split_units(subject)
    if split_twice:
        return Finding(
            "fail", len(split_twice),
            f"{len(split_twice)} {subject.group_nouns} have crops on more than one side of the "
            f"run's split: {_some(split_twice)}. Its score says nothing of new "
            f"{subject.group_nouns}.",
            todo="train again without --split-by crop", details={"split": split_twice[:_SHOWN]},
        )
    repeated = _files_in_two_groups(subject)
    if repeated:
        return Finding(
            "fail", len(repeated),
            f"{len(repeated)} files are in the store twice, in different {subject.group_nouns}: "
            f"{_some(repeated)}.",
            todo="leave the copies out and build the store again",
            details={"files": repeated[:_SHOWN]},
        )
    if not store.has_groups:
        alone = len(store.fields) == len(store)
        kept = "each crop is a file of its own and kept with no other" if alone else (
            "crops are kept together by field, but two fields of one donor may fall on two sides"
        )
        return Finding(
            "warn" if alone else "pass", 0,
            f"The store names no donors, lines or experiments: {kept}.",
            todo="build with --group REGEX or a group column, if files share a donor or a day",
        )
    return Finding(
        "pass", 0,
        f"{len(np.unique(store.group_index))} {subject.group_nouns} are named, and every split "
        "keeps each on one side.",
    )


def check_names(subject: Subject) -> Finding:
    """Look for classes and groups whose names differ only in how they are spelled."""
    store = subject.store
    # A crop without a named group bears its field's name.
    groups = set(store.group_names) - set(store.fields.path) if store.has_groups else set()
    found = [*twins_of(store.classes), *twins_of(groups)]
    n_names = len(store.classes) + len(groups)
    if not found:
        return Finding("pass", 0, f"All {n_names} names of classes and groups are distinct.")
    chosen = store.config.get("same_names") == "keep"
    listed = _some([" = ".join(map(repr, same)) for same in found])
    return Finding(
        "warn" if chosen else "fail", len(found),
        f"{len(found)} of the classes and groups are spelled in several ways that differ only in "
        f"case, blanks, hyphens, leading zeros or Unicode form: {listed}."
        + (" The store was built with --same-names keep." if chosen else ""),
        todo="build again with --same-names merge, or keep if they are different things",
        details={"names": [list(same) for same in found[:_SHOWN]]},
    )


def check_duplicates(subject: Subject) -> Finding:
    """Look for crops that another group holds too."""
    store, rows = subject.store, subject.labelled
    if len(rows) > MOST_COMPARED:
        random = np.random.default_rng(subject.config.seed)
        rows = np.sort(random.choice(rows, MOST_COMPARED, False))
    found = find_twins(store, rows, subject.interruption.check)
    pairs = found.pairs
    side, elsewhere = _sides(subject, rows)
    apart = pairs[side[pairs[:, 0]] != side[pairs[:, 1]]]
    touched = len(np.unique(apart))
    share = touched / len(rows)
    interval = binomial_interval(touched, len(rows))
    details = {
        "crops": len(rows), "pairs": len(pairs), "pairs_apart": len(apart),
        "pairs_not_compared": found.n_unaligned,
        "examples": rows[apart[:_SHOWN]].tolist(), "fields": _field_pairs(subject, rows[apart]),
    }
    if not touched:
        within = f"; {len(pairs)} pairs within one" if len(pairs) else ""
        return Finding(
            "pass", 0.0, f"No crop of {len(rows)} has a near-duplicate in {elsewhere}"
            f"{within}.", interval, details=details,
        )
    status = "fail" if share > 0.005 else "warn"
    first = " and ".join(str(row) for row in rows[apart[0]])
    same = details["fields"]
    shown = f" {same[0][0]} and {same[0][1]} share {same[0][2]} of them." if same else ""
    return Finding(
        status, share,
        f"{touched} of {len(rows)} crops show nearly the same pixels as a crop in {elsewhere}, "
        f"for instance rows {first}.{shown}",
        interval, "put them into one group, or leave the copies out, and build again", details,
    )


def check_class_by_group(subject: Subject) -> Finding:
    """See in how many groups each class lives."""
    store, nouns = subject.store, subject.group_nouns
    units = store.group_index[subject.labelled]
    effective = _effective(subject, units)
    held = subject.units_of_class()
    scarce = min(effective, key=lambda name: effective[name])
    details = {
        "groups": held, "effective_groups": {n: round(v, 2) for n, v in effective.items()}
    }
    alone = [name for name, count in held.items() if count == 1]
    if alone:
        return Finding(
            "fail", effective[scarce],
            f"All crops of {_some(alone)} come from a single one of the {nouns}: whatever is "
            "special about that one is taken for the class.",
            todo=f"add {nouns} of it, or leave it out with --classes", details=details,
        )
    few = [name for name, value in effective.items() if value < LEAST_EFFECTIVE]
    if few:
        return Finding(
            "warn", effective[scarce],
            f"{_some(few)}: crops come mostly from {effective[scarce]:.1f} {nouns} (effective "
            f"number), too few to train on some and test on others.",
            todo=f"add {nouns}; until then read scores of these classes as anecdotes",
            details=details,
        )
    return Finding(
        "pass", effective[scarce],
        f"Every class lives in {min(held.values())} {nouns} or more; least evenly "
        f"{scarce}, as if in {effective[scarce]:.1f} of equal size.", details=details,
    )


def check_class_by_day(subject: Subject) -> Finding:
    """See whether classes were acquired on different days."""
    store = subject.store
    acquired = store.fields.acquired
    dates = np.array([(time or "")[:10] for time in acquired] if acquired else [], dtype=object)
    if not len(dates) or not all(dates[store.field_index[subject.labelled]]):
        raise CannotTellError("the store does not know when its fields were acquired")
    names, day = np.unique(dates.astype(str), return_inverse=True)
    units = day[store.field_index[subject.labelled]]
    if len(np.unique(units)) < 2:
        return Finding("pass", 1.0, f"All fields are of one day, {names[units[0]]}.")
    labels = store.labels[subject.labelled]
    classes_of_day: dict[int, set[int]] = defaultdict(set)
    for one, label in zip(units.tolist(), labels.tolist(), strict=True):
        classes_of_day[one].add(label)
    alone = [
        store.classes[label] for label in np.unique(labels)
        if len(np.unique(units[labels == label])) == 1
    ]
    effective = _effective(subject, units)
    scarce = min(effective, key=lambda name: effective[name])
    details = {"days": len(names), "effective_days": {n: round(v, 2) for n, v in effective.items()}}
    if all(len(found) == 1 for found in classes_of_day.values()):
        return Finding(
            "fail", effective[scarce],
            "No day shows more than one class, so the class cannot be told from the day.",
            todo="acquire all classes on each day, on the same plate where you can",
            details=details,
        )
    if alone:
        return Finding(
            "warn", effective[scarce], f"All crops of {_some(alone)} are of a single day.",
            todo="acquire them on another day too, or leave them out", details=details,
        )
    return Finding(
        "pass", effective[scarce], f"Every class was acquired on two of {len(names)} days or more.",
        details=details,
    )


def binomial_interval(count: int, total: int) -> tuple[float, float]:
    """Return the 95 % interval of a share.

    Source: Clopper and Pearson 1934, Biometrika 26, 404.
    """
    from scipy import stats

    ends = stats.binomtest(count, total).proportion_ci(0.95, method="exact")
    return float(ends.low), float(ends.high)


def _effective(subject: Subject, units: np.ndarray) -> dict[str, float]:
    """Return, for each class, how many units of equal size would spread its crops as widely.

    Source: the inverse of Simpson's index, Hill 1973, Ecology 54, 427.
    """
    store, found = subject.store, {}
    labels = store.labels[subject.labelled]
    for label in np.unique(labels):
        counts = np.bincount(units[labels == label]).astype(float)
        shares = counts / counts.sum()
        found[store.classes[label]] = float(1 / (shares**2).sum())
    return found


def _split_units(subject: Subject) -> list[str]:
    if subject.run is None:
        return []
    split, store = read_split(subject.run), subject.store
    sides: dict[int, set[str]] = defaultdict(set)
    for side in SIDES:
        for unit in np.unique(store.group_index[getattr(split, side)]):
            sides[int(unit)].add(side)
    return [store.group_names[unit] for unit, found in sorted(sides.items()) if len(found) > 1]


def _files_in_two_groups(subject: Subject) -> list[str]:
    store = subject.store
    if not store.has_groups:
        return []
    groups: dict[str, set[int]] = defaultdict(set)
    names: dict[str, str] = {}
    used = np.unique(np.stack([store.field_index, store.group_index]), axis=1).T
    for field, group in used.tolist():
        digest = store.fields.sha256[field]
        if digest.strip("0"):
            groups[f"{digest}"].add(group)
            names.setdefault(digest, store.fields.path[field])
    # A file whose cells belong to several groups by itself is no copy.
    fields: dict[str, int] = defaultdict(int)
    for digest in store.fields.sha256:
        fields[digest] += 1
    return [names[d] for d, found in groups.items() if len(found) > 1 and fields[d] > 1]


def _field_pairs(subject: Subject, pairs: np.ndarray) -> list[tuple[str, str, int]]:
    """Return which two fields share how many cells, the most first."""
    store = subject.store
    fields = np.sort(store.field_index[pairs], axis=1)
    both, counts = np.unique(fields.reshape(-1, 2), axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:_SHOWN]
    return [
        (store.fields.path[both[n, 0]], store.fields.path[both[n, 1]], int(counts[n]))
        for n in order
    ]


def _sides(subject: Subject, rows: np.ndarray) -> tuple[np.ndarray, str]:
    """Return where each row is, in the run's split, else its group; and words for elsewhere."""
    if subject.run is None:
        return subject.store.group_index[rows], f"another of the {subject.group_nouns}"
    split = read_split(subject.run)
    side = np.full(len(subject.store), -1)
    for number, name in enumerate(SIDES):
        side[getattr(split, name)] = number
    return side[rows], "another part of the run's split"


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
