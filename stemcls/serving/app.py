"""The web application: one page, and the API that it and scripts use."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from importlib.metadata import version
from importlib.resources import files as resources
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import FastAPI, File, Form, Query, Request, Response, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from stemcls.config.serve import ServeConfig
from stemcls.errors import InputError
from stemcls.evaluation.calibration.conformal import least_probabilities
from stemcls.evaluation.verdict import Line
from stemcls.imaging.overlay import class_color
from stemcls.imaging.readers import READERS
from stemcls.models.saved import ModelCard
from stemcls.serving import work
from stemcls.serving.answers import About, Answer, Health, Known, Limits, Problem, Saliency
from stemcls.serving.gate import Gate, problem, problems
from stemcls.serving.uploads import Skipped, TooLargeError, Upload, lay_out, remove
from stemcls.serving.worker import READY, Worker

_PAGE = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/field.js": ("field.js", "text/javascript; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
}
_REFUSED = problems((400, 403, 413, 422, 503), Problem)

Files = Annotated[list[UploadFile], File(description="Fields, crops, or zips of them.")]
Kind = Annotated[
    Literal["auto", "cells", "crops"],
    Form(description="What an image is: a field with cells to find, one crop, or auto."),
]
PixelSize = Annotated[
    float,
    Form(ge=0, le=1000, allow_inf_nan=False,
         description="Edge of a pixel, micrometres, where files do not say; 0: as in training."),
]
Place = Annotated[float, Form(ge=0, le=1_000_000, allow_inf_nan=False)]


def make_app(
    worker: Worker, card: ModelCard, name: str, config: ServeConfig, home: Path,
    verdict: Sequence[Line] = (),
) -> FastAPI:
    """Return the application.

    Args:
        worker: Owns the model, a `work.Loaded`; started by whoever serves.
        card: Of the model.
        name: What users call it.
        config: The limits.
        home: Folder in which uploads lie while they are worked on.
        verdict: On the run that the model is of.
    """
    app = FastAPI(
        title=f"stemcls: {name}", version=version("stemcls"), docs_url=None, redoc_url=None,
        description="Classifies cells of microscope fields with one trained model. Nothing that "
        "is uploaded is kept.",
    )
    app.add_middleware(Gate, worker=worker, config=config)
    _answer_errors(app)
    _add_page(app)

    @app.get("/health", responses={503: {"model": Health, "description": "Not ready"}})
    async def health(response: Response) -> Health:
        """Say whether the model can answer."""
        response.status_code = 200 if worker.state == READY else 503
        return Health(status=worker.state, waiting=worker.taken)

    @app.get("/api/model", responses=problems((403,), Problem))
    async def model() -> About:
        """Say which model answers, and what it takes."""
        return _about(card, name, config, verdict)

    @app.post("/api/predict", responses=_REFUSED)
    async def predict(
        files: Files, kind: Kind = "auto", pixel_size_um: PixelSize = 0.0,
        pictures: Annotated[bool, Query(description="Also return the images as JPEG.")] = False,
    ) -> Answer:
        """Find and classify every cell of some images."""
        reading = work.Reading(kind, pixel_size_um)
        async with _laid_out(files, config, home) as (uploads, skipped):
            return await worker.run(
                lambda loaded, check: work.predict_uploads(
                    loaded, uploads, skipped, reading, pictures, check
                )
            )

    @app.post(
        "/api/table", response_class=Response,
        responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}, **_REFUSED},
    )
    async def table(files: Files, kind: Kind = "auto", pixel_size_um: PixelSize = 0.0) -> Response:
        """Do the same, and answer with the table alone."""
        found = await predict(files, kind, pixel_size_um, pictures=False)
        return Response(found.csv, media_type="text/csv")

    @app.post("/api/saliency", responses=_REFUSED)
    async def saliency(
        files: Files, y_px: Place, x_px: Place,
        name: Annotated[str, Form(description="Which image, where several are sent.")] = "",
        method: Annotated[str, Form(description="As `stemcls explain --method`.")] = "gradcam",
        target: Annotated[str, Form(description="Class; the predicted one if left out.")] = "",
        kind: Kind = "auto", pixel_size_um: PixelSize = 0.0,
    ) -> Saliency:
        """Show what the model looks at in the cell whose centre is named."""
        reading = work.Reading(kind, pixel_size_um)
        async with _laid_out(files, config, home) as (uploads, skipped):
            upload = _chosen(uploads, skipped, name)
            return await worker.run(
                lambda loaded, _: work.explain_upload(
                    loaded, upload, reading, (y_px, x_px), method, target
                )
            )

    return app


def _add_page(app: FastAPI) -> None:
    def shown(file: str, kind: str) -> Callable[[], Any]:
        content = (resources("stemcls.serving") / "page" / file).read_bytes()

        async def show() -> Response:
            return Response(content, media_type=kind)

        return show

    for path, (file, kind) in _PAGE.items():
        app.add_api_route(path, shown(file, kind), include_in_schema=False)


def _answer_errors(app: FastAPI) -> None:
    """Answer every error in one form, as `Problem` says."""

    @app.exception_handler(HTTPException)
    async def refused(_request: Request, error: HTTPException) -> JSONResponse:
        return problem(error.status_code, str(error.detail), dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        said = (f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in error.errors())
        return problem(422, "; ".join(said))

    @app.exception_handler(TooLargeError)
    async def too_large(_request: Request, error: TooLargeError) -> JSONResponse:
        return problem(413, str(error))

    @app.exception_handler(InputError)
    async def unusable(_request: Request, error: InputError) -> JSONResponse:
        return problem(422, str(error))

    @app.exception_handler(Exception)
    async def broken(_request: Request, _error: Exception) -> JSONResponse:
        return problem(500, "the server made a mistake, which its log describes")


@asynccontextmanager
async def _laid_out(
    files: list[UploadFile], config: ServeConfig, home: Path
) -> AsyncIterator[tuple[list[Upload], list[Skipped]]]:
    """Lay uploads out in a folder that is gone afterwards, however it ends."""
    folder = Path(tempfile.mkdtemp(dir=home))
    try:
        named = [(file.filename or "", file.file) for file in files]
        yield await run_in_threadpool(lay_out, named, folder, config)
    finally:
        remove(folder)


def _chosen(uploads: list[Upload], skipped: list[Skipped], name: str) -> Upload:
    if not uploads:
        raise InputError(f"no file could be used: {skipped[0][1]}" if skipped else "no files")
    found = [upload for upload in uploads if not name or upload.name == name]
    if len(found) != 1:
        raise InputError(f"which of {', '.join(upload.name for upload in uploads)}? say its name")
    return found[0]


def _about(
    card: ModelCard, name: str, config: ServeConfig, verdict: Sequence[Line]
) -> About:
    return About(
        name=name, classes=list(card.classes),
        colours=["#{:02x}{:02x}{:02x}".format(*class_color(n)) for n in range(len(card.classes))],
        size_px=card.size_px, channels=list(card.channels), pixel_size_um=card.pixel_size_um,
        kind=card.kind, views=card.views, calibrated=bool(least_probabilities(card)),
        explainable="ensemble" not in card.provenance, suffixes=list(READERS),
        version=version("stemcls"), verdict=[Known(**asdict(line)) for line in verdict],
        limits=Limits(
            upload_mb=config.max_upload_mb, files=config.max_files,
            megapixels=config.max_megapixels, seconds=config.max_seconds,
            waiting=config.max_waiting,
        ),
    )
