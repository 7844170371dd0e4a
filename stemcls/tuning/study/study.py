"""A study owns a folder of saved_models/: what is searched, every trial, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from stemcls import atomic
from stemcls.config.options import read_toml
from stemcls.documents import read_object
from stemcls.errors import InputError, explained_disk_errors, nearest
from stemcls.runs import Run, find_folder, list_runs
from stemcls.store.splits import Split
from stemcls.tuning.study.definition import Definition, differences, hash_of, told
from stemcls.tuning.study.journal import Journal, Record, read_entries, read_records

FORMAT = 1


@dataclass(frozen=True)
class Study:
    """A search on disk. Its events.jsonl is that of a run, so whatever lists runs lists it too.

    Attributes:
        path: Its folder, `saved_models/<name>-<UTC time>/`.
    """

    path: Path

    @classmethod
    def create(
        cls, workspace: Path, definition: Definition, trials: int, outer: Split,
        folds: Sequence[Split],
    ) -> Study:
        """Make the folder of a new study.

        Args:
            workspace: Where saved_models/ is.
            definition: Of the search.
            trials: How many.
            outer: Its test rows are never seen by the search.
            folds: Of all other rows; the test rows of each score a trial.
        """
        experiment = definition.experiment
        run = Run.create(workspace, f"{experiment.name or Path(experiment.store).stem}-tune")
        study = cls(run.path)
        plain = definition.to_mapping()
        with explained_disk_errors(study.path, "nothing was searched yet"):
            (study.path / "splits").mkdir()
            atomic.write_json(study.outer_path, outer.to_mapping())
            for number, split in enumerate(folds):
                atomic.write_json(study.split_path(number), split.to_mapping())
            study._write(plain, trials, hash_of(plain))
        stamp = datetime.now(UTC).isoformat(timespec="seconds")
        Journal(study.journal_path).append(
            "begun", time=stamp, stemcls=version("stemcls"), definition=plain
        )
        return study

    @classmethod
    def open(cls, path: Path, workspace: Path | None = None) -> Study:
        """Open a study by its folder, or by its name below `workspace`/saved_models.

        Raises:
            InputError: There is none (names the nearest), it is a run, or another version made it.
        """
        place = find_folder(path, workspace, "study.toml")
        if place is not None:
            study = cls(place)
            study._check_format()
            return study
        place = find_folder(path, workspace, "events.jsonl")
        if place is not None:
            raise InputError(
                f"{place} is a training run, not a study; `stemcls train --resume {place}` goes on "
                "with it"
            )
        names = [] if workspace is None else [
            run.name for run in list_runs(workspace) if run.is_study
        ]
        hint = nearest(path.name, names) if names else "; `stemcls tune STORE` makes one"
        raise InputError(f"there is no study {path}{hint}")

    @property
    def run(self) -> Run:
        """Its events, as those of a run."""
        return Run(self.path)

    @property
    def journal_path(self) -> Path:
        """Every trial and fold, one JSON object a line."""
        return self.path / "trials.jsonl"

    @property
    def outer_path(self) -> Path:
        """The split whose test rows the search never sees."""
        return self.path / "splits" / "outer.json"

    def split_path(self, fold: int) -> Path:
        """The split of one fold, from 0."""
        return self.path / "splits" / f"fold-{fold + 1}.json"

    def trial_path(self, number: int) -> Path:
        """Folder of a trial: config.toml, fold-1/, ..."""
        return self.path / "trials" / f"{number:04}"

    def fold_path(self, number: int, fold: int) -> Path:
        """Folder of a fold, from 0, of a trial."""
        return self.trial_path(number) / f"fold-{fold + 1}"

    def final_path(self, number: int) -> Path:
        """Run that is trained on all folds merged, with the settings of a trial."""
        return self.path / "final" / f"trial-{number:04}"

    @property
    def best_config_path(self) -> Path:
        """The chosen settings, for `stemcls train --config`."""
        return self.path / "best.toml"

    @cached_property
    def definition(self) -> Definition:
        """What is searched.

        Raises:
            InputError: study.toml was changed since the study began; shows the difference.
        """
        document = self._document
        plain = {key: document[key] for key in document
                 if key not in ("format", "stemcls", "trials", "hash")}
        if hash_of(plain) != document.get("hash"):
            begun = next(
                (line for line in read_entries(self.journal_path) if line["entry"] == "begun"), {}
            )
            lines = differences(begun.get("definition", {}), plain)
            raise InputError(
                f"{self.path / 'study.toml'} was changed since the study began, and its trials "
                f"would no longer be of one search: change it back, or begin a new study"
                f"{told(lines)}"
            )
        try:
            return Definition.from_mapping(plain)
        except (KeyError, TypeError) as error:
            raise InputError(
                f"{self.path / 'study.toml'} lacks what describes a study: {error!r}"
            ) from error

    @property
    def n_trials(self) -> int:
        """How many trials are wanted."""
        return int(self._document["trials"])

    @property
    def made_by(self) -> str:
        """Version of stemcls that began it."""
        return str(self._document.get("stemcls"))

    def extend(self, trials: int) -> None:
        """Ask for more trials in all.

        Raises:
            InputError: It has as many already.
        """
        if trials < self.n_trials:
            raise InputError(
                f"{self.path} was begun with {self.n_trials} trials, which cannot become {trials}; "
                "the number may only grow"
            )
        if trials > self.n_trials:
            plain = self.definition.to_mapping()
            with explained_disk_errors(self.path, "the study is as it was"):
                self._write(plain, trials, hash_of(plain))
            self.__dict__.pop("_document", None)

    def check_same(self, wanted: Definition) -> None:
        """Refuse to go on with another search than the one that was begun.

        Raises:
            InputError: Shows what differs. `width` may: what was begun with counts.
        """
        there, now = self.definition.to_mapping(), wanted.to_mapping()
        now["width"] = there["width"]
        # Through JSON, so that tuples and lists are alike.
        lines = differences(*(json.loads(atomic.dump_json(plain)) for plain in (there, now)))
        if lines:
            raise InputError(
                f"{self.path} was begun with another space, objective or setting, and its trials "
                "cannot be compared with new ones; leave these out to go on, or begin a new study"
                f"{told(lines)}"
            )

    def records(self) -> list[Record]:
        """Return every trial so far; works while the study runs."""
        return read_records(self.journal_path)

    def outer_split(self) -> Split:
        """Return the split whose test rows the search never sees."""
        return self._split(self.outer_path)

    def fold_split(self, fold: int) -> Split:
        """Return the split of one fold, from 0."""
        return self._split(self.split_path(fold))

    def _split(self, path: Path) -> Split:
        way_out = "take it from a backup, or begin a new study with the settings of this one"
        try:
            return Split.from_mapping(read_object(path, way_out))
        except FileNotFoundError:
            raise InputError(f"there is no split {path}: {way_out}") from None

    @cached_property
    def _document(self) -> dict[str, Any]:
        return read_toml(self.path / "study.toml")

    def _write(self, plain: dict[str, Any], trials: int, digest: str) -> None:
        import tomli_w

        # Single values ahead of tables, for people.
        document = {"format": FORMAT, "stemcls": version("stemcls"), "trials": trials,
                    "hash": digest, **plain}
        atomic.write_text(self.path / "study.toml", tomli_w.dumps(document))

    def _check_format(self) -> None:
        found = self._document.get("format")
        if found != FORMAT:
            raise InputError(
                f"{self.path} is a study of format {found}, made by stemcls "
                f"{self._document.get('stemcls', 'unknown')}; this is {version('stemcls')}, which "
                f"reads format {FORMAT}: go on with that version, or begin a new study"
            )
