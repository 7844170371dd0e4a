"""Settings of simulated fields, of cell detection, and of building a store."""

from __future__ import annotations

from dataclasses import dataclass, field

from stemcls.config.options import option
from stemcls.errors import InputError


@dataclass(frozen=True, kw_only=True)
class SimulateConfig:
    """Fields of cells whose every parameter is known."""

    classes: int = option(3, "Number of classes.", least=1, most=26)
    fields: int = option(6, "Fields per class.", least=1)
    cells: int = option(40, "Cells per field.", least=0)
    groups: int = option(3, "Donors; the fields of each class go round them.", least=1)
    modality: str = option(
        "dic", "Contrast.", choices=("dic", "phase", "brightfield", "fluorescence")
    )
    slices: int = option(3, "Slices (channels) per file.", least=1, most=8)
    size_px: int = option(512, "Edge of a field, pixels.", least=64, most=8192)
    radius_px: float = option(12.0, "Mean cell radius, pixels.", least=3.0)
    pixel_size_um: float = option(0.5, "Edge of a pixel, micrometres.", least=1e-4)
    difficulty: float = option(
        0.3, "0: classes easily told apart, 1: the same but for noise.", least=0.0, most=1.0
    )
    size_effect: float = option(
        0.0, "Relative difference of mean radius between the first and last class."
    )
    brightness_effect: float = option(
        0.0, "Relative difference of brightness between the first and last class."
    )
    debris: int = option(4, "Debris particles per field, not in the truth.", least=0)
    clusters: int = option(2, "Clusters of touching cells per field.", least=0)
    noise: float = option(0.02, "Noise standard deviation, fraction of full scale.", least=0.0)
    shading: float = option(0.15, "Uneven illumination, fraction of full scale.", least=0.0)
    shear_deg: float = option(45.0, "Direction of DIC shear, degrees.")
    batch_effect: float = option(
        0.0, "Acquisition difference confounded with the class, fraction of full scale."
    )
    seed: int = option(0, "Seed of everything random.", least=0)


@dataclass(frozen=True, kw_only=True)
class DetectConfig:
    """Where cells are looked for; names follow skimage.feature where the meaning does."""

    method: str = option("log", "Blob detector.", flag="method")
    min_sigma: float = option(
        6.0, "Smallest blob, standard deviation in pixels (radius / 1.414).", least=0.5
    )
    max_sigma: float = option(
        28.0, "Largest blob, standard deviation in pixels (radius / 1.414).", least=0.5
    )
    num_sigma: int = option(10, "Scales between them, evenly spaced in log.", least=1, most=100)
    threshold: float = option(
        0.4, "Least response; 1 is a full, isolated disc of the size looked for.", least=0.0
    )
    overlap: float = option(
        0.3, "Largest overlap of two blobs, fraction of the smaller one.", least=0.0, most=1.0
    )
    polarity: str = option(
        "both", "Cells brighter than background, darker, or either.",
        choices=("bright", "dark", "both"),
    )
    transform: str = option(
        "auto", "What is looked at: the intensity, or local contrast (DIC, phase); auto decides.",
        choices=("auto", "intensity", "contrast"),
    )
    border_px: int = option(0, "Drop cells whose centre is this near the edge, pixels.", least=0)
    edge_radii: float = option(
        0.6, "Drop cells that the field's edge cuts: centre nearer than this many radii.",
        least=0.0,
    )
    relative_radius: float = option(
        0.6, "Drop blobs smaller than this fraction of the field's typical radius (debris).",
        least=0.0, most=1.0,
    )

    def __post_init__(self) -> None:
        if self.min_sigma > self.max_sigma:
            raise InputError(
                f"min_sigma {self.min_sigma:g} is above max_sigma {self.max_sigma:g}: "
                "no blob can lie between them; swap them or raise max_sigma"
            )


@dataclass(frozen=True, kw_only=True)
class BuildConfig:
    """How a folder of images becomes a crop store."""

    kind: str = option(
        "auto",
        "What SRC holds: fields with cells to find, ready-made crops, or whole fields as samples "
        "(auto: cells).",
        choices=("auto", "cells", "crops", "fields"),
    )
    crop_px: int = option(
        0,
        "Edge of a crop, pixels; 0: 64 for cells, the first image's own edge for crops, 512 for "
        "fields. Given for crops and fields, every image is resized to it.",
        least=0, most=4096,
    )
    channels: str = option(
        "auto",
        "auto: 2-4 slices to a red-green-blue composite, 1 stays grey; grey or rgb force one.",
        choices=("auto", "grey", "rgb"),
    )
    scale: str = option(
        "auto",
        "auto: 8-bit as it is, deeper images scaled to 8 bit by percentiles of each field; "
        "none: keep 16 bit.",
        choices=("auto", "none"),
    )
    edge: str = option(
        "drop", "Cells whose crop leaves the field: drop them, or reflect the field.",
        choices=("drop", "reflect"),
    )
    match_px: float = option(
        0.0,
        "With --cells: find the cells, keep those within this many pixels of a known centre, and "
        "give them its label; 0: cut crops at the known centres themselves.",
        least=0.0, flag="cells-match",
    )
    pixel_size_um: float = option(
        0.0, "Edge of a pixel, micrometres, where a file does not say; 0: unknown.",
        least=0.0, flag="pixel-size-um",
    )
    group: str | None = option(
        None,
        "Regular expression on the path below SRC whose first group names the donor, line, mouse "
        "or experiment.",
    )
    group_what: str = option("group", "What a group is: donor, line, mouse, experiment, plate.")
    detect: DetectConfig = field(default_factory=DetectConfig)
