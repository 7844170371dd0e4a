"""Describe samples and compare their means: ANOVA, t tests, effect sizes with intervals, Holm."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations

import numpy as np
from scipy import special, stats
from scipy.optimize import brentq

from stemcls.errors import InputError

LEVEL = 0.95
TESTS = {"welch": "Welch's t test", "student": "Student's t test"}
STARS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))
# A spread this small beside the values is rounding, not variation.
_ALIKE = 1e-12
_NODES = 400


class UndefinedTestError(InputError):
    """The samples allow no such test, and the message says why."""


@dataclass(frozen=True)
class Summary:
    """What a sample looks like; NaN where it is too small to say.

    Attributes:
        n: Number of values.
        mean, median, q1, q3: In the values' unit; quartiles interpolate linearly.
        sd, sem: Standard deviation (n - 1) and standard error of the mean, sd / sqrt(n).
        whisker_low, whisker_high: The furthest values within 1.5 IQR of the quartiles.
        minimum, maximum: The extremes.
    """

    n: int
    mean: float
    sd: float
    sem: float
    median: float
    q1: float
    q3: float
    whisker_low: float
    whisker_high: float
    minimum: float
    maximum: float


@dataclass(frozen=True)
class Anova:
    """A one-way analysis of variance.

    Attributes:
        f: Mean square between classes over mean square within.
        df_between, df_within: Degrees of freedom.
        p: Chance of an F this large if all means were the same.
        eta_squared: Share of the sum of squares that lies between classes, 0 to 1.
    """

    f: float
    df_between: int
    df_within: int
    p: float
    eta_squared: float


@dataclass(frozen=True)
class TTest:
    """Two means compared, the first minus the second.

    Attributes:
        difference: Of the means, in the values' unit.
        difference_ci: Its 95 % interval by the same test.
        t, df, p: Statistic, degrees of freedom and two-tailed p.
        hedges_g: Difference in pooled standard deviations, corrected for small samples.
        hedges_g_ci: 95 % interval of the standardised difference.
    """

    difference: float
    difference_ci: tuple[float, float]
    t: float
    df: float
    p: float
    hedges_g: float
    hedges_g_ci: tuple[float, float]


@dataclass(frozen=True)
class Pair:
    """Two of several classes compared.

    Attributes:
        first, second: Their names.
        result: The test, None where there is none.
        p_holm: p adjusted by Holm over the pairs that could be tested; NaN where not.
        stars: Of the adjusted p; empty where not tested.
        why_not: Why there is no test.
    """

    first: str
    second: str
    result: TTest | None
    p_holm: float
    stars: str
    why_not: str = ""


def mean_of(values: np.ndarray) -> float:
    """Return the mean, exact where all values are the same."""
    return float(values[0] + np.mean(values - values[0]))


def summarise(values: np.ndarray) -> Summary:
    """Describe (n,) finite values.

    Source: Tukey 1977, Exploratory Data Analysis, section 2C, for the whiskers.
    """
    n = len(values)
    if not n:
        return Summary(0, *[math.nan] * 10)
    q1, median, q3 = (float(q) for q in np.quantile(values, (0.25, 0.5, 0.75)))
    reach = 1.5 * (q3 - q1)
    near = values[(values >= q1 - reach) & (values <= q3 + reach)]
    sd = math.sqrt(_variance(values)) if n > 1 else math.nan
    return Summary(
        n, mean_of(values), sd, sd / math.sqrt(n), median, q1, q3,
        min(float(near.min()), q1), max(float(near.max()), q3),
        float(values.min()), float(values.max()),
    )


def one_way_anova(samples: Mapping[str, np.ndarray]) -> Anova:
    """Test whether all means are the same; assumes one variance for all classes.

    Args:
        samples: Name of each class to its (n,) values.
    Raises:
        UndefinedTestError: Fewer than two classes, none with two values, or no spread within.
    Source: Fisher 1925, Statistical Methods for Research Workers, chapter VII; eta squared:
        Cohen 1988, section 8.2.2.
    """
    if len(samples) < 2:
        raise UndefinedTestError("there is one class with values: nothing to compare it with")
    for name, values in samples.items():
        if not len(values):
            raise UndefinedTestError(f"{name!r} has no values")
    n = sum(map(len, samples.values()))
    df_between, df_within = len(samples) - 1, n - len(samples)
    if df_within < 1:
        raise UndefinedTestError("every class has one value: there is no spread within classes")
    grand = mean_of(np.concatenate(list(samples.values())))
    between = sum(len(v) * (mean_of(v) - grand) ** 2 for v in samples.values())
    within = sum(_variance(v) * (len(v) - 1) for v in samples.values() if len(v) > 1)
    if within == 0:
        raise UndefinedTestError("within every class all values are alike: F is not defined")
    # Shifted to the grand mean, for values far from 0 lose digits when they are squared.
    result = stats.f_oneway(*(values - grand for values in samples.values()))
    return Anova(
        float(result.statistic), df_between, df_within, float(result.pvalue),
        between / (between + within),
    )


def t_test(first: np.ndarray, second: np.ndarray, test: str = "welch") -> TTest:
    """Compare two independent means, two-tailed.

    Args:
        first, second: (n,) finite values.
        test: `welch` lets variances differ, `student` pools them.
    Raises:
        UndefinedTestError: A sample has fewer than two values, or both are without spread.
    Source: Welch 1947, Biometrika 34, 28; Student 1908, Biometrika 6, 1.
    """
    if test not in TESTS:
        raise InputError(f"test {test!r} is not known; expected one of {', '.join(TESTS)}")
    n1, n2 = len(first), len(second)
    if min(n1, n2) < 2:
        raise UndefinedTestError(f"n = {n1} and {n2}: a t test needs at least 2 values in each")
    var1, var2 = _variance(first), _variance(second)
    if var1 == 0 and var2 == 0:
        raise UndefinedTestError("in both all values are alike: t is not defined")
    difference = mean_of(first) - mean_of(second)
    pooled = ((n1 - 1) * var1 + (n2 - 1) * var2) / (n1 + n2 - 2)
    scale = math.sqrt(pooled)
    with warnings.catch_warnings():
        # One sample may be without spread; the other has some.
        warnings.filterwarnings("ignore", "Precision loss", RuntimeWarning)
        result = stats.ttest_ind(
            (first - second[0]) / scale, (second - second[0]) / scale,
            equal_var=test == "student",
        )
    ends = result.confidence_interval(LEVEL)
    g, g_ci = _hedges(difference / scale, n1, n2)
    return TTest(
        difference, (float(ends.low) * scale, float(ends.high) * scale),
        float(result.statistic), float(result.df), float(result.pvalue), g, g_ci,
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p values so that the chance of any false finding among them stays below the level.

    Source: Holm 1979, Scandinavian Journal of Statistics 6, 65.
    """
    m = len(p_values)
    adjusted, most = [0.0] * m, 0.0
    for rank, index in enumerate(sorted(range(m), key=lambda i: p_values[i])):
        most = max(most, min(1.0, (m - rank) * p_values[index]))
        adjusted[index] = most
    return adjusted


