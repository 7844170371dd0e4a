"""Name temporary files after the process that writes them, and remove what killed ones left."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import socket
import zlib
from pathlib import Path

_swept: set[Path] = set()
_LEFT = re.compile(r"\..+\.(?P<host>[0-9a-f]{8})-(?P<pid>[0-9]+)-[0-9a-f]{8}\.part(\.[^.]+)?")


def sweep(folder: Path) -> None:
    """Remove temporary files and folders that killed processes of this computer left in `folder`.

    Once in a process for each folder, because a folder may hold very many files.
    """
    if folder in _swept:
        return
    _swept.add(folder)
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            found = _LEFT.fullmatch(entry.name)
            if found is None or found["host"] != _host() or is_alive(int(found["pid"])):
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    Path(entry.path).unlink()


def is_alive(pid: int) -> bool:
    """Tell whether a process of this number runs on this computer, whoever's it is."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def temporary_name(name: str, suffix: str = "") -> str:
    """Return a hidden name that nobody else has, and that says which process works under it."""
    # A name may have 255 bytes on most systems.
    short = os.fsencode(name)[:150].decode("utf-8", "ignore")
    return f".{short}.{_host()}-{os.getpid()}-{secrets.token_hex(4)}.part{suffix}"


def _host() -> str:
    return f"{zlib.crc32(socket.gethostname().encode()):08x}"
