"""Tell during a trial that it cannot become the best any more."""

from __future__ import annotations

import math
from collections.abc import Sequence

from stemcls.tuning.search.evidence import weigh
from stemcls.tuning.search.history import Trial

# So many trials must have all their folds before the scatter of folds is taken for known.
LEAST_TRIALS = 4
# How often a trial that is truly as good as the best may be given up: three standard errors.
CHANCE = 0.00135


def hopeless(
    scores: Sequence[float], n_folds: int, finished: Sequence[Trial], maximise: bool
) -> str | None:
    """Return why a trial should not run its other folds, or None where it should.

    It is compared with what the best trial scores on folds as hard as those that it has run. Not
    with its very scores there: the best of many is the luckiest fold by fold.

    Args:
        scores: Of its folds so far, in order.
        n_folds: How many it would run.
        finished: Trials to compare with; those that are not finished are passed over.
        maximise: The largest score is best.
    """
    whole = [t for t in finished if t.state == "finished" and len(t.scores) == n_folds]
    done = len(scores)
    if len(whole) < LEAST_TRIALS or not 0 < done < n_folds:
        return None
    evidence = weigh(whole)
    sign = 1.0 if maximise else -1.0
    best = max(whole, key=lambda trial: sign * evidence.mean(trial))
    so_far = evidence.mean(Trial(len(whole), {}, "stopped", tuple(scores)))
    behind = sign * (evidence.mean(best) - so_far)
    limit = evidence.quantile(CHANCE) * evidence.scatter * math.sqrt(1 / done + 1 / n_folds)
    if not behind > max(limit, 0.0):
        return None
    folds = "fold 1" if done == 1 else f"folds 1 to {done}"
    return (
        f"{behind:.4g} behind trial {best.number} after {folds}, where equal trials differ by less "
        f"than {limit:.2g}"
    )
