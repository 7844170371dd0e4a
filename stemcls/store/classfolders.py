"""Say what the folders of a build mean: classes, splits, unlabelled images; ask where in doubt."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from stemcls.config.imaging import FilesConfig
from stemcls.errors import InputError, nearest
from stemcls.notices import Notice
from stemcls.store.names import twin_key

_SPLIT_WORDS = (
    "train|training|trn|learn|learning|val|valid|validate|validation|dev|eval|evaluation|"
    "test|testing|tst|holdout|heldout|unseen"
)
_SPLIT = re.compile(
    rf"(?:{_SPLIT_WORDS})(?:set|data|dataset|split|images|imgs|crops)?[0-9]*|"
    r"(?:images|imgs|crops|data|set|split)(?:train|training|val|valid|validation|test|testing)|"
    r"(?:fold|cv|cvfold|kfold|partition|split)[0-9]+"
)
_UNSORTED = {
    "unsorted", "unlabelled", "unlabeled", "unlabbeled", "unclassified", "unassigned", "unknown",
    "unannotated", "nolabel", "nolabels", "nothingyet", "tosort", "tolabel", "todo", "tbd",
    "inbox", "misc", "unsortiert",
}  # fmt: skip
_UNIT = (
    "donor|mouse|mice|animal|patient|pat|subject|subj|sub|plate|batch|experiment|exp|day|line|"
    "clone|sample|replicate|rep|run|series|embryo|litter|cage|rat|fish|culture|passage|well|slide|"
    "chip|dish|biorep|individual|case|session|week"
)
_SERIAL = re.compile(
    rf"(?:{_UNIT})[ _-]?[0-9a-z]{{1,4}}|[a-z]{{0,2}}[ _-]?[0-9]+|[0-9]{{2,4}}[-_.][0-9]{{2}}[-_.]"
    r"[0-9]{2,4}"
)
_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Meaning:
    """What the folders above an image say.

    Attributes:
        label: Class, or None.
        below: The folders below that of the class, outermost first.
        split: Name of the split that it came in, or None.
    """

    label: str | None
    below: tuple[str, ...] = ()
    split: str | None = None


def meanings(
    names: Sequence[str], files: FilesConfig, where: str
) -> tuple[dict[str, Meaning], list[Notice]]:
    """Return what the folders of each image mean, and what is to be known about them.

    Args:
        names: Paths of the images below SRC.
        files: What the user said of folders.
        where: SRC, for messages.

    Raises:
        InputError: The folders can mean several things, or an option names none of them.
    """
    folders = {name: tuple(_normal(part) for part in name.split("/")[:-1]) for name in names}
    unlabelled = _unlabelled(folders, files.unlabelled, where)
    labelled = {name: parts for name, parts in folders.items() if name not in unlabelled}
    level = (files.class_level or 1) - 1
    if not files.class_level:
        _ask_about_one_folder(labelled, where)
        _ask_about_units(labelled, where)
        _ask_about_unsorted(labelled, where)
    splits = _splits(labelled, level, files, where)
    found = {}
    for name, parts in folders.items():
        if name in unlabelled:
            found[name] = Meaning(None, parts[unlabelled[name] :])
            continue
        at = level
        split = parts[at] if len(parts) > at and parts[at] in splits else None
        at += split is not None
        label = parts[at] if len(parts) > at else None
        found[name] = Meaning(label, parts[at + 1 :], split)
    if files.class_level > 1 and not any(meaning.label for meaning in found.values()):
        raise InputError(
            f"--class-level {files.class_level}: no image of {where} lies that deep; folders with "
            f"images are {_some({'/'.join(parts) for parts in folders.values()})}"
        )
    return found, _loose(found, unlabelled, where)


def is_split(name: str) -> bool:
    """Say whether a folder is named like a part of a split data set: train, Test-set, fold_3."""
    return bool(_SPLIT.fullmatch(_bare(name)))


def are_serial(names: Iterable[str]) -> bool:
    """Say whether most names look like units that were numbered: donor1, d2, 2024-05-01."""
    found = [bool(_SERIAL.fullmatch(name.casefold())) for name in names]
    return 2 * sum(found) > len(found)


def _unlabelled(
    folders: Mapping[str, tuple[str, ...]], wanted: Sequence[str], where: str
) -> dict[str, int]:
    """Return the images below unlabelled folders, and how many folders lead to that one."""
    found: dict[str, int] = {}
    for given in wanted:
        parts = tuple(_normal(part) for part in given.strip("/").split("/") if part != ".")
        inside = [name for name, here in folders.items() if here[: len(parts)] == parts]
        if not parts:  # "." means the images of SRC itself
            inside = [name for name, here in folders.items() if not here]
        if not inside:
            there = {"/".join(here[: max(len(parts), 1)]) for here in folders.values()}
            raise InputError(
                f"--unlabelled {given}: there are no images in such a folder of {where}"
                f"{nearest(given, filter(None, there))}"
            )
        found.update(dict.fromkeys(inside, len(parts)))
    return found


def _ask_about_one_folder(folders: Mapping[str, tuple[str, ...]], where: str) -> None:
    """Refuse folders in which all else lies, unless their subfolders look like donors."""
    if not folders:
        return
    level, here = 0, list(folders.values())
    while True:
        names = {parts[level] if len(parts) > level else None for parts in here}
        if len(names) != 1 or None in names:
            break
        level += 1
    inner = {name for name in names if name}
    if not level or None in names or len(inner) < 2 or are_serial(inner):
        return
    wrap = "/".join(here[0][:level])
    split = " --split-folders merge" if _shared(here, level, filter(is_split, inner)) else ""
    raise InputError(
        f"all images of {where} lie in its folder {wrap}, so there would be one class of that "
        f"name; it holds the folders {_some(inner)}: --class-level {level + 1}{split} takes the "
        f"classes from there, --class-level 1 takes {here[0][0]} as the one class"
    )


def _ask_about_units(folders: Mapping[str, tuple[str, ...]], where: str) -> None:
    inner: dict[str, set[str]] = defaultdict(set)
    for parts in folders.values():
        if parts:
            inner[parts[0]] |= set(parts[1:2])
    both = set.intersection(*inner.values()) if len(inner) > 1 else set()
    if are_serial(inner) and len(both) > 1 and not are_serial(both):
        raise InputError(
            f"the folders of {where} are named like donors or days ({_some(inner)}), and each "
            f"holds the folders {_some(both)}: --class-level 2 --group '^([^/]+)/' takes those as "
            "the classes and the outer ones as groups, --class-level 1 takes the outer ones as "
            "classes"
        )


def _ask_about_unsorted(folders: Mapping[str, tuple[str, ...]], where: str) -> None:
    tops = {parts[0] for parts in folders.values() if parts}
    unsorted = sorted(top for top in tops if _bare(top) in _UNSORTED)
    if unsorted and len(tops) > 1:
        options = " ".join(f"--unlabelled {_quoted(name)}" for name in unsorted)
        raise InputError(
            f"{where} holds the folder {_some(unsorted)} beside {_some(tops - set(unsorted))}; is "
            f"it a class? {options} takes its images as unlabelled crops, "
            f"--exclude {_quoted(unsorted[0])} leaves them out, --class-level 1 takes it as a class"
        )


def _splits(
    folders: Mapping[str, tuple[str, ...]], level: int, files: FilesConfig, where: str
) -> set[str]:
    """Return the folders at a level that are parts of a split and no classes.

    Raises:
        InputError: It is for the user to say, or there are none.
    """
    here = list(folders.values())
    names = {parts[level] for parts in here if len(parts) > level}
    splits = {name for name in names if is_split(name)}
    if files.split_folders == "classes":
        return set()
    if files.split_folders == "merge":
        if not splits:
            raise InputError(
                f"--split-folders merge: {where} has no folders such as train and test; its "
                f"folders are {_some(names)}"
            )
        return splits | _alike(here, level, splits)
    if len(splits) > 1:
        splits |= _alike(here, level, splits)
    if len(splits) > 1 and (both := _shared(here, level, splits)):
        raise InputError(
            f"the folders {_some(splits)} of {where} are parts of a split, not classes: they hold "
            f"the same folders {_some(both)}. --split-folders merge takes the classes from there "
            "and keeps the split as a column, --split-folders classes takes the outer ones as "
            "classes"
        )
    if len(splits) > 1 and splits == names:
        raise InputError(
            f"the folders {_some(splits)} of {where} would be the classes, and they are named like "
            "the parts of a split: put a folder per class in them, name the classes in a "
            "--manifest, or say --split-folders classes if these are the classes"
        )
    return set()


def _shared(
    here: Iterable[tuple[str, ...]], level: int, among: Iterable[str]
) -> set[str]:
    """Return names of folders that lie in two or more of some folders of a level."""
    among, inner = set(among), defaultdict(set)
    for parts in here:
        if len(parts) > level + 1 and parts[level] in among:
            inner[parts[level + 1]].add(parts[level])
    return {name for name, holders in inner.items() if len(holders) > 1}


def _alike(here: Iterable[tuple[str, ...]], level: int, splits: set[str]) -> set[str]:
    """Return further folders of a level that hold nothing but the folders which the splits hold.

    Their names may be in any language.
    """
    inner = defaultdict(set)
    for parts in here:
        if len(parts) > level:
            inner[parts[level]].add(parts[level + 1] if len(parts) > level + 1 else "")
    classes = set().union(*(inner[name] for name in splits)) - {""}
    return {name for name, held in inner.items() if held <= classes}


def _loose(
    found: Mapping[str, Meaning], unlabelled: Mapping[str, int], where: str
) -> list[Notice]:
    counts = Counter(meaning.label for meaning in found.values() if meaning.label)
    loose = [
        name for name, meaning in found.items()
        if meaning.label is None and name not in unlabelled
    ]  # fmt: skip
    if not loose or not counts:
        return []
    return [Notice(
        "loose-images",
        f"{len(loose)} images lie beside the class folders of {where} ({_some(counts)}), not in "
        "one: they become unlabelled crops. --unlabelled . says that this is meant; or move them, "
        "or leave them out by --exclude",
        tuple(loose),
    )]


def few_images(labels: Iterable[str | None]) -> list[Notice]:
    """Warn of classes with one image."""
    counts: Counter[str] = Counter()
    spelled: dict[str, str] = {}
    for label in filter(None, labels):
        counts[twin_key(label)] += 1  # near-equal names become one class
        spelled[twin_key(label)] = label
    single = sorted(spelled[key] for key, count in counts.items() if count == 1)
    if not single or len(counts) < 2:
        return []
    what = "class" if len(single) == 1 else "classes"
    return [Notice(
        "one-image-class",
        f"ONE IMAGE: {what} {_some(single)} with one image each: it can be in training or in test, "
        "not in both, so nothing can be said about such a class; add images, or leave it out by "
        "--exclude",
    )]


def _normal(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _bare(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[\w./-]+", name) else f"'{name}'"


def _some(names: Iterable[str]) -> str:
    listed = sorted(names)
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return ", ".join(listed[:_SHOWN]) + more
