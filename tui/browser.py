"""Show the terminal UI in a browser: textual-serve behind a lock.

textual-serve alone answers everybody who reaches its port, also other users of this machine and web
pages that a browser on it has open. Whoever reaches the UI can start jobs and delete runs as its
user, so a secret in the address that is printed opens it, as in Jupyter.
"""

from __future__ import annotations

import ipaddress
import logging
import secrets
import shlex
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web
from rich.console import Console
from textual_serve.server import Server

COOKIE = "stemcls"
# The page of textual-serve asks a font of a server on the internet; its own fonts do.
POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self' ws: wss:; "
    "frame-ancestors 'none'"
)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class BrowserServer(Server):
    """Serves the UI over one workspace, a process for each browser tab.

    Args:
        workspace: Its folder.
        host: Name or address to listen on.
        port: Port to listen on.

    Attributes:
        token: The secret.
    """

    def __init__(self, workspace: Path, host: str, port: int) -> None:
        command = [sys.executable, "-m", "stemcls", "tui", "--workspace", str(workspace)]
        everywhere = host in ("0.0.0.0", "::")
        shown = socket.gethostname() if everywhere else f"[{host}]" if ":" in host else host
        super().__init__(
            shlex.join(command), host=host, port=port, title=f"stemcls {workspace.name}",
            public_url=f"http://{shown}:{port}",
        )
        self.token = secrets.token_urlsafe(24)
        self.console = Console(stderr=True)

    @property
    def address(self) -> str:
        """What a person opens in the browser."""
        return f"{self.public_url}/?token={self.token}"

    def initialize_logging(self) -> None:
        """Say what goes wrong only: a line for each request would hold the secret."""
        logging.basicConfig(level=logging.WARNING, format="%(message)s")

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()
        app.middlewares.append(self._guard)
        return app

    async def on_startup(self, app: web.Application) -> None:  # noqa: ARG002 - aiohttp's signature
        """Say where it is."""
        self.console.print(
            f"The terminal UI is at {self.address}\nCtrl+C ends it; jobs go on.",
            markup=False, soft_wrap=True, highlight=False,
        )

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let in who knows the secret, from a page of ours only."""
        origin = request.headers.get("Origin")
        if origin is not None and origin != f"{request.scheme}://{request.host}":
            raise web.HTTPForbidden(text=f"A page of {origin} may not use this.\n")
        given = request.query.get("token") or request.cookies.get(COOKIE, "")
        if not secrets.compare_digest(given.encode(), self.token.encode()):
            raise web.HTTPForbidden(text="Open the whole address that `stemcls tui` printed.\n")
        response = await handler(request)
        if not response.prepared:
            response.set_cookie(COOKIE, self.token, httponly=True, samesite="Strict")
            response.headers["Content-Security-Policy"] = POLICY
            response.headers["Referrer-Policy"] = "no-referrer"
        return response


def is_local(host: str) -> bool:
    """Tell whether only this machine can reach a server that listens on `host`."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
