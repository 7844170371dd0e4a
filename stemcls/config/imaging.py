"""Settings of simulated fields, of cell detection, and of building a store."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from stemcls.config.options import MOST_SEED, option
from stemcls.errors import InputError

_CROPS, _BRIGHTNESS, _IMAGES = "Crops", "Brightness", "Images and groups"
_CELLS = "Finding cells"
# What `group` may be beside a column and a pattern: folders below that of the class.
FOLDER_LEVELS = {"folder": 1, "folder1": 1, "folder2": 2, "folder3": 3}


@dataclass(frozen=True, kw_only=True)
class SimulateConfig:
    """Fields of cells whose every parameter is known."""

    classes: int = option(3, "Number of classes.", least=1, most=26)
    fields: int = option(6, "Fields per class.", least=1, most=100_000)
    cells: int = option(40, "Cells per field.", least=0, most=100_000)
    groups: int = option(
        3, "Donors; the fields of each class go round them.", least=1, most=100_000
    )
    modality: str = option(
        "dic", "Contrast.", choices=("dic", "phase", "brightfield", "fluorescence")
    )
    slices: int = option(3, "Slices (channels) per file.", least=1, most=8)
    size_px: int = option(512, "Edge of a field, pixels.", least=64, most=8192)
    radius_px: float = option(12.0, "Mean cell radius, pixels.", least=3.0, most=1024.0)
    pixel_size_um: float = option(0.5, "Edge of a pixel, micrometres.", least=1e-4, most=1000.0)
    difficulty: float = option(
        0.3, "0: classes easily told apart, 1: the same but for noise.", least=0.0, most=1.0
    )
    size_effect: float = option(
        0.0, "Relative difference of mean radius between the first and last class.",
        least=-0.95, most=10.0,
    )
    brightness_effect: float = option(
        0.0, "Relative difference of brightness between the first and last class.",
        least=-0.95, most=10.0,
    )
    debris: int = option(4, "Debris particles per field, not in the truth.", least=0, most=100_000)
    clusters: int = option(2, "Clusters of touching cells per field.", least=0, most=100_000)
    noise: float = option(
        0.02, "Noise standard deviation, fraction of full scale.", least=0.0, most=1.0
    )
    shading: float = option(
        0.15, "Uneven illumination, fraction of full scale.", least=0.0, most=1.0
    )
    shear_deg: float = option(45.0, "Direction of DIC shear, degrees.", least=-360.0, most=360.0)
    batch_effect: float = option(
        0.0, "Acquisition difference confounded with the class, fraction of full scale.",
        least=-1.0, most=1.0,
    )
    seed: int = option(0, "Seed of everything random.", least=0, most=MOST_SEED)


@dataclass(frozen=True, kw_only=True)
class ReadConfig:
    """Which planes of a microscope file become the slices of a field.

    Each axis takes a number counted from 0, `max` or `mean` (projection), `slices` (its planes
    become the slices), or nothing: an axis of length 1 needs no choice, and the only longer one
    becomes the slices.
    """

    scene: str = option(
        "", "Scenes, positions or images of a file: all (the default), or names or numbers from 0 "
        "with commas between; each is a field of its own.",
    )
    time: str = option(
        "", "Time points: all, or numbers from 0 with commas between, each a field of its own; "
        "max, mean or slices join them.",
    )
    z: str = option("", "Focal plane: a number from 0, max, mean or slices.")
    channel: str = option(
        "", "Channel: its name or number from 0, max, mean or slices.", flag="channel-plane"
    )


@dataclass(frozen=True, kw_only=True)
class GivenConfig:
    """Which files of a folder are taken as which images."""

    exclude: tuple[str, ...] = option(
        (), "Leave out files and folders of this name (*, ? as in a shell), or of this path below "
        "the folder where it has a slash; repeatable.",
    )
    one_file_per_channel: str = option(
        "", "Samples of several files, such as *_Ch1.tif, *_Ch2.tif: auto puts them together by "
        "their names, no takes every file as an image of its own, or a regular expression whose "
        "group is the channel.",
    )


@dataclass(frozen=True, kw_only=True)
class FilesConfig(GivenConfig):
    """What the folders of a store's images mean."""

    unlabelled: tuple[str, ...] = option(
        (), "Folder below SRC whose images have no class; repeatable.",
    )
    class_level: int = option(
        0, "Folder level below SRC that names the classes; 0: the first, and the build asks where "
        "that looks wrong.", least=0, most=9,
    )
    split_folders: str = option(
        "ask", "Folders such as train and test above equal class folders: merge takes the class "
        "from the level below and keeps the split as a column, classes takes them as classes.",
        choices=("ask", "merge", "classes"),
    )


