"""Settings of the web page and its API."""

from __future__ import annotations

from dataclasses import dataclass

from stemcls.config.options import option

MEGABYTE = 1_000_000

PACKAGES = ("fastapi", "uvicorn", "python_multipart")  # of the extra `web`


@dataclass(frozen=True, kw_only=True)
class ServeConfig:
    """Where the page is shown, and how much one request may ask for."""

    host: str = option("127.0.0.1", "Address to listen on; only this machine unless changed.")
    port: int = option(8090, "Port to listen on; 0: any that is free.", least=0, most=65535)
    max_upload_mb: int = option(
        256, "Largest upload, and the most that a zip may unpack to, million bytes.", least=1,
        most=1_000_000,
    )
    max_files: int = option(
        50, "Most images in one request, those in zips counted.", least=1, most=100_000
    )
    max_megapixels: float = option(
        100.0, "Largest image, million pixels over all its planes.", least=0.01, most=1e6,
    )
    max_waiting: int = option(
        32, "Most requests at once, the one at work and those that wait; others are told to come "
        "again.", least=1, flag="max-waiting", most=10_000,
    )
    max_seconds: float = option(
        120.0, "Longest that a request may take, waiting and upload counted.", least=1.0, most=1e6,
    )

    @property
    def max_upload_bytes(self) -> int:
        """`max_upload_mb` in bytes."""
        return self.max_upload_mb * MEGABYTE

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host in ("localhost", "::1") or self.host.startswith("127.")
