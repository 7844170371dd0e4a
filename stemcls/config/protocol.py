"""A published protocol, fully described: its data's layout, its settings, and what it reported."""

from __future__ import annotations

from dataclasses import dataclass, field

from stemcls.config.experiment import Experiment
from stemcls.config.explain import ExplainConfig
from stemcls.config.imaging import BuildConfig
from stemcls.config.options import option
from stemcls.config.probes import AuditConfig, CurveConfig, EmbedConfig
from stemcls.errors import InputError


@dataclass(frozen=True, kw_only=True)
class PaperConfig:
    """Which paper a recipe repeats."""

    title: str = option("", "Title of the paper.")
    authors: str = option("", "First author and year.")
    where: str = option("", "Journal or preprint server, and its identifier.")
    data: str = option("", "Where the paper says that its images are.")


@dataclass(frozen=True, kw_only=True)
class LayoutConfig:
    """How the images of a study lie in its folder."""

    classes: tuple[str, ...] = option((), "Names of the classes: folders of the first level.")
    below: str = option("", "What lies in a class' folder, as in EXPERIMENT/FIELD.oir.")
    stated: bool = option(False, "Whether the paper says so; else it is an assumption.")
    group: str = option(
        "", "Regular expression on the path below the folder, whose first group names the unit."
    )
    group_what: str = option("", "What that unit is: experiment, mouse, line.")
    groups_per_class: int = option(
        0, "Units that every class needs; 0: the level may be missing.", least=0, most=100_000,
    )
    shared: bool = option(
        False, "Whether one unit holds several classes, under one name; else equal names differ."
    )
    extra: bool = option(False, "Whether other folders may lie beside those of the classes.")


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """How settings are searched, where the paper did so."""

    trials: int = option(30, "Settings to try.", least=1, most=100_000)
    folds: int = option(3, "Grouped folds that score a setting.", least=2, most=100)
    objective: str = option("balanced_accuracy", "Metric to improve, the mean over folds.")
    algorithm: str = option("ei", "How settings are suggested.")
    racing: bool = option(True, "Give up settings that are hopeless after their first folds.")


@dataclass(frozen=True, kw_only=True)
class FigureConfig:
    """A number that the paper reports, and where ours is found."""

    name: str = option("", "What it is.")
    paper: float = option(0.0, "The paper's value.", least=-1e9, most=1e9)
    spread: float = option(
        0.0, "Its standard deviation or error, where given; 0: none.", least=0.0, most=1e9
    )
    ours: str = option(
        "", "Place in the results, as in scores/per_class/MPP/sensitivity; empty: not compared."
    )
    where: str = option("", "Place in the paper.")
    note: str = option("", "What a reader must know before comparing the two.")


@dataclass(frozen=True, kw_only=True)
class ProtocolConfig:
    """One recipe: `stemcls recipes show NAME` prints it, `stemcls recipes run NAME` runs it."""

    name: str = option("", "Name of the recipe.")
    summary: str = option("", "One sentence.")
    paper: PaperConfig = field(default_factory=PaperConfig)
    layout: LayoutConfig = field(default_factory=LayoutConfig)
    steps: tuple[str, ...] = option((), "What is done, in order.")
    consistency: bool = option(False, "Labels come from sorting: call scores consistency rates.")
    chosen: tuple[str, ...] = option((), "What the paper does not say, and what is done instead.")
    build: BuildConfig = field(default_factory=BuildConfig)
    training: str = option("", "Published way to train that `experiment` starts from.")
    experiment: Experiment = field(default_factory=Experiment)
    search: SearchConfig = field(default_factory=SearchConfig)
    audit: AuditConfig = field(default_factory=AuditConfig)
    curve: CurveConfig = field(default_factory=CurveConfig)
    embed: EmbedConfig = field(default_factory=EmbedConfig)
    explain: ExplainConfig = field(default_factory=ExplainConfig)
    figures: tuple[FigureConfig, ...] = ()

    def __post_init__(self) -> None:
        """Check what no single setting can tell."""
        if len(self.layout.classes) < 2:
            raise InputError(f"recipe {self.name!r} names fewer than two classes (layout.classes)")