@dataclass(frozen=True, kw_only=True)
class QualityConfig:
    """Which fields are good enough, and how their light is evened out."""

    max_brightness: float = option(
        255.0, "Leave out fields whose mean V of HSV (0-255) is above this (paper M: 230).",
        least=0.0, most=255.0,
    )
    target_brightness: float = option(
        0.0, "Scale every field to this mean V of HSV (paper M: 130); 0: as it is.",
        least=0.0, most=255.0,
    )
    max_saturated: float = option(
        1.0, "Leave out fields with more than this fraction of clipped pixels.",
        least=0.0, most=1.0,
    )
    min_focus: float = option(
        0.0, "Leave out fields whose focus score is below this; `stemcls info` shows the scores.",
        least=0.0, most=1e12,
    )
    bits: int = option(
        0, "Bits that 16-bit files really use (12 for many cameras), for brightness and clipping; "
        "0: all 16.",
        least=0, most=16,
    )
    flatten: str = option(
        "none", "Even out illumination before crops are cut: a smooth surface fitted to the "
        "background of each slice is divided (bright field) or subtracted (dark field).",
        choices=("none", "surface"),
    )


@dataclass(frozen=True, kw_only=True)
class DetectConfig:
    """Where cells are looked for; names follow skimage.feature where the meaning does."""

    method: str = option(
        "auto",
        "Cell finder. net: the trained detector, for cells of any look; log, dog and doh look for "
        "round blobs that differ from their background; cellpose and stardist are extras; auto: "
        "net, or log where sigmas, --mode exact or --modality raw are given.",
        flag="method",
    )
    detector: str = option(
        "", "Weights of the trained detector: an ONNX file of `stemcls detect --train`; empty: "
        "those that come with stemcls.",
    )
    modality: str = option(
        "auto",
        "What the slices show, for log, dog and doh; auto finds out. dic: thickness is rebuilt "
        "from the slope first; phase, brightfield: brighter and darker than background, or local "
        "contrast where that is faint; fluorescence: brighter; raw: pixels as they are, as skimage "
        "takes them.",
        choices=("auto", "fluorescence", "brightfield", "phase", "dic", "raw"),
    )
    mode: str = option(
        "fast", "fast: reduced images with sub-pixel refinement; exact: every scale at full size.",
        choices=("fast", "exact"),
    )
    diameter_px: float = option(
        0.0, "Usual diameter of a cell, pixels; cells of half to twice this size are found. "
        "0: estimated from the images.", least=0.0, most=10_000.0, panel="",
    )
    min_sigma: float = option(
        0.0, "Smallest blob, standard deviation in pixels (radius / 1.414); 0: from the diameter.",
        least=0.0, most=10_000.0,
    )
    max_sigma: float = option(
        0.0, "Largest blob, standard deviation in pixels (radius / 1.414); 0: from the diameter.",
        least=0.0, most=10_000.0,
    )
    num_sigma: int = option(8, "Scales between them, evenly spaced in log.", least=1, most=100)
    threshold: float | None = option(
        None, "Least response: 1 is a sure cell for net (default 0.35), a full, isolated disc for "
        "log, dog and doh (default 0.4); with modality raw the threshold of skimage's blob_log, "
        "blob_dog or blob_doh (default theirs).", least=0.0,
        most=1e9,
    )
    overlap: float = option(
        0.3, "Largest overlap of two blobs, fraction of the smaller one.", least=0.0, most=1.0
    )
    polarity: str = option(
        "both", "Cells brighter than background, darker, or either.",
        choices=("bright", "dark", "both"),
    )
    min_distance_px: float = option(
        0.0, "Least distance of two cells, pixels; of a closer pair the surer one stays.",
        least=0.0, flag="min-distance", most=100_000.0,
    )
    border_px: int = option(
        0, "Drop cells whose centre is this near the edge, pixels.", least=0, most=100_000
    )
    edge_radii: float = option(
        0.45, "Drop cells that the field's edge cuts: centre nearer than this many radii.",
        least=0.0, most=100.0,
    )
    min_relative_radius: float = option(
        0.6, "Drop blobs smaller than this many typical radii of the field (debris).", least=0.0,
        most=100.0,
    )
    max_relative_radius: float = option(
        2.0, "Drop blobs larger than this many typical radii of the field (clusters); 0: keep.",
        least=0.0, most=1000.0,
    )
    size_outliers: float = option(
        5.0, "Drop blobs whose log radius is this many robust standard deviations (median and MAD) "
        "from the field's; 0: keep them.", least=0.0, most=1000.0,
    )

    def __post_init__(self) -> None:
        if self.max_sigma and self.min_sigma > self.max_sigma:
            raise InputError(
                f"min_sigma {self.min_sigma:g} is above max_sigma {self.max_sigma:g}: "
                "no blob can lie between them; swap them or raise max_sigma"
            )

    @property
    def needs_diameter(self) -> bool:
        """Whether sizes are left to be estimated from the images."""
        return not self.diameter_px and not (self.min_sigma and self.max_sigma)


