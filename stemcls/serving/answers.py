"""What the API answers, as Pydantic models: they check it, and describe it in OpenAPI."""

from __future__ import annotations

from pydantic import BaseModel, Field


class Problem(BaseModel):
    """Why a request cannot be granted."""

    error: str = Field(description="What was expected, what was found, what to do next.")


class Cell(BaseModel):
    """One cell of a field, or one crop."""

    y_px: float = Field(description="Centre, pixels of the field from its top.")
    x_px: float = Field(description="Centre, pixels of the field from its left.")
    radius_px: float
    class_: str = Field(serialization_alias="class", description="The likeliest class.")
    score: float = Field(ge=0, le=1, description="Its probability.")
    probabilities: list[float] = Field(description="Of each class, in the order of the model.")
    notes: str = Field("", description="What is odd about it, as in the table.")


class Image(BaseModel):
    """One image and its cells."""

    name: str = Field(description="As it was uploaded; of a zip the path inside.")
    height_px: int
    width_px: int
    cells: list[Cell]
    dropped: dict[str, int] = Field(description="Found cells that were left out, by reason.")
    picture: str | None = Field(None, description="JPEG as a data URI, where it was asked for.")


class Skipped(BaseModel):
    """A file that could not be used."""

    path: str
    reason: str


class Warned(BaseModel):
    """Something odd about files that were used all the same."""

    kind: str
    message: str
    paths: list[str]


class Answer(BaseModel):
    """What `stemcls predict` says of the same files."""

    rows: int = Field(description="Cells in all images.")
    composition: dict[str, int] = Field(description="Cells of each class.")
    images: list[Image]
    skipped: list[Skipped]
    warnings: list[Warned]
    csv: str = Field(description="The table that `stemcls predict` writes.")


class Saliency(BaseModel):
    """Where in a crop the model sees a class."""

    target: str = Field(description="The class that the map speaks for.")
    method: str
    layer: str = Field(description="Where the map was taken; empty if at no layer.")
    probabilities: list[float] = Field(description="Of this crop, one view.")
    crop: str = Field(description="What the network saw, PNG as a data URI.")
    overlay: str = Field(description="The map laid over it, PNG as a data URI.")


class Limits(BaseModel):
    """How much one request may bring."""

    upload_mb: int
    files: int
    megapixels: float
    seconds: float
    waiting: int


class Known(BaseModel):
    """A line of what is known of the model from the run that made it."""

    about: str = Field(description="How good, can it be believed, how it fails, or what next.")
    text: str
    grave: bool = Field(description="Whether its scores must not be taken as they are.")


class About(BaseModel):
    """The model that answers."""

    name: str
    classes: list[str]
    colours: list[str] = Field(description="Of each class on the page, #rrggbb.")
    size_px: tuple[int, int] = Field(description="Height and width of the crops it takes.")
    channels: list[str]
    pixel_size_um: float | None
    kind: str = Field(description="What it was trained on: cells, crops or fields.")
    views: int = Field(description="Flips and turns averaged for each answer.")
    calibrated: bool
    explainable: bool = Field(description="Whether it can say what it looks at.")
    suffixes: list[str] = Field(description="Files it takes; also .zip of them.")
    version: str
    verdict: list[Known] = Field([], description="Empty where the run was not scored.")
    limits: Limits


class Health(BaseModel):
    """Whether the model can answer."""

    status: str = Field(description="loading, ready, failed or stopped.")
    waiting: int = Field(description="Requests in line, the one at work counted.")
