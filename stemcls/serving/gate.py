"""What every request passes before it is read: place in line, size, time, and where it is from."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stemcls.config.serve import MEGABYTE, ServeConfig
from stemcls.serving.worker import LOADING, READY, FullError, Worker

RETRY_SECONDS = 5
_LOCAL = ("localhost", "127.0.0.1", "::1")
# Nothing on the page comes from elsewhere, goes elsewhere or is kept by the browser.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Gate:
    """ASGI middleware; see the module."""

    def __init__(self, app: ASGIApp, worker: Worker, config: ServeConfig) -> None:
        """Stand before `app`, whose POST requests are work for `worker`."""
        self._app = app
        self._worker = worker
        self._config = config

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what may not pass, and hand on the rest."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(send)
        headers = Headers(scope=scope)
        refused = self._foreign(headers)
        if refused is None and scope["method"] == "POST":
            refused = await self._pass(scope, receive, answer, headers)
        elif refused is None:
            await self._app(scope, receive, answer)
        if refused is not None and not answer.begun:
            await refused(scope, receive, answer)

    async def _pass(
        self, scope: Scope, receive: Receive, answer: _Answer, headers: Headers
    ) -> JSONResponse | None:
        limit, seconds = self._config.max_upload_bytes, self._config.max_seconds
        if self._worker.state != READY:
            return _later(
                "the model is being loaded" if self._worker.state == LOADING
                else f"the model is not available: {self._worker.state}"
            )
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > limit:
            return problem(413, too_large(limit))
        try:
            with self._worker.place():
                async with asyncio.timeout(seconds):
                    await _while_there(self._app, scope, _Body(receive, limit), answer)
        except FullError:
            return _later(f"{self._worker.taken} requests are waiting already")
        except TimeoutError:
            return _later(f"it took longer than {seconds:g} s")
        return None

    def _foreign(self, headers: Headers) -> JSONResponse | None:
        """Refuse pages of other sites, which a browser would let send to this machine too."""
        origin = headers.get("origin")
        try:
            host = urlsplit(f"//{headers.get('host', '')}").hostname or ""
            sent_by = urlsplit(origin).netloc if origin else headers.get("host")
        except ValueError as error:
            return problem(400, f"the Host or Origin of the request is malformed: {error}")
        if self._config.is_local and host not in (*_LOCAL, self._config.host):
            return problem(403, f"this server is for this machine only, not for {host!r}")
        if sent_by != headers.get("host"):
            return problem(403, "pages of other sites may not send requests here")
        return None


class _Answer:
    """An ASGI send that adds headers and remembers whether the answer has begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await self._send(message)


def problem(status: int, error: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return the answer to a request that cannot be granted."""
    return JSONResponse({"error": error}, status, headers)


def too_large(limit: int) -> str:
    """Say that an upload is above the limit of bytes."""
    return f"an upload may have {limit / MEGABYTE:g} million bytes at most; send fewer files"


def problems(numbers: Iterable[int], model: Any) -> dict[int | str, dict[str, Any]]:
    """Return what a description says of the answers to requests that cannot be granted."""
    said = {
        400: "Not a form that can be read",
        403: "From a page of another site, or for another host",
        413: "Too many bytes, files or pixels",
        422: "A file or value that cannot be used; says why",
        503: "The model is being loaded, too many requests wait, or it took too long",
    }
    return {number: {"model": model, "description": said[number]} for number in numbers}


def _later(why: str) -> JSONResponse:
    return problem(503, f"{why}; try again in a moment", {"Retry-After": str(RETRY_SECONDS)})


class _Body:
    """An ASGI receive that stops at a body which is too large, whatever its header said.

    Args:
        receive: Of the request.
        limit: Most bytes.
    """

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self._read = 0
        self._whole = asyncio.Event()

    async def __call__(self) -> Message:
        message = await self._receive()
        self._read += len(message.get("body", b""))
        if self._read > self._limit:
            raise HTTPException(413, too_large(self._limit))
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self._whole.set()
        return message

    async def client_left(self) -> None:
        """Return when the client has closed its connection after it had sent everything."""
        await self._whole.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass


async def _while_there(app: ASGIApp, scope: Scope, body: _Body, answer: _Answer) -> None:
    """Answer a request; one whose client has left is cancelled, so that no work is done for it."""
    answering = asyncio.ensure_future(app(scope, body, answer))
    leaving = asyncio.ensure_future(body.client_left())
    try:
        await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
        if answering.done():
            await answering
    finally:
        for task in (answering, leaving):
            task.cancel()
        await asyncio.gather(answering, leaving, return_exceptions=True)
