"""Measure the web API beside `stemcls predict`, on one large field in one process."""

from __future__ import annotations

import csv
import io
import json
import shutil
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from stemcls.bench.backends import on_backend
from stemcls.bench.measure import interleave, result
from stemcls.bench.network import random_network
from stemcls.bench.prediction import write_simulated
from stemcls.config.imaging import BuildConfig, DetectConfig
from stemcls.config.serve import PACKAGES, ServeConfig
from stemcls.extras import check_extra
from stemcls.models.backend import choose_backend
from stemcls.store.build import build_store
from stemcls.store.cropstore import CropStore

FIELD_PX, CELLS, CROP_PX, ROUNDS = 2048, 60, 96, 5
DIAMETER_PX = 36.0  # of the cells simulated
MOST_TIMES_PREDICT = 1.5
_BOUNDARY = "stemcls-bench"


def serve(data: Path) -> dict[str, Any]:  # noqa: ARG001 - benchmarks take the folder
    """Send a field of 2048x2048 pixels with 60 cells to a running server, beside `predict`.

    Both draw: the server returns the field as JPEG for the page, `predict` writes its overlay.

    Returns: `serve`, warm seconds of each; a pass is at most 1.5 times those of `predict`.
    """
    check_extra("serve", PACKAGES, "web")
    backend = choose_backend(None)
    with tempfile.TemporaryDirectory(prefix="stemcls-bench-") as folder:
        write_simulated(Path(folder) / "fields", 3, FIELD_PX, CELLS)  # one of each class
        found = on_backend(backend, measure, folder=folder)
    return result(
        "serve", found["seconds"], found["predict_seconds"], "s", 1 / MOST_TIMES_PREDICT,
        found["equal"], backend=backend, cells=found["cells"],
        first_request_seconds=found["first_request_seconds"],
    )


def measure(
    folder: str, backbone: str = "MobileNetV2", alpha: float = 1.0, crop_px: int = CROP_PX
) -> dict[str, Any]:
    """Time both in turn in this process, after one of each.

    Args:
        folder: Holds `fields/`; tables and overlays are written here too.
        backbone, alpha: Network, with random weights.
        crop_px: Edge of the crops cut.
    Returns: Median `seconds` and `predict_seconds`, `first_request_seconds`, `cells`, and whether
        both gave an `equal` table.
    """
    from stemcls.models.saved import ModelCard
    from stemcls.prediction.predict import predict_table
    from stemcls.serving.serve import open_server
    from stemcls.serving.work import Loaded

    root = Path(folder)
    detect = DetectConfig(diameter_px=DIAMETER_PX)
    build_store(
        root / "fields", root / "fields.h5",
        BuildConfig(kind="cells", crop_px=crop_px, detect=detect), workers=1, force=True,
    )
    store = CropStore.open(root / "fields.h5")
    card = ModelCard(
        store.classes, store.size_px, store.channels, str(store.dtype), build=store.config
    )
    model = random_network(backbone, alpha, crop_px, len(card.classes))
    path = min((root / "fields").rglob("*.tif"))
    out, overlays = root / "cells.csv", root / "overlays"
    body = _form(path)
    answers: dict[str, list[list[str]]] = {}
    server = open_server(
        lambda: Loaded(model, card), card, "bench", ServeConfig(port=0, max_seconds=600.0)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()

    def ours() -> None:
        found = json.loads(_post(f"{server.url}api/predict?pictures=true", body))
        answers["ours"] = list(csv.reader(io.StringIO(found["csv"])))

    def predict() -> None:
        for table in (out, out.with_name("cells-summary.csv")):
            table.unlink(missing_ok=True)
        shutil.rmtree(overlays, ignore_errors=True)
        predict_table(model, card, [path], out, overlays=overlays)

    try:
        _wait(f"{server.url}health")
        predict()
        begun = time.perf_counter()
        ours()
        first = time.perf_counter() - begun
        seconds, predict_seconds = interleave(ours, predict, ROUNDS)
    finally:
        server.stop()
        thread.join()
    with out.open(newline="", encoding="utf-8") as file:
        wanted = list(csv.reader(file))
    return {
        "seconds": seconds, "predict_seconds": predict_seconds, "first_request_seconds": first,
        "cells": len(wanted) - 1,
        "equal": [row[1:] for row in answers["ours"]] == [row[1:] for row in wanted],
    }


def _form(path: Path) -> bytes:
    head = f'Content-Disposition: form-data; name="files"; filename="{path.name}"'
    start, end = f"--{_BOUNDARY}\r\n{head}\r\n\r\n", f"\r\n--{_BOUNDARY}--\r\n"
    return start.encode() + path.read_bytes() + end.encode()


def _post(url: str, body: bytes) -> bytes:
    headers = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
    request = urllib.request.Request(url, body, headers)
    with urllib.request.urlopen(request, timeout=600) as answer:
        return bytes(answer.read())


def _wait(url: str) -> None:
    while True:
        try:
            urllib.request.urlopen(url, timeout=10).close()
        except urllib.error.HTTPError:
            time.sleep(0.05)
        else:
            return
