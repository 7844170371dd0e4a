"""The table of presets: which rule of relevance propagation goes where in a network."""

from __future__ import annotations

from dataclasses import dataclass

from stemcls.errors import check_known
from stemcls.explain.lrp.rules import Rule, alpha_beta_rule, box_rule, epsilon_rule, gamma_rule


@dataclass(frozen=True)
class Preset:
    """Rules of one way to propagate relevance.

    Attributes:
        summary: One sentence for help.
        dense: Rule of Dense layers.
        convolution: Rule of convolutions of all kinds.
        first: Rule of the convolutions or Dense layers that read the pixels.
        any_layer: Layers without a rule of their own pass relevance on by their gradient, which
            conserves nothing; else they are an error.
    """

    summary: str
    dense: Rule
    convolution: Rule
    first: Rule
    any_layer: bool = False


_PLUS = alpha_beta_rule(1.0, 0.0)
_ALPHA_BETA = alpha_beta_rule(2.0, 1.0)

PRESETS: dict[str, Preset] = {
    "epsilon-gamma-box": Preset(
        "z-box at the pixels, gamma 0.25 in convolutions, epsilon in dense layers",
        epsilon_rule, gamma_rule(0.25), box_rule,
    ),
    "epsilon-plus": Preset(
        "z+ in convolutions, epsilon in dense layers", epsilon_rule, _PLUS, _PLUS
    ),
    "epsilon-alpha2-beta1": Preset(
        "alpha 2, beta 1 in convolutions, epsilon in dense layers",
        epsilon_rule, _ALPHA_BETA, _ALPHA_BETA,
    ),
    "epsilon": Preset(
        "epsilon everywhere, close to gradient x input", epsilon_rule, epsilon_rule, epsilon_rule
    ),
    "taylor": Preset(
        "as epsilon, and layers that have no rule pass relevance on by their gradient",
        epsilon_rule, epsilon_rule, epsilon_rule, any_layer=True,
    ),
}


def preset_named(name: str) -> Preset:
    """Return the row of a preset.

    Raises:
        InputError: There is none of that name; says which is nearest.
    """
    check_known(name, PRESETS, f"there is no LRP preset {name!r}")
    return PRESETS[name]
