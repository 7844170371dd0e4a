"""What the checks of one audit share: the crops in use, their features, folds and shuffles."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from stemcls.audit.finding import CannotTellError
from stemcls.config.probes import AuditConfig
from stemcls.errors import InputError
from stemcls.evaluation.metrics import compute_metrics
from stemcls.evaluation.predictions import Predictions
from stemcls.interruption import Interruption
from stemcls.probes.background import background_measures
from stemcls.probes.linear import as_predictions, cross_validate, mean_recalls
from stemcls.probes.permutation import Exchange, exchange_of, p_value, permuted
from stemcls.probes.regions import Regions, find_regions
from stemcls.progress import Update
from stemcls.runs import Run
from stemcls.store.assign import deal_folds
from stemcls.store.classes import check_classes, class_index
from stemcls.store.cropstore import CropStore
from stemcls.store.units import group_nouns
from stemcls.training.simple import store_features

# A class in fewer groups cannot be learned from one and tested on another.
LEAST_UNITS = 2
RESAMPLES = 1000
_AT_ONCE = 128


@dataclass(frozen=True, eq=False)
class Score:
    """How well features tell the classes apart on groups they were not fitted to.

    Attributes:
        value: Mean recall.
        interval: Its 95 % interval by resampling groups, None where they are too few.
        p: Of the hypothesis that the features know nothing of the class.
        shuffled: (S,) mean recall with permuted labels.
        predictions: Of every crop in use.
    """

    value: float
    interval: tuple[float, float] | None
    p: float
    shuffled: np.ndarray
    predictions: Predictions


class Subject:
    """A store under audit.

    Attributes:
        store: The crops.
        config: Settings.
        run: A finished run on it, or None.
        labelled: Every labelled row of the chosen classes.
        rows: Those that classifiers are fitted to: of `classes`, at most `config.crops`.
        classes: The classes that live in enough groups; `left_out` names the others.
        labels, group: (n,) int of `rows`.
    """

    def __init__(
        self, store: CropStore, config: AuditConfig, run: Run | None, workspace: Path,
        interruption: Interruption, update: Update | None = None,
    ) -> None:
        check_classes(store, config.classes)
        chosen = config.classes or store.classes
        self.store, self.config, self.run = store, config, run
        self.workspace, self.interruption, self.update = workspace, interruption, update
        self.labelled = np.flatnonzero(class_index(store, chosen) >= 0)
        counts = self.units_of_class()
        self.named = tuple(name for name in store.classes if name in chosen and name in counts)
        if len(self.named) < 2:
            raise InputError(
                f"an audit needs crops of at least 2 classes, {store.path} has them of "
                f"{', '.join(self.named) or 'none'}; build it with labels"
            )
        self.classes = tuple(n for n in self.named if counts[n] >= LEAST_UNITS)
        self.left_out = tuple(n for n in self.named if n not in self.classes)
        index = class_index(store, self.classes)
        rows = np.flatnonzero(index >= 0)
        if len(rows) > config.crops:
            rows = np.sort(np.random.default_rng(config.seed).choice(rows, config.crops, False))
        self.rows = rows
        self.labels = index[rows]
        self.group = store.group_index[rows]

    @property
    def k(self) -> int:
        """How many classes classifiers tell apart."""
        return len(self.classes)

    @property
    def chance(self) -> float:
        """Mean recall of guessing."""
        return 1 / self.k

    @property
    def group_nouns(self) -> str:
        """What groups are, plural."""
        return group_nouns(self.store)

    def units_of_class(self) -> dict[str, int]:
        """Return how many groups hold each class that has crops."""
        labels, group = self.store.labels[self.labelled], self.store.group_index[self.labelled]
        return {
            self.store.classes[label]: len(np.unique(group[labels == label]))
            for label in np.unique(labels)
        }

    @cached_property
    def exchange(self) -> Exchange:
        """The units that labels came in."""
        return exchange_of(
            self.group, self.store.field_index[self.rows], self.labels, self.k, self.group_nouns
        )

    @cached_property
    def shuffles(self) -> np.ndarray:
        """(S, n) labels permuted as they could have fallen."""
        return permuted(self.labels, self.exchange, self.config.shuffles, self.config.seed)

    @cached_property
    def folds(self) -> np.ndarray:
        """(n,) fold of each row; groups are kept together."""
        self.check_classes()
        fold = deal_folds(self.group, self.labels, self.k, self.config.folds, self.config.seed)
        if not fold.any():
            raise CannotTellError(
                f"{self.group_nouns} cannot be dealt to folds so that each holds every class"
            )
        return fold

    @cached_property
    def regions(self) -> Regions:
        """Which pixels are cell and which background."""
        return find_regions(self.store, self.rows)

    @cached_property
    def background(self) -> np.ndarray:
        """(n, 4 C) measures of the background, see `background_measures`."""
        return background_measures(
            self.store, self.rows, self.regions.background, self.interruption.check
        )

    @cached_property
    def whole(self) -> np.ndarray:
        """(n, F) features of whole crops, as `config.features` says."""
        if self.config.features == "simple":
            return self.whole_simple
        from stemcls.probes.frozen import frozen_features

        return frozen_features(
            self.store, self.rows, self.config.model, self.workspace, self.interruption, self.update
        )

    @cached_property
    def whole_simple(self) -> np.ndarray:
        """(n, F) simple features of whole crops."""
        return self.simple(None)

    @cached_property
    def whole_score(self) -> Score:
        """The score of `whole` on unseen groups."""
        return self.score(self.whole)

    def simple(self, mask: np.ndarray | None) -> np.ndarray:
        """Return (n, F) simple features of the pixels in `mask`."""
        return store_features(self.store, self.rows, mask, self.interruption.check)

    def check_classes(self) -> None:
        """Refuse where fewer than two classes live in enough groups."""
        if self.k < 2:
            raise CannotTellError(
                f"fewer than two classes live in {LEAST_UNITS} {self.group_nouns} or more"
            )

    def score(self, features: np.ndarray) -> Score:
        """Cross-validate features over groups, with the true labels and with permuted ones."""
        folds = self.folds
        distances = cross_validate(features, self.labels, self.k, folds)
        predictions = as_predictions(
            distances[0], self.rows, self.labels, self.group, self.classes
        )
        value = float(mean_recalls(distances, self.labels, self.k)[0])
        shuffled = self.shuffled_scores(features, folds)
        metrics = compute_metrics(predictions, RESAMPLES, self.config.seed)
        ends = metrics["mean_recall_ci"]
        return Score(
            value, (ends[0], ends[1]) if ends else None, p_value(value, shuffled), shuffled,
            predictions,
        )

    def score_once(self, features: np.ndarray, fold: np.ndarray) -> float:
        """Return the mean recall of features over some folds, and no more."""
        distances = cross_validate(features, self.labels, self.k, fold)
        return float(mean_recalls(distances, self.labels, self.k)[0])

    def shuffled_scores(self, features: np.ndarray, fold: np.ndarray) -> np.ndarray:
        """Return (S,) mean recall of each permuted labelling."""
        found = []
        for start in range(0, len(self.shuffles), _AT_ONCE):
            self.interruption.check()
            labels = self.shuffles[start : start + _AT_ONCE]
            distances = cross_validate(features, labels, self.k, fold)
            found.append(mean_recalls(distances, labels, self.k))
        return np.concatenate(found)
