"""The rules of relevance propagation for one linear map: how its output is shared out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from stemcls.explain.gradients import pullback


@dataclass(frozen=True, eq=False)
class Linear:
    """A linear map with a bias, z = apply(kernel, x) + bias.

    Attributes:
        apply: Linear in the kernel and in x.
        kernel: float32 tensor; None for a map that has none, such as a mean.
        bias: Tensor that broadcasts to z, or 0.0.
    """

    apply: Callable[[Any, Any], Any]
    kernel: Any = None
    bias: Any = 0.0


@dataclass(frozen=True, eq=False)
class Box:
    """The least and largest value that each input can have; both as x, (N, ...)."""

    low: Any
    high: Any


@dataclass(frozen=True, eq=False)
class Share:
    """A part of the output's relevance, and the terms among which it is divided.

    Attributes:
        weight: Fraction of the relevance, a number or as z.
        terms: (sign, x, kernel) each; what a term adds to z is sign * apply(kernel, x).
        bias: What the bias adds to z, broadcastable to z.
    """

    weight: Any
    terms: list[tuple[float, Any, Any]]
    bias: Any = 0.0


@dataclass(frozen=True, eq=False)
class Passed:
    """Where the relevance of an output went.

    Attributes:
        inputs: Relevance of each input, shaped as it; None: nothing goes there.
        bias: (N,) or 0.0, kept by biases.
        absorbed: (N,) or 0.0, lost to epsilon.
    """

    inputs: list[Any]
    bias: Any = 0.0
    absorbed: Any = 0.0


# (linear, x, box of x where it is known) -> shares whose weights add up to 1
Rule = Callable[[Linear, Any, Box | None], list[Share]]


def epsilon_rule(linear: Linear, x: Any, box: Box | None) -> list[Share]:
    """Divide in proportion to x times weight; with a tiny epsilon this is LRP-0.

    Source: Bach et al. 2015, eq. 58 (doi:10.1371/journal.pone.0130140).
    """
    del box
    return [Share(1.0, [(1.0, x, linear.kernel)], linear.bias)]


def gamma_rule(gamma: float) -> Rule:
    """Favour what speaks for the output's sign: weights of that sign count 1 + gamma times.

    Source: Montavon et al. 2019, sec. 10.2.3; for inputs and outputs of either sign Andéol et al.
    2021 (arXiv:2106.04260), as in zennit's `Gamma`.
    """

    def rule(linear: Linear, x: Any, box: Box | None) -> list[Share]:
        from keras import ops

        del box
        up, down = _parts(linear.kernel, linear.bias, gamma)
        z = linear.apply(linear.kernel, x) + linear.bias
        return [
            Share(ops.cast(z > 0, "float32"), _terms(x, up.kernel, down.kernel), up.bias),
            Share(ops.cast(z < 0, "float32"), _terms(x, down.kernel, up.kernel), down.bias),
        ]

    return rule


def alpha_beta_rule(alpha: float, beta: float) -> Rule:
    """Divide alpha times the relevance among positive terms, -beta times among negative ones.

    Args:
        alpha, beta: alpha - beta = 1; (1, 0) is the z+ rule.
    Source: Bach et al. 2015, eq. 60; inputs of either sign as in zennit's `AlphaBeta`.
    """

    def rule(linear: Linear, x: Any, box: Box | None) -> list[Share]:
        from keras import ops

        del box
        positive, negative = ops.maximum(linear.kernel, 0.0), ops.minimum(linear.kernel, 0.0)
        shares = [Share(alpha, _terms(x, positive, negative), ops.maximum(linear.bias, 0.0))]
        if beta:
            below = ops.minimum(linear.bias, 0.0)
            shares.append(Share(-beta, _terms(x, negative, positive), below))
        return shares

    return rule


def box_rule(linear: Linear, x: Any, box: Box | None) -> list[Share]:
    """Divide by how far each input is from the end of its range that speaks against the output.

    So that a black pixel, 0, can be relevant too; biases keep nothing.

    Source: Montavon et al. 2017, eq. 13 (arXiv:1512.02479), "z-box" or z^B.
    """
    from keras import ops

    if box is None:
        raise ValueError("the z-box rule needs the range of its input")
    positive, negative = ops.maximum(linear.kernel, 0.0), ops.minimum(linear.kernel, 0.0)
    terms = [(1.0, x, linear.kernel), (-1.0, box.low, positive), (-1.0, box.high, negative)]
    return [Share(1.0, terms)]


def divide(linear: Linear, shares: list[Share], relevance: Any, epsilon: float) -> Passed:
    """Hand the relevance of a linear map's output back to its input, as `shares` say.

    Args:
        linear: The map.
        shares: From a rule.
        relevance: As z.
        epsilon: Added to |z| where z is divided by.
    Returns: One input; inputs + bias + absorbed add up to the relevance.
    """
    back: Any = 0.0
    kept: Any = 0.0
    lost = total(relevance)
    for share in shares:
        given = share.weight * relevance
        pulls = []
        z = share.bias
        for sign, x, kernel in share.terms:
            value, pull = pullback(partial(linear.apply, kernel), [x])
            z = z + sign * value
            pulls.append((sign, x, pull))
        steady = stabilised(z, epsilon)
        ratio = given / steady
        for sign, x, pull in pulls:
            back = back + sign * x * pull(ratio)[0]
        kept = kept + total(share.bias * ratio)
        lost = lost - total(given) + total(ratio * (steady - z))
    return Passed([back], kept, lost)


def stabilised(z: Any, epsilon: float) -> Any:
    """Move each number away from 0, up where it is 0."""
    from keras import ops

    return z + ops.where(z < 0, -epsilon, epsilon)


def total(values: Any) -> Any:
    """Add up all of a crop: (N, ...) to (N,)."""
    from keras import ops

    return ops.sum(ops.reshape(values, (values.shape[0], -1)), axis=1)


def _parts(kernel: Any, bias: Any, gamma: float) -> tuple[Linear, Linear]:
    """Return kernel and bias with their positive, and with their negative numbers enlarged."""
    from keras import ops

    def enlarged(part: Callable[[Any, float], Any]) -> Linear:
        return Linear(lambda *_: None, kernel + gamma * part(kernel, 0.0),
                      bias + gamma * part(bias, 0.0))

    return enlarged(ops.maximum), enlarged(ops.minimum)


def _terms(x: Any, of_positive: Any, of_negative: Any) -> list[tuple[float, Any, Any]]:
    """Return what positive x add by one kernel and negative x, if there are any, by the other."""
    from keras import ops

    if float(ops.min(x)) >= 0:
        return [(1.0, x, of_positive)]
    return [
        (1.0, ops.maximum(x, 0.0), of_positive),
        (1.0, ops.minimum(x, 0.0), of_negative),
    ]
