"""What the thread that owns the model does for a request: the same as `stemcls predict`."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.display.colours import as_colours, to_rgb
from stemcls.errors import InputError, check_known
from stemcls.evaluation.page import pixel_data
from stemcls.imaging.shrink import shrunk
from stemcls.models.saved import ModelCard
from stemcls.notices import Notice, gathered
from stemcls.prediction.familiarity import Familiarity
from stemcls.prediction.inputs import crop_at
from stemcls.prediction.predict import Predicted, columns_of, predict_files, rows_of
from stemcls.safetext import SafeWriter
from stemcls.serving.answers import Answer, Cell, Image, Saliency, Skipped, Warned
from stemcls.serving.uploads import Upload

LARGEST_PICTURE_PX = 2048
_JPEG_QUALITY = 90


@dataclass(frozen=True, eq=False)
class Loaded:
    """A model in memory, its card, and what is usual to it where it was calibrated."""

    model: Any
    card: ModelCard
    novelty: Familiarity | None = None

    @cached_property
    def probe(self) -> Any:
        """The model opened for explaining, made when it is first asked for."""
        from stemcls.explain.probe import open_probe
        from stemcls.models.ensemble import check_explainable

        check_explainable(self.card, "this model")
        return open_probe(self.model, batch_size=1)


@dataclass(frozen=True)
class Reading:
    """How uploads are to be taken: as the options of `stemcls predict`."""

    kind: str = "auto"
    pixel_size_um: float = 0.0


def load(path: Path, device: str) -> Loaded:
    """Load a model for prediction, and let it see crops once so that no user waits for that.

    Args:
        path: A .keras file.
        device: As `choose_backend` was told.
    Raises:
        InputError: As `load_model`.
    """
    from stemcls.models.backend import load_keras

    load_keras(device)
    from stemcls.models.inference import predict
    from stemcls.models.saved import load_model

    model, card = load_model(path)
    crops = np.zeros((1, *card.shape), card.dtype)
    predict(model, crops.__getitem__, np.arange(1), views=card.views)
    return Loaded(model, card, Familiarity.beside(model, path))


def predict_uploads(
    loaded: Loaded, uploads: Sequence[Upload], refused: Sequence[tuple[str, str]],
    reading: Reading, pictures: bool, check: Callable[[], None] = lambda: None,
) -> Answer:
    """Classify every cell of some images.

    Args:
        loaded: The model.
        uploads: Images laid out as files.
        refused: Names of other files, with the reason.
        reading: How to take them.
        pictures: Also return each image, for drawing on.
        check: Called after each image; may raise.
    Raises:
        InputError: Not one file could be used.
    """
    card = loaded.card
    table = io.StringIO()
    writer = SafeWriter(table, lineterminator="\r\n")
    writer.writerow(columns_of(card))
    skipped = [Skipped(path=name, reason=reason) for name, reason in refused]
    images: list[Image] = []
    counts: Counter[str] = Counter()
    notices: list[Notice] = []
    found = predict_files(
        loaded.model, card, [upload.path for upload in uploads], kind=reading.kind,
        pixel_size_um=reading.pixel_size_um, views=card.views, novelty=loaded.novelty,
    )
    for upload, one in zip(uploads, found, strict=True):
        check()
        if not isinstance(one, Predicted):
            skipped.append(Skipped(path=upload.name, reason=upload.renamed(one[1])))
            continue
        named = replace(one.sample, paths=[upload.name] * one.sample.n)
        one = replace(one, sample=named)
        writer.writerows(rows_of(one, card))
        notices += [replace(notice, paths=(upload.name,)) for notice in one.sample.notices]
        counts.update(card.classes[index] for index in one.predicted)
        images.append(_image(upload.name, one, card.classes, pictures))
    if not images:
        raise InputError(f"no file could be used: {skipped[0].reason}" if skipped else "no files")
    return Answer(
        rows=sum(counts.values()), composition={name: counts[name] for name in card.classes},
        images=images, skipped=skipped, csv=table.getvalue(),
        warnings=[Warned(**notice.document()) for notice in gathered(notices)],
    )


def explain_upload(
    loaded: Loaded, upload: Upload, reading: Reading, center_px: tuple[float, float],
    method: str, target: str,
) -> Saliency:
    """Say what the model looks at in one cell of an image.

    Args:
        loaded: The model.
        upload: The image.
        reading: As it was predicted.
        center_px: Of the cell, y and x.
        method: A name in `METHODS`.
        target: Class that the map speaks for; "" for the predicted one.
    Raises:
        InputError: No such class or method, no crop there, or a model that has no maps.
    """
    from stemcls.explain.explain import explain
    from stemcls.explain.overlays import blended

    classes = loaded.card.classes
    if target:
        check_known(target, classes, f"the model knows no class {target!r}")
    try:
        crop = crop_at(upload.path, loaded.card, center_px, reading.kind, reading.pixel_size_um)
    except InputError as error:
        raise InputError(upload.renamed(str(error))) from error
    wanted = classes.index(target) if target else None
    found = explain(loaded.probe, crop[None], wanted, method)
    shown = as_colours(crop)
    return Saliency(
        target=classes[int(found.targets[0])], method=method, layer=found.layer,
        probabilities=found.probabilities[0].tolist(),
        crop=_uri(shown), overlay=_uri(blended(shown, found.heatmaps[0])),
    )


def _image(name: str, found: Predicted, classes: tuple[str, ...], pictures: bool) -> Image:
    sample = found.sample
    picture = sample.image if sample.image is not None else sample.read(np.arange(1))[0]
    height, width = picture.shape[:2]
    centers, radii = sample.centers_px, sample.radius_px
    if sample.image is None:  # a crop may have been resized
        centers, radii = np.array([[(height - 1) / 2, (width - 1) / 2]]), np.array([height / 2])
    cells = [
        Cell(
            y_px=round(float(y), 2), x_px=round(float(x), 2), radius_px=round(float(radius), 2),
            class_=classes[best], score=round(float(row[best]), 6),
            probabilities=[round(float(value), 6) for value in row], notes=note,
        )
        for (y, x), radius, row, best, note in zip(
            centers, radii, found.probabilities, found.predicted, sample.notes, strict=True
        )
    ]
    return Image(
        name=name, height_px=height, width_px=width, cells=cells, dropped=sample.dropped,
        picture=_jpeg(picture) if pictures else None,
    )


def _jpeg(image: np.ndarray) -> str:
    """Return a JPEG as a data URI, made smaller where a screen could not show all of it."""
    return pixel_data(shrunk(to_rgb(image), LARGEST_PICTURE_PX), ".jpg", _JPEG_QUALITY)


def _uri(image: np.ndarray) -> str:
    """Return an (H, W, 3) image in [0, 1] as a PNG in a data URI."""
    return pixel_data((image * 255).round().astype(np.uint8))