@dataclass(frozen=True, kw_only=True)
class RecordedConfig:
    """What a build found out about its images: written into the store's settings, never read.

    Predictions compare new fields with it.
    """

    dtype: tuple[str, ...] = option((), "Types of the pixels in the files.")
    bits: tuple[int, ...] = option(
        (), "Bits that those use, where the files say fewer than all.",
        least=0, most=64,
    )
    slices: tuple[str, ...] = option((), "Names of the slices that make the crops, in order.")
    pixel_size_um: tuple[float, ...] = option(
        (), "Least and largest edge of a pixel, micrometres.", least=0.0, most=1e6
    )
    modality: str = option("", "What the slices show, where the cell finder settled it.")
    size_px: tuple[int, ...] = option(
        (), "Height and width of a crop.", least=0, most=100_000
    )
    warnings: tuple[str, ...] = option((), "What was odd about the images.")


@dataclass(frozen=True, kw_only=True)
class BuildConfig:
    """How a folder of images becomes a crop store."""

    kind: str = option(
        "auto",
        "What SRC holds: fields with cells to find, ready-made crops, or whole fields as samples; "
        "auto looks at the images, and asks where they could be either.",
        choices=("auto", "cells", "crops", "fields"),
    )
    crop_px: int = option(
        0,
        "Edge of a crop, pixels; 0: 64 for cells of 22 to 44 px, else twice their usual diameter; "
        "for crops their own size; 512 for fields. Crops and fields are brought to a given size.",
        least=0, most=4096,
    )
    resize: str = option(
        "", "Resize ready-made crops and whole fields to HEIGHTxWIDTH pixels, as in 226x306.",
        panel=_CROPS,
    )
    fit: str = option(
        "auto", "How ready-made crops and whole fields of another size are brought to one: pad "
        "(by reflection, cells keep their scale) or resize (stretch). auto: resize where a size is "
        "given, else pad unless sizes differ too much.",
        choices=("auto", "pad", "resize"),
        panel=_CROPS,
    )
    crop_um: float = option(
        0.0,
        "Edge of a crop, micrometres: crops of fields with different pixel sizes are resampled to "
        "one scale; 0: crops are cut pixel by pixel.",
        least=0.0, most=100_000.0,
        panel=_CROPS,
    )
    channels: str = option(
        "auto",
        "auto: 2-4 slices to a red-green-blue composite, 1 stays grey; grey or rgb force one; "
        "all: every slice a channel; else names or numbers (from 1) of slices, as in 'DIC' or "
        "'DIC,GFP': up to three make a red-green-blue composite, more as many channels.",
    )
    scale: str = option(
        "auto",
        "auto: 8-bit as it is, deeper images scaled to 8 bit by percentiles of each field; "
        "none: keep 16 bit; field: percentiles of each field, 8-bit too; store: one range per "
        "channel for all fields.",
        choices=("auto", "none", "field", "store"),
        panel=_BRIGHTNESS,
    )
    scale_low: float = option(
        0.1, "Percentile of a channel that becomes 0.", least=0.0, most=100.0,
        panel=_BRIGHTNESS,
    )
    scale_high: float = option(
        99.9, "Percentile of a channel that becomes 255.", least=0.0, most=100.0,
        panel=_BRIGHTNESS,
    )
    scale_range: tuple[float, ...] = option(
        (),
        "With --scale store: raw values that become 0 and 255, two for each channel in turn; "
        "none: measured on the fields.",
        least=-1e12, most=1e12,
        panel=_BRIGHTNESS,
    )
    edge: str = option(
        "reflect", "Cells whose crop leaves the field: reflect the field and flag them, or drop "
        "them.",
        choices=("reflect", "drop"),
        panel=_CROPS,
    )
    match_px: float = option(
        0.0,
        "With --cells: find the cells, keep those within this many pixels of a known centre, and "
        "give them its label; 0: cut crops at the known centres themselves.",
        least=0.0, most=100_000.0, flag="cells-match",
        panel=_CROPS,
    )
    core: float = option(
        0.5,
        "One cell, one crop: drop found cells with another one's centre inside this central "
        "fraction of their crop, both of them; 0: keep all.",
        least=0.0, most=1.0,
        panel=_CROPS,
    )
    same_cell_radii: float = option(
        1.0,
        "Cells of overlapping fields whose places on the stage are nearer than this many radii are "
        "one cell, and the first is kept; 0: keep all.",
        least=0.0, most=2.0,
        panel=_CROPS,
    )
    pixel_size_um: float = option(
        0.0, "Edge of a pixel, micrometres, where a file does not say; 0: unknown.",
        least=0.0, most=1000.0, flag="pixel-size-um",
        panel=_IMAGES,
    )
    subsample: float = option(
        1.0, "Use this share of the images of each class and group, drawn at random.",
        least=1e-6, most=1.0,
        panel=_IMAGES,
    )
    subsample_seed: int = option(
        0, "Seed of that draw.", least=0, most=MOST_SEED, panel=_IMAGES
    )
    label: str | None = option(
        None, "Column of --manifest or --cells that names the classes (default: label).",
        panel=_IMAGES,
    )
    group: str | None = option(
        None,
        "Donor, line, mouse or experiment of an image: folder (the first level below the class), "
        "folder2 (the second), a column of --manifest or --cells, or a regular expression on the "
        "path below SRC whose first group, in parentheses, is its name.",
    )
    same_names: str = option(
        "ask",
        "Classes or groups whose names differ only in case, blanks, hyphens, leading zeros or "
        "Unicode form: ask (stop and list them), merge (the most frequent spelling), or keep.",
        choices=("ask", "merge", "keep"), panel=_IMAGES,
    )
    group_what: str = option(
        "group", "What a group is: donor, line, mouse, experiment, plate.", panel=_IMAGES,
    )
    files: FilesConfig = field(default_factory=FilesConfig, metadata={"panel": _IMAGES})
    read: ReadConfig = field(default_factory=ReadConfig, metadata={"panel": "Planes of a file"})
    quality: QualityConfig = field(
        default_factory=QualityConfig, metadata={"panel": "Quality of fields"}
    )
    detect: DetectConfig = field(default_factory=DetectConfig, metadata={"panel": _CELLS})
    recorded: RecordedConfig = field(
        default_factory=RecordedConfig, metadata={"hidden": True}
    )

    def __post_init__(self) -> None:
        if self.scale_low >= self.scale_high:
            raise InputError(
                f"scale_low {self.scale_low:g} is not below scale_high {self.scale_high:g}"
            )
        if self.scale_range and self.scale != "store":
            raise InputError("scale_range is for scale=store; say --scale store, or leave it out")
        pairs = zip(self.scale_range[::2], self.scale_range[1::2], strict=False)
        if len(self.scale_range) % 2 or any(low >= high for low, high in pairs):
            raise InputError(
                f"scale_range {self.scale_range}: expected a low and a higher number per channel"
            )
        if self.resize and self.kind not in ("crops", "fields"):
            raise InputError("--resize is for --kind crops and --kind fields; cells have --crop-px")
        if self.resize and self.crop_px:
            raise InputError("--resize and --crop-px both say how large crops are; leave one out")
        if self.resize and not re.fullmatch(r"[1-9][0-9]{0,3}x[1-9][0-9]{0,3}", self.resize):
            raise InputError(f"resize {self.resize!r}: expected HEIGHTxWIDTH, as in 226x306")
        if self.crop_um and self.kind in ("crops", "fields"):
            raise InputError(
                f"--crop-um cuts crops around cells; it cannot be used with --kind {self.kind}"
            )

    @property
    def size_px(self) -> tuple[int, int] | None:
        """Height and width of a crop; None where ready-made crops keep their own."""
        if self.resize:
            height, width = self.resize.split("x")
            return int(height), int(width)
        return (self.crop_px, self.crop_px) if self.crop_px else None
