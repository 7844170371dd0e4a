"""The table of ways to say which pixels a model looks at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from stemcls.config.explain import MethodSettings
from stemcls.errors import check_known
from stemcls.explain.baselines import gradient_x_input, occlusion, smoothgrad
from stemcls.explain.cams import cam_of, gradcam_weights, gradcampp_weights, layercam_weights
from stemcls.explain.guided import guided_backprop
from stemcls.explain.lrp.method import conservation, lrp
from stemcls.explain.probe import Probe
from stemcls.explain.scorecam import scorecam, top_channels_error
from stemcls.explain.visualbackprop import visualbackprop

# (probe, crops (N, H, W, C) as stored, targets (N,) int64, settings) -> (N, H, W) float32, raw.
# `explain` hands over one batch of `probe.batch_size` crops at a time, so memory is bounded.
Compute = Callable[[Probe, np.ndarray, np.ndarray, MethodSettings], np.ndarray]
Report = Callable[[Probe, np.ndarray, np.ndarray, MethodSettings], dict[str, Any]]


@dataclass(frozen=True)
class Method:
    """One way to explain.

    Attributes:
        name: As users type it.
        summary: One sentence for help.
        source: The paper, with equation or algorithm.
        class_aware: The map differs from class to class.
        compute: Makes the raw maps, at the size of the crops; not normalised.
        signed: Maps hold evidence against the class as negative numbers.
        looks_at_layers: Maps are those of the layers chosen.
        report: What else there is to say of a batch, as JSON (an error made, what was conserved);
            None where there is nothing.
    """

    name: str
    summary: str
    source: str
    class_aware: bool
    compute: Compute
    signed: bool = False
    looks_at_layers: bool = False
    report: Report | None = None


_ROWS: tuple[Method, ...] = (
    Method(
        "gradcam", "channels of a layer, weighed by their mean gradient",
        "Selvaraju et al. 2017, arXiv:1610.02391, eqs. 1 and 2", True, cam_of(gradcam_weights),
        looks_at_layers=True,
    ),
    Method(
        "gradcam++", "as gradcam, but small regions count as much as large ones",
        "Chattopadhay et al. 2018, arXiv:1710.11063, eqs. 10 and 19", True,
        cam_of(gradcampp_weights),
        looks_at_layers=True,
    ),
    Method(
        "layercam", "as gradcam, but each pixel is weighed by its own gradient: finer maps",
        "Jiang et al. 2021, doi:10.1109/TIP.2021.3089943, eqs. 5 and 6", True,
        cam_of(layercam_weights),
        looks_at_layers=True,
    ),
    Method(
        "scorecam", "channels of a layer, weighed by the score of the crop seen through each",
        "Wang et al. 2020, arXiv:1910.01279, algorithm 1", True, scorecam,
        looks_at_layers=True, report=top_channels_error,
    ),
    Method(
        "gradient-x-input", "each pixel times its gradient: a baseline",
        "Shrikumar et al. 2017, arXiv:1605.01713, section 2.2", True, gradient_x_input,
        signed=True,
    ),
    Method(
        "smoothgrad", "size of the gradient, averaged over noisy copies: a baseline",
        "Smilkov et al. 2017, arXiv:1706.03825, section 3", True, smoothgrad,
    ),
    Method(
        "occlusion", "drop of the score where a grey patch covers the crop: a baseline",
        "Zeiler and Fergus 2014, arXiv:1311.2901, section 4.2", True, occlusion, signed=True,
    ),
    Method(
        "lrp", "the logit, handed back layer by layer to the pixels it comes from (--lrp-preset)",
        "Bach et al. 2015, doi:10.1371/journal.pone.0130140; Montavon et al. 2019", True, lrp,
        signed=True, report=conservation,
    ),
    Method(
        "visualbackprop", "pixels that maps of all depths agree on; the same for each class",
        "Bojarski et al. 2016, arXiv:1611.05418, section III", False, visualbackprop,
    ),
    Method(
        "guided-backprop", "edges of the crop: a control that --check must fail, no explanation",
        "Springenberg et al. 2015, arXiv:1412.6806, section 3.4", True, guided_backprop,
    ),
)
METHODS: dict[str, Method] = {row.name: row for row in _ROWS}


def method_named(name: str) -> Method:
    """Return the row of a method.

    Raises:
        InputError: There is none of that name; says which is nearest.
    """
    check_known(name, METHODS, f"there is no method {name!r} of explaining")
    return METHODS[name]
