"""Pictures of a search: best so far, spread over folds, a setting against the score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from stemcls.tuning.space.dimensions import Dimension
from tui.studies import StudyView, TrialRow
from tui.widgets.plot import Line

BEST, SPREAD = "best so far", "spread over folds"
LEADING = 15
TICK_CELLS = 10
TICKS = 4


@dataclass(frozen=True)
class Picture:
    """Lines and what stands around them."""

    title: str
    lines: tuple[Line, ...] = ()
    ticks: tuple[tuple[float, str], ...] = ()


def pictures(view: StudyView) -> list[str]:
    """Return the names of the pictures of a search."""
    return [BEST, SPREAD, *(dimension.key for dimension in view.dimensions)]


def picture(view: StudyView, name: str) -> Picture:
    """Return one picture; without lines where there is nothing to draw yet."""
    scored = [trial for trial in view.trials if trial.score is not None]
    if not scored:
        return Picture(f"{name}: no trial has ended yet")
    if name == BEST:
        return _best(view, scored)
    if name == SPREAD:
        return _spread(view, scored)
    dimension = next(entry for entry in view.dimensions if entry.key == name)
    return _setting(view, dimension, [trial for trial in scored if name in trial.values])


def _best(view: StudyView, scored: list[TrialRow]) -> Picture:
    finished = [trial for trial in scored if trial.state == "finished"]
    lines = [_points(scored, [trial.number for trial in scored])]
    if finished:
        best = tuple(accumulate((_score(trial) for trial in finished), max))
        lines.append(Line("", [trial.number for trial in finished], best, "*", 1))
    return Picture(f"{view.objective} by trial (o) and the best so far (*)", tuple(lines))


def _spread(view: StudyView, scored: list[TrialRow]) -> Picture:
    leading = sorted(scored, key=lambda trial: (-_score(trial), trial.number))[:LEADING]
    places = [(place, score) for place, trial in enumerate(leading) for score in trial.scores]
    folds = Line("", [x for x, _ in places], [y for _, y in places], "o", 0, False)
    means = Line("", range(len(leading)), [_score(trial) for trial in leading], "*", 1, False)
    ticks = tuple((float(x), str(trial.number)) for x, trial in enumerate(leading))
    title = f"{view.objective}: folds (o) and mean (*) of the leading trials"
    return Picture(title, (folds, means), ticks)


def _setting(view: StudyView, dimension: Dimension, trials: list[TrialRow]) -> Picture:
    title = f"{view.objective} over {dimension.key}"
    if not trials:
        return Picture(f"{title}: no trial that ended has it")
    ticks: tuple[tuple[float, str], ...] = ()
    if dimension.choices:
        names = list(dimension.choices)
        x = [float(names.index(trial.values[dimension.key])) for trial in trials]
        ticks = tuple((float(place), str(name)[:TICK_CELLS]) for place, name in enumerate(names))
    else:
        x = [float(trial.values[dimension.key]) for trial in trials]
        if dimension.log:
            x = [math.log10(value) for value in x]
        if dimension.log or dimension.kind == "float":
            ticks = _ticks(x, dimension.log)
    lines = [_points(trials, x)]
    chosen = [(place, trial) for place, trial in zip(x, trials, strict=True) if trial.mark]
    if chosen:
        lines.append(Line(
            "", [place for place, _ in chosen], [_score(trial) for _, trial in chosen], "*", 1,
            False,
        ))
        title += ": leading (*), others (o)"
    return Picture(title, tuple(lines), ticks)


def _points(trials: Sequence[TrialRow], x: Sequence[float]) -> Line:
    return Line("", x, [_score(trial) for trial in trials], "o", 0, False)


def _ticks(x: Sequence[float], log: bool) -> tuple[tuple[float, str], ...]:
    low, high = min(x), max(x)
    places = dict.fromkeys(low + (high - low) * step / TICKS for step in range(TICKS + 1))
    return tuple((place, f"{10**place if log else place:.2g}") for place in places)


def _score(trial: TrialRow) -> float:
    return trial.score if trial.score is not None else math.nan