def stars(p: float) -> str:
    """Return `*`, `**` or `***` for p below 0.05, 0.01 or 0.001, else `n.s.`."""
    return next((mark for limit, mark in STARS if p < limit), "n.s.")


def compare_pairs(samples: Mapping[str, np.ndarray], test: str = "welch") -> list[Pair]:
    """Compare every two classes; see `t_test`.

    Args:
        samples: Name of each class to its (n,) values.
        test: A key of `TESTS`.
    """
    found: dict[tuple[str, str], TTest | str] = {}
    for names in combinations(samples, 2):
        try:
            found[names] = t_test(samples[names[0]], samples[names[1]], test)
        except UndefinedTestError as error:
            found[names] = str(error)
    adjusted = iter(holm([result.p for result in found.values() if isinstance(result, TTest)]))
    pairs = []
    for names, result in found.items():
        if isinstance(result, TTest):
            p_holm = next(adjusted)
            pairs.append(Pair(*names, result, p_holm, stars(p_holm)))
        else:
            pairs.append(Pair(*names, None, math.nan, "", result))
    return pairs


def _variance(values: np.ndarray) -> float:
    if np.ptp(values) <= _ALIKE * np.abs(values).max():
        return 0.0
    return float(np.var(values - values[0], ddof=1))


def _hedges(d: float, n1: int, n2: int) -> tuple[float, tuple[float, float]]:
    """Return g and the 95 % interval of the true standardised difference.

    Source: Hedges 1981, Journal of Educational Statistics 6, 107, eq. 6e, for g; Steiger and
        Fouladi 1997 (in Harlow et al., What If There Were No Significance Tests?) for the interval:
        the noncentral t distributions that put the t found at 0.025 and 0.975.
    """
    df = n1 + n2 - 2
    exact = special.gammaln(df / 2) - special.gammaln((df - 1) / 2)
    correction = float(np.exp(exact) / math.sqrt(df / 2))
    scale = math.sqrt(1 / n1 + 1 / n2)
    t = d / scale
    low, high = (_noncentrality(t, df, tail) * scale for tail in ((1 + LEVEL) / 2, (1 - LEVEL) / 2))
    return correction * d, (low, high)


def _noncentrality(t: float, df: float, probability: float) -> float:
    """Return the noncentrality at which a value up to `t` has this probability.

    The distribution is integrated over the variance by quadrature, because SciPy's own does not
    return for very large t.
    """
    places, weights = _quadrature()
    spread = np.sqrt(2 * special.gammaincinv(df / 2, places) / df)

    def missed(noncentrality: float) -> float:
        return float(weights @ special.ndtr(t * spread - noncentrality)) - probability

    ends = t * spread[0], t * spread[-1]
    return float(brentq(missed, min(ends) - 10, max(ends) + 10))


@cache
def _quadrature() -> tuple[np.ndarray, np.ndarray]:
    places, weights = np.polynomial.legendre.leggauss(_NODES)
    return (places + 1) / 2, weights / 2
