"""Start the server: open the port, load the model beside it, and end both cleanly."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from stemcls.config.serve import ServeConfig
from stemcls.errors import InputError
from stemcls.evaluation.verdict import Line
from stemcls.models.saved import ModelCard
from stemcls.serving.app import make_app
from stemcls.serving.connections import LimitedProtocol
from stemcls.serving.worker import FAILED, Worker

_SECONDS_TO_END = 5


@dataclass(frozen=True, eq=False)
class Server:
    """A server with its port open and its model not yet loaded; `open_server` makes it.

    Attributes:
        url: Where it is.
        worker: Owns the model.
    """

    url: str
    worker: Worker
    _socket: socket.socket
    _server: uvicorn.Server
    _uploads: tempfile.TemporaryDirectory[str]

    def run(self) -> None:
        """Serve until a signal or `stop` ends it.

        Raises:
            StemclsError: The model cannot be loaded.
        """
        self.worker.start()
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self.worker.stop()
            self._socket.close()
            self._uploads.cleanup()  # also of a request that was cut off
        if self.worker.failure is not None:
            raise self.worker.failure

    def stop(self) -> None:
        """End `run` from another thread."""
        self._server.should_exit = True


def open_server(
    load: Callable[[], Any], card: ModelCard, name: str, config: ServeConfig,
    told: Callable[[str], None] | None = None, verdict: Sequence[Line] = (),
) -> Server:
    """Open the port.

    Args:
        load: Returns a `work.Loaded`; called in the thread that will use it.
        card: Of the model.
        name: What users call it.
        config: Address and limits.
        told: Called with each new state of the model.
        verdict: On the run that the model is of.
    Raises:
        InputError: The address cannot be used.
    """
    opened = _listen(config)
    port = opened.getsockname()[1]
    host = f"[{config.host}]" if ":" in config.host else config.host

    def tell(state: str) -> None:
        if told is not None:
            told(state)
        if state == FAILED:
            server.should_exit = True

    uploads = tempfile.TemporaryDirectory(prefix="stemcls-uploads-", ignore_cleanup_errors=True)
    worker = Worker(load, config.max_waiting, tell)
    # No access log: what users call their files is theirs.
    server = uvicorn.Server(uvicorn.Config(
        make_app(worker, card, name, config, Path(uploads.name), verdict), log_level="warning",
        access_log=False, server_header=False, timeout_graceful_shutdown=_SECONDS_TO_END,
        lifespan="off", http=LimitedProtocol, ws="none",
    ))
    return Server(f"http://{host}:{port}/", worker, opened, server, uploads)


def _listen(config: ServeConfig) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(
            config.host, config.port, type=socket.SOCK_STREAM
        )[0]
        return socket.create_server(address[:2], family=family, backlog=128)
    except OSError as error:
        raise InputError(
            f"cannot listen on {config.host}:{config.port}: {error.strerror or error}; choose "
            "another --port (0: any that is free) or --host"
        ) from error

